-- Which of a contact's fields are right, stale or unproven, and why. One row per CRM contact.
-- In each list of reasons the first that applies wins.
with phone_reason as (
    select
        contact_id,
        patient_id,
        case
            when phone_reason = 'missing' then 'missing'
            when placeholder_kind is not null then 'placeholder'
            when phone is null then 'invalid_format'
            when is_reassigned then 'reassigned'
            when is_disconnected then 'disconnected'
            when is_landline_converted then 'landline_converted'
            when superseded_by_phone is not null then 'superseded'
            when confirmed_days_ago <= (select confirmed_for_days from policy.phone) then 'verified'
            when attempted_at is not null
                and attempt_answer is null
                and coalesce(attempted_at > confirmed_at, true) then 'lookup_inconclusive'
            when confirmed_at is not null then 'verification_due'
            else 'never_verified'
        end as reason,
        confirmed_at,
        {'source': 'crm', 'ref': 'contacts/' || contact_id, 'at': last_modified} as crm,
        {'source': 'lookup', 'ref': 'lookup/' || reassigned_by, 'at': reassigned_at} as reassigned,
        {'source': 'lookup', 'ref': 'lookup/' || answered_by, 'at': answered_at} as disconnected,
        {'source': 'lookup', 'ref': 'lookup/' || line_type_by, 'at': line_type_at} as landline,
        {'source': 'lookup', 'ref': 'lookup/' || attempted_by, 'at': attempted_at} as attempt,
        {'source': superseded_source, 'ref': superseded_ref, 'at': superseded_at} as superseded,
        case
            when coalesce(told_at >= fine_at, told_at is not null)
                then {'source': told_by, 'ref': told_ref, 'at': told_at}
            when fine_at is not null then {'source': 'lookup', 'ref': 'lookup/' || fine_by, 'at': fine_at}
        end as confirmation,
    from hygiene.phone_evidence
),

phone as (
    select
        contact_id,
        patient_id,
        reason,
        confirmed_at,
        case reason
            when 'reassigned' then reassigned
            when 'disconnected' then disconnected
            when 'landline_converted' then landline
            when 'superseded' then superseded
            when 'lookup_inconclusive' then attempt
            when 'verified' then confirmation
            when 'verification_due' then confirmation
            when 'never_verified' then null
            else crm
        end as evidence,
    from phone_reason
),

insurance_reason as (
    select
        contact_id,
        case
            when answer = 'inactive' and insurance_status = 'active' then 'coverage_inactive'
            when answer = 'not_found' and insurance_status = 'active' then 'subscriber_not_found'
            when is_terminated and insurance_status = 'active' then 'coverage_terminated'
            when is_other_payer then 'payer_mismatch'
            when is_other_member then 'member_id_mismatch'
            when insurance_status in ('lapsed', 'verify_required') and evident_status = 'active' then 'status_mismatch'
            when insurance_status = 'active'
                and answer = 'active'
                and answer_age_days <= (select answer_valid_days from policy.insurance) then 'verified'
            when insurance_status in ('lapsed', 'verify_required')
                and evident_status in ('lapsed', 'verify_required') then 'verified'
            when latest_ask = 'payer_error'
                and coalesce(answer_age_days > (select answer_valid_days from policy.insurance), true) then 'payer_error'
            when answer is not null or evident_status is not null then 'verification_due'
            else 'never_verified'
        end as reason,
        answered_at as confirmed_at,
        evident_status_source,
        {'source': 'eligibility', 'ref': answer_ref, 'at': answered_at} as answered,
        {'source': 'eligibility', 'ref': ask_ref, 'at': asked_at} as asked,
        {'source': 'pm', 'ref': coverage_ref, 'at': coverage_updated_at} as coverage,
    from hygiene.insurance_evidence
),

insurance as (
    select
        contact_id,
        reason,
        coalesce(
            confirmed_at, case when reason = 'verified' then coverage.at end
        ) as confirmed_at,
        case
            when reason in ('coverage_terminated', 'payer_mismatch', 'member_id_mismatch') then coverage
            when reason = 'payer_error' then asked
            when reason = 'never_verified' then null
            when reason in ('verified', 'verification_due') and evident_status_source = 'pm' then coverage
            else answered
        end as evidence,
    from insurance_reason
),

care as (
    select
        contact_id,
        case
            when not is_in_ehr then 'no_ehr_record'
            when expected_care_status = 'deceased' and care_status <> 'deceased' then 'deceased_not_marked'
            when care_status <> expected_care_status then 'outdated_status'
            when is_wrong_segment then 'wrong_segment'
            else 'in_sync'
        end as reason,
        coalesce(event_at, record_updated_at) as confirmed_at,
        case
            when not is_in_ehr then null
            when care_status = expected_care_status and is_wrong_segment
                then {'source': 'ehr', 'ref': segment_evidence_ref, 'at': coalesce(segment_evidence_at, record_updated_at)}
            else {'source': 'ehr', 'ref': evidence_ref, 'at': coalesce(event_at, record_updated_at)}
        end as evidence,
    from hygiene.care_evidence
),

