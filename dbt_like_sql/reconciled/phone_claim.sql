-- Who says that a number is the patient's, and when a person or system last stood by it. One row per patient, number, source and record.
with clock as (
    select as_of from policy.clock
),

crm as (
    select
        link.patient_id,
        contact.phone,
        'crm' as source,
        contact.contact_id as source_id,
        -- Staff verified the number that the CRM showed then: it says nothing of a number typed in later.
        case
            when contact.last_phone_verified > clock.as_of then null
            when contact.phone_since > since.first_seen_at and contact.phone_since > contact.last_phone_verified then null
            else contact.last_phone_verified
        end as confirmed_at,
        case when contact.phone_since > since.first_seen_at then contact.phone_since end as entered_at,
        'contacts/' || contact.contact_id as evidence_ref,
    from staging.crm_contact as contact
    cross join clock
    inner join identity.patient_link as link on link.source = 'crm' and link.source_id = contact.contact_id
    left join reconciled.crm_value_since as since on since.contact_id = contact.contact_id
    where contact.phone is not null
),

pm as (
    select
        link.patient_id,
        patient.phone,
        'pm' as source,
        patient.pm_patient_id as source_id,
        case when patient.phone_confirmed_at <= clock.as_of then patient.phone_confirmed_at end as confirmed_at,
        null::timestamptz as entered_at,
        'patients/' || patient.pm_patient_id as evidence_ref,
    from staging.pm_patient as patient
    cross join clock
    inner join identity.patient_link as link on link.source = 'pm' and link.source_id = patient.pm_patient_id
    where patient.phone is not null
),

ehr as (
    select
        link.patient_id,
        patient.phone,
        'ehr' as source,
        patient.ehr_patient_id as source_id,
        case when patient.phone_confirmed_at <= clock.as_of then patient.phone_confirmed_at end as confirmed_at,
        null::timestamptz as entered_at,
        'Patient/' || patient.ehr_patient_id as evidence_ref,
    from staging.ehr_patient as patient
    cross join clock
    inner join identity.patient_link as link on link.source = 'ehr' and link.source_id = patient.ehr_patient_id
    where patient.phone is not null and patient.replaced_by is null
),

patient as (
    select
        link.patient_id,
        reply.value as phone,
        'patient' as source,
        reply.contact_id as source_id,
        max(reply.received_at) as confirmed_at,
        null::timestamptz as entered_at,
        max({'at': reply.received_at, 'ref': reply.evidence_ref}).ref as evidence_ref,
    from staging.reply as reply
    cross join clock
    inner join identity.patient_link as link on link.source = 'crm' and link.source_id = reply.contact_id
    where reply.kind in ('confirm_phone', 'change_phone')
        and reply.value is not null
        and reply.received_at <= clock.as_of
    group by link.patient_id, reply.value, reply.contact_id
),

claims as (
    select * from crm
    union all by name
    select * from pm
    union all by name
    select * from ehr
    union all by name
    select * from patient
)

select
    patient_id,
    phone,
    source,
    source_id,
    confirmed_at,
    -- A number typed in after the first extract was somebody's news at that time, though nobody has verified it since.
    greatest(confirmed_at, entered_at) as stood_by_at,
    evidence_ref,
from claims
