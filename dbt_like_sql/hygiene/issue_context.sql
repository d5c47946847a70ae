-- What makes the issues of a contact urgent: an active care programme, visits, and contacts that failed.
with contact as (

    select
        crm_contact.contact_id,
        crm_contact.care_status,
        patient_link.patient_id,
        coalesce(crm_contact.is_active, true) as is_active
    from staging.crm_contact
    left join identity.patient_link
        on patient_link.source = 'crm' and patient_link.source_id = crm_contact.contact_id

),

visit as (

    select
        patient_link.patient_id,
        pm_appointment.scheduled_at as visit_at,
        pm_appointment.status = 'booked' as is_booked,
        pm_appointment.status in ('arrived', 'fulfilled') as is_kept
    from staging.pm_appointment
    inner join identity.patient_link
        on patient_link.source = 'pm' and patient_link.source_id = pm_appointment.pm_patient_id

    union all

    select
        patient_link.patient_id,
        ehr_appointment.scheduled_at as visit_at,
        ehr_appointment.status in ('booked', 'pending') as is_booked,
        ehr_appointment.status = 'fulfilled' as is_kept
    from staging.ehr_appointment
    inner join identity.patient_link
        on patient_link.source = 'ehr' and patient_link.source_id = ehr_appointment.ehr_patient_id

    union all

    select
        patient_link.patient_id,
        coalesce(ehr_encounter.ended_at, ehr_encounter.started_at) as visit_at,
        false as is_booked,
        ehr_encounter.status = 'finished' as is_kept
    from staging.ehr_encounter
    inner join identity.patient_link
        on patient_link.source = 'ehr' and patient_link.source_id = ehr_encounter.ehr_patient_id

),

visits_of_patient as (

    select
        visit.patient_id,
        min(visit.visit_at) filter (where visit.is_booked and visit.visit_at >= clock.as_of) as next_visit_at,
        max(visit.visit_at) filter (where visit.is_kept and visit.visit_at <= clock.as_of) as seen_at
    from visit
    cross join policy.clock
    group by visit.patient_id

),

care_event as (

    select
        patient_link.patient_id,
        ehr_care_event.care_status,
        row_number() over (
            partition by patient_link.patient_id
            -- Nothing that is recorded after a death brings a programme back.
            order by
                ehr_care_event.care_status = 'deceased' desc,
                ehr_care_event.event_at desc,
                ehr_care_event.received_at desc,
                ehr_care_event.event_id desc
        ) as newest
    from staging.ehr_care_event
    inner join identity.patient_link
        on patient_link.source = 'ehr' and patient_link.source_id = ehr_care_event.ehr_patient_id
    cross join policy.clock
    where not coalesce(ehr_care_event.is_cancelled, false) and ehr_care_event.event_at <= clock.as_of

),

failed_contact as (

    select
        crm_interaction.contact_id,
        count(*) as failed_contacts
    from staging.crm_interaction
    cross join policy.clock
    where
        crm_interaction.outcome in (
            'bounced', 'busy', 'disconnected', 'failed', 'invalid', 'no_answer', 'undeliverable', 'undelivered', 'wrong_number'
        )
        and crm_interaction.occurred_at <= clock.as_of
        and crm_interaction.occurred_at > clock.as_of - interval 90 day
    group by crm_interaction.contact_id

),

placed as (

    select
        contact.contact_id,
        contact.patient_id,
        contact.is_active,
        (visits_of_patient.next_visit_at at time zone clock.timezone)::date as next_visit_on,
        (visits_of_patient.seen_at at time zone clock.timezone)::date as seen_on,
        coalesce(care_event.care_status <> 'deceased', true)
        and (coalesce(care_event.care_status = 'active', false) or coalesce(contact.care_status = 'active', false))
            as in_active_care,
        coalesce(failed_contact.failed_contacts, 0) as failed_contacts
    from contact
    cross join policy.clock
    left join visits_of_patient on contact.patient_id = visits_of_patient.patient_id
    left join care_event on contact.patient_id = care_event.patient_id and care_event.newest = 1
    left join failed_contact on contact.contact_id = failed_contact.contact_id

)

select
    contact_id,
    patient_id,
    is_active,
    next_visit_on,
    seen_on,
    in_active_care,
    failed_contacts
from placed
