-- The golden record: what is held true of a person across all systems. One row per patient.
with patients as (
    select distinct patient_id
    from identity.patient_link
),

decided as (
    select
        patient_id,
        max(value) filter (field = 'first_name') as first_name,
        max(value) filter (field = 'last_name') as last_name,
        max(value) filter (field = 'birth_date') as birth_date,
        max(value) filter (field = 'sex') as sex,
        max(value) filter (field = 'address_line') as address_line,
        max(value) filter (field = 'city') as city,
        max(value) filter (field = 'state') as state,
        max(value) filter (field = 'postal_code') as postal_code,
        max(value) filter (field = 'phone') as phone,
        max(value) filter (field = 'email') as email,
        max(value) filter (field = 'insurance_payer_id') as insurance_payer_id,
        max(value) filter (field = 'insurance_payer') as insurance_payer,
        max(value) filter (field = 'insurance_member_id') as insurance_member_id,
        max(value) filter (field = 'insurance_status') as insurance_status,
        max(value) filter (field = 'care_status') as care_status,
        max(value) filter (field = 'segments') as segments,
        max(value) filter (field = 'referring_provider_npi') as referring_provider_npi,
        max(value) filter (field = 'preferred_channel') as preferred_channel,
        max(value) filter (field = 'sms_opt_out') as sms_opt_out,
        max(value) filter (field = 'email_opt_out') as email_opt_out,
        max(value) filter (field = 'call_opt_out') as call_opt_out,
    from reconciled.field_decision
    group by patient_id
)

select
    patients.patient_id,
    decided.first_name,
    decided.last_name,
    decided.birth_date::date as birth_date,
    decided.sex,
    decided.address_line,
    decided.city,
    decided.state,
    decided.postal_code,
    decided.phone,
    decided.email,
    decided.insurance_payer_id,
    decided.insurance_payer,
    decided.insurance_member_id,
    decided.insurance_status,
    decided.care_status,
    case decided.segments when '' then [] else string_split(decided.segments, ';') end::varchar[] as segments,
    decided.referring_provider_npi,
    decided.preferred_channel,
    coalesce(decided.sms_opt_out::boolean, false) as sms_opt_out,
    coalesce(decided.email_opt_out::boolean, false) as email_opt_out,
    coalesce(decided.call_opt_out::boolean, false) as call_opt_out,
from patients
left join decided on decided.patient_id = patients.patient_id
