-- Policies as the PM holds them at the clock. One row per patient, payer and effective date.
with latest as (
    select
        pm_patient_id,
        payer_id,
        payer_name,
        member_id,
        plan_name,
        effective_date,
        termination_date,
        last_updated,
        is_removed,
    from raw.pm_coverage
    where extracted_at <= (select as_of from policy.clock)
    qualify row_number() over (
        partition by pm_patient_id, payer_id, effective_date
        order by extracted_at desc, take_seq desc, last_updated desc nulls last, row_hash desc
    ) = 1
),

policies as (
    select
        latest.pm_patient_id,
        latest.payer_id,
        latest.payer_name,
        latest.member_id,
        nullif(upper(regexp_replace(latest.member_id, '[^A-Za-z0-9]', '', 'g')), '') as member_key,
        latest.plan_name,
        latest.effective_date,
        latest.termination_date,
        latest.last_updated,
        -- The last day itself is covered; a date that nobody entered does not end or delay anything.
        coalesce(latest.effective_date <= clock.as_of_date, true)
        and coalesce(latest.termination_date >= clock.as_of_date, true) as is_in_force,
    from latest, policy.clock as clock
    where not latest.is_removed
),

ranked as (
    select
        pm_patient_id,
        payer_id,
        payer_name,
        member_id,
        member_key,
        plan_name,
        effective_date,
        termination_date,
        last_updated,
        row_number() over (
            partition by pm_patient_id
            order by is_in_force desc, effective_date desc nulls last, last_updated desc nulls last, payer_id
        ) as coverage_rank,
    from policies
)

select
    pm_patient_id,
    payer_id,
    payer_name,
    member_id,
    member_key,
    plan_name,
    effective_date,
    termination_date,
    last_updated,
    coverage_rank,
from ranked
