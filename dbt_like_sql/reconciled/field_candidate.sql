-- What each source says of each field of a patient. One row per patient, field, source record and value.
with clock as (
    select as_of from policy.clock
),

crm as (
    select
        link.patient_id,
        'crm' as source,
        contact.contact_id as source_id,
        'contacts/' || contact.contact_id as evidence_ref,
        unnest([
            {'field': 'first_name', 'value': contact.first_name, 'confirmed_at': coalesce(since.person_since, contact.last_modified)},
            {'field': 'last_name', 'value': contact.last_name, 'confirmed_at': coalesce(since.person_since, contact.last_modified)},
            {
                'field': 'birth_date',
                'value': contact.birth_date::varchar,
                'confirmed_at': coalesce(since.person_since, contact.last_modified)
            },
            {'field': 'sex', 'value': contact.sex, 'confirmed_at': coalesce(since.person_since, contact.last_modified)},
            {'field': 'city', 'value': contact.city, 'confirmed_at': coalesce(since.address_since, contact.last_modified)},
            {'field': 'state', 'value': contact.state, 'confirmed_at': coalesce(since.address_since, contact.last_modified)},
            {'field': 'postal_code', 'value': contact.postal_code, 'confirmed_at': coalesce(since.address_since, contact.last_modified)},
            {'field': 'email', 'value': contact.email, 'confirmed_at': coalesce(since.email_since, contact.last_modified)},
            {'field': 'insurance_payer_id', 'value': contact.insurance_payer_id, 'confirmed_at': contact.last_modified},
            {'field': 'insurance_payer', 'value': contact.insurance_payer, 'confirmed_at': contact.last_modified},
            {'field': 'insurance_member_id', 'value': contact.insurance_member_id, 'confirmed_at': contact.last_modified},
            {'field': 'insurance_status', 'value': contact.insurance_status, 'confirmed_at': contact.last_modified},
            {'field': 'care_status', 'value': contact.care_status, 'confirmed_at': contact.last_modified},
            {'field': 'segments', 'value': array_to_string(contact.segments, ';'), 'confirmed_at': contact.last_modified},
            {'field': 'referring_provider_npi', 'value': contact.referring_provider_npi, 'confirmed_at': contact.last_modified},
            {'field': 'preferred_channel', 'value': contact.preferred_channel, 'confirmed_at': contact.last_modified},
            {'field': 'sms_opt_out', 'value': contact.sms_opt_out::varchar, 'confirmed_at': contact.last_modified},
            {'field': 'email_opt_out', 'value': contact.email_opt_out::varchar, 'confirmed_at': contact.last_modified},
            {'field': 'call_opt_out', 'value': contact.call_opt_out::varchar, 'confirmed_at': contact.last_modified}
        ]) as said,
    from staging.crm_contact as contact
    inner join identity.patient_link as link on link.source = 'crm' and link.source_id = contact.contact_id
    left join reconciled.crm_value_since as since on since.contact_id = contact.contact_id
),

pm as (
    select
        link.patient_id,
        'pm' as source,
        patient.pm_patient_id as source_id,
        'patients/' || patient.pm_patient_id as evidence_ref,
        unnest([
            {'field': 'first_name', 'value': patient.first_name, 'confirmed_at': patient.last_updated},
            {'field': 'last_name', 'value': patient.last_name, 'confirmed_at': patient.last_updated},
            {'field': 'birth_date', 'value': patient.birth_date::varchar, 'confirmed_at': patient.last_updated},
            {'field': 'sex', 'value': patient.sex, 'confirmed_at': patient.last_updated},
            {'field': 'city', 'value': patient.city, 'confirmed_at': patient.last_updated},
            {'field': 'state', 'value': patient.state, 'confirmed_at': patient.last_updated},
            {'field': 'postal_code', 'value': patient.postal_code, 'confirmed_at': patient.last_updated},
            {'field': 'email', 'value': patient.email, 'confirmed_at': patient.email_confirmed_at},
            {'field': 'referring_provider_npi', 'value': patient.referring_provider_npi, 'confirmed_at': patient.last_updated}
        ]) as said,
    from staging.pm_patient as patient
    inner join identity.patient_link as link on link.source = 'pm' and link.source_id = patient.pm_patient_id
),

