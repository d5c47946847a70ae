-- What happened to a patient's care, in the CRM's own words. One row per event; the policy says which states are events.
with state_version as (
    select
        'CarePlan' as kind,
        id,
        status as event,
        case
            when status = 'completed' then coalesce(period.end, period.start)
            else coalesce(period.start, created)
        end as happened,
        last_updated,
        extracted_at,
        take_seq,
        source_line,
        row_hash,
    from raw.fhir_care_plan
    union all
    select
        'EpisodeOfCare',
        id,
        status,
        case when status = 'finished' then coalesce(period.end, period.start) else period.start end,
        last_updated,
        extracted_at,
        take_seq,
        source_line,
        row_hash,
    from raw.fhir_episode_of_care
    union all
    -- Only requests to be seen elsewhere: most service requests are for laboratories and imaging.
    select 'ServiceRequest', id, status, authoredOn, last_updated, extracted_at, take_seq, source_line, row_hash
    from raw.fhir_service_request
    where
        intent in ('order', 'original-order', 'reflex-order', 'filler-order', 'instance-order')
        and len(list_filter(
            list_append(coalesce(category, []), code),
            lambda one: contains(lower(coalesce(one.text, '')), 'referral')
                or list_has_any(list_transform(one.coding, lambda coding: coding.code), ['3457005', '306206005', 'referral'])
        )) > 0
    union all
    select
        'Encounter',
        id,
        case when hospitalization.dischargeDisposition is not null then status || '+disposition' else status end,
        coalesce(period.end, period.start),
        last_updated,
        extracted_at,
        take_seq,
        source_line,
        row_hash,
    from raw.fhir_encounter
),

-- An edit that leaves the state alone is no new event: it was received when the state first was.
first_told as (
    select kind, id, event, min(last_updated) as last_updated, min(extracted_at) as received_at
    from state_version
    where extracted_at <= (select as_of from policy.clock)
    group by kind, id, event
),

resource_event as (
    select
        owner.ehr_patient_id,
        concat_ws('/', owner.resource_type, owner.resource_id, mapping.care_status) as event_id,
        coalesce(
            try_cast(
                case when length(state_version.happened) < 10 then left(state_version.happened || '-01-01', 10) else state_version.happened end as timestamptz
            ),
            first_told.last_updated,
            first_told.received_at
        ) as event_at,
        first_told.received_at,
        owner.resource_type as kind,
        mapping.care_status,
        concat_ws('/', owner.resource_type, owner.resource_id) as evidence_ref,
        false as is_cancelled,
    from staging.ehr_resource as owner
    inner join state_version
        on state_version.kind = owner.resource_type and state_version.id = owner.resource_id
        and state_version.extracted_at = owner.extracted_at and state_version.take_seq = owner.take_seq
        and state_version.source_line = owner.source_line and state_version.row_hash = owner.row_hash
    inner join first_told
        on first_told.kind = state_version.kind and first_told.id = state_version.id
        and first_told.event = state_version.event
    inner join policy.care_event_mapping as mapping
        on mapping.kind = state_version.kind and mapping.event = state_version.event
),

message as (
    select
        event_id,
        kind,
        mrn,
        visit_number,
        event_at,
        disposition,
        discharged_at,
        is_deceased,
        evidence_ref,
        extracted_at,
        split_part(kind, '^', 1) as message_type,
        split_part(kind, '^', 2) as trigger_event,
    from raw.ehr_event
    where resource_type is null and extracted_at <= (select as_of from policy.clock)
),

patient_of_mrn as (
    select mrn, arg_min(ehr_patient_id, row(replaced_by is not null, ehr_patient_id)) as ehr_patient_id
    from staging.ehr_patient
    where mrn is not null
    group by mrn
),

-- A13 takes back the discharge of the same visit, A11 the admission.
cancelled as (
    select distinct message.event_id
    from message
    inner join message as cancel
        on cancel.mrn = message.mrn
        and cancel.visit_number is not distinct from message.visit_number
        and cancel.event_at >= message.event_at
        and (message.kind, cancel.kind) in (('ADT^A03', 'ADT^A13'), ('ADT^A01', 'ADT^A11'))
),

message_event as (
    select
        patient_of_mrn.ehr_patient_id,
        message.event_id,
        coalesce(case when message.kind = 'ADT^A03' then message.discharged_at end, message.event_at) as event_at,
        message.extracted_at as received_at,
        message.kind,
        mapping.care_status,
        message.evidence_ref,
        cancelled.event_id is not null as is_cancelled,
    from message
    inner join policy.care_event_mapping as mapping
        on mapping.kind = message.message_type and mapping.event = message.trigger_event
    inner join patient_of_mrn on patient_of_mrn.mrn = message.mrn
    left join cancelled on cancelled.event_id = message.event_id
),

death_told as (
    select id as ehr_patient_id, extracted_at as received_at, 'Patient/' || id as evidence_ref
    from raw.fhir_patient
    where
        (coalesce(deceasedBoolean, false) or deceasedDateTime is not null)
        and extracted_at <= (select as_of from policy.clock)
    union all
    select patient_of_mrn.ehr_patient_id, message.extracted_at, message.evidence_ref
    from message
    inner join patient_of_mrn on patient_of_mrn.mrn = message.mrn
    where message.is_deceased or (message.kind = 'ADT^A03' and message.disposition in ('20', '40', '41', '42'))
),

death as (
    select
        patient.ehr_patient_id,
        concat_ws('/', 'Patient', patient.ehr_patient_id, mapping.care_status) as event_id,
        coalesce(patient.deceased_at, patient.last_updated, min(death_told.received_at)) as event_at,
        min(death_told.received_at) as received_at,
        'Patient' as kind,
        mapping.care_status,
        arg_min(death_told.evidence_ref, row(death_told.received_at, death_told.evidence_ref)) as evidence_ref,
        false as is_cancelled,
    from staging.ehr_patient as patient
    inner join death_told on death_told.ehr_patient_id = patient.ehr_patient_id
    inner join policy.care_event_mapping as mapping on mapping.kind = 'Patient' and mapping.event = 'deceased'
    where patient.is_deceased
    group by patient.ehr_patient_id, patient.deceased_at, patient.last_updated, mapping.care_status
),

every_event as (
    select * from resource_event
    union all by name
    select * from message_event
    union all by name
    select * from death
)

select ehr_patient_id, event_id, event_at, received_at, kind, care_status, evidence_ref, is_cancelled
from every_event
where ehr_patient_id is not null
