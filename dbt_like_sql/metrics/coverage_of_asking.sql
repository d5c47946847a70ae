-- How far insurance has been asked about at all: the other half of the accuracy of what is known.
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
        answer_of_patient.patient_id is not null as is_asked,
        answer_of_patient.answered_at is not null as is_answered,
        clock.as_of_date - (answer_of_patient.answered_at at time zone clock.timezone)::date as answer_age_days
    from hygiene.contact_status
    cross join policy.clock
    left join answer_of_patient on contact_status.patient_id = answer_of_patient.patient_id
    where contact_status.is_active

),

counted as (

    select
        count(*) as contacts,
        count(*) filter (where is_asked) as asked,
        count(*) filter (where is_answered) as answered,
        median(answer_age_days) as median_answer_age_days
    from asked_contact

)

select
    clock.as_of,
    counted.contacts,
    counted.asked,
    counted.answered,
    counted.asked / nullif(counted.contacts, 0) as share_asked,
    counted.answered / nullif(counted.contacts, 0) as share_answered,
    counted.median_answer_age_days
from counted
cross join policy.clock
