-- How far insurance has been asked about at all, and how old the answers are: the other half of the accuracy of what is known.
with answer_of_patient as (

    select
        patient_link.patient_id,
        max(pm_eligibility.checked_at) filter (where pm_eligibility.result <> 'payer_error') as answered_at
    from staging.pm_eligibility
    inner join identity.patient_link
        on patient_link.source = 'pm' and patient_link.source_id = pm_eligibility.pm_patient_id
    cross join policy.clock
    where pm_eligibility.checked_at <= clock.as_of
    group by patient_link.patient_id

),

asked_contact as (

    select
        contact_status.contact_id,
        contact_status.insurance_state,
        contact_status.insurance_reason,
        answer_of_patient.patient_id is not null as is_asked,
        answer_of_patient.answered_at is not null as is_answered,
        clock.as_of_date - (answer_of_patient.answered_at at time zone clock.timezone)::date as answer_age_days,
        -- An answer about the plan before this one says nothing of this one.
        insurance_evidence.answer is not null as is_answered_about_present_plan,
        coalesce(
            (insurance_evidence.answered_at at time zone clock.timezone)::date >= recheck.plan_year_began_on, false
        ) as is_answered_this_plan_year,
        coalesce(insurance_evidence.answer_age_days <= insurance.answer_valid_days, false) as is_answered_in_time
    from hygiene.contact_status
    cross join policy.clock
    cross join policy.insurance
    cross join policy.recheck
    left join answer_of_patient on contact_status.patient_id = answer_of_patient.patient_id
    left join hygiene.insurance_evidence on contact_status.contact_id = insurance_evidence.contact_id
    where contact_status.is_active

),

counted as (

    select
        count(*) as contacts,
        count(*) filter (where is_asked) as asked,
        count(*) filter (where is_answered) as answered,
        count(*) filter (where is_answered_about_present_plan) as answered_about_present_plan,
        count(*) filter (where is_answered_this_plan_year) as answered_this_plan_year,
        count(*) filter (where is_answered_in_time) as answered_in_time,
        count(*) filter (where insurance_state in ('current', 'stale')) as known,
        count(*) filter (where insurance_reason = 'payer_error') as payer_could_not_answer,
        median(answer_age_days) as median_answer_age_days,
        quantile_cont(answer_age_days, 0.9) as p90_answer_age_days
    from asked_contact

)

select
    clock.as_of,
    counted.contacts,
    counted.asked,
    counted.answered,
    counted.answered_about_present_plan,
    counted.answered_this_plan_year,
    counted.answered_in_time,
    counted.known,
    counted.payer_could_not_answer,
    counted.asked / nullif(counted.contacts, 0) as share_asked,
    counted.answered / nullif(counted.contacts, 0) as share_answered,
    counted.answered_this_plan_year / nullif(counted.contacts, 0) as share_answered_this_plan_year,
    counted.answered_in_time / nullif(counted.contacts, 0) as share_answered_in_time,
    counted.known / nullif(counted.contacts, 0) as share_known,
    counted.median_answer_age_days,
    counted.p90_answer_age_days
from counted
cross join policy.clock
