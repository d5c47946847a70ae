"""When two texts of a contact field say the same.

Once in SQL, where changes are planned as a set, and once in Python, where one fresh value is compared with the one
its decision was taken on.
"""

import re
from datetime import UTC, datetime

CODE_FIELDS = frozenset(
    {"email", "state", "insurance_status", "care_status", "preferred_channel", "insurance_payer_id"}
)
FLAG_FIELDS = frozenset({"sms_opt_out", "email_opt_out", "call_opt_out"})
_TRUE = frozenset({"true", "t", "1", "yes", "y"})

COMPARABLE_SQL = """
case
    when {field} = 'insurance_member_id' then upper(regexp_replace({value}, '[^0-9A-Za-z]', '', 'g'))
    when {field} in ('first_name', 'last_name') then trim(regexp_replace({value}, '\\s+', ' ', 'g'))
    else lower(trim(regexp_replace({value}, '\\s+', ' ', 'g')))
end
"""
"""Compares staged values: phones as E.164, dates as ISO text, segments joined by `;`. A name keeps its case."""


def is_unchanged(field: str, *, fresh: str | None, decided_on: str | None, new_value: str) -> bool:
    """Whether the CRM still shows the value the decision was taken on.

    A verification date is not replaced but moved forward: it is unchanged as long as nobody recorded a later one.
    """
    if field == "last_phone_verified":
        shown = _instant(fresh)
        return not (fresh or "").strip() or (shown is not None and shown < _required_instant(new_value))
    return _comparable(field, fresh) == _comparable(field, decided_on)


def _comparable(field: str, text: str | None) -> str | None:
    plain = re.sub(r"\s+", " ", text or "").strip()
    if field in FLAG_FIELDS:
        return "true" if plain.lower() in _TRUE else "false"
    if field == "segments":
        return ";".join(sorted({part.strip() for part in plain.split(";")} - {""}))
    if field == "sex":
        return plain[:1].lower()
    if field == "insurance_member_id":
        return re.sub(r"[^0-9A-Za-z]", "", plain).upper()
    return plain.lower() if field in CODE_FIELDS else plain


def _instant(text: str | None) -> datetime | None:
    try:
        shown = datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None
    return shown if shown.tzinfo else shown.replace(tzinfo=UTC)


def _required_instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
