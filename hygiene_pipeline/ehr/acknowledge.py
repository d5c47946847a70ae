"""The answer to an HL7 v2 message: accepted, refused for good, or not stored this time; never a value of the message.

`AA`: stored. `AE`: could not be stored, send it again. `AR`: can never be used as it is (it was kept for a person to
look at). ERR names segment, field and HL7's own code (table 0357) in the form that the sender's version knows.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from hygiene_pipeline.ehr.event import BadEvent

Code = Literal["AA", "AE", "AR"]
NOT_STORED = BadEvent(source_line=1, field="", reason="not_stored", original="")
TOO_LARGE = BadEvent(source_line=1, field="", reason="too_large", original="")

_MEANINGS: Mapping[str, tuple[str, str]] = {
    "missing_segment": ("100", "Segment sequence error"),
    "not_hl7": ("100", "Segment sequence error"),
    "missing_field": ("101", "Required field missing"),
    "missing_id": ("101", "Required field missing"),
    "invalid_date": ("102", "Data type error"),
    "not_utf8": ("102", "Data type error"),
    "unknown_code": ("103", "Table value not found"),
    "unsupported_version": ("203", "Unsupported version id"),
}
_OTHER = ("207", "Application internal error")
_CONTROL = re.compile(r"[\x00-\x1f]")
_LONGEST_ECHO = 250
_STANDARD = "MSH|^~\\&"
_ERR_HAS_FIELDS_SINCE = (2, 5)


class _Header:
    """The fields of a message's MSH by number, bytes as they came."""

    def __init__(self, block: bytes) -> None:
        lines = (line for line in re.split(rb"[\r\n]+", block) if line.startswith(b"MSH"))
        text = next(lines, b"").decode("latin-1")
        if len(text) < len(_STANDARD) or text[3].isalnum():
            text = _STANDARD
        self.separator = text[3]
        self._fields = text.split(self.separator)
        self.encoding = self._fields[1] if len(self._fields[1]) >= 2 else "^~\\&"

    def __getitem__(self, number: int) -> str:
        value = self._fields[number - 1] if len(self._fields) >= number else ""
        return _CONTROL.sub("", value)[:_LONGEST_ECHO]

    @property
    def version(self) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", self[12].split(self.encoding[0])[0])[:2])


def acknowledgement(block: bytes, code: Code, *, at: datetime, fault: BadEvent | None = None) -> bytes:
    """The acknowledgement of a message, without its frame; `at` is when it is given."""
    header = _Header(block)
    component = header.encoding[0]
    _, _, trigger = header[9].partition(component)
    kind = component.join(filter(None, ("ACK", trigger.split(component)[0])))
    own_id = hashlib.sha256(block + code.encode()).hexdigest()[:20].upper()
    msh = [
        *("MSH", header.encoding, header[5], header[6], header[3], header[4]),
        *(f"{at:%Y%m%d%H%M%S%z}", "", kind, own_id, header[11] or "P", header[12] or "2.5"),
        *("", "", "", "", "", header[18]),
    ]
    segments = [msh, ["MSA", code, header[10]]]
    if fault is not None:
        segments.append(_err(fault, header))
    return b"".join(
        (header.separator.join(each).rstrip(header.separator) + "\r").encode("latin-1") for each in segments
    )


def _err(fault: BadEvent, header: _Header) -> list[str]:
    component, subcomponent = header.encoding[0], header.encoding[3:4] or "&"
    segment, _, number = fault.field.partition("-")
    place = [segment, "1", number] if number else [segment, "1"] if segment else []
    meaning = (*_MEANINGS.get(fault.reason, _OTHER), "HL70357")
    told = f"{fault.field}: {fault.reason}" if fault.field else fault.reason
    if header.version and header.version < _ERR_HAS_FIELDS_SINCE:
        place += [""] * (3 - len(place))
        return ["ERR", component.join([*place, subcomponent.join(meaning)])]
    return ["ERR", "", component.join(place), component.join(meaning), "E", "", "", told]
