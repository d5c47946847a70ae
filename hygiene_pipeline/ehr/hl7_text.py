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
# MSH-18 by HL7 table 0211, and as senders misspell it. What declares nothing is ASCII by the standard, UTF-8 in life,
# which holds ASCII.
_UTF_8 = re.compile(r"|(US[- ]?)?ASCII|(UNICODE )?UTF[- ]?8|UNICODE")
_PART_OF_8859 = re.compile(r"(?:ISO[- ]?)?8859[/-](\d{1,2})")
_ASIAN = {"GB 18030-2000": "gb18030", "KS X 1001": "euc_kr", "BIG-5": "big5"}
START_BLOCK, END_BLOCK = b"\x0b", b"\x1c\r"
# In HL7 two double quotes say "delete the value": for us, no value.
NULL = '""'


@dataclass(frozen=True, kw_only=True)
class RawMessage:
    """The bytes of one message, or of text that belongs to none, and the line it starts on."""

    line: int
    text: bytes
    is_message: bool


def messages(content: bytes) -> Iterator[RawMessage]:
    """The messages of a file, in order; lines outside of a message, batch headers apart, come out as no message.

    Where there are MLLP frames, a message also ends with its frame: what the next frame holds is never a part of it.
    """
    start, held = 0, list[bytes]()
    for number, line, ends_frame in _lines(content.removeprefix(_BOM)):
        is_wrapper = line[:3] in _WRAPPERS
        if held and (is_wrapper or line.startswith(b"MSH")):
            yield _message(start, held)
            held = []
        if line.strip() and not is_wrapper:
            start = start if held else number
            held.append(line)
        if held and ends_frame:
            yield _message(start, held)
            held = []
    if held:
        yield _message(start, held)


def decode(text: bytes) -> str | None:
    """The message as text by its own MSH-18, or none if it is not what it says."""
    header = text.split(b"\r", 1)[0].decode("latin-1")
    fields = header.split(header[3]) if len(header) > 3 else []
    # A repetition names further sets that escape sequences may switch to; the first is that of the message.
    declared = fields[17].split("~")[0].strip().upper() if len(fields) > 17 else ""
    try:
        return text.decode(_codec(declared))
    except (UnicodeDecodeError, LookupError):
        return None


def _codec(declared: str) -> str:
    if _UTF_8.fullmatch(declared):
        return "utf-8"
    if part := _PART_OF_8859.fullmatch(declared):
        return f"iso8859-{part[1]}"
    return _ASIAN[declared]


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


def _lines(content: bytes) -> Iterator[tuple[int, bytes, bool]]:
    """Lines as an editor counts them, whichever of CR, LF and CRLF ends them, and whether an MLLP frame ends there."""
    for number, line in enumerate(re.split(rb"\r\n|\r|\n", content), start=1):
        *ended, rest = line.replace(START_BLOCK, b"").split(END_BLOCK[:1])
        for part in ended:
            yield number, part, True
        yield number, rest, False
