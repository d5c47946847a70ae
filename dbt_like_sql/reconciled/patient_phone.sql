-- What is known of a patient's number: who confirmed it and whether it is known to be bad. One row per patient and number.
with claimed as (
    select
        patient_id,
        phone,
        max(stood_by_at) as stood_by_at,
        max(confirmed_at) filter (source = 'patient') as patient_confirmed_at,
        max({'at': confirmed_at, 'source': source, 'ref': evidence_ref})
            filter (confirmed_at is not null) as confirmed,
        max({'at': confirmed_at, 'source': source, 'ref': evidence_ref})
            filter (confirmed_at is not null and source <> 'crm') as confirmed_outside_crm,
    from reconciled.phone_claim
    group by patient_id, phone
),

judged as (
    select
        claimed.patient_id,
        claimed.phone,
        claimed.stood_by_at,
        claimed.patient_confirmed_at,
        claimed.confirmed.at as confirmed_at,
        claimed.confirmed.source as confirmed_source,
        claimed.confirmed.ref as confirmed_ref,
        claimed.confirmed_outside_crm.at as outside_confirmed_at,
        claimed.confirmed_outside_crm.source as outside_source,
        claimed.confirmed_outside_crm.ref as outside_ref,
        number.placeholder_kind,
        -- The patient answered from the number after the lookup: then the line lives and is theirs.
        number.reassigned = 'yes'
            and (claimed.patient_confirmed_at is null or claimed.patient_confirmed_at <= number.reassigned_at)
            is true as is_reassigned,
        number.answer = 'dead'
            and (claimed.patient_confirmed_at is null or claimed.patient_confirmed_at <= number.answered_at)
            is true as is_disconnected,
    from claimed
    inner join reconciled.phone_number as number on number.phone = claimed.phone
)

select
    patient_id,
    phone,
    stood_by_at,
    patient_confirmed_at,
    confirmed_at,
    confirmed_source,
    confirmed_ref,
    outside_confirmed_at,
    outside_source,
    outside_ref,
    coalesce(is_reassigned, false) as is_reassigned,
    coalesce(is_disconnected, false) as is_disconnected,
    placeholder_kind is not null or coalesce(is_reassigned, false) or coalesce(is_disconnected, false) as is_known_bad,
from judged
