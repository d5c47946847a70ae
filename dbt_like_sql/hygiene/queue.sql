-- What each person works on next: their open issues in order, and how far one day's capacity reaches.
with capacity as (

    select
        staff.staff_id,
        greatest(coalesce(max(staff.capacity_per_day), 1), 1) as capacity_per_day
    from policy.staff
    group by staff.staff_id

),

ordered as (

    select
        issue.assignee,
        row_number() over (
            partition by issue.assignee
            order by issue.priority_tier, issue.priority_score desc, issue.due_at, issue.first_seen, issue.issue_id
        ) as position,
        issue.issue_id,
        issue.contact_id,
        issue.staleness_type,
        issue.reason,
        issue.priority_tier,
        issue.priority_score,
        issue.due_at,
        issue.escalated,
        issue.first_seen
    from hygiene.issue
    where issue.state <> 'resolved'

)

select
    ordered.assignee,
    ordered.position,
    ordered.issue_id,
    ordered.contact_id,
    ordered.staleness_type,
    ordered.reason,
    ordered.priority_tier,
    ordered.priority_score,
    ordered.due_at,
    ordered.escalated,
    ordered.first_seen,
    ordered.position <= coalesce(capacity.capacity_per_day, 0) as is_for_today
from ordered
left join capacity on ordered.assignee = capacity.staff_id
