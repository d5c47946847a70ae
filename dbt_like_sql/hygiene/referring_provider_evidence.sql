-- The referring provider that the CRM shows beside the PM patient's and the referral network. One row per CRM contact.
with clock as (
    select as_of_date from policy.clock
),

pm as (
    select
        link.patient_id,
        max({
            'at': patient.last_updated,
            'pm_patient_id': patient.pm_patient_id,
            'npi': patient.referring_provider_npi
        }) as latest,
    from staging.pm_patient as patient
    inner join identity.patient_link as link on link.source = 'pm' and link.source_id = patient.pm_patient_id
    where nullif(trim(patient.referring_provider_npi), '') is not null and patient.last_updated is not null
    group by link.patient_id
),

-- On its last day a relationship still stands, and before its first it does not yet.
network as (
    select
        network.npi,
        network.name,
        network.end_date,
        lower(network.status) = 'inactive' or coalesce(network.end_date < clock.as_of_date, false) as is_ended,
        coalesce(network.effective_date > clock.as_of_date, false) as is_to_come,
    from staging.pm_referral_network as network
    cross join clock
)

select
    contact.contact_id,
    link.patient_id,
    nullif(trim(contact.referring_provider_npi), '') as crm_npi,
    crm_network.name as crm_name,
    crm_network.npi is not null and not crm_network.is_to_come as is_in_network,
    coalesce(crm_network.is_ended, false) as is_ended,
    crm_network.end_date,
    pm.latest.npi as pm_npi,
    pm_network.name as pm_name,
    pm_network.npi is not null and not pm_network.is_to_come and not pm_network.is_ended as is_pm_npi_in_network,
    pm.latest.at as pm_updated_at,
    'patients/' || pm.latest.pm_patient_id as pm_ref,
from staging.crm_contact as contact
left join identity.patient_link as link on link.source = 'crm' and link.source_id = contact.contact_id
left join pm on pm.patient_id = link.patient_id
left join network as crm_network on crm_network.npi = nullif(trim(contact.referring_provider_npi), '')
left join network as pm_network on pm_network.npi = pm.latest.npi