ehr as (
    select
        link.patient_id,
        'ehr' as source,
        patient.ehr_patient_id as source_id,
        'Patient/' || patient.ehr_patient_id as evidence_ref,
        unnest([
            {'field': 'first_name', 'value': patient.first_name, 'confirmed_at': patient.last_updated},
            {'field': 'last_name', 'value': patient.last_name, 'confirmed_at': patient.last_updated},
            {'field': 'birth_date', 'value': patient.birth_date::varchar, 'confirmed_at': patient.last_updated},
            {'field': 'sex', 'value': patient.sex, 'confirmed_at': patient.last_updated},
            {'field': 'city', 'value': patient.city, 'confirmed_at': patient.last_updated},
            {'field': 'state', 'value': patient.state, 'confirmed_at': patient.last_updated},
            {'field': 'postal_code', 'value': patient.postal_code, 'confirmed_at': patient.last_updated},
            {'field': 'email', 'value': patient.email, 'confirmed_at': patient.email_confirmed_at}
        ]) as said,
    from staging.ehr_patient as patient
    inner join identity.patient_link as link on link.source = 'ehr' and link.source_id = patient.ehr_patient_id
    where patient.replaced_by is null
),

-- Segments that no condition decides belong to the CRM: the EHR's word is laid over them, not in their place.
own_segments as (
    select
        link.patient_id,
        list_distinct(flatten(list(contact.segments) filter (contact.segments is not null))) as segments,
    from staging.crm_contact as contact
    inner join identity.patient_link as link on link.source = 'crm' and link.source_id = contact.contact_id
    group by link.patient_id
),

judged as (
    select coalesce(list(distinct segment), []) as segments
    from policy.segment
),

care as (
    select
        truth.patient_id,
        'ehr' as source,
        unnest([
            truth.evidence_ref,
            -- Who has left the segments of every condition has left them by the event.
            case when truth.leaves_segments then truth.evidence_ref else coalesce(truth.condition_ref, truth.evidence_ref) end
        ]) as evidence_ref,
        unnest([
            {'field': 'care_status', 'value': truth.care_status, 'confirmed_at': coalesce(truth.event_at, truth.record_updated_at)},
            {
                'field': 'segments',
                'value': array_to_string(
                    list_sort(list_distinct(list_concat(
                        list_filter(
                            coalesce(own_segments.segments, []),
                            lambda own: not list_contains(judged.segments, own)
                        ),
                        truth.segments
                    ))),
                    ';'
                ),
                'confirmed_at': coalesce(
                    case when not truth.leaves_segments then truth.condition_at end, truth.event_at, truth.record_updated_at
                )
            }
        ]) as said,
    from reconciled.care_truth as truth
    cross join judged
    left join own_segments on own_segments.patient_id = truth.patient_id
),

coverage as (
    select
        patient_id,
        'pm' as source,
        pm_patient_id as source_id,
        'coverage/' || pm_patient_id as evidence_ref,
        unnest([
            {'field': 'insurance_payer_id', 'value': payer_id, 'confirmed_at': coverage_updated_at},
            {'field': 'insurance_payer', 'value': payer_name, 'confirmed_at': coverage_updated_at},
            {'field': 'insurance_member_id', 'value': member_id, 'confirmed_at': coverage_updated_at}
        ]) as said,
    from reconciled.insurance_truth
    where is_in_force
),

coverage_status as (
    select
        patient_id,
        status_source as source,
        case status_source when 'eligibility' then answer_ref else pm_patient_id end as source_id,
        case status_source when 'eligibility' then answer_ref else 'coverage/' || pm_patient_id end as evidence_ref,
        {
            'field': 'insurance_status',
            'value': insurance_status,
            'confirmed_at': case status_source when 'eligibility' then answered_at else coverage_updated_at end
        } as said,
    from reconciled.insurance_truth
    where insurance_status is not null
),

