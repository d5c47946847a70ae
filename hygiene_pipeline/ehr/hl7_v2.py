"""HL7 v2 messages (ADT, SIU, REF) as events: who, what, when, and the few fields that the pipeline decides by.

A message that lacks what its kind requires, or says an impossible time, is a bad event; the messages around it are not
touched by that. Values never appear in a reason.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import hl7

from hygiene_pipeline.ehr.event import BadEvent, EhrEvent, EventFile, EventPhone
from hygiene_pipeline.ehr.hl7_text import NULL, RawMessage, decode, instant, messages, phone

_REQUIRED: Mapping[str, tuple[str, ...]] = {"ADT": ("EVN", "PID"), "SIU": ("SCH", "PID"), "REF": ("RF1", "PID")}
_VISIT_EVENTS = frozenset({"ADT^A01", "ADT^A03", "ADT^A11", "ADT^A13"})
# Two patients in one message: a merge retires the second number, an unlink says that they were never one.
_MERGE_EVENTS = frozenset({"ADT^A18", "ADT^A34", "ADT^A36", "ADT^A40", "ADT^A47"})
_UNLINK = "ADT^A37"
# Blocked time and queries of a calendar concern no patient.
_OF_NO_PATIENT = frozenset({"SIU^S23", "SIU^S24", "SIU^S25"})
_NOT_A_RECORD_NUMBER = frozenset({"SS", "DL", "PPN", "AN", "VN", "MA", "MC"})
_PHONE_FIELDS = (13, 14, 40)
_SHORTEST_HEADER = 8
_VERSION = re.compile(r"2(\.\d+)*")


class _BrokenMessage(Exception):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class _Message:
    """Fields of one message by segment and number; absent is the empty string."""

    def __init__(self, text: str, zone: ZoneInfo) -> None:
        if len(text) < _SHORTEST_HEADER or text[3].isalnum():
            raise _BrokenMessage("MSH", "not_hl7")
        try:
            self._message = hl7.parse(text)
            # The first of each kind, which is all that is read of a message about one patient.
            self._first = {str(segment[0]): segment for segment in reversed(self._message)}
        except (hl7.HL7Exception, ValueError, LookupError, TypeError):
            raise _BrokenMessage("MSH", "not_hl7") from None
        self._text = text
        self._zone = zone
        self._component, self._repetition, self._escape = text[4], text[5], text[6]

    def patients(self) -> Iterator["_Message"]:
        """One message for each patient of this one, each with the header; a message of one patient is itself."""
        before, *groups = re.split(r"(?m)^(?=PID)", self._text.replace("\r", "\n"))
        if len(groups) < 2:
            yield self
            return
        for group in groups:
            yield _Message(f"{before}{group}".replace("\n", "\r"), self._zone)

    def has(self, segment: str) -> bool:
        return segment in self._first

    def repetitions(self, segment: str, number: int) -> list[list[str]]:
        """Every repetition of a field as its components, unescaped."""
        found = self._first.get(segment)
        spelt = str(found(number)) if found is not None and len(found) > number else ""
        return [
            [self._plain(part) for part in repetition.split(self._component)]
            for repetition in spelt.split(self._repetition)
            if repetition
        ]

    def _plain(self, part: str) -> str:
        return str(self._message.unescape(part)).strip() if self._escape in part else part.strip()

    def text(self, segment: str, number: int, component: int = 1) -> str | None:
        """One component of a field's first repetition; nothing and HL7's null are none."""
        parts = (self.repetitions(segment, number) or [[]])[0]
        value = parts[component - 1] if len(parts) >= component else ""
        return value if value and value != NULL else None

    def instant(self, segment: str, number: int, component: int = 1) -> datetime | None:
        value = self.text(segment, number, component)
        if value is None:
            return None
        try:
            return instant(value, self._zone)
        except (ValueError, OverflowError):
            raise _BrokenMessage(f"{segment}-{number}", "invalid_date") from None

    def record_number(self, segment: str, number: int) -> str | None:
        """The medical record number among a field's identifiers: typed MR, else the first that may be one."""
        untyped: str | None = None
        for parts in self.repetitions(segment, number):
            value, kind = parts[0], parts[4] if len(parts) > 4 else ""
            if not value or value == NULL:
                continue
            if kind == "MR":
                return value
            if kind not in _NOT_A_RECORD_NUMBER and untyped is None:
                untyped = value
        return untyped


def parse(content: bytes, *, timezone: str) -> EventFile:
    """The events of a file; `timezone` is the practice's, for times that name no offset."""
    zone = ZoneInfo(timezone)
    file = EventFile()
    for raw in messages(content):
        text = decode(raw.text)
        original = text if text is not None else raw.text.decode("utf-8", errors="backslashreplace")
        try:
            # All that a message says or nothing: a person who mends it sends the whole message again.
            file.events.extend([*_events(raw, text, zone)])
        except _BrokenMessage as broken:
            bad = BadEvent(source_line=raw.line, field=broken.field, reason=broken.reason, original=original)
            file.bad.append(bad)
    return file


