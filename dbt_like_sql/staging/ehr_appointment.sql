-- Booked visits as the EHR shows them at the clock, from FHIR and from scheduling messages. One row per appointment id.
with resource as (
    select
        owner.ehr_patient_id,
        appointment.id as appointment_id,
        appointment.status,
        try_cast(appointment.start as timestamptz) as scheduled_at,
        appointment.identifier,
        coalesce(appointment.last_updated, appointment.extracted_at) as said_at,
    from raw.fhir_appointment as appointment
    inner join staging.ehr_resource as owner
        on owner.resource_type = 'Appointment' and owner.resource_id = appointment.id
        and owner.extracted_at = appointment.extracted_at and owner.take_seq = appointment.take_seq
        and owner.source_line = appointment.source_line and owner.row_hash = appointment.row_hash
),

told as (
    select
        belonging.ehr_patient_id,
        event.resource_id as appointment_id,
        case
            when event.kind in ('SIU^S15', 'SIU^S16', 'SIU^S17') then 'cancelled'
            when event.kind = 'SIU^S26' then 'noshow'
            when lower(event.status) in ('cancelled', 'canceled', 'dc', 'deleted') then 'cancelled'
            when lower(event.status) in ('noshow', 'no show', 'no-show') then 'noshow'
            when lower(event.status) in ('complete', 'completed') then 'fulfilled'
            when lower(event.status) = 'started' then 'arrived'
            when lower(event.status) in ('pending', 'waitlist') then lower(event.status)
            else 'booked'
        end as status,
        event.scheduled_at,
        event.event_at,
        event.event_id,
    from raw.ehr_event as event
    inner join staging.ehr_mrn as belonging on belonging.mrn = event.mrn
    where
        event.kind like 'SIU^%'
        and event.resource_id is not null
        and event.extracted_at <= (select as_of from policy.clock)
),

-- The latest by its own time counts; one that names no time, as cancellations may, leaves the time as it was.
message as (
    select
        appointment_id,
        arg_max(ehr_patient_id, row(event_at, event_id)) as ehr_patient_id,
        arg_max(status, row(event_at, event_id)) as status,
        arg_max(scheduled_at, row(event_at, event_id)) as scheduled_at,
        max(event_at) as said_at,
    from told
    group by appointment_id
),

-- FHIR knows an appointment by the EHR's id, a message by the filler's, which FHIR has among the identifiers.
number_of_resource as (
    select appointment_id, appointment_id as number
    from resource
    union
    select appointment_id, number
    from (select appointment_id, unnest(list_transform(identifier, lambda one: one.value)) as number from resource)
),

message_of_resource as (
    select number_of_resource.appointment_id, message.status, message.scheduled_at, message.said_at
    from number_of_resource
    inner join message on message.appointment_id = number_of_resource.number
    qualify row_number() over (
        partition by number_of_resource.appointment_id order by message.said_at desc, message.appointment_id
    ) = 1
),

newest as (
    select
        resource.ehr_patient_id,
        resource.appointment_id,
        case when later.said_at is not null then later.status else resource.status end as status,
        coalesce(later.scheduled_at, resource.scheduled_at) as scheduled_at,
    from resource
    left join message_of_resource as later
        on later.appointment_id = resource.appointment_id and later.said_at > resource.said_at
    where resource.status is distinct from 'entered-in-error'
    union all
    select message.ehr_patient_id, message.appointment_id, message.status, message.scheduled_at
    from message
    anti join number_of_resource on number_of_resource.number = message.appointment_id
)

select ehr_patient_id, appointment_id, status, scheduled_at
from newest
