-- The care status and condition segments that the EHR stands for. One row per patient with an EHR record.
with clock as (
    select as_of from policy.clock
),

records as (
    select
        link.patient_id,
        patient.ehr_patient_id,
        patient.is_deceased and coalesce(patient.deceased_at <= clock.as_of, true) as is_deceased,
        patient.deceased_at,
        patient.last_updated,
    from staging.ehr_patient as patient
    cross join clock
    inner join identity.patient_link as link on link.source = 'ehr' and link.source_id = patient.ehr_patient_id
),

patients as (
    select
        patient_id,
        max(last_updated) as updated_at,
        min('Patient/' || ehr_patient_id) as record_ref,
        min(deceased_at) as deceased_at,
        min('Patient/' || ehr_patient_id) filter (is_deceased) as death_ref,
    from records
    group by patient_id
),

status_rank as (
    select care_status, max("rank") as status_rank
    from policy.care_event_mapping
    group by care_status
),

events as (
    select
        records.patient_id,
        max({
            'is_death': event.care_status = 'deceased',
            'at': event.event_at,
            'status_rank': coalesce(status_rank.status_rank, 0),
            'event_id': event.event_id,
            'care_status': event.care_status,
            'ref': event.evidence_ref,
            'received_at': event.received_at
        }) as latest,
    from staging.ehr_care_event as event
    cross join clock
    inner join records on records.ehr_patient_id = event.ehr_patient_id
    left join status_rank on status_rank.care_status = event.care_status
    where event.is_cancelled is not true and event.event_at <= clock.as_of
    group by records.patient_id
),

-- A code system is named by its URI in one place and by a short name in another.
code as (
    select distinct
        system,
        code,
        case
            when system ilike '%icd%10%' then 'icd10'
            when system ilike '%snomed%' then 'snomed'
            else lower(system)
        end as code_system,
        upper(replace(code, '.', '')) as plain_code,
    from staging.ehr_condition
),

code_segment as (
    select distinct code.system, code.code, segment.segment
    from code
    inner join policy.segment as segment
        on case
            when segment.system ilike '%icd%10%' then 'icd10'
            when segment.system ilike '%snomed%' then 'snomed'
            else lower(segment.system)
        end = code.code_system
        and starts_with(code.plain_code, upper(replace(segment.code_prefix, '.', '')))
),

conditions as (
    select
        records.patient_id,
        list_sort(list(distinct code_segment.segment)) as segments,
        max({
            'at': coalesce(condition.recorded_at, '-infinity'::timestamptz),
            'ref': 'Condition/' || condition.condition_id
        }) as latest,
    from staging.ehr_condition as condition
    cross join clock
    inner join records on records.ehr_patient_id = condition.ehr_patient_id
    inner join code_segment on code_segment.system = condition.system and code_segment.code = condition.code
    where condition.clinical_status in ('active', 'recurrence', 'relapse')
        and coalesce(condition.recorded_at <= clock.as_of, true)
    group by records.patient_id
),

stood_for as (
    select
        patients.patient_id,
        case
            when patients.death_ref is not null then 'deceased'
            else coalesce(events.latest.care_status, 'none')
        end as care_status,
        case
            when patients.death_ref is null or events.latest.is_death then events.latest.at
            else patients.deceased_at
        end as event_at,
        case
            when patients.death_ref is not null and events.latest.is_death is not true then patients.death_ref
            else coalesce(events.latest.ref, patients.record_ref)
        end as evidence_ref,
        patients.updated_at as record_updated_at,
        events.latest.received_at as received_at,
        conditions.segments as condition_segments,
        nullif(conditions.latest.at, '-infinity'::timestamptz) as condition_at,
        conditions.latest.ref as condition_ref,
    from patients
    left join events on events.patient_id = patients.patient_id
    left join conditions on conditions.patient_id = patients.patient_id
)

select
    stood_for.patient_id,
    stood_for.care_status,
    stood_for.event_at,
    stood_for.received_at,
    stood_for.evidence_ref,
    stood_for.record_updated_at,
    case when segment_exit.leaves then [] else coalesce(stood_for.condition_segments, []) end::varchar[] as segments,
    coalesce(segment_exit.leaves, false) as leaves_segments,
    stood_for.condition_at,
    stood_for.condition_ref,
from stood_for
left join policy.segment_exit as segment_exit on segment_exit.care_status = stood_for.care_status
