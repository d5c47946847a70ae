"""Every text that a source gave as a phone number, normalised into `staging.phone_number`."""

import duckdb

from hygiene_pipeline.phone.normalise import normalise_phones

_TEXTS = """
select distinct raw from (
    select phone as raw from raw.pm_patients
    union all select phone from raw.crm_contacts
    union all select alternate_phone from raw.crm_contacts
    union all select contact.value from (select unnest(telecom) as contact from raw.fhir_patient)
        where contact.system in ('phone', 'sms')
    union all select unnest(phones) from raw.ehr_event
    union all select phone from raw.phone_lookups
    union all select value from raw.replies where kind in ('confirm_phone', 'change_phone')
) where raw is not null
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
