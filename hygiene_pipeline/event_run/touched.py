"""Whom arrivals touch: the records that they name, and every record whose patient could be the same.

The set is found in the raw rows that the tables do not know yet, never remembered, so that a run that was killed and
run again finds the same. It lies in the catalog `touched` outside the warehouse, one table a kind of key.
"""

from datetime import datetime

import duckdb

from hygiene_pipeline.landing.fhir_schemas import RESOURCES, table_name
from hygiene_pipeline.sql_spelling import literal

_NOBODYS = {"Patient", "Practitioner", "PractitionerRole", "Organization", "Bundle"}
PATIENT_RESOURCES = {table_name(resource): resource for resource in RESOURCES if resource not in _NOBODYS}
"""The raw tables of resources that belong to a patient, by what `staging.ehr_resource` calls them."""

_KEYS = {
    "contact": "contact_id varchar",
    "ehr": "ehr_patient_id varchar",
    "pm": "pm_patient_id varchar",
    "patient": "patient_id varchar",
    "record": "source varchar, source_id varchar",
    "mrn": "mrn varchar",
    "resource": "resource_type varchar, resource_id varchar",
    "phone": "phone varchar",
    "digits": "digits varchar",
}
_FEW_WRITTEN = 500
_SEEDS = {
    # What the last run wrote shows in the CRM by now. A night may have written to thousands: the next one reads them.
    "raw.crm_contacts": f"""
        select 'crm', contact_id from raw.crm_contacts where take_seq > {{since}}
        union
        select 'crm', contact_id from sync.crm_change
        where applied_at >= {{since_as_of}} and (
            select count(distinct contact_id) <= {_FEW_WRITTEN} from sync.crm_change where applied_at >= {{since_as_of}}
        )
    """,
    "raw.replies": "select 'crm', contact_id from raw.replies where take_seq > {since}",
    "raw.fhir_patient": "select 'ehr', id from raw.fhir_patient where take_seq > {since}",
    # An event ahead of the clock waited for its time, in the tables or outside of them.
    "raw.ehr_event": """
        with news as (
            select mrn, retired_mrn, ehr_patient_id
            from raw.ehr_event, policy.clock
            where take_seq > {since} or (event_at > {since_as_of} and event_at <= as_of)
        )
        select 'ehr', ehr_patient_id from news
        union
        select 'ehr', belonging.ehr_patient_id
        from (select mrn from news union select retired_mrn from news) as named
        inner join staging.ehr_mrn as belonging on belonging.mrn = named.mrn
        union
        select 'ehr', ehr_patient_id
        from staging.ehr_care_event, policy.clock
        where event_at > {since_as_of} and event_at <= as_of
    """,
}
# Records that identity compares: of one number, of one name and birth date, of one patient, merged with one another.
_NEIGHBOURS = """
    with own as (
        select record.* from identity.record as record
        semi join touched.record as it on it.source = record.source and it.source_id = record.source_id
    ),
    patient as (
        select link.patient_id from identity.patient_link as link
        semi join touched.record as it on it.source = link.source and it.source_id = link.source_id
    ),
    neighbour as (
        select source, source_id from identity.record where mrn_key in (select mrn_key from own)
        union
        select record.source, record.source_id from identity.record as record
        semi join own on own.name_key = record.name_key and own.birth_date = record.birth_date
        union
        select source, source_id from identity.patient_link where patient_id in (select patient_id from patient)
        union
        select 'ehr', replaced_by from own where source = 'ehr' and replaced_by is not null
        union
        select source, source_id from identity.record
        where source = 'ehr' and replaced_by in (select source_id from own where source = 'ehr')
    )
    insert into touched.record
    select source, source_id from neighbour
    anti join touched.record as it on it.source = neighbour.source and it.source_id = neighbour.source_id
"""
_DERIVED = """
    insert into touched.contact select source_id from touched.record where source = 'crm';
    insert into touched.ehr select source_id from touched.record where source = 'ehr';
    insert into touched.pm select source_id from touched.record where source = 'pm';
    insert into touched.patient
    select distinct link.patient_id from identity.patient_link as link
    semi join touched.record as it on it.source = link.source and it.source_id = link.source_id;
    insert into touched.mrn
    select mrn from staging.ehr_mrn where ehr_patient_id in (select ehr_patient_id from touched.ehr)
    union
    select mrn from staging.ehr_patient
    where mrn is not null and ehr_patient_id in (select ehr_patient_id from touched.ehr);
    insert into touched.resource
    select resource_type, resource_id from staging.ehr_resource
    where ehr_patient_id in (select ehr_patient_id from touched.ehr)
    except
    from touched.resource;
"""


def lay_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Make the tables of touched keys, empty."""
    for table, columns in _KEYS.items():
        con.execute(f"create or replace table touched.{table} ({columns})")


def add_named(con: duckdb.DuckDBPyConnection, raw: str, *, since: int, since_as_of: datetime) -> None:
    """Add whom the rows name that came to a raw table after a take, and whose time came after an as_of.

    Resources that belong to a patient are added themselves; whose they are is for their model to say.
    """
    if raw in PATIENT_RESOURCES:
        con.execute(
            f"insert into touched.resource select distinct '{PATIENT_RESOURCES[raw]}', id from {raw}"
            f" where take_seq > {since}"
        )
    elif raw in _SEEDS:
        as_of = f"{literal(since_as_of.isoformat())}::timestamptz"
        add_records(con, _SEEDS[raw].format(since=since, since_as_of=as_of))


def add_records(con: duckdb.DuckDBPyConnection, query: str) -> None:
    """Add the records (source, id) that a query gives."""
    con.execute(
        f"""insert into touched.record
            select distinct seed.source, seed.source_id from ({query}) as seed(source, source_id)
            anti join touched.record as it on it.source = seed.source and it.source_id = seed.source_id
            where seed.source_id is not null"""
    )


def close(con: duckdb.DuckDBPyConnection) -> int:
    """Add whoever could be the same patient, until there is nobody more; returns how many patients are touched."""
    # Each round adds a record or is the last: a set left open would be a wrong slice.
    while con.execute(_NEIGHBOURS).fetchall() != [(0,)]:
        pass
    con.execute(_DERIVED)
    [(patients,)] = con.execute("select count(*) from touched.patient").fetchall()
    return int(patients)


def add_numbers(con: duckdb.DuckDBPyConnection) -> None:
    """Add the telephone numbers that the touched had and have; call it once the records are in the slice."""
    con.execute(
        """
        insert into touched.phone
        with claimed as (
            select phone from slice.staging.crm_contact
            union all select phone from staging.crm_contact where contact_id in (from touched.contact)
            union all select phone from slice.staging.pm_patient
            union all select phone from staging.pm_patient where pm_patient_id in (from touched.pm)
            union all select phone from slice.staging.ehr_patient
            union all select phone from staging.ehr_patient where ehr_patient_id in (from touched.ehr)
            union all select "value" from slice.staging.reply
            union all select "value" from staging.reply where contact_id in (from touched.contact)
        )
        select distinct phone from claimed where phone is not null;
        insert into touched.digits
        select phone_digits from slice.staging.crm_contact where phone_digits is not null
        union
        select phone_digits from staging.crm_contact
        where contact_id in (from touched.contact) and phone_digits is not null
        union
        select substr(phone, 3) from touched.phone where phone like '+1%';
        """
    )
