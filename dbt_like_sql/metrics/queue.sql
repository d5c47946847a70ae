-- How much open work each person has in each tier, and how much of it is overdue.
with open_issue as (

    select
        clock.as_of,
        issue.priority_tier as tier,
        issue.assignee,
        issue.issue_id,
        issue.due_at < clock.as_of as is_overdue
    from hygiene.issue
    cross join policy.clock
    where issue.state <> 'resolved'

)

select
    as_of,
    tier,
    assignee,
    count(issue_id) as open_issues,
    count(issue_id) filter (where is_overdue) as overdue
from open_issue
group by as_of, tier, assignee
