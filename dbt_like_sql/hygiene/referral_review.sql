-- Referring providers that only a person may put right, and what there is to decide. One row per CRM contact to review.
with reviewed as (
    select
        status.contact_id,
        status.patient_id,
        status.referring_provider_reason as reason,
        evidence.crm_npi,
        evidence.crm_name,
        evidence.pm_npi,
        evidence.pm_name,
        evidence.end_date,
        evidence.is_pm_npi_in_network,
        status.referring_provider_evidence_ref as evidence_ref,
        status.referring_provider_evidence_at as evidence_at,
    from hygiene.contact_status as status
    inner join hygiene.referring_provider_evidence as evidence on evidence.contact_id = status.contact_id
    where status.referring_provider_state = 'stale' and status.is_active
)

select
    contact_id,
    patient_id,
    reason,
    crm_npi as old_npi,
    crm_name as old_name,
    end_date as relationship_ended_on,
    -- The provider that already stands in the CRM is no proposal.
    nullif(pm_npi, crm_npi) as new_npi,
    case when pm_npi is distinct from crm_npi then pm_name end as new_name,
    case
        when pm_npi is distinct from crm_npi and pm_npi is not null and is_pm_npi_in_network
            then 'take_over_from_pm'
        when pm_npi is distinct from crm_npi and pm_npi is not null then 'check_provider_in_pm'
        when reason = 'relationship_ended' then 'find_new_provider'
        else 'add_to_network_or_find_new_provider'
    end as decision_needed,
    evidence_ref,
    evidence_at,
from reviewed
