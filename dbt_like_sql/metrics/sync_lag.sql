-- How long the CRM took to show what happened in the EHR, in all and by the stage in which the time went.
with care_event as (

    select
        patient_link.patient_id,
        ehr_care_event.event_id,
        ehr_care_event.event_at,
        ehr_care_event.received_at,
        ehr_care_event.care_status
    from staging.ehr_care_event
    inner join identity.patient_link
        on patient_link.source = 'ehr' and patient_link.source_id = ehr_care_event.ehr_patient_id
    cross join policy.clock
    where
        not coalesce(ehr_care_event.is_cancelled, false)
        and ehr_care_event.event_at <= clock.as_of
        and ehr_care_event.received_at <= clock.as_of

),

in_order as (

    select
        care_event.*,
        lag(care_status) over history_of_patient as status_before,
        coalesce(bool_or(care_status = 'deceased') over earlier, false) as is_after_death
    from care_event
    window
        history_of_patient as (partition by patient_id order by event_at, received_at, event_id),
        earlier as (
            partition by patient_id order by event_at, received_at, event_id
            rows between unbounded preceding and 1 preceding
        )

),

-- An event that repeats the status it finds, or follows a death, asks nothing of the CRM.
turning_point as (

    select
        in_order.*,
        lead(event_at) over (partition by patient_id order by event_at, received_at, event_id) as overtaken_at
    from in_order
    where status_before is distinct from care_status and not is_after_death

),

expected as (

    select
        turning_point.event_id,
        turning_point.event_at,
        turning_point.received_at,
        turning_point.overtaken_at,
        turning_point.care_status,
        patient_link.source_id as contact_id
    from turning_point
    inner join identity.patient_link
        on turning_point.patient_id = patient_link.patient_id and patient_link.source = 'crm'
    cross join policy.clock
    inner join policy.benchmark_policy on benchmark_policy.metric = 'care_status_sync_lag_hours'
    where turning_point.event_at > clock.as_of - to_days(benchmark_policy.lag_window_days)

),

crm_version as (

    select
        crm_contacts.contact_id,
        lower(trim(crm_contacts.care_status)) as care_status,
        -- The CRM's own time of the edit is nearer the truth than the night on which we read it.
        least(crm_contacts.last_modified::timestamptz, crm_contacts.extracted_at) as shown_at,
        crm_contacts.extracted_at,
        crm_contacts.take_seq,
        crm_contacts.row_hash
    from raw.crm_contacts
    cross join policy.clock
    where crm_contacts.extracted_at <= clock.as_of and not coalesce(crm_contacts.is_removed, false)

),

crm_change_of_status as (

    select
        crm_version.*,
        lag(care_status) over version_order as status_before,
        row_number() over version_order as version
    from crm_version
    window version_order as (partition by contact_id order by extracted_at, take_seq, shown_at, row_hash)

),

-- What the CRM showed when the event happened; a first version counts as having been there before it was read.
shown_at_event as (

    select
        expected.contact_id,
        expected.event_id,
        arg_max(version.care_status, version.version) as care_status
    from expected
    inner join crm_change_of_status as version
        on
            expected.contact_id = version.contact_id
            and (version.shown_at <= expected.event_at or version.version = 1)
    group by expected.contact_id, expected.event_id

),

-- The first edit after the event that shows its status, whoever made it.
seen_in_crm as (

    select
        expected.contact_id,
        expected.event_id,
        min(version.shown_at) as shown_at
    from expected
    inner join crm_change_of_status as version
        on
            expected.contact_id = version.contact_id
            and version.version > 1
            and version.care_status = expected.care_status
            and version.status_before is distinct from version.care_status
            and version.shown_at >= expected.event_at
    group by expected.contact_id, expected.event_id

),

written_by_us as (

    select
        expected.contact_id,
        expected.event_id,
        min(crm_change.planned_at) as decided_at,
        min(crm_change.applied_at) filter (
            where crm_change.state = 'applied' and crm_change.applied_at <= clock.as_of
        ) as written_at
    from expected
    cross join policy.clock
    inner join sync.crm_change
        on
            expected.contact_id = crm_change.contact_id
            and crm_change.field = 'care_status'
            and crm_change.new_value = expected.care_status
            and crm_change.planned_at >= expected.event_at
            and crm_change.planned_at <= clock.as_of
    group by expected.contact_id, expected.event_id

),

followed as (

    select
        expected.event_at,
        expected.received_at,
        written_by_us.decided_at,
        written_by_us.written_at,
        least(written_by_us.written_at, seen_in_crm.shown_at) as shown_at,
        expected.overtaken_at,
        clock.as_of,
        coalesce(shown_at_event.care_status = expected.care_status, false) as was_shown_before
    from expected
    cross join policy.clock
    left join shown_at_event
        on expected.contact_id = shown_at_event.contact_id and expected.event_id = shown_at_event.event_id
    left join seen_in_crm
        on expected.contact_id = seen_in_crm.contact_id and expected.event_id = seen_in_crm.event_id
    left join written_by_us
        on expected.contact_id = written_by_us.contact_id and expected.event_id = written_by_us.event_id

),

-- An event overtaken by a later one before the CRM showed it is not counted; its successor is.
counted as (

    select
        event_at,
        received_at,
        -- A person's own edit came first: nothing was left for us to decide or write.
        if(written_at is null and shown_at is not null, null, decided_at) as decided_at,
        written_at,
        shown_at,
        as_of
    from followed
    where
        (shown_at is not null or not was_shown_before)
        and (overtaken_at is null or shown_at <= overtaken_at)

),

stage_of_event as (

    select
        'total' as stage,
        event_at as began_at,
        shown_at as ended_at,
        as_of
    from counted

    union all

    select
        'event_to_received' as stage,
        event_at as began_at,
        received_at as ended_at,
        as_of
    from counted

    union all

    select
        'received_to_decided' as stage,
        received_at as began_at,
        decided_at as ended_at,
        as_of
    from counted
    where decided_at is not null or shown_at is null

    union all

    select
        'decided_to_written' as stage,
        decided_at as began_at,
        written_at as ended_at,
        as_of
    from counted
    where decided_at is not null

),

timed as (

    select
        stage,
        ended_at is null as is_waiting,
        greatest(epoch(coalesce(ended_at, as_of)) - epoch(began_at), 0) / 3600 as hours
    from stage_of_event

),

stage as (

    select unnest(['total', 'event_to_received', 'received_to_decided', 'decided_to_written']) as stage

),

measured as (

    select
        stage.stage,
        count(timed.hours) as events,
        count(*) filter (where timed.is_waiting) as waiting,
        count(*) filter (where timed.hours < benchmark_policy.target) as within_target,
        median(timed.hours) as median_hours,
        quantile_cont(timed.hours, 0.95) as p95_hours
    from stage
    inner join policy.benchmark_policy on benchmark_policy.metric = 'care_status_sync_lag_hours'
    left join timed on stage.stage = timed.stage
    group by stage.stage

)

select
    clock.as_of,
    measured.stage,
    measured.events,
    measured.waiting,
    measured.within_target,
    measured.median_hours,
    measured.p95_hours
from measured
cross join policy.clock
