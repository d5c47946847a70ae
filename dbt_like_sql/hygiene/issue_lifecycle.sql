-- Every issue ever found, and where it stands tonight: tonight's findings laid over what earlier nights knew.
with known as (

    select
        hygiene_issue.issue_id,
        hygiene_issue.contact_id,
        hygiene_issue.staleness_type,
        hygiene_issue.reason,
        hygiene_issue.evidence_source,
        hygiene_issue.evidence_ref,
        hygiene_issue.evidence_at,
        hygiene_issue.state,
        hygiene_issue.first_seen,
        hygiene_issue.opened_at,
        hygiene_issue.last_seen,
        hygiene_issue.resolved_at,
        hygiene_issue.resolved_by,
        hygiene_issue.priority_tier,
        hygiene_issue.priority_score,
        hygiene_issue.assignee,
        hygiene_issue.due_at,
        hygiene_issue.escalated
    from history.hygiene_issue
    where hygiene_issue.as_of < (select clock.as_of from policy.clock)
    qualify row_number() over (partition by hygiene_issue.issue_id order by hygiene_issue.as_of desc) = 1

),

found as (

    select
        'i-' || left(md5(finding.contact_id || ':' || finding.staleness_type), 12) as issue_id,
        finding.contact_id,
        finding.staleness_type,
        finding.reason,
        finding.evidence_source,
        finding.evidence_ref,
        finding.evidence_at
    from hygiene.finding
    left join staging.crm_contact on finding.contact_id = crm_contact.contact_id
    -- Nobody is called about a contact that is switched off, but a death must reach every record of the person.
    where coalesce(crm_contact.is_active, true) or finding.reason = 'deceased_not_marked'

),

compared as (

    select
        coalesce(found.issue_id, known.issue_id) as issue_id,
        coalesce(found.contact_id, known.contact_id) as contact_id,
        coalesce(found.staleness_type, known.staleness_type) as staleness_type,
        if(found.issue_id is null, known.reason, found.reason) as reason,
        if(found.issue_id is null, known.evidence_source, found.evidence_source) as evidence_source,
        if(found.issue_id is null, known.evidence_ref, found.evidence_ref) as evidence_ref,
        if(found.issue_id is null, known.evidence_at, found.evidence_at) as evidence_at,
        case
            when found.issue_id is null then 'resolved'
            when known.issue_id is null then 'new'
            when known.state = 'resolved' then 'reopened'
            else 'open'
        end as state,
        coalesce(known.state, 'none') as known_state,
        known.first_seen as known_first_seen,
        known.opened_at as known_opened_at,
        known.last_seen as known_last_seen,
        known.resolved_at as known_resolved_at,
        known.resolved_by as known_resolved_by,
        known.priority_tier as known_tier,
        known.priority_score as known_score,
        known.assignee as known_assignee,
        known.due_at as known_due_at,
        known.escalated as known_escalated
    from found
    full outer join known on found.issue_id = known.issue_id

),

present_state as (

    select
        contact_id,
        'phone' as staleness_type,
        phone_reason as reason,
        phone_evidence_source as evidence_source,
        phone_evidence_ref as evidence_ref
    from hygiene.contact_status

    union all

    select
        contact_id,
        'insurance' as staleness_type,
        insurance_reason as reason,
        insurance_evidence_source as evidence_source,
        insurance_evidence_ref as evidence_ref
    from hygiene.contact_status

    union all

    select
        contact_id,
        'care' as staleness_type,
        care_reason as reason,
        care_evidence_source as evidence_source,
        care_evidence_ref as evidence_ref
    from hygiene.contact_status

    union all

    select
        contact_id,
        'referring_provider' as staleness_type,
        referring_provider_reason as reason,
        referring_provider_evidence_source as evidence_source,
        referring_provider_evidence_ref as evidence_ref
    from hygiene.contact_status

),

explained as (

    select
        compared.*,
        clock.as_of,
        clock.previous_as_of,
        case
            when crm_contact.contact_id is null then 'contact no longer in the CRM'
            when not coalesce(crm_contact.is_active, true) then 'contact made inactive'
            when present_state.reason is null then compared.staleness_type || ' no longer found stale'
            else
                compared.staleness_type || ' ' || present_state.reason
                || coalesce(' by ' || present_state.evidence_source, '')
                || coalesce(' ' || present_state.evidence_ref, '')
        end as healed_by
    from compared
    cross join policy.clock
    left join staging.crm_contact on compared.contact_id = crm_contact.contact_id
    left join present_state
        on compared.contact_id = present_state.contact_id and compared.staleness_type = present_state.staleness_type

),

dated as (

    select
        issue_id,
        contact_id,
        staleness_type,
        reason,
        evidence_source,
        evidence_ref,
        evidence_at,
        state,
        coalesce(known_first_seen, as_of) as first_seen,
        if(state in ('new', 'reopened'), as_of, known_opened_at) as opened_at,
        case
            when state <> 'resolved' then as_of
            when known_state = 'resolved' then known_last_seen
            -- The ledger keeps a row only when it changes, so the last night of an open issue is the last run.
            else coalesce(previous_as_of, known_last_seen)
        end as last_seen,
        case
            when state <> 'resolved' then null
            when known_state = 'resolved' then known_resolved_at
            else as_of
        end as resolved_at,
        case
            when state <> 'resolved' then null
            when known_state = 'resolved' then known_resolved_by
            else healed_by
        end as resolved_by,
        known_tier,
        known_score,
        known_assignee,
        -- A found-again issue gets a fresh due date.
        if(state = 'reopened', null, known_due_at) as known_due_at,
        known_escalated
    from explained

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
    known_tier,
    known_score,
    known_assignee,
    known_due_at,
    known_escalated
from dated
