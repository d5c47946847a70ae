-- The contacts to whom nothing may be sent that speaks of their coverage: it would show what is known to be wrong.
with doubted as (

    select
        contact_status.contact_id,
        contact_status.patient_id,
        if(
            contact_status.insurance_state = 'current' and lower(crm_contact.insurance_status) = 'verify_required',
            'verify_required',
            contact_status.insurance_reason
        ) as reason,
        contact_status.insurance_evidence_source as evidence_source,
        contact_status.insurance_evidence_ref as evidence_ref,
        contact_status.insurance_evidence_at as evidence_at
    from hygiene.contact_status
    inner join staging.crm_contact on contact_status.contact_id = crm_contact.contact_id
    where contact_status.is_active

),

suppressed as (

    select
        doubted.contact_id,
        doubted.patient_id,
        'coverage' as topic,
        doubted.reason,
        doubted.evidence_source,
        doubted.evidence_ref,
        doubted.evidence_at,
        issue_context.next_visit_on
    from doubted
    inner join policy.suppressed_reason on doubted.reason = suppressed_reason.reason
    left join hygiene.issue_context on doubted.contact_id = issue_context.contact_id

)

select
    contact_id,
    patient_id,
    topic,
    reason,
    evidence_source,
    evidence_ref,
    evidence_at,
    next_visit_on
from suppressed
