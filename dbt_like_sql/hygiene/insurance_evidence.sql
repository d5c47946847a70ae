-- What the CRM shows of a contact's insurance beside what the PM holds and the payer last said. One row per CRM contact.
with shown as (
    select
        contact.contact_id,
        link.patient_id,
        lower(contact.insurance_status) as insurance_status,
        nullif(regexp_replace(upper(contact.insurance_payer_id), '[^A-Z0-9]', '', 'g'), '') as payer_key,
        nullif(regexp_replace(lower(strip_accents(contact.insurance_payer)), '[^a-z0-9]', '', 'g'), '') as payer_name_key,
        nullif(regexp_replace(upper(contact.insurance_member_id), '[^A-Z0-9]', '', 'g'), '') as member_key,
    from staging.crm_contact as contact
    left join identity.patient_link as link on link.source = 'crm' and link.source_id = contact.contact_id
),

held as (
    select
        patient_id,
        is_in_force,
        is_terminated,
        payer_key,
        nullif(regexp_replace(lower(strip_accents(payer_name)), '[^a-z0-9]', '', 'g'), '') as payer_name_key,
        member_key,
        termination_date,
        coverage_updated_at,
        pm_patient_id,
        answer,
        answered_at,
        answer_ref,
        answer_age_days,
        latest_ask,
        asked_at,
        ask_ref,
        insurance_status,
        status_source,
    from reconciled.insurance_truth
)

select
    shown.contact_id,
    shown.patient_id,
    shown.insurance_status,
    held.insurance_status as evident_status,
    held.status_source as evident_status_source,
    coalesce(held.is_terminated, false) as is_terminated,
    held.termination_date,
    -- The payer's id decides where both sides have one; a name is only asked where an id is missing.
    coalesce(held.is_in_force, false) and case
        when held.payer_key is null and held.payer_name_key is null then false
        when shown.payer_key is null and shown.payer_name_key is null then true
        when held.payer_key is not null and shown.payer_key is not null then held.payer_key <> shown.payer_key
        else coalesce(held.payer_name_key <> shown.payer_name_key, false)
    end as is_other_payer,
    coalesce(held.is_in_force, false)
    and held.member_key is not null
    and shown.member_key is distinct from held.member_key as is_other_member,
    held.coverage_updated_at,
    'coverage/' || held.pm_patient_id as coverage_ref,
    held.answer,
    held.answered_at,
    held.answer_ref,
    held.answer_age_days,
    held.latest_ask,
    held.asked_at,
    held.ask_ref,
from shown
left join held on held.patient_id = shown.patient_id
