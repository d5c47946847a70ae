-- The five published benchmarks tonight, each with its grade; no data is a grade of its own.
with active_contact as (

    select
        contact_status.contact_id,
        contact_status.phone_state,
        contact_status.phone_reason,
        contact_status.phone_confirmed_at,
        contact_status.insurance_state
    from hygiene.contact_status
    where contact_status.is_active

),

last_lookup as (

    select
        phone_lookup.phone,
        max(phone_lookup.checked_at) as checked_at
    from staging.phone_lookup
    cross join policy.clock
    where phone_lookup.checked_at <= clock.as_of
    group by phone_lookup.phone

),

validated_contact as (

    select
        active_contact.contact_id,
        greatest(
            active_contact.phone_confirmed_at,
            -- A lookup that could not tell has validated nothing.
            if(active_contact.phone_reason = 'lookup_inconclusive', null, last_lookup.checked_at)
        ) as validated_at
    from active_contact
    left join staging.crm_contact on active_contact.contact_id = crm_contact.contact_id
    left join last_lookup on crm_contact.phone = last_lookup.phone

),

validation_age as (

    select
        -- Never validated is infinitely long ago, not left out.
        coalesce(
            (clock.as_of_date - (validated_contact.validated_at at time zone clock.timezone)::date)::double,
            'infinity'::double
        ) as age_days
    from validated_contact
    cross join policy.clock

),

contact_validity as (

    select
        'contact_validity_rate' as metric,
        count(*) filter (where phone_state = 'current') as numerator,
        count(*) as denominator,
        numerator / nullif(denominator, 0) as value
    from active_contact

),

insurance_accuracy as (

    select
        'insurance_status_accuracy' as metric,
        count(*) filter (where insurance_state = 'current') as numerator,
        count(*) filter (where insurance_state in ('current', 'stale')) as denominator,
        numerator / nullif(denominator, 0) as value
    from active_contact

),

care_lag as (

    select
        'care_status_sync_lag_hours' as metric,
        sync_lag.within_target as numerator,
        sync_lag.events as denominator,
        sync_lag.median_hours as value
    from metrics.sync_lag
    inner join policy.clock on sync_lag.as_of = clock.as_of
    where sync_lag.stage = 'total'

),

stale_records as (

    select
        'stale_record_rate' as metric,
        stale_rate.stale as numerator,
        stale_rate.contacts as denominator,
        stale_rate.rate as value
    from metrics.stale_rate
    inner join policy.clock on stale_rate.as_of = clock.as_of
    where stale_rate.staleness_type = 'any'

),

validation_cadence as (

    select
        'phone_validation_cadence_days' as metric,
        count(*) filter (where validation_age.age_days <= benchmark_policy.target) as numerator,
        count(*) as denominator,
        median(validation_age.age_days) as value
    from validation_age
    inner join policy.benchmark_policy on benchmark_policy.metric = 'phone_validation_cadence_days'

),

measured as (

    select metric, value, numerator, denominator
    from contact_validity
    union all
    select metric, value, numerator, denominator
    from insurance_accuracy
    union all
    select metric, value, numerator, denominator
    from care_lag
    union all
    select metric, value, numerator, denominator
    from stale_records
    union all
    select metric, value, numerator, denominator
    from validation_cadence

),

-- Between two named bands the grade is the worse band's name, so acceptable reaches up to where target begins.
graded as (

    select
        clock.as_of,
        benchmark_policy.metric,
        measured.value,
        coalesce(measured.numerator, 0) as numerator,
        coalesce(measured.denominator, 0) as denominator,
        benchmark_policy.unit,
        case
            when measured.value is null then 'no_data'
            when benchmark_policy.higher_is_better and measured.value >= benchmark_policy.target then 'target'
            when benchmark_policy.higher_is_better and measured.value >= benchmark_policy.acceptable_from
                then 'acceptable'
            when benchmark_policy.higher_is_better then 'poor'
            when measured.value < benchmark_policy.target then 'target'
            -- A limit in days includes its last day.
            when benchmark_policy.unit = 'days' and measured.value = benchmark_policy.target then 'target'
            when measured.value <= benchmark_policy.acceptable_from then 'acceptable'
            else 'poor'
        end as grade,
        benchmark_policy.target
    from policy.benchmark_policy
    cross join policy.clock
    left join measured on benchmark_policy.metric = measured.metric

)

select
    as_of,
    metric,
    value,
    numerator,
    denominator,
    unit,
    grade,
    target
from graded
