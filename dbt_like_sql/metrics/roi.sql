-- What staleness costs: outreach spent on stale records, against what hygiene costs in a year.
with outreach as (

    select
        stale_rate.as_of,
        stale_rate.contacts as patients,
        stale_rate.rate as stale_rate,
        practice.monthly_spend,
        practice.hygiene_cost_per_year as hygiene_cost,
        -- Whole cents, so that binary fractions never show.
        round(stale_rate.rate * practice.monthly_spend, 2) as wasted_per_month,
        round(12 * stale_rate.rate * practice.monthly_spend, 2) as annual_waste
    from metrics.stale_rate
    inner join policy.clock on stale_rate.as_of = clock.as_of
    cross join policy.practice
    where stale_rate.staleness_type = 'any'

)

select
    as_of,
    patients,
    stale_rate,
    monthly_spend,
    wasted_per_month,
    annual_waste,
    hygiene_cost,
    round(annual_waste - hygiene_cost, 2) as net_annual_saving
from outreach