def _events(raw: RawMessage, text: str | None, zone: ZoneInfo) -> Iterator[EhrEvent]:
    """The event of a message; a merge message may hold several, and a message about no patient holds none."""
    if text is None:
        raise _BrokenMessage("MSH", "not_utf8")
    if not raw.is_message:
        raise _BrokenMessage("MSH", "not_hl7")
    message = _Message(text, zone)
    kind = f"{message.text('MSH', 9) or ''}^{message.text('MSH', 9, 2) or message.text('EVN', 1) or ''}"
    _check_header(message, kind)
    is_of_interest = kind.split("^")[0] in _REQUIRED and kind not in _OF_NO_PATIENT
    if not is_of_interest and not message.has("PID"):
        return
    if kind == _UNLINK:
        first, second = [*message.patients(), None][:2]
        freed = second.record_number("PID", 3) if first and second else None
        if first is None or freed is None:
            raise _BrokenMessage("PID-3", "missing_id")
        yield _event(raw, first, kind, "", freed)
    elif kind in _MERGE_EVENTS:
        for position, patient in enumerate(message.patients(), start=1):
            yield _event(raw, patient, kind, f"/{position}" if position > 1 else "", _retired(patient))
    else:
        yield _event(raw, message, kind, "", None)


def _event(raw: RawMessage, message: _Message, kind: str, part: str, other_mrn: str | None) -> EhrEvent:
    control_id = message.text("MSH", 10)
    _check_segments(message, kind)
    facility = f"{message.text('MSH', 3) or ''}/{message.text('MSH', 4) or ''}"
    recorded_at = message.instant("EVN", 2)
    event_at = recorded_at or message.instant("MSH", 7)
    mrn = message.record_number("PID", 3)
    if event_at is None:
        raise _BrokenMessage("MSH-7", "missing_field")
    if mrn is None:
        raise _BrokenMessage("PID-3", "missing_id")
    deceased_at = message.instant("PID", 29)
    # Some interfaces count their control ids anew every day, or a message type: time and content tell apart.
    told = hashlib.sha256(raw.text.partition(b"\r")[2].rstrip(b"\r")).hexdigest()[:8]
    return EhrEvent(
        event_id="/".join([facility, kind, control_id or "", recorded_at.isoformat() if recorded_at else "", told])
        + part,
        kind=kind,
        source_line=raw.line,
        event_at=event_at,
        evidence_ref=f"{kind}/{control_id}{part}",
        mrn=mrn,
        status=message.text("SCH", 25) or message.text("RF1", 1),
        pathways=_pathways(message),
        disposition=message.text("PV1", 36),
        discharged_at=message.instant("PV1", 45),
        is_deceased=_is_deceased(message, deceased_at),
        deceased_at=deceased_at,
        visit_number=message.text("PV1", 19),
        retired_mrn=other_mrn,
        # Before version 2.5 in SCH, since then in TQ1; some senders say it of the service alone.
        scheduled_at=message.instant("SCH", 11, 4) or message.instant("TQ1", 7) or message.instant("AIS", 4),
        resource_id=message.text("SCH", 2)
        or message.text("SCH", 1)
        or message.text("RF1", 6)
        or message.text("RF1", 11),
        phones=_phones(message),
    )


def _check_header(message: _Message, kind: str) -> None:
    if not _VERSION.fullmatch(message.text("MSH", 12) or "2"):
        raise _BrokenMessage("MSH-12", "unsupported_version")
    if kind.startswith("^"):
        raise _BrokenMessage("MSH-9", "missing_field")
    if message.text("MSH", 10) is None:
        raise _BrokenMessage("MSH-10", "missing_field")


def _check_segments(message: _Message, kind: str) -> None:
    required = [*_REQUIRED.get(kind.split("^")[0], ("PID",))]
    required += ["PV1"] if kind in _VISIT_EVENTS else []
    for segment in required:
        if not message.has(segment):
            raise _BrokenMessage(segment, "missing_segment")


def _pathways(message: _Message) -> tuple[str, ...]:
    """Class and service of the visit, type and category of the referral."""
    found = (message.text(segment, number) for segment, number in (("PV1", 2), ("PV1", 10), ("RF1", 3), ("RF1", 5)))
    return tuple(dict.fromkeys(code for code in found if code))


def _is_deceased(message: _Message, deceased_at: datetime | None) -> bool | None:
    said = message.text("PID", 30)
    if said not in (None, "Y", "N"):
        raise _BrokenMessage("PID-30", "unknown_code")
    if said is None:
        return True if deceased_at else None
    return said == "Y"


def _retired(message: _Message) -> str:
    if not message.has("MRG"):
        raise _BrokenMessage("MRG", "missing_segment")
    retired = message.record_number("MRG", 1)
    if retired is None:
        raise _BrokenMessage("MRG-1", "missing_id")
    return retired


def _phones(message: _Message) -> tuple[EventPhone, ...]:
    found = (phone(parts) for number in _PHONE_FIELDS for parts in message.repetitions("PID", number))
    return tuple(dict.fromkeys(each for each in found if each is not None))
