"""A tiny practice: just the tables that `sync` reads, filled a row at a time."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from hygiene_pipeline.landing import ledger
from hygiene_pipeline.sync.tables import create_tables

AS_OF = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
EARLIER = AS_OF - timedelta(days=2)
OLD_PHONE = "(617) 253-0000"
OLD_E164 = "+16172530000"
NEW_E164 = "+16172531234"

FIELDS = [
    "first_name",
    "last_name",
    "birth_date",
    "sex",
    "address_line",
    "city",
    "state",
    "postal_code",
    "phone",
    "email",
    "insurance_payer_id",
    "insurance_payer",
    "insurance_member_id",
    "insurance_status",
    "care_status",
    "segments",
    "referring_provider_npi",
    "preferred_channel",
    "sms_opt_out",
    "email_opt_out",
    "call_opt_out",
]

TABLES = """
create schema staging; create schema identity; create schema reconciled; create schema hygiene; create schema sync;
create schema policy; create schema raw; create schema quarantine;
create table staging.crm_contact (
    contact_id varchar, mrn varchar, first_name varchar, last_name varchar, name_key varchar, birth_date date,
    sex varchar, phone_raw varchar, phone varchar, phone_reason varchar, phone_digits varchar,
    alternate_phone_raw varchar, alternate_phone varchar, email varchar, address_line varchar, city varchar,
    state varchar, postal_code varchar, insurance_payer_id varchar, insurance_payer varchar,
    insurance_member_id varchar, insurance_status varchar, care_status varchar, segments varchar[],
    referring_provider_npi varchar, last_phone_verified timestamptz, preferred_channel varchar, sms_opt_out boolean,
    email_opt_out boolean, call_opt_out boolean, owner varchar, is_active boolean, last_modified timestamptz,
    phone_since timestamptz, source_file varchar, source_line bigint
);
create table staging.crm_interaction (
    interaction_id varchar, contact_id varchar, occurred_at timestamptz, channel varchar, direction varchar,
    kind varchar, outcome varchar, staff varchar, topic varchar, resolved_at timestamptz, score double
);
create table staging.phone_lookup (
    phone varchar, checked_at timestamptz, valid boolean, line_type varchar, line_status varchar, reassigned varchar,
    provider varchar
);
create table staging.reply (
    contact_id varchar, received_at timestamptz, channel varchar, kind varchar, value_raw varchar, value varchar,
    evidence_ref varchar
);
create table staging.ehr_care_event (
    ehr_patient_id varchar, event_id varchar, event_at timestamptz, received_at timestamptz, kind varchar,
    care_status varchar, evidence_ref varchar, is_cancelled boolean
);
create table identity.patient_link (
    source varchar, source_id varchar, patient_id varchar, method varchar, match_probability double
);
create table reconciled.crm_value_since (
    contact_id varchar, care_since timestamptz, insurance_since timestamptz
);
create table reconciled.field_decision (
    patient_id varchar, field varchar, value varchar, source varchar, rule varchar, is_conflict boolean,
    candidates struct(source varchar, value varchar, confirmed_at timestamptz)[], decided_confirmed_at timestamptz,
    evidence_ref varchar
);
create table hygiene.contact_status (
    contact_id varchar, patient_id varchar, is_active boolean,
    phone_state varchar, phone_reason varchar, phone_confirmed_at timestamptz, phone_evidence_ref varchar,
    phone_evidence_at timestamptz,
    insurance_state varchar, insurance_reason varchar, insurance_confirmed_at timestamptz,
    insurance_evidence_ref varchar, insurance_evidence_at timestamptz,
    care_state varchar, care_reason varchar, care_confirmed_at timestamptz, care_evidence_ref varchar,
    care_evidence_at timestamptz, is_stale boolean
);
create table hygiene.finding (
    contact_id varchar, staleness_type varchar, reason varchar, evidence_source varchar, evidence_ref varchar,
    evidence_at timestamptz
);
create table policy.clock (
    as_of timestamptz, as_of_date date, previous_as_of timestamptz, practice varchar, timezone varchar
);
create table policy.practice (
    practice varchar, name varchar, timezone varchar, phone varchar, monthly_spend double,
    hygiene_cost_per_year double, crm_kind varchar, crm_sync varchar
);
create table policy.source_of_truth (
    field varchar, source varchar, source_rank integer, strategy varchar, "write" varchar
);
create table policy.reengagement (
    max_tries integer, wait_days integer, quiet_from_hour integer, quiet_to_hour integer
);
"""

FILLED = [
    "staging.crm_contact",
    "staging.crm_interaction",
    "staging.phone_lookup",
    "staging.reply",
    "staging.ehr_care_event",
    "identity.patient_link",
    "reconciled.crm_value_since",
    "reconciled.field_decision",
    "hygiene.contact_status",
    "hygiene.finding",
    "sync.crm_change",
    "sync.message",
    "raw.landing_file",
]

CONTACT: Mapping[str, Any] = {
    "contact_id": "C1",
    "first_name": "Ana",
    "last_name": "Silva",
    "birth_date": "1970-02-03",
    "sex": "female",
    "phone_raw": OLD_PHONE,
    "phone": OLD_E164,
    "phone_digits": "6172530000",
    "email": "ana@example.org",
    "address_line": "1 Main St",
    "city": "Boston",
    "state": "MA",
    "postal_code": "02139",
    "insurance_payer_id": "P1",
    "insurance_payer": "Payer One",
    "insurance_member_id": "ABC123",
    "insurance_status": "active",
    "care_status": "active",
    "segments": ["diabetes"],
    "referring_provider_npi": "1234567893",
    "sms_opt_out": False,
    "email_opt_out": False,
    "call_opt_out": False,
    "is_active": True,
    "phone_since": EARLIER - timedelta(days=100),
}

CRM_ROW: Mapping[str, str | None] = {
    "contact_id": "C1",
    "first_name": "Ana",
    "last_name": "Silva",
    "birth_date": "1970-02-03",
    "sex": "F",
    "phone": OLD_PHONE,
    "email": "Ana@example.org ",
    "address_line": "1 Main St",
    "city": "Boston",
    "state": "MA",
    "postal_code": "02139",
    "insurance_payer_id": "P1",
    "insurance_payer": "Payer One",
    "insurance_member_id": "abc-123",
    "insurance_status": "Active",
    "care_status": "active",
    "segments": "diabetes",
    "referring_provider_npi": "1234567893",
    "sms_opt_out": "False",
    "email_opt_out": "",
    "call_opt_out": "0",
    "is_active": "true",
}


class Bed:
    """An in-memory or file warehouse with the tables `sync` reads."""

    def __init__(self, path: str = ":memory:") -> None:
        self.con = duckdb.connect(path)
        self.con.execute("set timezone = 'UTC'")
        self.con.execute("set threads = 1")
        self.con.execute(TABLES)
        create_tables(self.con)
        ledger.create_tables(self.con)
        self.policy("auto")
        self.insert("policy.reengagement", max_tries=3, wait_days=7, quiet_from_hour=20, quiet_to_hour=9)
        self.insert(
            "policy.practice",
            practice="riverside",
            name="Riverside Primary Care",
            timezone="America/New_York",
            phone="+16172539999",
        )
        self.clock(AS_OF)

    def clock(self, as_of: datetime) -> None:
        self.con.execute("delete from policy.clock")
        self.insert("policy.clock", as_of=as_of, as_of_date=as_of.date(), timezone="America/New_York")

    def policy(self, write: str, *fields: str) -> None:
        chosen = list(fields or FIELDS)
        self.con.execute("delete from policy.source_of_truth where list_contains($1::varchar[], field)", [chosen])
        self.con.execute(
            "insert into policy.source_of_truth select unnest($1::varchar[]), 'pm', 1, 'most_recent', $2",
            [chosen, write],
        )

    def empty(self) -> None:
        for table in FILLED:
            self.con.execute(f"delete from {table}")

    def insert(self, table: str, **row: Any) -> None:
        columns = ", ".join(f'"{column}"' for column in row)
        marks = ", ".join("?" for _ in row)
        self.con.execute(f"insert into {table} ({columns}) values ({marks})", list(row.values()))

    def contact(self, **changes: Any) -> None:
        row = {**CONTACT, **changes}
        self.insert("staging.crm_contact", **row)
        self.insert(
            "identity.patient_link", source="crm", source_id=row["contact_id"], patient_id=f"P-{row['contact_id']}"
        )

    def status(self, contact_id: str = "C1", **columns: Any) -> None:
        self.insert(
            "hygiene.contact_status", contact_id=contact_id, patient_id=f"P-{contact_id}", is_active=True, **columns
        )

    def decision(
        self, field: str, value: str | None, *, contact_id: str = "C1", source: str = "pm", **columns: Any
    ) -> None:
        row = {
            "rule": "most_recent",
            "is_conflict": True,
            "decided_confirmed_at": EARLIER,
            "evidence_ref": "pm/1",
            **columns,
        }
        self.insert(
            "reconciled.field_decision", patient_id=f"P-{contact_id}", field=field, value=value, source=source, **row
        )

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self.con.execute(query, list(parameters)).fetchall()

    def planned(self) -> dict[tuple[str, str], tuple[str | None, str]]:
        found = self.rows("select contact_id, field, old_value, new_value from sync.crm_change where state = 'planned'")
        return {(contact_id, field): (old, new) for contact_id, field, old, new in found}
