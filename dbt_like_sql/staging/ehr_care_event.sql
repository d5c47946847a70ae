-- What happened to a patient's care, in the CRM's own words. One row per event; the policy says which states are events.
with state_version as (
    select
        'CarePlan' as kind,
        id,
        status as event,
        list_transform(flatten(list_transform(category, lambda one: one.coding)), lambda one: one.code) as pathways,
        null as disposition,
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
        list_transform(flatten(list_transform(type, lambda one: one.coding)), lambda one: one.code),
        null,
        case when status = 'finished' then coalesce(period.end, period.start) else period.start end,
        last_updated,
        extracted_at,
        take_seq,
        source_line,
        row_hash,
    from raw.fhir_episode_of_care
    union all
    -- Only requests to be seen elsewhere: most service requests are for laboratories and imaging.
    select
        'ServiceRequest',
        id,
        status,
        list_transform(
            flatten(list_transform(list_append(coalesce(category, []), code), lambda one: one.coding)),
            lambda one: one.code
        ),
        null,
        authoredOn,
        last_updated,
        extracted_at,
        take_seq,
        source_line,
        row_hash,
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
        [class.code],
        hospitalization.dischargeDisposition.coding[1].code,
        coalesce(period.end, period.start),
        last_updated,
        extracted_at,
        take_seq,
        source_line,
        row_hash,
    from raw.fhir_encounter
),

-- Most visits and orders are no events.
state_mapped as (
    select state_version.*
    from state_version
    semi join policy.care_event_mapping as mapping
        on mapping.kind = state_version.kind and mapping.event = state_version.event
),

-- An edit that leaves the state alone is no new event: it was received when the state first was.
first_told as (
    select kind, id, event, min(last_updated) as last_updated, min(extracted_at) as received_at
    from state_mapped
    where extracted_at <= (select as_of from policy.clock)
    group by kind, id, event
),

resource_told as (
    select
        owner.ehr_patient_id,
        owner.resource_type as kind,
        state_mapped.event,
        state_mapped.pathways,
        state_mapped.disposition,
        concat_ws('/', owner.resource_type, owner.resource_id) as evidence_ref,
        coalesce(
            try_cast(
                case when length(state_mapped.happened) < 10 then left(state_mapped.happened || '-01-01', 10) else state_mapped.happened end as timestamptz
            ),
            first_told.last_updated,
            first_told.received_at
        ) as event_at,
        first_told.received_at,
    from staging.ehr_resource as owner
    inner join state_mapped
        on state_mapped.kind = owner.resource_type and state_mapped.id = owner.resource_id
        and state_mapped.extracted_at = owner.extracted_at and state_mapped.take_seq = owner.take_seq
        and state_mapped.source_line = owner.source_line and state_mapped.row_hash = owner.row_hash
    inner join first_told
        on first_told.kind = state_mapped.kind and first_told.id = state_mapped.id
        and first_told.event = state_mapped.event
),

message_told as (
    select
        belonging.ehr_patient_id,
        message.event_id,
        message.kind as message_kind,
        split_part(message.kind, '^', 1) as kind,
        split_part(message.kind, '^', 2) as event,
        message.pathways,
        message.disposition,
        message.is_deceased,
        message.evidence_ref,
        coalesce(case when message.kind = 'ADT^A03' then message.discharged_at end, message.event_at) as event_at,
        message.extracted_at as received_at,
    from raw.ehr_event as message
    inner join staging.ehr_mrn as belonging on belonging.mrn = message.mrn
    where message.resource_type is null and message.extracted_at <= (select as_of from policy.clock)
),

told as (
    select
        ehr_patient_id,
        null as event_id,
        kind,
        kind as told_kind,
        event,
        pathways,
        disposition,
        evidence_ref,
        -- What is told to be over is over, whatever end was planned.
        case when event in ('completed', 'finished', 'finished+disposition') then least(event_at, received_at) else event_at end as event_at,
        received_at,
    from resource_told
    union all
    select
        ehr_patient_id,
        event_id,
        kind,
        message_kind,
        event,
        pathways,
        disposition,
        evidence_ref,
        -- A clock that is ahead of ours must not make an event wait for the next run.
        case when event_at <= received_at + interval 15 minutes then least(event_at, received_at) else event_at end,
        received_at,
    from message_told
),

-- The row for its pathway comes before the row for every pathway.
mapped as (
    select told.*, mapping.care_status
    from told
    inner join policy.care_event_mapping as mapping
        on mapping.kind = told.kind
        and mapping.event = told.event
        and (mapping.pathway is null or list_contains(told.pathways, mapping.pathway))
    qualify row_number() over (
        partition by told.ehr_patient_id, told.evidence_ref, told.event_id
        order by mapping.pathway is null, mapping."rank" desc, mapping.pathway
    ) = 1
),

-- Where a discharge led may say more. A message's death is told with the patient's below, since it can be taken back.
said as (
    select
        mapped.* exclude (care_status),
        case
            when mapped.care_status <> 'discharged' or disposition.care_status is null then mapped.care_status
            when disposition.care_status = 'deceased' and mapped.kind = 'ADT' then mapped.care_status
            else disposition.care_status
        end as care_status,
    from mapped
    left join policy.discharge_disposition as disposition on disposition.code = mapped.disposition
),

care_event as (
    select
        said.ehr_patient_id,
        coalesce(said.event_id, concat_ws('/', said.evidence_ref, said.care_status)) as event_id,
        said.event_at,
        said.received_at,
        said.told_kind as kind,
        said.care_status,
        said.evidence_ref,
        taken_back.event_id is not null as is_cancelled,
    from said
    left join staging.ehr_taken_back as taken_back on taken_back.event_id = said.event_id
    where said.care_status <> 'unchanged'
),

death_told as (
    select id as ehr_patient_id, extracted_at as received_at, 'Patient/' || id as evidence_ref
    from raw.fhir_patient
    where
        (coalesce(deceasedBoolean, false) or deceasedDateTime is not null)
        and extracted_at <= (select as_of from policy.clock)
    union all
    select message_told.ehr_patient_id, message_told.received_at, message_told.evidence_ref
    from message_told
    left join policy.discharge_disposition as disposition on disposition.code = message_told.disposition
    where
        message_told.is_deceased
        or (message_told.message_kind = 'ADT^A03' and disposition.care_status = 'deceased')
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
    select * from care_event
    union all by name
    select * from death
)

select ehr_patient_id, event_id, event_at, received_at, kind, care_status, evidence_ref, is_cancelled
from every_event
where ehr_patient_id is not null
