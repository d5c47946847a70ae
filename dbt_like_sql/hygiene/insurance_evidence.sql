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
        effective_date,
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
),

-- Two payers may both cover a patient. The CRM is not wrong to show the second, if that payer said so after the first
-- one's coverage began; before, it may have been the plan that the first replaced.
shown_second as (
    select
        shown.contact_id,
        policy.pm_patient_id,
        policy.last_updated,
        policy.answer,
        policy.answered_at,
        policy.answer_ref,
        policy.answer_age_days,
        policy.latest_ask,
        policy.asked_at,
        policy.ask_ref,
    from reconciled.coverage as policy
    inner join shown
        on
            shown.patient_id = policy.patient_id
            and shown.payer_key = policy.payer_key
            and shown.member_key = policy.member_key
    inner join held on held.patient_id = policy.patient_id
    where
        policy.rank_number > 1
        and policy.is_vouched_for
        and policy.answered_on >= coalesce(held.effective_date, policy.answered_on)
    qualify row_number() over (partition by shown.contact_id order by policy.place) = 1
)

select
    shown.contact_id,
    shown.patient_id,
    shown.insurance_status,
    if(shown_second.contact_id is null, held.insurance_status, 'active') as evident_status,
    if(shown_second.contact_id is null, held.status_source, 'eligibility') as evident_status_source,
    coalesce(held.is_terminated, false) as is_terminated,
    held.termination_date,
    -- The payer's id decides where both sides have one; a name is only asked where an id is missing.
    shown_second.contact_id is null and coalesce(held.is_in_force, false) and case
        when held.payer_key is null and held.payer_name_key is null then false
        when shown.payer_key is null and shown.payer_name_key is null then true
        when held.payer_key is not null and shown.payer_key is not null then held.payer_key <> shown.payer_key
        else coalesce(held.payer_name_key <> shown.payer_name_key, false)
    end as is_other_payer,
    shown_second.contact_id is null
    and coalesce(held.is_in_force, false)
    and held.member_key is not null
    and shown.member_key is distinct from held.member_key as is_other_member,
    coalesce(shown_second.last_updated, held.coverage_updated_at) as coverage_updated_at,
    'coverage/' || coalesce(shown_second.pm_patient_id, held.pm_patient_id) as coverage_ref,
    coalesce(shown_second.answer, held.answer) as answer,
    coalesce(shown_second.answered_at, held.answered_at) as answered_at,
    coalesce(shown_second.answer_ref, held.answer_ref) as answer_ref,
    coalesce(shown_second.answer_age_days, held.answer_age_days) as answer_age_days,
    coalesce(shown_second.latest_ask, held.latest_ask) as latest_ask,
    coalesce(shown_second.asked_at, held.asked_at) as asked_at,
    coalesce(shown_second.ask_ref, held.ask_ref) as ask_ref,
from shown
left join held on held.patient_id = shown.patient_id
left join shown_second on shown_second.contact_id = shown.contact_id
