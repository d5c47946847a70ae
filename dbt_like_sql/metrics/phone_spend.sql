-- The account of phone lookups: what each calendar month of the practice cost, by provider, beside the month's budget.
with lookup as (

    select
        phone_lookup.checked_at,
        phone_lookup.provider,
        phone_lookup.cost_usd,
        phone_lookup.valid is not null
        or phone_lookup.line_type is not null
        or phone_lookup.line_status <> 'unknown'
        or phone_lookup.reassigned <> 'no_data_available' as is_answered
    from staging.phone_lookup
    cross join policy.clock
    where phone_lookup.checked_at <= clock.as_of

    union all

    -- A call whose answer was never stored may have been charged all the same.
    select
        phone_lookup_call.asked_at as checked_at,
        phone_lookup_call.provider,
        phone_lookup_call.cost_usd,
        false as is_answered
    from sync.phone_lookup_call
    cross join policy.clock
    where phone_lookup_call.state in ('lost', 'asked') and phone_lookup_call.asked_at <= clock.as_of

),

monthly as (

    select
        date_trunc('month', lookup.checked_at at time zone clock.timezone)::date as month,
        lookup.provider,
        count(*) as lookups,
        count(*) filter (where lookup.is_answered) as answered,
        coalesce(sum(lookup.cost_usd), 0) as spent_usd
    from lookup
    cross join policy.clock
    group by month, lookup.provider

)

select
    monthly.month,
    monthly.provider,
    monthly.lookups,
    monthly.answered,
    round(monthly.spent_usd, 4) as spent_usd,
    phone.monthly_budget_usd as budget_usd,
    round(phone.monthly_budget_usd - sum(monthly.spent_usd) over (partition by monthly.month), 4) as left_usd
from monthly
cross join policy.phone
