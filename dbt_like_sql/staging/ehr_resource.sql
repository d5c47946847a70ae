-- The latest version of every FHIR resource that belongs to a patient, and whose it is. One row per type and id.
with referring as (
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
        list_filter(
            list_transform(participant, lambda one: one.actor),
            lambda actor: regexp_matches(actor.reference, '(^|/)Patient[/?]') or actor.type = 'Patient'
        )[1],
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

latest as (
    select *
    from referring
    anti join staging.ehr_deletion as deletion
        on deletion.resource_type = referring.resource_type and deletion.resource_id = referring.id
        and deletion.deleted_at >= coalesce(referring.last_updated, referring.extracted_at)
    where extracted_at <= (select as_of from policy.clock)
    qualify row_number() over (
        partition by resource_type, id
        order by
            -- What the EHR dates itself counts by that date: a notification may bring an older state after the export.
            coalesce(last_updated, extracted_at) desc,
            extracted_at desc, take_seq desc, source_line desc, row_hash desc
    ) = 1
),

spelt as (
    select
        resource_type,
        id,
        patient.reference as reference,
        nullif(
            regexp_extract(patient.reference, '(?:^|/)Patient/([A-Za-z0-9\-.]{1,64})(?:/_history/.*)?$', 1), ''
        ) as direct_id,
        nullif(regexp_extract(patient.reference, '^urn:uuid:([A-Za-z0-9\-.]{1,64})$', 1), '') as urn_id,
        url_decode(nullif(regexp_extract(patient.reference, 'Patient\?identifier=([^&]+)', 1), '')) as condition,
        list_filter(contained, lambda one: patient.reference = '#' || one.id)[1] as inside,
        patient.identifier as logical,
        last_updated,
        extracted_at,
        take_seq,
        source_line,
        row_hash,
    from latest
),

-- The id of a contained patient means nothing out there; its identifiers say who it is.
named as (
    select
        * exclude (inside, inside_number, logical, condition),
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
        from spelt
    )
),

patient_identifier as (
    select id as ehr_patient_id, identifier.system, identifier.value
    from (
        select id, unnest(identifier) as identifier
        from (
            select id, identifier
            from raw.fhir_patient as patient
            anti join staging.ehr_deletion as deletion
                on deletion.resource_type = 'Patient' and deletion.resource_id = patient.id
                and deletion.deleted_at >= coalesce(patient.last_updated, patient.extracted_at)
            where extracted_at <= (select as_of from policy.clock)
            qualify row_number() over (
                partition by id
                order by
                    coalesce(last_updated, extracted_at) desc,
                    extracted_at desc, take_seq desc, source_line desc, row_hash desc
            ) = 1
        )
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
    named.resource_type,
    named.id as resource_id,
    coalesce(named.direct_id, named.urn_id, identified.ehr_patient_id) as ehr_patient_id,
    named.last_updated,
    named.extracted_at,
    named.take_seq,
    named.source_line,
    named.row_hash,
from named
left join identified on identified.resource_type = named.resource_type and identified.id = named.id
