-- The latest version of every FHIR resource that belongs to a patient, and whose it is. One row per type and id.
with referring as not materialized (
    select
        'Encounter' as resource_type,
        id,
        subject as patient,
        contained,
        last_updated,
        extracted_at,
        take_seq,
        source_line,
        row_hash,
    from raw.fhir_encounter
    union all
    select 'Condition', id, subject, contained, last_updated, extracted_at, take_seq, source_line, row_hash
    from raw.fhir_condition
    union all
    select 'CarePlan', id, subject, contained, last_updated, extracted_at, take_seq, source_line, row_hash
    from raw.fhir_care_plan
    union all
    select 'EpisodeOfCare', id, patient, contained, last_updated, extracted_at, take_seq, source_line, row_hash
    from raw.fhir_episode_of_care
    union all
    select 'ServiceRequest', id, subject, contained, last_updated, extracted_at, take_seq, source_line, row_hash
    from raw.fhir_service_request
    union all
    select
        'Appointment',
        id,
        -- Of the participants, the patient is the one that is referred to as such.
        list_filter(participant, lambda one:
            starts_with(one.actor.reference, 'Patient/')
            or regexp_matches(one.actor.reference, '(^|/)Patient[/?]')
            or one.actor.type = 'Patient'
        )[1].actor,
        contained,
        last_updated,
        extracted_at,
        take_seq,
        source_line,
        row_hash,
    from raw.fhir_appointment
    union all
    select 'Coverage', id, beneficiary, contained, last_updated, extracted_at, take_seq, source_line, row_hash
    from raw.fhir_coverage
    union all
    select 'Observation', id, subject, contained, last_updated, extracted_at, take_seq, source_line, row_hash
    from raw.fhir_observation
    union all
    select 'Procedure', id, subject, contained, last_updated, extracted_at, take_seq, source_line, row_hash
    from raw.fhir_procedure
    union all
    select 'Immunization', id, patient, contained, last_updated, extracted_at, take_seq, source_line, row_hash
    from raw.fhir_immunization
    union all
    select 'Consent', id, patient, contained, last_updated, extracted_at, take_seq, source_line, row_hash
    from raw.fhir_consent
),

spelt as not materialized (
    select
        * exclude (patient, contained),
        patient.reference as reference,
        coalesce(
            -- As nearly all are spelt, told without taking the text apart.
            case
                when regexp_full_match(patient.reference, 'Patient/[A-Za-z0-9\-.]+') and length(patient.reference) <= 72
                    then substr(patient.reference, 9)
            end,
            nullif(
                regexp_extract(patient.reference, '(?:^|/)Patient/([A-Za-z0-9\-.]{1,64})(?:/_history/.*)?$', 1), ''
            ),
            nullif(regexp_extract(patient.reference, '^urn:uuid:([A-Za-z0-9\-.]{1,64})$', 1), '')
        ) as direct_id,
        -- What says it otherwise is kept only where it is needed, since every row passes through here.
        case when direct_id is null then contained end as contained,
        case when direct_id is null then patient.identifier end as logical,
    from referring
),

standing as not materialized (
    select *
    from spelt
    anti join staging.ehr_deletion as deletion
        on deletion.resource_type = spelt.resource_type and deletion.resource_id = spelt.id
        and deletion.deleted_at >= coalesce(spelt.last_updated, spelt.extracted_at)
    where spelt.extracted_at <= (select as_of from policy.clock)
),

repeated as (
    select id
    from referring
    group by id
    having count(*) > 1
),

-- Most have one version, and only the others need to be put in order.
superseded as (
    select standing.resource_type, standing.id, standing.extracted_at, standing.take_seq, standing.source_line, standing.row_hash
    from standing
    semi join repeated on repeated.id = standing.id
    qualify row_number() over (
        partition by standing.resource_type, standing.id
        order by
            -- What the EHR dates itself counts by that date: a notification may bring an older state after the export.
            coalesce(standing.last_updated, standing.extracted_at) desc,
            standing.extracted_at desc, standing.take_seq desc, standing.source_line desc, standing.row_hash desc
    ) > 1
),

latest as (
    select *
    from standing
    anti join superseded
        on superseded.resource_type = standing.resource_type and superseded.id = standing.id
        and superseded.extracted_at = standing.extracted_at and superseded.take_seq = standing.take_seq
        and superseded.source_line = standing.source_line and superseded.row_hash = standing.row_hash
),

unresolved as (
    select
        resource_type,
        id,
        reference,
        url_decode(nullif(regexp_extract(reference, 'Patient\?identifier=([^&]+)', 1), '')) as condition,
        list_filter(contained, lambda one: reference = '#' || one.id)[1] as inside,
        logical,
    from latest
    where direct_id is null
),

-- The id of a contained patient means nothing out there; its identifiers say who it is.
named as (
    select
        resource_type,
        id,
        case
            when condition is not null and contains(condition, '|') then split_part(condition, '|', 1)
            when inside is not null then inside_number.system
            when reference is null then logical.system
        end as identifier_system,
        case
            when condition is not null then regexp_extract(condition, '[^|]*$')
            when inside is not null then inside_number.value
            when reference is null then logical.value
        end as identifier_value,
    from (
        select
            *,
            coalesce(
                list_filter(inside.identifier, lambda one:
                    list_contains(list_transform(one.type.coding, lambda each: each.code), 'MR'))[1],
                inside.identifier[1]
            ) as inside_number,
        from unresolved
    )
),

patient_identifier as (
    select id as ehr_patient_id, identifier.system, identifier.value
    from (
        select patient.id, unnest(patient.identifier) as identifier
        from raw.fhir_patient as patient
        inner join staging.ehr_patient_version as version
            on version.is_latest and version.ehr_patient_id = patient.id
            and version.extracted_at = patient.extracted_at and version.take_seq = patient.take_seq
            and version.source_line = patient.source_line and version.row_hash = patient.row_hash
    )
),

identified as (
    select named.resource_type, named.id, min(patient_identifier.ehr_patient_id) as ehr_patient_id
    from named
    inner join patient_identifier
        on patient_identifier.value = named.identifier_value
        and (named.identifier_system is null or patient_identifier.system = named.identifier_system)
    group by named.resource_type, named.id
    -- A number whose system nobody names is known only if it is one patient's.
    having any_value(named.identifier_system) is not null or count(distinct patient_identifier.ehr_patient_id) = 1
)

select
    latest.resource_type,
    latest.id as resource_id,
    coalesce(latest.direct_id, identified.ehr_patient_id) as ehr_patient_id,
    latest.last_updated,
    latest.extracted_at,
    latest.take_seq,
    latest.source_line,
    latest.row_hash,
from latest
left join identified on identified.resource_type = latest.resource_type and identified.id = latest.id
