-- The numbers to look up tonight, the riskiest first, what each will cost, and how far this month's budget reaches.
-- It stands before tonight's answers, so it reads lookups of earlier nights and files, and tiers as the last night left them.
with earlier_call as (

    select
        phone_lookup_call.phone,
        phone_lookup_call.as_of as checked_at,
        phone_lookup_call.cost_usd,
        -- A number that nobody answered for is asked about again.
        phone_lookup_call.state in ('answered', 'refused') as is_answered
    from history.phone_lookup_call
    where phone_lookup_call.as_of < (select clock.as_of from policy.clock)

),

bought_elsewhere as (

    select distinct
        phone_number.e164 as phone,
        phone_lookups.checked_at,
        phone_lookups.provider
    from raw.phone_lookups
    inner join staging.phone_number on phone_lookups.phone = phone_number.raw and phone_number.e164 is not null
    cross join policy.clock
    where phone_lookups.extracted_at <= clock.as_of and phone_lookups.checked_at <= clock.as_of

),

lookup as (

    select
        phone,
        checked_at,
        cost_usd,
        is_answered
    from earlier_call

    union all

    select
        bought_elsewhere.phone,
        bought_elsewhere.checked_at,
        phone.lookup_price_usd as cost_usd,
        true as is_answered
    from bought_elsewhere
    cross join policy.phone

),

last_asked as (

    select
        phone,
        max(checked_at) as checked_at
    from lookup
    where is_answered
    group by phone

),

spent as (

    select coalesce(sum(lookup.cost_usd), 0) as usd
    from lookup
    cross join policy.clock
    where
        date_trunc('month', lookup.checked_at at time zone clock.timezone) = date_trunc('month', clock.as_of_date)

),

-- When a record, a member of staff or the patient last stood by a number.
claim as (

    select
        patient_id,
        phone,
        max(confirmed_at) as confirmed_at,
        max(stood_by_at) as stood_by_at,
        bool_and(source = 'crm') as is_of_crm_alone
    from reconciled.phone_claim
    group by patient_id, phone

),

active_contact as (

    select
        crm_contact.contact_id,
        issue_context.patient_id,
        crm_contact.phone
    from staging.crm_contact
    inner join hygiene.issue_context on crm_contact.contact_id = issue_context.contact_id
    where issue_context.is_active

),

-- What nobody has as a number costs nothing: wrong by its form it is null here, placeholders and shared numbers go.
shared_number as (

    select active_contact.phone
    from active_contact
    cross join policy.phone
    where active_contact.phone is not null
    group by active_contact.phone
    having count(*) > any_value(phone.shared_number_limit)

),

primary_number as (

    select
        active_contact.phone,
        active_contact.contact_id,
        claim.confirmed_at,
        greatest(claim.confirmed_at, last_asked.checked_at) as asked_at,
        false as is_candidate
    from active_contact
    left join claim on active_contact.patient_id = claim.patient_id and active_contact.phone = claim.phone
    left join last_asked on active_contact.phone = last_asked.phone
    where active_contact.phone is not null

),

-- A number that another system was told of later than the CRM: about to be written there, if it is any good.
candidate_number as (

    select
        rival.phone,
        active_contact.contact_id,
        rival.confirmed_at,
        null::timestamptz as asked_at,
        true as is_candidate
    from active_contact
    inner join claim as rival
        on
            active_contact.patient_id = rival.patient_id
            and rival.phone is distinct from active_contact.phone
            and not rival.is_of_crm_alone
            and rival.confirmed_at is not null
    left join claim as own on active_contact.patient_id = own.patient_id and active_contact.phone = own.phone
    anti join last_asked on rival.phone = last_asked.phone
    where own.stood_by_at is null or rival.stood_by_at > own.stood_by_at
    qualify
        row_number() over (partition by active_contact.contact_id order by rival.stood_by_at desc, rival.phone) = 1

),

number_of_contact as (

    select
        phone,
        contact_id,
        confirmed_at,
        asked_at,
        is_candidate
    from primary_number

    union all

    select
        phone,
        contact_id,
        confirmed_at,
        asked_at,
        is_candidate
    from candidate_number

),

