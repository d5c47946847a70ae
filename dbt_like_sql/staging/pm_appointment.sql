-- Appointments as the PM last showed them. One row per appointment.
with latest as (
    select
        appointment_id,
        pm_patient_id,
        provider_npi,
        booked_at,
        scheduled_at,
        status,
        visit_type,
        location,
    from raw.pm_appointments
    where extracted_at <= (select as_of from policy.clock)
    qualify row_number() over (
        partition by appointment_id order by extracted_at desc, take_seq desc, row_hash desc
    ) = 1
)

select
    appointment_id,
    pm_patient_id,
    provider_npi,
    booked_at,
    scheduled_at,
    status,
    visit_type,
    location,
from latest
