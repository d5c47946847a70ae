"""Every text that a source gave as a phone number, normalised into `staging.phone_number`."""

import duckdb

from hygiene_pipeline.phone.normalise import normalise_phones

# What came after the clock is left out, so that a replayed night has the table it had.
_TEXTS = """
with clock as (select as_of from policy.clock),
typed as (
    select phone as raw, extracted_at from raw.pm_patients
    union all select phone, extracted_at from raw.crm_contacts
    union all select alternate_phone, extracted_at from raw.crm_contacts
    union all select point.value, extracted_at
        from (select unnest(telecom) as point, extracted_at from raw.fhir_patient)
        where point.system in ('phone', 'sms')
    union all select point.value, extracted_at
        from (select unnest(phones) as point, extracted_at from raw.ehr_event)
        where point.system in ('phone', 'sms')
    union all select phone, extracted_at from raw.phone_lookups
    union all select value, extracted_at from raw.replies where kind in ('confirm_phone', 'change_phone')
)
select distinct raw from typed, clock where raw is not null and extracted_at <= as_of
"""


def normalise_every_text(con: duckdb.DuckDBPyConnection, *, default_region: str) -> int:
    """Make `staging.phone_number` anew, one row per distinct text, in the order of the texts; returns the rows."""
    con.execute(f"create or replace temp table typed_phone as {_TEXTS}")
    normalise_phones(con, "select raw from typed_phone", "building.phone_number", default_region=default_region)
    con.execute("create or replace table staging.phone_number as from building.phone_number order by raw")
    con.execute("drop table building.phone_number")
    con.execute("drop table typed_phone")
    row = con.execute("select count(*) from staging.phone_number").fetchone()
    return int(row[0]) if row else 0
