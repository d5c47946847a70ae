-- Everything that is stale now or waits for somebody to verify it, with the evidence for it. One row per CRM contact and staleness type.
with clock as (
    select as_of from policy.clock
),

contacts as (
    select contact.contact_id, link.patient_id, contact.email, contact.last_modified
    from staging.crm_contact as contact
    inner join identity.patient_link as link on link.source = 'crm' and link.source_id = contact.contact_id
),

status as (
    select
        contact_id,
        unnest([
            {
                'type': 'phone',
                'state': phone_state,
                'reason': phone_reason,
                'source': phone_evidence_source,
                'ref': phone_evidence_ref,
                'at': phone_evidence_at
            },
            {
                'type': 'insurance',
                'state': insurance_state,
                'reason': insurance_reason,
                'source': insurance_evidence_source,
                'ref': insurance_evidence_ref,
                'at': insurance_evidence_at
            },
            {
                'type': 'care',
                'state': care_state,
                'reason': care_reason,
                'source': care_evidence_source,
                'ref': care_evidence_ref,
                'at': care_evidence_at
            },
            {
                'type': 'referring_provider',
                'state': referring_provider_state,
                'reason': referring_provider_reason,
                'source': referring_provider_evidence_source,
                'ref': referring_provider_evidence_ref,
                'at': referring_provider_evidence_at
            }
        ]) as field,
    from hygiene.contact_status
),

-- The CRM rightly says that coverage must be verified: that is work until a payer says active, or a person says lapsed.
to_verify as (
    select
        status.contact_id,
        status.insurance_evidence_source as source,
        status.insurance_evidence_ref as ref,
        status.insurance_evidence_at as seen_at,
    from hygiene.contact_status as status
    inner join staging.crm_contact as contact on contact.contact_id = status.contact_id
    where status.insurance_state = 'current' and lower(contact.insurance_status) = 'verify_required'
),

emails as (
    select link.patient_id, 'pm' as source, 'patients/' || patient.pm_patient_id as ref, patient.email,
        patient.email_confirmed_at as confirmed_at,
    from staging.pm_patient as patient
    inner join identity.patient_link as link on link.source = 'pm' and link.source_id = patient.pm_patient_id
    union all
    select link.patient_id, 'ehr', 'Patient/' || patient.ehr_patient_id, patient.email, patient.email_confirmed_at
    from staging.ehr_patient as patient
    inner join identity.patient_link as link on link.source = 'ehr' and link.source_id = patient.ehr_patient_id
    where patient.replaced_by is null
),

usable_email as (
    select emails.patient_id, emails.source, emails.ref, emails.email, emails.confirmed_at
    from emails
    cross join clock
    where regexp_full_match(emails.email, '[^@\s]+@[^@\s]+\.[^@\s.]+')
        and coalesce(emails.confirmed_at <= clock.as_of, true)
),

-- The CRM's own address counts from when it was typed in, or later if another system confirmed the same.
email_compared as (
    select
        contacts.contact_id,
        contacts.email,
        greatest(
            coalesce(any_value(since.email_since), contacts.last_modified),
            max(other.confirmed_at) filter (other.email = contacts.email)
        ) as stood_by_at,
        max({'at': other.confirmed_at, 'source': other.source, 'ref': other.ref})
            filter (other.confirmed_at is not null and other.email <> contacts.email) as rival,
        max({'source': other.source, 'ref': other.ref, 'at': other.confirmed_at}) as anywhere,
    from contacts
    inner join usable_email as other on other.patient_id = contacts.patient_id
    left join reconciled.crm_value_since as since on since.contact_id = contacts.contact_id
    group by contacts.contact_id, contacts.email, contacts.last_modified
),

email as (
    select
        contact_id,
        case when nullif(email, '') is null then 'missing' else 'superseded' end as reason,
        case when nullif(email, '') is null then anywhere.source else rival.source end as source,
        case when nullif(email, '') is null then anywhere.ref else rival.ref end as ref,
        case when nullif(email, '') is null then anywhere.at else rival.at end as seen_at,
    from email_compared
    where nullif(email, '') is null or (rival is not null and coalesce(rival.at > stood_by_at, true))
),

address_compared as (
    select
        contacts.contact_id,
        max({
            'at': other.updated_at,
            'is_ehr': other.source = 'ehr',
            'source': other.source,
            'ref': case other.source when 'ehr' then 'Patient/' else 'patients/' end || other.source_id,
            'address_key': other.address_key
        }) as latest,
        any_value(own.address_key) as address_key,
        any_value(own.updated_at) as updated_at,
    from contacts
    inner join reconciled.postal_address as own on own.source = 'crm' and own.source_id = contacts.contact_id
    inner join reconciled.postal_address as other
        on other.patient_id = contacts.patient_id and other.source <> 'crm' and other.updated_at is not null
    group by contacts.contact_id
),

address as (
    select contact_id, latest.source as source, latest.ref as ref, latest.at as seen_at
    from address_compared
    where latest.address_key <> address_key and coalesce(latest.at > updated_at, true)
),

known_elsewhere as (
    select distinct patient_id
    from identity.patient_link
    where source <> 'crm'
),

split as (
    select source_id as contact_id from identity.split_review where source = 'crm'
    union
    select other_source_id from identity.split_review where other_source = 'crm'
),

identity_doubt as (
    select
        contacts.contact_id,
        case when split.contact_id is not null then 'conflicting_identity' else 'no_match' end as reason,
        contacts.last_modified as seen_at,
    from contacts
    left join split on split.contact_id = contacts.contact_id
    left join known_elsewhere on known_elsewhere.patient_id = contacts.patient_id
    where split.contact_id is not null or known_elsewhere.patient_id is null
),

findings as (
    select contact_id, field.type as staleness_type, field.reason as reason, field.source as evidence_source,
        field.ref as evidence_ref, field.at as evidence_at,
    from status
    where field.state = 'stale'
    union all
    select contact_id, 'insurance', 'verify_required', source, ref, seen_at
    from to_verify
    union all
    select contact_id, 'email', reason, source, ref, seen_at
    from email
    union all
    select contact_id, 'address', 'outdated', source, ref, seen_at
    from address
    union all
    select contact_id, 'identity', reason, 'crm', 'contacts/' || contact_id, seen_at
    from identity_doubt
)

select contact_id, staleness_type, reason, evidence_source, evidence_ref, evidence_at
from findings
