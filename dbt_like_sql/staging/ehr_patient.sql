-- Patients as the EHR shows them at the clock. One row per FHIR Patient id, merged and deceased ones included.
with latest as (
    select
        patient.id,
        patient.gender,
        patient.birthDate,
        patient.active,
        patient.deceasedBoolean,
        patient.deceasedDateTime,
        version.mrn,
        patient.last_updated,
        coalesce(
            list_filter(name, lambda one: one.use = 'official')[1],
            list_filter(name, lambda one: one.use = 'usual')[1],
            list_filter(name, lambda one: one.use is null)[1],
            list_filter(name, lambda one: one.use not in ('old', 'maiden', 'anonymous', 'nickname'))[1],
            name[1]
        ) as called,
        coalesce(
            list_filter(address, lambda one: one.use = 'home' and one.period.end is null)[1],
            list_filter(address, lambda one: one.use is null and one.period.end is null)[1],
            list_filter(address, lambda one: one.use is distinct from 'old' and one.use is distinct from 'billing')[1]
        ) as lives,
        generalPractitioner[1] as practitioner,
        list_filter(contained, lambda one: generalPractitioner[1].reference = '#' || one.id)[1] as inside,
        list_filter(
            extension, lambda one: one.url = 'http://hl7.org/fhir/us/core/StructureDefinition/us-core-race'
        )[1].extension as race_said,
        list_filter(
            extension, lambda one: one.url = 'http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity'
        )[1].extension as ethnicity_said,
    from raw.fhir_patient as patient
    inner join staging.ehr_patient_version as version
        on version.is_latest and version.ehr_patient_id = patient.id
        and version.extracted_at = patient.extracted_at and version.take_seq = patient.take_seq
        and version.source_line = patient.source_line and version.row_hash = patient.row_hash
),

patient_of_mrn as (
    select mrn, min(ehr_patient_id) as ehr_patient_id
    from staging.ehr_patient_version
    where is_latest and mrn is not null
    group by mrn
),

-- Who died under a number that was merged since, died under the surviving one too.
event as (
    select
        message.event_id,
        coalesce(merge.current_mrn, message.mrn) as mrn,
        message.mrn as said_mrn,
        message.event_at,
        message.discharged_at,
        message.deceased_at,
        coalesce(
            message.is_deceased,
            case when message.kind = 'ADT^A03' and disposition.care_status = 'deceased' then true end
        ) as is_deceased,
    from raw.ehr_event as message
    left join staging.ehr_merge as merge on merge.retired_mrn = message.mrn
    left join policy.discharge_disposition as disposition on disposition.code = message.disposition
    where message.extracted_at <= (select as_of from policy.clock) and message.kind like 'ADT^%'
),

linked as (
    select patient.id, patient.link, patient.last_updated
    from raw.fhir_patient as patient
    inner join staging.ehr_patient_version as version
        on version.is_latest and version.ehr_patient_id = patient.id
        and version.extracted_at = patient.extracted_at and version.take_seq = patient.take_seq
        and version.source_line = patient.source_line and version.row_hash = patient.row_hash
    where len(patient.link) > 0
),

-- The surviving record of a merge, as the EHR's link, the survivor's own link, or an A40 message says; the message last.
merge_said as (
    select
        id as ehr_patient_id,
        regexp_extract(
            list_filter(link, lambda one: one.type = 'replaced-by')[1].other.reference,
            '(?:Patient/|^urn:uuid:)([A-Za-z0-9\-.]{1,64})(?:/_history/.*)?$', 1
        ) as replaced_by,
        1 as precedence,
        last_updated as said_at,
    from linked
    union all
    select
        regexp_extract(replaces.other.reference, '(?:Patient/|^urn:uuid:)([A-Za-z0-9\-.]{1,64})(?:/_history/.*)?$', 1),
        replaces.survivor,
        2,
        replaces.last_updated,
    from (
        select id as survivor, last_updated, unnest(list_filter(link, lambda one: one.type = 'replaces')).other as other
        from linked
    ) as replaces
    union all
    select retired.ehr_patient_id, survivor.ehr_patient_id, 3, merge.merged_at
    from staging.ehr_merge as merge
    inner join patient_of_mrn as retired on retired.mrn = merge.retired_mrn
    inner join patient_of_mrn as survivor on survivor.mrn = merge.current_mrn
),

merged as (
    select ehr_patient_id, replaced_by
    from merge_said
    where replaced_by <> '' and replaced_by <> ehr_patient_id
    qualify row_number() over (partition by ehr_patient_id order by precedence, said_at desc nulls last, replaced_by) = 1
),

-- The latest message that says anything of death counts, so that a mistake can be taken back.
death_message as (
    select mrn, is_deceased, coalesce(deceased_at, discharged_at, event_at) as deceased_at
    from (
        select unnest(list_distinct([event.mrn, event.said_mrn])) as mrn, event.* exclude (mrn, said_mrn)
        from event
        anti join staging.ehr_taken_back as taken_back on taken_back.event_id = event.event_id
        where event.is_deceased is not null
    )
    qualify row_number() over (partition by mrn order by event_at desc, event_id desc) = 1
),

