"""HL7 v2 on the wire: messages cut out of files, batches and MLLP frames; times and phone numbers out of fields.

Knows separators and data types (TS, XTN), not what an event means.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from hygiene_pipeline.ehr.event import EventPhone

_WRAPPERS = (b"FHS", b"BHS", b"BTS", b"FTS")
_BOM = b"\xef\xbb\xbf"
_TIME = re.compile(
    r"(\d{4})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:\.\d{1,6})?)?)?)?)?)?([+-]\d{4})?", re.ASCII
)
_LATIN = re.compile(r"8859/\d+")
# In HL7 two double quotes say "delete the value": for us, no value.
NULL = '""'


@dataclass(frozen=True, kw_only=True)
class RawMessage:
    """The bytes of one message, or of text that belongs to none, and the line it starts on."""

    line: int
    text: bytes
    is_message: bool


def messages(content: bytes) -> Iterator[RawMessage]:
    """The messages of a file, in order; lines outside of a message, batch headers apart, come out as no message."""
    start, held = 0, list[bytes]()
    for number, line in enumerate(_lines(content.removeprefix(_BOM)), start=1):
        starts_new = line.startswith(b"MSH")
        if (starts_new or line[:3] in _WRAPPERS) and held:
            yield _message(start, held)
            held = []
        if not line.strip() or line[:3] in _WRAPPERS:
            continue
        if not held:
            start = number
        held.append(line)
    if held:
        yield _message(start, held)


def decode(text: bytes) -> str | None:
    """The message as text by its own MSH-18, or none if it is not what it says."""
    header = text.split(b"\r", 1)[0].decode("latin-1")
    fields = header.split(header[3]) if len(header) > 3 else []
    charset = fields[17] if len(fields) > 17 else ""
    try:
        return text.decode("latin-1" if _LATIN.search(charset) else "utf-8")
    except UnicodeDecodeError:
        return None


def instant(value: str, zone: ZoneInfo) -> datetime:
    """An HL7 time in UTC; without an offset it is the practice's local time. ValueError if there is no such time."""
    found = _TIME.fullmatch(value.strip())
    if found is None:
        raise ValueError("not an HL7 time")
    year, month, day, hour, minute, second, offset = found.groups()
    if int(hour or 0) == 24 or int(second or 0) == 60:
        raise ValueError("no such time of day")
    local = datetime(
        int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=zone
    )
    if offset:
        sign = -1 if offset[0] == "-" else 1
        shift = sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5]))
        local = local.replace(tzinfo=timezone(shift))
    return local.astimezone(UTC)


def phone(components: list[str]) -> EventPhone | None:
    """An XTN: country, area, number and extension first, then the unformatted text, then the formatted one."""
    parts = [part.strip() if part != NULL else "" for part in components] + [""] * 12
    formatted, use, equipment, email, country, area, local, extension = parts[:8]
    if equipment.lower() == "internet" or use.upper() == "NET":
        address = email or formatted
        return EventPhone(value=address, system="email", use=use or None) if "@" in address else None
    number = _number(country, area, local, extension) or parts[11] or formatted
    if not number:
        return None
    return EventPhone(value=number, system="phone", use=use or None, equipment=equipment or None)


def _number(country: str, area: str, local: str, extension: str) -> str:
    if not local:
        return ""
    spelt = " ".join(part for part in (f"+{country.lstrip('+')}" if country else "", area, local) if part)
    return f"{spelt} x{extension}" if extension else spelt


def _message(start: int, lines: list[bytes]) -> RawMessage:
    return RawMessage(line=start, text=b"\r".join(lines), is_message=lines[0].startswith(b"MSH"))


def _lines(content: bytes) -> list[bytes]:
    """Lines as an editor counts them, whichever of CR, LF and CRLF ends them; frame bytes end a message, not a line."""
    unframed = re.sub(rb"\x1c\r?\n?|\x0b", lambda found: b"\n" if found[0][:1] == b"\x1c" else b"", content)
    return re.split(rb"\r\n|\r|\n", unframed)