due_number as (

    select
        number_of_contact.phone,
        number_of_contact.contact_id,
        number_of_contact.confirmed_at,
        number_of_contact.asked_at,
        number_of_contact.is_candidate,
        case
            when number_of_contact.is_candidate then 'candidate'
            when number_of_contact.asked_at is null then 'never'
            else 'due'
        end as reason
    from number_of_contact
    cross join policy.clock
    cross join policy.phone
    anti join reconciled.placeholder_phone
        on
            if(
                starts_with(number_of_contact.phone, '+1'),
                substr(number_of_contact.phone, 3),
                ltrim(number_of_contact.phone, '+')
            ) = placeholder_phone.digits
    anti join shared_number on number_of_contact.phone = shared_number.phone
    anti join policy.practice on number_of_contact.phone = practice.phone
    where
        number_of_contact.asked_at is null
        or clock.as_of_date - (number_of_contact.asked_at at time zone clock.timezone)::date
        > phone.revalidate_after_days

),

known_issue as (

    select
        hygiene_issue.contact_id,
        hygiene_issue.state,
        hygiene_issue.priority_tier
    from history.hygiene_issue
    where hygiene_issue.as_of < (select clock.as_of from policy.clock)
    qualify row_number() over (partition by hygiene_issue.issue_id order by hygiene_issue.as_of desc) = 1

),

tier_of_contact as (

    select
        contact_id,
        min(priority_tier) as priority_tier
    from known_issue
    where state <> 'resolved'
    group by contact_id

),

-- A number that several contacts share is asked once, for the contact most at risk, against the latest confirmation.
ranked as (

    select
        due_number.phone,
        due_number.contact_id,
        due_number.reason,
        tier_of_contact.priority_tier,
        issue_context.next_visit_on,
        issue_context.failed_contacts,
        due_number.asked_at,
        max(due_number.confirmed_at) over (partition by due_number.phone) as confirmed_at
    from due_number
    left join tier_of_contact on due_number.contact_id = tier_of_contact.contact_id
    left join hygiene.issue_context on due_number.contact_id = issue_context.contact_id
    qualify
        row_number() over (
            partition by due_number.phone
            order by
                tier_of_contact.priority_tier nulls last,
                issue_context.next_visit_on nulls last,
                issue_context.failed_contacts desc nulls last,
                due_number.asked_at nulls first,
                due_number.is_candidate,
                due_number.contact_id
        ) = 1

),

region_of_number as (

    select
        e164 as phone,
        any_value(region) as region
    from staging.phone_number
    where e164 is not null
    group by e164

),

-- What is asked of each number: a package that needs to know since when is no use without a confirmation.
priced as (

    select
        ranked.phone,
        list(phone_lookup_package.package order by phone_lookup_package.package) as packages,
        sum(phone_lookup_package.price_usd) as estimated_cost
    from ranked
    cross join policy.phone_lookup_package
    left join region_of_number on ranked.phone = region_of_number.phone
    where
        (ranked.confirmed_at is not null or not phone_lookup_package.needs_confirmation)
        and coalesce(phone_lookup_package.only_region = region_of_number.region, true)
    group by ranked.phone

),

planned as (

    select
        ranked.phone,
        ranked.contact_id,
        ranked.reason,
        ranked.priority_tier,
        ranked.next_visit_on,
        ranked.failed_contacts,
        ranked.asked_at,
        ranked.confirmed_at,
        coalesce(priced.packages, []) as packages,
        coalesce(priced.estimated_cost, 0) as estimated_cost,
        row_number() over risk as rank,
        coalesce(sum(priced.estimated_cost) over risk, 0) as cost_so_far
    from ranked
    left join priced on ranked.phone = priced.phone
    window
        risk as (
            order by
                ranked.priority_tier nulls last,
                ranked.next_visit_on nulls last,
                ranked.failed_contacts desc nulls last,
                ranked.asked_at nulls first,
                ranked.phone
            rows between unbounded preceding and current row
        )

)

select
    planned.phone,
    planned.contact_id,
    planned.reason,
    planned.rank,
    planned.packages,
    (planned.confirmed_at at time zone clock.timezone)::date as last_confirmed_on,
    planned.estimated_cost,
    -- Whole millionths of a dollar, so that binary fractions never show.
    round(planned.cost_so_far, 6) as cost_so_far,
    -- A millionth of a dollar forgives the rounding of binary fractions.
    coalesce(planned.cost_so_far > phone.monthly_budget_usd - spent.usd + 0.000001, false) as is_left_out,
    planned.priority_tier,
    planned.next_visit_on,
    planned.failed_contacts,
    planned.asked_at
from planned
cross join policy.clock
cross join policy.phone
cross join spent
