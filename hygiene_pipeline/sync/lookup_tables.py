"""The ledger of phone lookups that a vendor is paid for. Its tables, nothing else."""

import duckdb

_CALL = """
create table if not exists sync.phone_lookup_call (
    call_no bigint,
    phone varchar,
    provider varchar,
    packages varchar[],
    last_confirmed_on date,
    asked_at timestamptz,
    state varchar,
    cost_usd double,
    valid boolean,
    is_assignable boolean,
    line_type varchar,
    line_status varchar,
    reassigned varchar,
    carrier varchar,
    package_errors varchar[],
    error varchar
)
"""

_RUN = """
create table if not exists sync.phone_lookup_run (
    asked_at timestamptz,
    provider varchar,
    planned bigint,
    planned_cost_usd double,
    left_out bigint,
    left_out_cost_usd double,
    answered bigint,
    failed bigint,
    lost bigint,
    cost_usd double,
    stopped_by varchar,
    stopped_packages varchar[]
)
"""

# Tonight's plan reads the calls of earlier nights: of the ledger itself it would be both cause and effect.
_HISTORY = """
create or replace view history.phone_lookup_call as
select asked_at as as_of, phone, state, cost_usd from sync.phone_lookup_call
"""

_COMMENTS = (
    "comment on table sync.phone_lookup_call is 'One row per number asked of a vendor: the ledger of paid lookups.'",
    "comment on column sync.phone_lookup_call.asked_at is 'As_of of the night that asked, which dates the answer.'",
    "comment on column sync.phone_lookup_call.state is"
    " 'asked (handed to the vendor), answered, refused (not a number to the vendor), failed (no answer, not charged),"
    " unasked (stopped before it went out), lost (the run died before the answer was stored; may be charged).'",
    "comment on column sync.phone_lookup_call.cost_usd is 'List price of the packages that answered; for a call in"
    " flight or lost, of all that were asked for.'",
    "comment on column sync.phone_lookup_call.valid is 'Whether somebody has the number; null if nobody can tell.'",
    "comment on column sync.phone_lookup_call.is_assignable is 'Whether a carrier may assign the number.'",
    "comment on column sync.phone_lookup_call.package_errors is 'package:code of each package that failed.'",
    "comment on table sync.phone_lookup_run is 'One row per night on which a vendor was to be asked.'",
)


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Make the ledger if it is missing; the schemas exist."""
    for statement in (_CALL, _RUN, _HISTORY, *_COMMENTS):
        con.execute(statement)