referring_provider as (
    select
        contact_id,
        case
            when crm_npi is null and pm_npi is null then 'no_provider_known'
            when is_ended then 'relationship_ended'
            when crm_npi <> pm_npi then 'provider_mismatch'
            when crm_npi is not null and not is_in_network then 'not_in_network'
            when crm_npi is null then 'missing'
            else 'confirmed'
        end as reason,
        case when crm_npi = pm_npi then pm_updated_at end as confirmed_at,
        case
            when crm_npi is null and pm_npi is null then null
            when is_ended
                then {'source': 'pm', 'ref': 'referral_network/' || crm_npi, 'at': end_date::timestamp at time zone 'UTC'}
            when crm_npi <> pm_npi or crm_npi is null then {'source': 'pm', 'ref': pm_ref, 'at': pm_updated_at}
            else {'source': 'pm', 'ref': 'referral_network/' || crm_npi, 'at': pm_updated_at}
        end as evidence,
    from hygiene.referring_provider_evidence
),

state as (
    select reason, state
    from (
        values
            ('missing', 'stale'),
            ('placeholder', 'stale'),
            ('invalid_format', 'stale'),
            ('reassigned', 'stale'),
            ('disconnected', 'stale'),
            ('landline_converted', 'stale'),
            ('superseded', 'stale'),
            ('coverage_inactive', 'stale'),
            ('subscriber_not_found', 'stale'),
            ('coverage_terminated', 'stale'),
            ('payer_mismatch', 'stale'),
            ('member_id_mismatch', 'stale'),
            ('status_mismatch', 'stale'),
            ('deceased_not_marked', 'stale'),
            ('outdated_status', 'stale'),
            ('wrong_segment', 'stale'),
            ('relationship_ended', 'stale'),
            ('provider_mismatch', 'stale'),
            ('not_in_network', 'stale'),
            ('verified', 'current'),
            ('in_sync', 'current'),
            ('confirmed', 'current'),
            ('verification_due', 'unverified'),
            ('never_verified', 'unverified'),
            ('lookup_inconclusive', 'unverified'),
            ('payer_error', 'unverified'),
            ('no_ehr_record', 'unknown'),
            ('no_provider_known', 'unknown')
    ) as meaning(reason, state)
),

judged as (
    select
        contact.contact_id,
        phone.patient_id,
        contact.is_active is not false as is_active,
        phone_state.state as phone_state,
        phone.reason as phone_reason,
        phone.confirmed_at as phone_confirmed_at,
        phone.evidence as phone_evidence,
        insurance_state.state as insurance_state,
        insurance.reason as insurance_reason,
        insurance.confirmed_at as insurance_confirmed_at,
        insurance.evidence as insurance_evidence,
        care_state.state as care_state,
        care.reason as care_reason,
        care.confirmed_at as care_confirmed_at,
        care.evidence as care_evidence,
        provider_state.state as referring_provider_state,
        referring_provider.reason as referring_provider_reason,
        referring_provider.confirmed_at as referring_provider_confirmed_at,
        referring_provider.evidence as referring_provider_evidence,
        list_filter(
            [
                case when care_state.state = 'stale' then 'care' end,
                case when insurance_state.state = 'stale' then 'insurance' end,
                case when phone_state.state = 'stale' then 'phone' end,
                case when provider_state.state = 'stale' then 'referring_provider' end
            ],
            lambda field: field is not null
        ) as stale_fields,
    from staging.crm_contact as contact
    inner join phone on phone.contact_id = contact.contact_id
    inner join insurance on insurance.contact_id = contact.contact_id
    inner join care on care.contact_id = contact.contact_id
    inner join referring_provider on referring_provider.contact_id = contact.contact_id
    inner join state as phone_state on phone_state.reason = phone.reason
    inner join state as insurance_state on insurance_state.reason = insurance.reason
    inner join state as care_state on care_state.reason = care.reason
    inner join state as provider_state on provider_state.reason = referring_provider.reason
)

select
    contact_id,
    patient_id,
    is_active,
    phone_state,
    phone_reason,
    phone_confirmed_at,
    phone_evidence.source as phone_evidence_source,
    phone_evidence.ref as phone_evidence_ref,
    phone_evidence.at as phone_evidence_at,
    insurance_state,
    insurance_reason,
    insurance_confirmed_at,
    insurance_evidence.source as insurance_evidence_source,
    insurance_evidence.ref as insurance_evidence_ref,
    insurance_evidence.at as insurance_evidence_at,
    care_state,
    care_reason,
    care_confirmed_at,
    care_evidence.source as care_evidence_source,
    care_evidence.ref as care_evidence_ref,
    care_evidence.at as care_evidence_at,
    referring_provider_state,
    referring_provider_reason,
    referring_provider_confirmed_at,
    referring_provider_evidence.source as referring_provider_evidence_source,
    referring_provider_evidence.ref as referring_provider_evidence_ref,
    referring_provider_evidence.at as referring_provider_evidence_at,
    len(stale_fields) > 0 as is_stale,
    stale_fields,
from judged
