-- How urgent each open issue is tonight: tier, due date, whether it is overdue, and its score in the queue.
with urgent as (

    select
        issue_lifecycle.issue_id,
        issue_lifecycle.contact_id,
        issue_lifecycle.staleness_type,
        issue_lifecycle.first_seen,
        issue_lifecycle.known_assignee,
        issue_lifecycle.known_due_at,
        clock.as_of_date,
        clock.timezone,
        coalesce(issue_context.failed_contacts, 0) as failed_contacts,
        issue_context.next_visit_on - clock.as_of_date as days_to_visit,
        priority.visit_soon_days,
        issue_lifecycle.reason = 'deceased_not_marked' as is_death,
        issue_lifecycle.staleness_type = 'phone'
        or issue_lifecycle.reason in (
            'coverage_inactive', 'coverage_terminated', 'subscriber_not_found', 'verify_required'
        ) as blocks_care,
        issue_lifecycle.staleness_type in ('phone', 'insurance') as is_phone_or_insurance,
        coalesce(issue_context.is_active, true) as is_active,
        coalesce(issue_context.in_active_care, false) as in_active_care,
        coalesce(issue_context.next_visit_on <= clock.as_of_date + priority.visit_soon_days, false) as has_visit_soon,
        coalesce(
            issue_context.seen_on >= clock.as_of_date - to_months(priority.seen_within_months), false
        ) as is_seen_recently,
        coalesce(
            issue_context.seen_on < clock.as_of_date - to_months(priority.dormant_after_months), false
        ) as is_dormant
    from hygiene.issue_lifecycle
    cross join policy.clock
    cross join policy.priority
    left join hygiene.issue_context on issue_lifecycle.contact_id = issue_context.contact_id
    where issue_lifecycle.state <> 'resolved'

),

tiered as (

    select
        urgent.*,
        case
            when is_death then 1
            when not is_active then 4
            when blocks_care and (in_active_care or has_visit_soon) then 1
            when is_phone_or_insurance and is_seen_recently then 2
            when is_dormant then 4
            else 3
        end as priority_tier
    from urgent

),

promised as (

    select
        tiered.*,
        due.days as days_of_tier,
        -- A promised date never moves later; a rise to a more urgent tier brings it forward.
        least(
            tiered.known_due_at,
            ((tiered.as_of_date + due.days + 1)::timestamp - interval 1 second) at time zone tiered.timezone
        ) as due_at
    from tiered
    inner join policy.due on tiered.priority_tier = due.tier

),

overdue as (

    select
        promised.*,
        as_of_date - (due_at at time zone timezone)::date as days_overdue
    from promised

),

scored as (

    select
        overdue.*,
        days_overdue > 0 as escalated,
        days_overdue > days_of_tier as is_long_overdue,
        -- Steps instead of slopes: a score changes when something happens, not every night.
        (
            25 * (4 - priority_tier)
            + case
                when days_overdue > days_of_tier then 10
                when days_overdue > 0 then 5
                else 0
            end
            + case
                when days_to_visit <= visit_soon_days then 8
                when days_to_visit <= 2 * visit_soon_days then 4
                else 0
            end
            + least(failed_contacts, 7)
        )::double as priority_score
    from overdue

)

select
    issue_id,
    contact_id,
    staleness_type,
    priority_tier,
    priority_score,
    due_at,
    escalated,
    is_long_overdue,
    known_assignee,
    row_number() over (order by priority_tier, priority_score desc, due_at, first_seen, issue_id) as queue_rank
from scored
