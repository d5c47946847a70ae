-- What the PM held of each policy, from when to when it held that. One row per PM policy and version of it.
with versions as (
    select
        policy.pm_patient_id,
        policy.payer_id,
        policy.effective_date,
        nullif(upper(regexp_replace(policy.member_id, '[^A-Za-z0-9]', '', 'g')), '') as member_key,
        policy.plan_name,
        policy.termination_date,
        policy.last_updated,
        policy.is_removed,
        policy.extracted_at as known_from,
        lead(policy.extracted_at) over history_of_policy as known_to,
        row_number() over history_of_policy as version,
    from raw.pm_coverage as policy
    where policy.extracted_at <= (select as_of from policy.clock)
    window history_of_policy as (
        partition by policy.pm_patient_id, policy.payer_id, policy.effective_date
        order by policy.extracted_at, policy.take_seq, policy.last_updated nulls first, policy.row_hash
    )
)

select
    pm_patient_id,
    payer_id,
    effective_date,
    version,
    member_key,
    plan_name,
    termination_date,
    last_updated,
    is_removed,
    known_from,
    known_to,
from versions
