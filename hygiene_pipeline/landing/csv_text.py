"""From the bytes of a text file to text whose undecodable bytes are marked, so that they cost their line only."""

import codecs

# Bytes that are not UTF-8 become characters of a private plane: DuckDB takes no surrogates, and the line that holds
# one is found, and read as Latin-1 for the quarantine, without touching any other line.
_MARK = 0xF700
_MARKED = {0xDC00 + byte: _MARK + byte for byte in range(0x80, 0x100)}
MARKS = "".join(chr(_MARK + byte) for byte in range(0x80, 0x100))
LATIN_1 = "".join(chr(byte) for byte in range(0x80, 0x100))

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def decoded(data: bytes) -> tuple[str, bool]:
    """The text with plain newlines and without byte-order mark, and whether any byte had to be marked."""
    try:
        text, has_marks = data.decode("utf-8-sig"), False
    except UnicodeDecodeError:
        text, has_marks = data.decode("utf-8-sig", "surrogateescape").translate(_MARKED), True
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text, has_marks


def is_utf_16(data: bytes) -> bool:
    """Whether the file is UTF-16, as spreadsheets save it: by its mark, or by a zero in every other byte."""
    return data.startswith(_UTF_16) or data[:200].count(0) > len(data[:200]) // 3


def beginning(data: bytes) -> str:
    """The beginning of a file in another encoding, readable enough for a person to say which file it is."""
    encoding = "utf-16" if data.startswith(_UTF_16) else "latin-1"
    return data[:20_000].decode(encoding, "replace").replace("\0", "")