phone as (
    select ehr_patient_id, value_raw, e164, confirmed_at
    from staging.ehr_telecom
    where system = 'phone' and not is_past
    qualify row_number() over (partition by ehr_patient_id order by e164 is null, preference) = 1
),

email as (
    select ehr_patient_id, email, confirmed_at
    from staging.ehr_telecom
    where system = 'email' and not is_past
    qualify row_number() over (partition by ehr_patient_id order by preference) = 1
),

described as (
    select
        latest.id as ehr_patient_id,
        latest.mrn,
        coalesce(latest.called.given[1], nullif(split_part(latest.called.text, ' ', 1), '')) as first_name,
        coalesce(latest.called.family, nullif(regexp_extract(latest.called.text, '[^ ]+$'), '')) as last_name,
        try_cast(latest.birthDate as date) as birth_date,
        latest.gender as sex,
        phone.value_raw as phone_raw,
        phone.e164 as phone,
        phone.confirmed_at as phone_confirmed_at,
        email.email,
        email.confirmed_at as email_confirmed_at,
        nullif(array_to_string(latest.lives.line, ', '), '') as address_line,
        latest.lives.city as city,
        latest.lives.state as state,
        latest.lives.postalCode as postal_code,
        coalesce(latest.deceasedBoolean, false) or latest.deceasedDateTime is not null
            or coalesce(death_message.is_deceased, false) as is_deceased,
        coalesce(
            try_cast(
                case when length(latest.deceasedDateTime) < 10 then left(latest.deceasedDateTime || '-01-01', 10) else latest.deceasedDateTime end as timestamptz
            ),
            case when death_message.is_deceased then death_message.deceased_at end
        ) as deceased_at,
        coalesce(latest.active, true) as is_active,
        merged.replaced_by,
        coalesce(
            provider.npi,
            case
                when latest.practitioner.identifier.system = 'http://hl7.org/fhir/sid/us-npi'
                    then latest.practitioner.identifier.value
            end,
            list_filter(
                latest.inside.identifier, lambda one: one.system = 'http://hl7.org/fhir/sid/us-npi'
            )[1].value,
            nullif(regexp_extract(latest.practitioner.reference, 'us-npi(?:\||%7C)(\d{10})$', 1), '')
        ) as pcp_npi,
        latest.last_updated,
        list_sort(list_distinct(list_transform(
            list_filter(latest.race_said, lambda one: one.url = 'ombCategory'), lambda one: one.valueCoding.code
        ))) as race_codes,
        list_filter(latest.race_said, lambda one: one.url = 'text')[1].valueString as race,
        list_filter(latest.ethnicity_said, lambda one: one.url = 'ombCategory')[1].valueCoding.code as ethnicity_code,
        list_filter(latest.ethnicity_said, lambda one: one.url = 'text')[1].valueString as ethnicity,
    from latest
    left join phone on phone.ehr_patient_id = latest.id
    left join email on email.ehr_patient_id = latest.id
    left join merged on merged.ehr_patient_id = latest.id
    left join death_message on death_message.mrn = latest.mrn
    left join staging.ehr_provider as provider
        on provider.resource_type || '/' || provider.resource_id
            = case
                when regexp_full_match(latest.practitioner.reference, 'Practitioner(?:Role)?/[A-Za-z0-9\-.]{1,64}')
                    then latest.practitioner.reference
                else
                    case
                        when starts_with(latest.practitioner.reference, 'urn:uuid:') then 'Practitioner'
                        else regexp_extract(latest.practitioner.reference, '(Practitioner(?:Role)?)/[A-Za-z0-9\-.]+', 1)
                    end
                    || '/'
                    || regexp_extract(latest.practitioner.reference, '(?:Practitioner(?:Role)?/|^urn:uuid:)([A-Za-z0-9\-.]{1,64})', 1)
            end
)

select
    ehr_patient_id,
    mrn,
    first_name,
    last_name,
    -- Where an accent may be left out in writing it folds; in other scripts a mark is a vowel, and without it the name
    -- is another.
    nullif(trim(regexp_replace(regexp_replace(
        lower(
            case
                when regexp_matches(
                    full_name, '[^\p{Latin}\p{Greek}\p{Cyrillic}\p{Arabic}\p{Hebrew}\p{Common}\p{Inherited}]'
                )
                    then array_to_string(list_transform(
                        string_split(full_name, ' '),
                        lambda word: case
                            when regexp_matches(
                                word, '[^\p{Latin}\p{Greek}\p{Cyrillic}\p{Arabic}\p{Hebrew}\p{Common}\p{Inherited}]'
                            )
                                then word
                            else strip_accents(word)
                        end
                    ), ' ')
                else strip_accents(full_name)
            end
        ),
        '[^\p{L}\p{M} ]|\p{Inherited}', '', 'g'), '  +', ' ', 'g')), '') as name_key,
    birth_date,
    sex,
    race_codes,
    race,
    ethnicity_code,
    ethnicity,
    phone_raw,
    phone,
    phone_confirmed_at,
    email,
    email_confirmed_at,
    address_line,
    city,
    state,
    postal_code,
    is_deceased,
    deceased_at,
    is_active and replaced_by is null as is_active,
    replaced_by,
    pcp_npi,
    last_updated,
from (select *, nfc_normalize(concat_ws(' ', first_name, last_name)) as full_name from described)
