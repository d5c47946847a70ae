"""Tebra's records as rows of our landing files: which member becomes which column, and how its dates are read.

Pure. Members are those of the service's schema: flat, all text, empty where nothing is known.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from zoneinfo import ZoneInfo

from hygiene_pipeline.pm.source import Registration, Row

# Tebra's words for where an appointment stands, by the stage that we know. A visit whose day no longer holds is
# cancelled; its new day is an appointment of its own.
_STATUS = {
    "scheduled": "booked",
    "remindersent": "booked",
    "confirmed": "booked",
    "tentative": "booked",
    "checkedin": "arrived",
    "roomed": "arrived",
    "readytobeseen": "arrived",
    "checkedout": "fulfilled",
    "noshow": "noshow",
    "cancelled": "cancelled",
    "rescheduled": "cancelled",
    "needsreschedule": "cancelled",
}
# The schema says text, the server's culture says how: ISO 8601, or an American date with or without a time.
_FORMATS = ("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y")
# .NET's first and SQL Server's first day stand for no date at all.
_NO_DATE_BEFORE = 1754
_PHONES = ("MobilePhone", "HomePhone", "WorkPhone")
# Rooms and devices are resources too, and their ids are counted by themselves.
_IS_A_PROVIDER = {"", "1"}
_POLICY = "PrimaryInsurancePolicy", "SecondaryInsurancePolicy"

# Without these members a list would look whole and miss what it is read for.
PATIENT_MEMBERS = frozenset(
    {
        *("ID", "MedicalRecordNumber", "FirstName", "LastName", "DOB", "Gender", "LastModifiedDate", "PracticeId"),
        *("HomePhone", "MobilePhone", "EmailAddress", "AddressLine1", "City", "State", "ZipCode"),
        *("ReferringProviderId", "PrimaryInsurancePolicyCompanyID", "PrimaryInsurancePolicyNumber"),
        *("PrimaryInsurancePolicyEffectiveStartDate", "PrimaryInsurancePolicyEffectiveEndDate"),
    }
)


class TebraRows:
    """Turns records into rows. `zone` is that of Tebra's times, which name none.

    `payer_ids` gives the payer id that CRM and payers use for an insurance company of Tebra's; `npis` a provider's NPI
    by Tebra's id.
    """

    def __init__(self, *, zone: ZoneInfo, payer_ids: Mapping[str, str], npis: Mapping[str, str]) -> None:
        self._zone = zone
        self._payer_ids = payer_ids
        self._npis = npis

    def registration(self, record: Mapping[str, str]) -> Registration:
        """A patient with the policies of the default case."""
        updated = self._time(record.get("LastModifiedDate", ""))
        lines = [record.get("AddressLine1", ""), record.get("AddressLine2", "")]
        patient = {
            "pm_patient_id": record.get("ID", ""),
            "mrn": record.get("MedicalRecordNumber", ""),
            "first_name": record.get("FirstName", ""),
            "last_name": record.get("LastName", ""),
            "birth_date": self._day(record.get("DOB", "")),
            "sex": record.get("Gender", "").casefold(),
            "phone": next((number for each in _PHONES if (number := record.get(each, ""))), ""),
            "email": record.get("EmailAddress", ""),
            "address_line": " ".join(line for line in lines if line),
            "city": record.get("City", ""),
            "state": record.get("State", ""),
            "postal_code": record.get("ZipCode", ""),
            "referring_provider_npi": self._npis.get(record.get("ReferringProviderId", ""), ""),
            "last_updated": updated,
        }
        return Registration(patient=patient, coverage=tuple(self._coverage(record, updated)))

    def appointment(self, record: Mapping[str, str]) -> Row:
        """An appointment; its provider is the first of its resources that is one."""
        status = record.get("ConfirmationStatus", "")
        resources = (
            record.get(f"ResourceID{number}", "")
            for number in range(1, 11)
            if record.get(f"ResourceTypeID{number}", "") in _IS_A_PROVIDER
        )
        return {
            "appointment_id": record.get("ID", ""),
            "pm_patient_id": record.get("PatientID", ""),
            "provider_npi": next((self._npis[each] for each in resources if each in self._npis), ""),
            "booked_at": self._time(record.get("CreatedDate", "")),
            "scheduled_at": self._time(record.get("StartDate", "")),
            # A word that is not known stays: the landing step quarantines it by its line.
            "status": _STATUS.get(status.replace(" ", "").casefold(), status),
            "visit_type": record.get("AppointmentReason1", ""),
            "location": record.get("ServiceLocationName", ""),
        }

    def _coverage(self, record: Mapping[str, str], updated: str) -> Iterator[Row]:
        for policy in _POLICY:
            company = record.get(f"{policy}CompanyID", "")
            row = {
                "payer_id": self._payer_ids.get(company, company),
                "payer_name": record.get(f"{policy}CompanyName", ""),
                "member_id": record.get(f"{policy}Number", ""),
                "plan_name": record.get(f"{policy}PlanName", ""),
            }
            if any(row.values()):
                yield {
                    "pm_patient_id": record.get("ID", ""),
                    **row,
                    "effective_date": self._day(record.get(f"{policy}EffectiveStartDate", "")),
                    "termination_date": self._day(record.get(f"{policy}EffectiveEndDate", "")),
                    "last_updated": updated,
                }

    def _time(self, value: str) -> str:
        read = _read(value, self._zone)
        if read is None:
            return value
        return "" if read.year < _NO_DATE_BEFORE else read.isoformat()

    def _day(self, value: str) -> str:
        read = _read(value, self._zone)
        if read is None:
            return value
        return "" if read.year < _NO_DATE_BEFORE else read.date().isoformat()


def referring_provider(record: Mapping[str, str]) -> Row:
    """A provider of the network; Tebra knows no organisation and no days on which the relationship began or ended."""
    names = [record.get(name, "") for name in ("FirstName", "LastName")]
    return {
        "npi": record.get("NationalProviderIdentifier", ""),
        "name": record.get("FullName", "") or " ".join(name for name in names if name),
        "specialty": record.get("SpecialtyName", ""),
        "organization": "",
        "status": "inactive" if record.get("Active", "").casefold() in {"false", "0", "no"} else "active",
        "effective_date": "",
        "end_date": "",
    }


def is_referring(record: Mapping[str, str]) -> bool:
    """Whether a provider refers patients to the practice rather than seeing them there."""
    return "referring" in record.get("Type", "").casefold()


def _read(value: str, zone: ZoneInfo) -> datetime | None:
    """A time as Tebra spells it, in its zone unless it names an offset; None if it is none."""
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return next(_american(value, zone), None)
    return read if read.tzinfo else read.replace(tzinfo=zone)


def _american(value: str, zone: ZoneInfo) -> Iterator[datetime]:
    for form in _FORMATS:
        with suppress(ValueError):
            yield datetime.strptime(value, form).replace(tzinfo=zone)
