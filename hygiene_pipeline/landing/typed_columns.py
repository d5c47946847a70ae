"""The SQL that reads a column's text as its type: null where it cannot, never an error and never a guess."""

from collections.abc import Callable

from hygiene_pipeline.landing.headers import Found
from hygiene_pipeline.sql_spelling import literal

REASONS = {
    "date": "bad_date",
    "timestamptz": "bad_timestamp",
    "boolean": "bad_boolean",
    "double": "bad_number",
    "varchar": "unknown_code",
}

_ISO_DATE = r"\d{4}-\d{2}-\d{2}([T ].*)?"
_ISO_TIME = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?"
_OFFSET = r" ?(Z|z|UTC|[+-]\d{2}(:?\d{2})?)"
_EARLIEST = "timestamptz '1850-01-01 00:00:00+00'"
_LATEST = "timestamptz '9999-12-31 23:59:59.999999+00'"
_TRUE = "'true', 't', 'yes', 'y', '1'"
_FALSE = "'false', 'f', 'no', 'n', '0'"


def typed(found: Found) -> str:
    """The SQL expression of a column over its text of the same name; `delivery` has timezone and local_date."""
    text = f'"{found.column.name}"'
    if found.column.codes is not None:
        pairs = " ".join(f"when {literal(theirs)} then {literal(ours)}" for theirs, ours in found.column.codes.items())
        return f"case lower({text}) {pairs} end"
    return _READERS[found.column.type](text, found)


def _date(text: str, found: Found) -> str:
    if found.format is None:
        value = f"case when regexp_full_match({text}, '{_ISO_DATE}') then try_cast({text}[:10] as date) end"
    else:
        value = f"cast(try_strptime({text}, {literal(found.format)}) as date)"
    if found.column.is_past and "%y" in (found.format or ""):
        # Two digits of a year in the past: 44 is 1944 until 2044 has been.
        value = f"case when {value} > {_LOCAL_DATE} then cast({value} - interval 100 year as date) else {value} end"
    # A year of one or two digits is read as antiquity by strptime.
    latest = _LOCAL_DATE if found.column.is_past else "date '9999-12-31'"
    return f"case when {value} between date '1850-01-01' and {latest} then {value} end"


_LOCAL_DATE = "delivery.local_date"


def _timestamp(text: str, found: Found) -> str:
    if found.format is None:
        value = (
            f"case when regexp_full_match({text}, '{_ISO_TIME}{_OFFSET}') then try_cast({text} as timestamptz)"
            f" when regexp_full_match({text}, '{_ISO_TIME}')"
            f" then try_cast({text} as timestamp) at time zone delivery.timezone end"
        )
    elif "%z" in found.format or "%Z" in found.format:
        value = f"cast(try_strptime({text}, {literal(found.format)}) as timestamptz)"
    else:
        value = f"try_strptime({text}, {literal(found.format)}) at time zone delivery.timezone"
    return f"case when {value} between {_EARLIEST} and {_LATEST} then {value} end"


def _boolean(text: str, _: Found) -> str:
    return f"case when lower({text}) in ({_TRUE}) then true when lower({text}) in ({_FALSE}) then false end"


def _number(text: str, _: Found) -> str:
    return f"case when isfinite(try_cast({text} as double)) then try_cast({text} as double) end"


def _text(text: str, _: Found) -> str:
    return text


_READERS: dict[str, Callable[[str, Found], str]] = {
    "varchar": _text,
    "date": _date,
    "timestamptz": _timestamp,
    "boolean": _boolean,
    "double": _number,
}
