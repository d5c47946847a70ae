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
        patient_id,
        {
            'pm_patient_id': pm_patient_id,
            'payer_id': payer_id,
            'payer_name': payer_name,
            'member_id': member_id,
            'payer_key': payer_key,
            'member_key': member_key,
            'effective_date': effective_date,
            'termination_date': termination_date,
            'last_updated': last_updated
        } as plan,
        standing,
        {'result': answer, 'at': answered_at, 'ref': answer_ref} as latest_answer,
        {'result': latest_ask, 'at': asked_at, 'ref': ask_ref} as latest_ask,
    from reconciled.coverage
    where place = 1
),

-- Where the PM holds no coverage at all, whatever a payer said of the patient counts.
asked_without as (
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
    anti join coverage on coverage.patient_id = records.patient_id
    where answer.checked_at <= clock.as_of
),

answers as (
    select
        patient_id,
        latest_ask,
        latest_answer,
    from coverage
    union all
    select
        patient_id,
        {'result': max(answer).result, 'at': max(answer).at, 'ref': max(answer).ref} as latest_ask,
        {
            'result': (max(answer) filter (result <> 'payer_error')).result,
            'at': (max(answer) filter (result <> 'payer_error')).at,
            'ref': (max(answer) filter (result <> 'payer_error')).ref
        } as latest_answer,
    from asked_without
    group by patient_id
),

known as (
    select
        patients.patient_id,
        coverage.plan as plan,
        answers.latest_ask as ask,
        answers.latest_answer as answer,
        coalesce(coverage.standing = 'in_force', false) as is_in_force,
        coalesce(coverage.standing = 'ended', false) as is_terminated,
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
