-- The coverage that the PM holds, what the payer last said of it, and the status both stand for. One row per patient with a PM record.
with clock as (
    select as_of, as_of_date, timezone from policy.clock
),

records as (
    select patient_id, source_id as pm_patient_id
    from identity.patient_link
    where source = 'pm'
),

patients as (
    select distinct patient_id
    from records
),

coverage as (
    select
        records.patient_id,
        arg_max(
            {
                'pm_patient_id': coverage.pm_patient_id,
                'payer_id': coverage.payer_id,
                'payer_name': coverage.payer_name,
                'member_id': coverage.member_id,
                'payer_key': nullif(regexp_replace(upper(coverage.payer_id), '[^A-Z0-9]', '', 'g'), ''),
                'member_key': nullif(coverage.member_key, ''),
                'effective_date': coverage.effective_date,
                'termination_date': coverage.termination_date,
                'last_updated': coverage.last_updated
            },
            {
                'is_in_force': coalesce(coverage.effective_date <= clock.as_of_date, true)
                    and coalesce(coverage.termination_date >= clock.as_of_date, true),
                'effective_date': coalesce(coverage.effective_date, date '0001-01-01'),
                'last_updated': coalesce(coverage.last_updated, timestamptz '0001-01-01 00:00:00+00'),
                'payer_id': coalesce(coverage.payer_id, ''),
                'pm_patient_id': coverage.pm_patient_id
            }
        ) as plan,
    from staging.pm_coverage as coverage
    cross join clock
    inner join records on records.pm_patient_id = coverage.pm_patient_id
    where coverage.coverage_rank = 1
    group by records.patient_id
),

-- An answer about the plan that the patient had before says nothing of the plan they have now.
asked as (
    select
        records.patient_id,
        answer.result,
        {
            'at': answer.checked_at,
            'check_id': answer.check_id,
            'result': answer.result,
            'ref': answer.evidence_ref
        } as answer,
    from staging.pm_eligibility as answer
    cross join clock
    inner join records on records.pm_patient_id = answer.pm_patient_id
    left join coverage on coverage.patient_id = records.patient_id
    where answer.checked_at <= clock.as_of
        and coalesce(nullif(answer.member_key, '') = coverage.plan.member_key, true)
        and coalesce(
            nullif(regexp_replace(upper(answer.payer_id), '[^A-Z0-9]', '', 'g'), '') = coverage.plan.payer_key, true
        )
),

answers as (
    select
        patient_id,
        max(answer) as latest_ask,
        max(answer) filter (result <> 'payer_error') as latest_answer,
    from asked
    group by patient_id
),

known as (
    select
        patients.patient_id,
        coverage.plan as plan,
        answers.latest_ask as ask,
        answers.latest_answer as answer,
        coverage.plan is not null
            and coalesce(coverage.plan.effective_date <= clock.as_of_date, true)
            and coalesce(coverage.plan.termination_date >= clock.as_of_date, true) as is_in_force,
        coalesce(coverage.plan.termination_date < clock.as_of_date, false) as is_terminated,
        clock.as_of_date - timezone(clock.timezone, answers.latest_answer.at)::date as answer_age_days,
        -- A payer that says active after the last day of a coverage contradicts the PM; one that said so before does not.
        coalesce(timezone(clock.timezone, answers.latest_answer.at)::date > coverage.plan.termination_date, false)
            as is_answer_after_termination,
    from patients
    cross join clock
    left join coverage on coverage.patient_id = patients.patient_id
    left join answers on answers.patient_id = patients.patient_id
),

stood_for as (
    select
        patient_id,
        plan,
        ask,
        answer,
        is_in_force,
        is_terminated,
        answer_age_days,
        answer.result = 'active'
        and answer_age_days <= (select answer_valid_days from policy.insurance)
        and (not is_terminated or is_answer_after_termination) as is_active_by_payer,
    from known
)

select
    patient_id,
    plan.pm_patient_id as pm_patient_id,
    plan.payer_id as payer_id,
    plan.payer_name as payer_name,
    plan.member_id as member_id,
    plan.payer_key as payer_key,
    plan.member_key as member_key,
    plan.effective_date as effective_date,
    plan.termination_date as termination_date,
    plan.last_updated as coverage_updated_at,
    is_in_force,
    is_terminated,
    answer.result as answer,
    answer.at as answered_at,
    answer.ref as answer_ref,
    answer_age_days,
    ask.result as latest_ask,
    ask.at as asked_at,
    ask.ref as ask_ref,
    case
        when answer.result in ('inactive', 'not_found') then 'verify_required'
        when is_active_by_payer then 'active'
        when is_terminated then 'lapsed'
    end as insurance_status,
    case
        when answer.result in ('inactive', 'not_found') or is_active_by_payer then 'eligibility'
        when is_terminated then 'pm'
    end as status_source,
from stood_for
