"""The two ledgers of the `sync` layer: changes written to the CRM, and messages sent. Their columns, nothing else.

Beside them `sync.touched_contact`: whose decisions event runs renewed since changes were last planned.
"""

import duckdb

_CRM_CHANGE = """
create table if not exists sync.crm_change (
    change_id varchar,
    contact_id varchar,
    field varchar,
    old_value varchar,
    new_value varchar,
    reason varchar,
    evidence_ref varchar,
    state varchar,
    attempts integer,
    planned_at timestamptz,
    applied_at timestamptz,
    sync_id varchar,
    event_at timestamptz,
    evidence_at timestamptz,
    before_value varchar,
    touched_at timestamptz
)
"""

_MESSAGE = """
create table if not exists sync.message (
    message_id varchar,
    contact_id varchar,
    channel varchar,
    address_kind varchar,
    template varchar,
    try_number integer,
    state varchar,
    reason varchar,
    planned_at timestamptz,
    sent_at timestamptz,
    provider varchar,
    vendor_id varchar,
    code varchar,
    cost_usd double,
    address_key varchar
)
"""

_TOUCHED = "create table if not exists sync.touched_contact (contact_id varchar)"

# A ledger of messages is kept for years: what it lacks is added, never made anew.
_LATER_COLUMNS = ("provider varchar", "vendor_id varchar", "code varchar", "cost_usd double", "address_key varchar")

_COMMENTS = (
    "comment on table sync.touched_contact is 'Contacts whose decisions were renewed since changes were last planned.'",
    "comment on table sync.crm_change is 'One row per change of a field of a CRM contact: the ledger of writes.'",
    "comment on column sync.crm_change.old_value is 'The value the decision was taken on.'",
    "comment on column sync.crm_change.before_value is 'The exact text the write replaced; undo puts it back.'",
    "comment on column sync.crm_change.touched_at is 'The pass that last tried, settled or undid the change.'",
    "comment on column sync.crm_change.event_at is 'When the thing happened that made the value wrong.'",
    "comment on column sync.crm_change.evidence_at is 'When the evidence of it reached us.'",
    "comment on table sync.message is 'One row per try to have a patient confirm a phone number, or reason not to.'",
    "comment on column sync.message.sent_at is 'When it was handed over, or in files when it may be delivered.'",
    "comment on column sync.message.provider is 'Who carried it: files, smtp or twilio.'",
    "comment on column sync.message.vendor_id is 'The id of the message at the provider.'",
    "comment on column sync.message.code is 'The code of the failure at the provider.'",
    "comment on column sync.message.cost_usd is 'What the provider said that it cost; null if it said nothing.'",
    "comment on column sync.message.address_key is 'SHA-256 of the address, to know a refused one again.'",
)


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Make both ledgers if they are missing; the schema exists."""
    later = (f"alter table sync.message add column if not exists {column}" for column in _LATER_COLUMNS)
    for statement in (_CRM_CHANGE, _MESSAGE, _TOUCHED, *later, *_COMMENTS):
        con.execute(statement)
