"""The SQL by which what is wanted now meets the ledger of changes: `sync.crm_change`.

Every statement may be run twice. `change` is a row of the ledger, `wanted` one of `wanted_change` (wanted.py).
"""

from hygiene_pipeline.sync.comparison import COMPARABLE_SQL

LATER_PASSES = "select count(*) from sync.crm_change where planned_at > $as_of or touched_at > $as_of"
LATER_WRITES = "select count(*) from sync.crm_change where applied_at > $as_of"

_NEW_IS_SHOWN = f"""
exists (
    select 1
    from open_value as shown
    where
        shown.contact_id = change.contact_id
        and shown.field = change.field
        and {COMPARABLE_SQL.format(field="shown.field", value="coalesce(shown.value, '')")}
        = {COMPARABLE_SQL.format(field="change.field", value="change.new_value")}
)
"""

# What the CRM shows where a change is open: the statements below look for every open change in it.
OPEN_VALUES = """
create or replace temp table open_value as
select contact_id, field, value
from shown_value as shown
where exists (
    select 1
    from sync.crm_change as change
    where
        change.state in ('planned', 'failed')
        and change.contact_id = shown.contact_id
        and change.field = shown.field
)
"""

# A change handed over in a file is applied once an extract shows its value.
SEEN_IN_EXTRACT = f"""
update sync.crm_change as change
set state = 'applied', applied_at = $as_of, touched_at = $as_of, sync_id = $sync_id, before_value = old_value
where state = 'planned' and attempts > 0 and touched_at < $as_of and {_NEW_IS_SHOWN}
"""

_SAME_CHANGE = """
change.contact_id = wanted.contact_id
and change.field = wanted.field
and change.new_value = wanted.new_value
"""

# What the CRM already shows is left to the next write, which knows whether the pipeline did it. A contact that was not
# considered has not changed its mind.
NO_LONGER_WANTED = f"""
update sync.crm_change as change
set state = 'conflict', touched_at = $as_of
where
    state in ('planned', 'failed')
    and ($is_everybody or contact_id in (select contact_id from considered_contact))
    and not exists (
        select 1
        from wanted_change as wanted
        where {_SAME_CHANGE} and change.old_value is not distinct from wanted.old_value
    )
    and not {_NEW_IS_SHOWN}
"""

# Once a person overruled or undid a value, only newer evidence brings it back.
NEWLY_WANTED = f"""
insert into sync.crm_change (
    change_id, contact_id, field, old_value, new_value, reason, evidence_ref, state, attempts, planned_at,
    event_at, evidence_at
)
select
    change_id, contact_id, field, old_value, new_value, reason, evidence_ref, 'planned', 0, $as_of,
    event_at, evidence_at
from wanted_change as wanted
where
    not exists (
        select 1
        from sync.crm_change as change
        where
            {_SAME_CHANGE}
            and change.old_value is not distinct from wanted.old_value
            and change.planned_at <= $as_of
            and (change.state in ('planned', 'failed') or change.touched_at >= $as_of)
    )
    and not exists (
        select 1
        from sync.crm_change as change
        where
            {_SAME_CHANGE}
            and (change.state = 'undone' or (change.state = 'conflict' and change.attempts > 0))
            and change.touched_at <= $as_of
            and coalesce(greatest(wanted.event_at, wanted.evidence_at) <= change.touched_at, true)
    )
    and not exists (select 1 from sync.crm_change as change where change.change_id = wanted.change_id)
order by contact_id, field
"""

# A phone goes before its verification date, a payer before its member id: each of those is given the first.
PENDING = """
with lead as (
    select contact_id, field, arg_max(new_value, planned_at) as value
    from sync.crm_change
    where
        field in ('phone', 'insurance_payer_id')
        and (state in ('planned', 'failed') or (state = 'applied' and touched_at = $as_of))
    group by contact_id, field
),
pending as (
    select
        change_id,
        contact_id,
        field,
        old_value,
        new_value,
        planned_at,
        case
            when field = 'last_phone_verified' then 'phone'
            when field in ('insurance_payer', 'insurance_member_id') then 'insurance_payer_id'
        end as given_field
    from sync.crm_change
    where state in ('planned', 'failed') and planned_at <= $as_of
)
select
    pending.change_id,
    pending.contact_id,
    pending.field,
    pending.old_value,
    pending.new_value,
    pending.given_field,
    coalesce(
        lead.value, case pending.given_field when 'phone' then contact.phone_raw else contact.insurance_payer_id end
    ) as given_value
from pending
left join lead on lead.contact_id = pending.contact_id and lead.field = pending.given_field
left join staging.crm_contact as contact on contact.contact_id = pending.contact_id
order by pending.contact_id, pending.given_field is not null, pending.field, pending.planned_at, pending.change_id
"""

SETTLED = """
update sync.crm_change as change
set
    state = result.state,
    before_value = result.before_value,
    applied_at = result.applied_at,
    sync_id = result.sync_id,
    touched_at = $as_of,
    -- A rerun of the same pass is the same attempt.
    attempts = change.attempts + cast(change.touched_at is distinct from $as_of as integer)
from (
    select
        unnest($change_ids::varchar[]) as change_id,
        unnest($states::varchar[]) as state,
        unnest($before_values::varchar[]) as before_value,
        unnest($applied_ats::timestamptz[]) as applied_at,
        unnest($sync_ids::varchar[]) as sync_id
) as result
where change.change_id = result.change_id
"""

UNDOABLE = """
select change_id, contact_id, field, before_value, new_value
from sync.crm_change
where
    state = 'applied'
    -- Without a pass that wrote it there is nothing of ours to take back.
    and sync_id is not null
    and (list_contains($change_ids::varchar[], change_id) or sync_id = $sync_id)
order by applied_at desc, contact_id, field
"""

UNDONE = """
update sync.crm_change
set state = 'undone', touched_at = $as_of
where list_contains($change_ids::varchar[], change_id)
"""
