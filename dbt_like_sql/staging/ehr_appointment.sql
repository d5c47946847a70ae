-- Booked visits as the EHR shows them at the clock, from FHIR and from scheduling messages. One row per appointment id.
with resource as (
    select
        owner.ehr_patient_id,
        appointment.id as appointment_id,
        appointment.status,
        try_cast(appointment.start as timestamptz) as scheduled_at,
    from raw.fhir_appointment as appointment
    inner join staging.ehr_resource as owner
        on owner.resource_type = 'Appointment' and owner.resource_id = appointment.id
        and owner.extracted_at = appointment.extracted_at and owner.take_seq = appointment.take_seq
        and owner.source_line = appointment.source_line and owner.row_hash = appointment.row_hash
),

message as (
    select
        patient.ehr_patient_id,
        event.resource_id as appointment_id,
        case event.kind
            when 'SIU^S15' then 'cancelled'
            when 'SIU^S17' then 'cancelled'
            when 'SIU^S26' then 'noshow'
            else 'booked'
        end as status,
        event.scheduled_at,
    from raw.ehr_event as event
    inner join staging.ehr_patient as patient on patient.mrn = event.mrn
    where
        event.kind like 'SIU^%'
        and event.resource_id is not null
        and event.extracted_at <= (select as_of from policy.clock)
    qualify row_number() over (
        partition by event.resource_id order by event.event_at desc, event.take_seq desc, event.event_id desc
    ) = 1
)

select ehr_patient_id, appointment_id, status, scheduled_at
from resource
where status is distinct from 'entered-in-error'
union all
select message.ehr_patient_id, message.appointment_id, message.status, message.scheduled_at
from message
anti join resource on resource.appointment_id = message.appointment_id
