-- What speaks for and against the phone number that the CRM shows. One row per CRM contact.
with clock as (
    select as_of, as_of_date, timezone from policy.clock
),

contacts as (
    select
        contact.contact_id,
        link.patient_id,
        contact.phone,
        case
            when contact.phone is not null then null
            else coalesce(contact.phone_reason, 'missing')
        end as phone_reason,
        contact.phone_digits,
        contact.last_modified,
        lower(contact.preferred_channel) in ('sms', 'text') and contact.sms_opt_out is not true as sends_texts,
        contact.preferred_channel is null and contact.sms_opt_out is not true as may_be_sent_texts,
    from staging.crm_contact as contact
    left join identity.patient_link as link on link.source = 'crm' and link.source_id = contact.contact_id
),

-- A number known to be bad takes no other number's place, however lately somebody wrote it down.
rival as (
    select
        contacts.contact_id,
        max({
            'at': other.outside_confirmed_at,
            'source': other.outside_source,
            'ref': other.outside_ref,
            'phone': other.phone
        }) as latest,
    from contacts
    inner join reconciled.patient_phone as other
        on other.patient_id = contacts.patient_id and other.phone <> contacts.phone
    where other.outside_confirmed_at is not null and not other.is_known_bad
    group by contacts.contact_id
),

evidence as (
    select
        contacts.contact_id,
        contacts.patient_id,
        contacts.phone,
        contacts.phone_reason,
        contacts.last_modified,
        contacts.sends_texts,
        coalesce(number.placeholder_kind, case when placeholder.digits is not null then 'pattern' end) as placeholder_kind,
        coalesce(known.is_reassigned, number.reassigned = 'yes', false) as is_reassigned,
        number.reassigned_at,
        number.reassigned_by,
        coalesce(known.is_disconnected, number.answer = 'dead', false) as is_disconnected,
        number.answered_at,
        number.answered_by,
        lower(number.line_type) as line_type,
        number.line_type_at,
        number.line_type_by,
        -- Where nobody said how to reach them, a line that took texts was good for texts.
        number.line_type = 'landline'
            and (contacts.sends_texts or (contacts.may_be_sent_texts and number.is_landline_by_now))
            is true as is_landline_converted,
        number.attempted_at,
        number.attempted_by,
        number.attempt_answer,
        number.fine_at,
        number.fine_by,
        known.stood_by_at,
        known.confirmed_at as told_at,
        known.confirmed_source as told_by,
        known.confirmed_ref as told_ref,
        greatest(number.fine_at, known.confirmed_at) as confirmed_at,
        case when coalesce(rival.latest.at > known.stood_by_at, true) then rival.latest end as superseded_by,
    from contacts
    left join reconciled.phone_number as number on number.phone = contacts.phone
    left join reconciled.placeholder_phone as placeholder on placeholder.digits = contacts.phone_digits
    left join reconciled.patient_phone as known
        on known.patient_id = contacts.patient_id and known.phone = contacts.phone
    left join rival on rival.contact_id = contacts.contact_id
)

select
    evidence.contact_id,
    evidence.patient_id,
    evidence.phone,
    evidence.phone_reason,
    evidence.last_modified,
    evidence.sends_texts,
    evidence.placeholder_kind,
    evidence.is_reassigned,
    evidence.reassigned_at,
    evidence.reassigned_by,
    evidence.is_disconnected,
    evidence.answered_at,
    evidence.answered_by,
    evidence.line_type,
    evidence.line_type_at,
    evidence.line_type_by,
    coalesce(evidence.is_landline_converted, false) as is_landline_converted,
    evidence.attempted_at,
    evidence.attempted_by,
    evidence.attempt_answer,
    evidence.fine_at,
    evidence.fine_by,
    evidence.told_at,
    evidence.told_by,
    evidence.told_ref,
    evidence.confirmed_at,
    -- Calendar days where the practice is: a confirmation at eleven at night is not a day older at one in the morning UTC.
    clock.as_of_date - timezone(clock.timezone, evidence.confirmed_at)::date as confirmed_days_ago,
    evidence.superseded_by.phone as superseded_by_phone,
    evidence.superseded_by.at as superseded_at,
    evidence.superseded_by.source as superseded_source,
    evidence.superseded_by.ref as superseded_ref,
from evidence
cross join clock
