"""Every text that a source gave as a phone number, normalised into `staging.phone_number`.

What a text means never changes, so a text is read once: a night reads only those that no night before it met.
"""

import hashlib
from functools import cache
from pathlib import Path

import duckdb
import phonenumbers

from hygiene_pipeline.phone.normalise import normalise_phones
from hygiene_pipeline.sql_spelling import literal

# What came after the clock is left out, so that a replayed night has the table it had.
_TEXTS = """
with clock as (select as_of from policy.clock),
typed as (
    select phone as raw, extracted_at from raw.pm_patients where {taken}
    union all select phone, extracted_at from raw.crm_contacts where {taken}
    union all select alternate_phone, extracted_at from raw.crm_contacts where {taken}
    union all select point.value, extracted_at
        from (select unnest(telecom) as point, extracted_at from raw.fhir_patient where {taken})
        where point.system in ('phone', 'sms')
    union all select point.value, extracted_at
        from (select unnest(phones) as point, extracted_at from raw.ehr_event where {taken})
        where point.system in ('phone', 'sms')
    union all select phone, extracted_at from raw.phone_lookups where {taken}
    union all select value, extracted_at
        from raw.replies where {taken} and kind in ('confirm_phone', 'change_phone')
)
select distinct raw from typed, clock where raw is not null and extracted_at <= as_of
"""
# Whatever a verdict depends on, beside the text and where it is dialled from.
_READERS = ("normalise.py", "number.py", "numbering_plan.py", "plain_text.py")


def normalise_every_text(con: duckdb.DuckDBPyConnection, *, default_region: str) -> int:
    """Bring `staging.phone_number` to one row per distinct text; returns the rows. Call inside a transaction."""
    con.execute(f"create or replace temp table typed_phone as {_TEXTS.format(taken='true')}")
    reading = _reading(default_region)
    if _reading_before(con) == reading:
        con.execute("delete from staging.phone_number where raw not in (select raw from typed_phone)")
        _read_new(con, "anti join staging.phone_number using (raw)", default_region)
        con.execute("insert into staging.phone_number from building.phone_verdict order by raw")
    else:
        _read_new(con, "", default_region)
        con.execute("create or replace table staging.phone_number as from building.phone_verdict order by raw")
        con.execute(f"comment on table staging.phone_number is {literal(reading)}")
    con.execute("drop table building.phone_verdict; drop table typed_phone")
    row = con.execute("select count(*) from staging.phone_number").fetchone()
    return int(row[0]) if row else 0


def normalise_new_texts(con: duckdb.DuckDBPyConnection, target_table: str, *, since: int, default_region: str) -> None:
    """Make a table of the texts that came after a take and are not in `staging.phone_number` yet."""
    con.execute(
        f"create or replace temp table typed_phone as select raw from ({_TEXTS.format(taken=f'take_seq > {since}')})"
        " anti join staging.phone_number using (raw)"
    )
    normalise_phones(con, "select raw from typed_phone", target_table, default_region=default_region)
    con.execute("drop table typed_phone")


def _read_new(con: duckdb.DuckDBPyConnection, restriction: str, default_region: str) -> None:
    con.execute(f"create or replace temp table unread_phone as from typed_phone {restriction}")
    normalise_phones(con, "select raw from unread_phone", "building.phone_verdict", default_region=default_region)
    con.execute("drop table unread_phone")


def _reading_before(con: duckdb.DuckDBPyConnection) -> str | None:
    """How the texts in the table were read."""
    row = con.execute(
        """select comment from duckdb_tables()
           where database_name = current_database() and schema_name = 'staging' and table_name = 'phone_number'"""
    ).fetchone()
    return row[0] if row else None


@cache
def _reading(default_region: str) -> str:
    """A name for the way texts are read: another one, and none of the earlier verdicts holds."""
    code = b"".join((Path(__file__).parent / name).read_bytes() for name in _READERS)
    digest = hashlib.sha256(code).hexdigest()[:16]
    return f"libphonenumber {phonenumbers.__version__}, DuckDB {duckdb.__version__}, {default_region}, {digest}"
