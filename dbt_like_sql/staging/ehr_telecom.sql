-- Phones and emails of patients as the EHR shows them. One row per patient, system and value.
with version_telecom as (
    select
        version.ehr_patient_id,
        version.version_number,
        version.is_latest,
        version.versions,
        version.last_updated,
        unnest(patient.telecom) as one,
        generate_subscripts(patient.telecom, 1) as position,
    from raw.fhir_patient as patient
    inner join staging.ehr_patient_version as version
        on version.ehr_patient_id = patient.id
        and version.extracted_at = patient.extracted_at and version.take_seq = patient.take_seq
        and version.source_line = patient.source_line and version.row_hash = patient.row_hash
),

stated as (
    select
        version_telecom.ehr_patient_id,
        version_telecom.version_number,
        version_telecom.is_latest,
        version_telecom.versions,
        version_telecom.last_updated,
        version_telecom.position,
        case when version_telecom.one.system in ('phone', 'sms') then 'phone' else version_telecom.one.system end as system,
        version_telecom.one.use as use,
        version_telecom.one.rank as rank,
        version_telecom.one.value as value_raw,
        phone_number.e164,
        -- The same number in another spelling is the same number.
        coalesce(phone_number.e164, phone_number.digits, lower(trim(version_telecom.one.value))) as value_key,
        version_telecom.one.period.start as period_start,
        version_telecom.one.period.end as period_end,
    from version_telecom
    left join staging.phone_number on phone_number.raw = version_telecom.one.value
    where version_telecom.one.system in ('phone', 'sms', 'email') and trim(version_telecom.one.value) <> ''
),

-- The first version since which the patient has had the value without a break, where there are versions before.
missing_from as (
    select
        current_value.ehr_patient_id,
        current_value.system,
        current_value.value_key,
        max(version.version_number) as version_number,
    from (
        select distinct ehr_patient_id, system, value_key
        from stated
        where is_latest and versions > 1
    ) as current_value
    inner join staging.ehr_patient_version as version on version.ehr_patient_id = current_value.ehr_patient_id
    left join stated
        on stated.ehr_patient_id = version.ehr_patient_id
        and stated.version_number = version.version_number
        and stated.system = current_value.system
        and stated.value_key = current_value.value_key
    where stated.value_key is null
    group by current_value.ehr_patient_id, current_value.system, current_value.value_key
),

held_since as (
    select
        stated.ehr_patient_id,
        stated.system,
        stated.value_key,
        arg_min_null(stated.last_updated, stated.version_number) as last_updated,
    from stated
    left join missing_from
        on missing_from.ehr_patient_id = stated.ehr_patient_id
        and missing_from.system = stated.system
        and missing_from.value_key = stated.value_key
    where stated.versions > 1 and stated.version_number > coalesce(missing_from.version_number, 0)
    group by stated.ehr_patient_id, stated.system, stated.value_key
),

in_resource as (
    select
        stated.ehr_patient_id,
        'Patient' as stated_by,
        stated.position,
        stated.system,
        stated.use,
        stated.rank,
        stated.value_raw,
        stated.e164,
        stated.value_key,
        coalesce(
            try_cast(
                case when length(stated.period_start) < 10 then left(stated.period_start || '-01-01', 10) else stated.period_start end as timestamptz
            ),
            case when stated.versions = 1 then stated.last_updated else held_since.last_updated end
        ) as confirmed_at,
        coalesce(stated.use = 'old', false) or coalesce(
            case length(stated.period_end)
                when 4 then (try_cast(stated.period_end || '-01-01' as date) + interval 1 year)::timestamptz
                when 7 then (try_cast(stated.period_end || '-01' as date) + interval 1 month)::timestamptz
                -- The last day belongs to it.
                when 10 then (try_cast(stated.period_end as date) + interval 1 day)::timestamptz
                else try_cast(stated.period_end as timestamptz)
            end
            <= (select as_of from policy.clock),
            false
        ) or coalesce(
            try_cast(
                case when length(stated.period_start) < 10 then left(stated.period_start || '-01-01', 10) else stated.period_start end as timestamptz
            )
            > (select as_of from policy.clock),
            false
        ) as is_past,
    from stated
    left join held_since
        on held_since.ehr_patient_id = stated.ehr_patient_id
        and held_since.system = stated.system
        and held_since.value_key = stated.value_key
    where stated.is_latest
),

-- A registration message is a snapshot: the numbers in the latest one are those that the EHR shows since then.
message as (
    select
        version.ehr_patient_id,
        ehr_event.event_at,
        ehr_event.phones,
    from raw.ehr_event
    left join staging.ehr_merge as merge on merge.retired_mrn = ehr_event.mrn
    inner join staging.ehr_patient_version as version
        on version.is_latest and version.mrn = coalesce(merge.current_mrn, ehr_event.mrn)
    where
        ehr_event.kind in ('ADT^A01', 'ADT^A03', 'ADT^A04', 'ADT^A05', 'ADT^A08', 'ADT^A28', 'ADT^A31')
        and len(ehr_event.phones) > 0
        and ehr_event.extracted_at <= (select as_of from policy.clock)
        and ehr_event.event_at <= (select as_of from policy.clock)
        and ehr_event.event_at > coalesce(version.last_updated, version.extracted_at)
    qualify row_number() over (
        partition by version.ehr_patient_id
        order by ehr_event.event_at desc, ehr_event.event_id desc
    ) = 1
),

in_message as (
    select
        spoken.ehr_patient_id,
        'ADT' as stated_by,
        spoken.position,
        spoken.one.system as system,
        case
            when spoken.one.equipment = 'CP' then 'mobile'
            when spoken.one.use in ('WPN', 'BPN') then 'work'
            when spoken.one.use = 'PRN' then 'home'
        end as use,
        null::bigint as rank,
        spoken.one.value as value_raw,
        phone_number.e164,
        coalesce(phone_number.e164, phone_number.digits, lower(trim(spoken.one.value))) as value_key,
        spoken.event_at as confirmed_at,
        false as is_past,
    from (
        select ehr_patient_id, event_at, unnest(phones) as one, generate_subscripts(phones, 1) as position
        from message
    ) as spoken
    left join staging.phone_number on phone_number.raw = spoken.one.value
    where spoken.one.equipment is distinct from 'FX' and (spoken.one.system = 'email' or phone_number.e164 is not null)
),

every_telecom as (
    select * from in_resource
    union all by name
    select * from in_message
),

told_once as (
    select
        *,
        -- The resource knows since when; a message only repeats it.
        row_number() over (
            partition by ehr_patient_id, system, value_key order by is_past, stated_by = 'ADT', position
        ) as spelling,
    from every_telecom
)

select
    ehr_patient_id,
    system,
    value_key,
    stated_by,
    use,
    rank,
    position,
    value_raw,
    e164,
    case when system = 'email' then lower(trim(value_raw)) end as email,
    confirmed_at,
    is_past,
    row_number() over (
        partition by ehr_patient_id, system
        order by is_past, stated_by <> 'ADT', rank nulls last, use = 'work', use is distinct from 'mobile', position, value_key
    ) as preference,
from told_once
where spelling = 1
