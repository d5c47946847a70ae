-- The numbers to look up next, the riskiest first, as far as this month's budget reaches.
with last_asked as (

    select
        phone_lookup.phone,
        max(phone_lookup.checked_at) as checked_at
    from staging.phone_lookup
    cross join policy.clock
    where phone_lookup.checked_at <= clock.as_of
    group by phone_lookup.phone

),

primary_number as (

    select
        crm_contact.phone,
        contact_status.contact_id,
        contact_status.patient_id,
        greatest(contact_status.phone_confirmed_at, last_asked.checked_at) as asked_at,
        false as is_candidate
    from hygiene.contact_status
    inner join staging.crm_contact on contact_status.contact_id = crm_contact.contact_id
    left join last_asked on crm_contact.phone = last_asked.phone
    where
        contact_status.is_active
        and crm_contact.phone is not null
        and contact_status.phone_reason not in ('missing', 'placeholder', 'invalid_format')

),

candidate_number as (

    select
        field_decision.value as phone,
        contact_status.contact_id,
        contact_status.patient_id,
        null::timestamptz as asked_at,
        true as is_candidate
    from hygiene.contact_status
    inner join staging.crm_contact on contact_status.contact_id = crm_contact.contact_id
    inner join reconciled.field_decision
        on contact_status.patient_id = field_decision.patient_id and field_decision.field = 'phone'
    anti join last_asked on field_decision.value = last_asked.phone
    anti join policy.placeholder_phone
        on regexp_full_match(regexp_replace(field_decision.value, '^\+1?', ''), placeholder_phone.pattern)
    where
        contact_status.is_active
        and field_decision.source <> 'crm'
        and field_decision.value is distinct from crm_contact.phone
        and starts_with(field_decision.value, '+')

),

number_of_contact as (

    select
        phone,
        contact_id,
        patient_id,
        asked_at,
        is_candidate
    from primary_number

    union all

    select
        phone,
        contact_id,
        patient_id,
        asked_at,
        is_candidate
    from candidate_number

),

due_number as (

    select
        number_of_contact.*,
        case
            when number_of_contact.is_candidate then 'candidate'
            when number_of_contact.asked_at is null then 'never'
            else 'due'
        end as reason
    from number_of_contact
    cross join policy.clock
    cross join policy.phone
    where
        number_of_contact.asked_at is null
        or clock.as_of_date - (number_of_contact.asked_at at time zone clock.timezone)::date
        > phone.revalidate_after_days

),

tier_of_contact as (

    select
        issue.contact_id,
        min(issue.priority_tier) as priority_tier
    from hygiene.issue
    where issue.state <> 'resolved'
    group by issue.contact_id

),

-- A number that several contacts share is asked once, for the contact most at risk.
ranked as (

    select
        due_number.phone,
        due_number.contact_id,
        due_number.reason,
        tier_of_contact.priority_tier,
        issue_context.next_visit_on,
        due_number.asked_at
    from due_number
    left join tier_of_contact on due_number.contact_id = tier_of_contact.contact_id
    left join hygiene.issue_context on due_number.contact_id = issue_context.contact_id
    qualify
        row_number() over (
            partition by due_number.phone
            order by
                tier_of_contact.priority_tier nulls last,
                issue_context.next_visit_on nulls last,
                due_number.asked_at nulls first,
                due_number.is_candidate,
                due_number.contact_id
        ) = 1

),

spent as (

    select count(*) * any_value(phone.lookup_price_usd) as usd
    from staging.phone_lookup
    cross join policy.clock
    cross join policy.phone
    where
        phone_lookup.checked_at <= clock.as_of
        and date_trunc('month', phone_lookup.checked_at at time zone clock.timezone)
        = date_trunc('month', clock.as_of_date)

),

planned as (

    select
        ranked.*,
        row_number() over (
            order by
                ranked.priority_tier nulls last,
                ranked.next_visit_on nulls last,
                ranked.asked_at nulls first,
                ranked.phone
        ) as rank
    from ranked

)

select
    planned.phone,
    planned.contact_id,
    planned.reason,
    planned.rank,
    phone.lookup_price_usd as estimated_cost,
    -- A millionth of a dollar forgives the rounding of binary fractions.
    coalesce(
        planned.rank * phone.lookup_price_usd > phone.monthly_budget_usd - coalesce(spent.usd, 0) + 0.000001, false
    ) as is_left_out,
    planned.priority_tier,
    planned.next_visit_on,
    planned.asked_at
from planned
cross join policy.phone
cross join spent