-- The word that stops messages on one channel stops every channel.
stop as (
    select
        link.patient_id,
        'patient' as source,
        reply.contact_id as source_id,
        {'field': channel.field, 'value': 'true', 'confirmed_at': max(reply.received_at)} as said,
        max({'at': reply.received_at, 'ref': reply.evidence_ref}).ref as evidence_ref,
    from staging.reply as reply
    cross join clock
    cross join (values ('sms_opt_out'), ('email_opt_out'), ('call_opt_out')) as channel(field)
    inner join identity.patient_link as link on link.source = 'crm' and link.source_id = reply.contact_id
    where reply.kind = 'stop' and reply.received_at <= clock.as_of
    group by link.patient_id, reply.contact_id, channel.field
),

said as (
    select patient_id, source, source_id, evidence_ref, said from crm
    union all
    select patient_id, source, source_id, evidence_ref, said from pm
    union all
    select patient_id, source, source_id, evidence_ref, said from ehr
    union all
    select patient_id, source, evidence_ref as source_id, evidence_ref, said from care
    union all
    select patient_id, source, source_id, evidence_ref, said from coverage
    union all
    select patient_id, source, source_id, evidence_ref, said from coverage_status
    union all
    select patient_id, source, source_id, evidence_ref, said from stop
),

spoken as (
    select
        patient_id,
        said.field as field,
        source,
        source_id,
        trim(said.value) as value,
        said.confirmed_at as confirmed_at,
        evidence_ref,
    from said
    -- No segment at all is a value; an empty text anywhere else is none.
    where trim(said.value) <> '' or (said.field = 'segments' and said.value is not null)
),

spelt as (
    select
        patient_id,
        field,
        source,
        source_id,
        value,
        case
            when field in ('insurance_payer_id', 'insurance_member_id')
                then regexp_replace(upper(value), '[^A-Z0-9]', '', 'g')
            when field in ('first_name', 'last_name', 'insurance_payer')
                -- Where an accent may be left out in writing it folds; in other scripts a mark is a vowel, and without
                -- it the name is another.
                then regexp_replace(
                    lower(
                        case
                            when regexp_matches(
                                value, '[^\p{Latin}\p{Greek}\p{Cyrillic}\p{Arabic}\p{Hebrew}\p{Common}\p{Inherited}]'
                            )
                                then nfc_normalize(value)
                            else strip_accents(value)
                        end
                    ),
                    '[^\p{L}\p{M}\p{N}]|\p{Inherited}', '', 'g'
                )
            when field = 'postal_code' then left(regexp_replace(value, '[^0-9]', '', 'g'), 5)
            when field = 'segments' then array_to_string(list_sort(string_split(value, ';')), ';')
            else lower(value)
        end as value_key,
        confirmed_at,
        case when field = 'email' then regexp_full_match(value, '[^@\s]+@[^@\s]+\.[^@\s.]+') else true end as is_valid,
        case source when 'patient' then 3 when 'eligibility' then 2 else 1 end as strength,
        evidence_ref,
    from spoken
),

-- Two spellings of one street are one street.
address_line as (
    select
        patient_id,
        'address_line' as field,
        source,
        source_id,
        trim(address_line) as value,
        line_key as value_key,
        said_at as confirmed_at,
        true as is_valid,
        1 as strength,
        case source when 'crm' then 'contacts/' when 'pm' then 'patients/' else 'Patient/' end || source_id as evidence_ref,
    from reconciled.postal_address
),

phone as (
    select
        claim.patient_id,
        'phone' as field,
        claim.source,
        claim.source_id,
        claim.phone as value,
        claim.phone as value_key,
        claim.stood_by_at as confirmed_at,
        not known.is_known_bad as is_valid,
        case claim.source when 'patient' then 3 else 1 end as strength,
        claim.evidence_ref,
    from reconciled.phone_claim as claim
    inner join reconciled.patient_phone as known
        on known.patient_id = claim.patient_id and known.phone = claim.phone
),

candidates as (
    select patient_id, field, source, source_id, value, value_key, confirmed_at, is_valid, strength, evidence_ref
    from spelt
    union all
    select patient_id, field, source, source_id, value, value_key, confirmed_at, is_valid, strength, evidence_ref
    from address_line
    union all
    select patient_id, field, source, source_id, value, value_key, confirmed_at, is_valid, strength, evidence_ref
    from phone
)

select
    patient_id,
    field,
    source,
    source_id,
    value,
    value_key,
    confirmed_at,
    is_valid,
    case when is_valid then strength else 0 end as strength,
    evidence_ref,
from candidates
