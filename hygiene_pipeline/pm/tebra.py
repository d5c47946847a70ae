"""Tebra (Kareo) as a practice management system: whole lists over its SOAP service, page by page.

Only the read operations are used. One customer key may cover several practices; a record of another one stops the
fetch, since its patients must not be seen here.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from hygiene_pipeline.pm.source import PmSource, Registration, Row
from hygiene_pipeline.pm.tebra_answer import Record, TebraAnswerError
from hygiene_pipeline.pm.tebra_calls import Credentials, TebraCalls
from hygiene_pipeline.pm.tebra_rows import PATIENT_MEMBERS, TebraRows, is_referring, referring_provider

# Appointments come without pages; a month of a five-provider practice is about a megabyte.
_WINDOW_DAYS = 31
_LAST_KEY = {"", "0"}


class TebraPm(PmSource):
    """One practice of a Tebra account."""

    def __init__(
        self, calls: TebraCalls, *, practice_name: str, zone: ZoneInfo, payer_ids: Mapping[str, str], batch_size: int
    ) -> None:
        self._calls = calls
        self._practice_name = practice_name
        self._zone = zone
        self._payer_ids = payer_ids
        self._batch_size = batch_size

    def check(self) -> str:
        """Prove credentials and the practice's name; the practice's id."""
        return self._practice_id

    @cached_property
    def _practice_id(self) -> str:
        answer = self._calls.ask("GetPractices", {"PracticeName": self._practice_name})
        ids = {
            record.get("ID", "")
            for record in answer.records
            if record.get("PracticeName", "").casefold() == self._practice_name.casefold()
        }
        if len(ids) != 1:
            raise TebraAnswerError(
                f"tebra: GetPractices: {len(ids)} practices have exactly this name; check pm.practice_name"
            )
        return ids.pop()

    def referral_network(self) -> list[Row]:
        """The referring providers; of two with one NPI the active one."""
        network: dict[str, Row] = {}
        for number, record in enumerate(filter(is_referring, self._providers)):
            row = referring_provider(record)
            # One without NPI stays, to be quarantined with its line.
            key = row["npi"] or f"none {number}"
            if key not in network or row["status"] == "active":
                network[key] = row
        return list(network.values())

    def registrations(self) -> Iterator[Registration]:
        """Every patient, active or not, with the primary and secondary policy of the default case."""
        absent = PATIENT_MEMBERS - self._calls.declared("GetAllPatients")
        if absent:
            told = ", ".join(sorted(absent))
            raise TebraAnswerError(f"tebra: GetAllPatients: the service no longer gives {told}; nothing was taken")
        is_none = True
        for page in self._pages():
            for record in page:
                is_none = False
                yield self._rows.registration(record)
        if is_none:
            raise TebraAnswerError("tebra: GetAllPatients: not one patient came; nothing was taken")

    def appointments(self, first: date, last: date) -> Iterator[Row]:
        """Every appointment of a patient, in windows of a month; what blocks a calendar for other reasons is none."""
        begin = first
        while begin <= last:
            end = min(begin + timedelta(days=_WINDOW_DAYS - 1), last)
            window = {"StartDate": f"{begin}T00:00:00", "EndDate": f"{end}T23:59:59"}
            answer = self._calls.ask("GetAppointments", {"PracticeName": self._practice_name, **window})
            for record in self._own(answer.records, "GetAppointments"):
                if not record.get("Type", "").casefold().startswith("o"):
                    yield self._rows.appointment(record)
            begin = end + timedelta(days=1)

    def _pages(self) -> Iterator[list[Record]]:
        """Pages of patients until the service names no further key."""
        key, seen = "", set[str]()
        while key not in _LAST_KEY or not seen:
            seen.add(key)
            criteria: dict[str, object] = {"BatchSize": self._batch_size, "PracticeID": self._practice_id}
            answer = self._calls.ask("GetAllPatients", criteria | ({"StartKey": key} if key else {}))
            page = self._own(answer.records, "GetAllPatients")
            yield page
            found = answer.next_key
            is_open_ended = found is None and (len(page) >= self._batch_size or not page)
            if found in seen - {""} or is_open_ended:
                raise TebraAnswerError("tebra: GetAllPatients: the list has no end that can be trusted")
            key = found or ""

    @cached_property
    def _providers(self) -> list[Record]:
        answer = self._calls.ask("GetProviders", {"PracticeName": self._practice_name})
        providers = self._own(answer.records, "GetProviders")
        if not providers:
            raise TebraAnswerError("tebra: GetProviders: not one provider came; nothing was taken")
        return providers

    @cached_property
    def _rows(self) -> TebraRows:
        npis = {each.get("ID", ""): each.get("NationalProviderIdentifier", "") for each in self._providers}
        return TebraRows(zone=self._zone, payer_ids=self._payer_ids, npis=npis)

    def _own(self, records: list[Record], method: str) -> list[Record]:
        """These records, all of this practice. Where a record names its practice differs by method."""
        ours = {"PracticeID": self._practice_id, "PracticeId": self._practice_id, "PracticeName": self._practice_name}
        for record in records:
            for member, value in ours.items():
                found = record.get(member, "")
                if found and found.casefold() != value.casefold():
                    raise TebraAnswerError(f"tebra: {method}: a record is of another practice; check pm.practice_name")
        return records


@contextmanager
def open_tebra(
    *,
    wsdl_url: str,
    credentials: Credentials,
    practice_name: str,
    zone: ZoneInfo,
    payer_ids: Mapping[str, str],
    batch_size: int,
    timeout_seconds: float,
    answer_limit: int,
    pace: float,
    attempts: int,
) -> Iterator[TebraPm]:
    """A connection to a practice of an account, closed at the end."""
    calls = TebraCalls(
        wsdl_url=wsdl_url,
        credentials=credentials,
        timeout_seconds=timeout_seconds,
        answer_limit=answer_limit,
        pace=pace,
        attempts=attempts,
    )
    try:
        yield TebraPm(calls, practice_name=practice_name, zone=zone, payer_ids=payer_ids, batch_size=batch_size)
    finally:
        calls.close()
