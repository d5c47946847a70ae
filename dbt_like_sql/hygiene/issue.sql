-- The ledger of issues: what is stale, since when, how urgent, whose work it is, and what healed it.
with ledger as (

    select
        issue_lifecycle.issue_id,
        issue_lifecycle.contact_id,
        issue_lifecycle.staleness_type,
        issue_lifecycle.reason,
        issue_lifecycle.evidence_source,
        issue_lifecycle.evidence_ref,
        issue_lifecycle.evidence_at,
        issue_lifecycle.state,
        issue_lifecycle.first_seen,
        issue_lifecycle.opened_at,
        issue_lifecycle.last_seen,
        issue_lifecycle.resolved_at,
        issue_lifecycle.resolved_by,
        coalesce(issue_priority.priority_tier, issue_lifecycle.known_tier) as priority_tier,
        coalesce(issue_priority.priority_score, issue_lifecycle.known_score) as priority_score,
        if(issue_lifecycle.state = 'resolved', issue_lifecycle.known_assignee, issue_assignment.assignee) as assignee,
        coalesce(issue_priority.due_at, issue_lifecycle.known_due_at) as due_at,
        coalesce(issue_priority.escalated, issue_lifecycle.known_escalated) as escalated
    from hygiene.issue_lifecycle
    left join hygiene.issue_priority on issue_lifecycle.issue_id = issue_priority.issue_id
    left join hygiene.issue_assignment on issue_lifecycle.issue_id = issue_assignment.issue_id

)

select
    issue_id,
    contact_id,
    staleness_type,
    reason,
    evidence_source,
    evidence_ref,
    evidence_at,
    state,
    first_seen,
    opened_at,
    last_seen,
    resolved_at,
    resolved_by,
    priority_tier,
    priority_score,
    assignee,
    due_at,
    escalated
from ledger
