-- What a corrected number costs: lookups paid for, against wrong numbers of the CRM that were put right since.
with spent as (

    select
        coalesce(sum(phone_spend.lookups), 0) as lookups,
        coalesce(sum(phone_spend.spent_usd), 0) as spent_usd,
        coalesce(sum(phone_spend.lookups) filter (where phone_spend.month = date_trunc('month', clock.as_of_date)), 0)
            as lookups_in_month,
        coalesce(sum(phone_spend.spent_usd) filter (where phone_spend.month = date_trunc('month', clock.as_of_date)), 0)
            as spent_in_month_usd
    from policy.clock
    left join metrics.phone_spend on true

),

-- A contact that was dropped or switched off was not corrected.
corrected as (

    select count(*) as numbers
    from hygiene.issue
    where
        issue.staleness_type = 'phone'
        and issue.state = 'resolved'
        and coalesce(not starts_with(issue.resolved_by, 'contact '), true)

)

select
    clock.as_of,
    date_trunc('month', clock.as_of_date)::date as month,
    spent.lookups_in_month,
    spent.spent_in_month_usd,
    phone.monthly_budget_usd as budget_usd,
    spent.lookups,
    spent.spent_usd,
    corrected.numbers as corrected_numbers,
    round(spent.spent_usd / nullif(corrected.numbers, 0), 4) as usd_per_corrected_number
from spent
cross join corrected
cross join policy.clock
cross join policy.phone
