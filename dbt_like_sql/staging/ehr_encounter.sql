-- Visits as the EHR shows them at the clock. One row per FHIR Encounter id.
with latest as (
    select
        owner.ehr_patient_id,
        encounter.id as encounter_id,
        encounter.status,
        encounter.class.code as class,
        encounter.period.start as started,
        encounter.period.end as ended,
        encounter.hospitalization.dischargeDisposition.coding[1].code as discharge_disposition,
        coalesce(
            list_filter(encounter.participant, lambda one: list_contains(
                flatten(list_transform(one.type, lambda each: list_transform(each.coding, lambda coding: coding.code))), 'PPRF'
            ))[1],
            encounter.participant[1]
        ).individual as provider,
        encounter.contained,
    from raw.fhir_encounter as encounter
    inner join staging.ehr_resource as owner
        on owner.resource_type = 'Encounter' and owner.resource_id = encounter.id
        and owner.extracted_at = encounter.extracted_at and owner.take_seq = encounter.take_seq
        and owner.source_line = encounter.source_line and owner.row_hash = encounter.row_hash
)

select
    latest.ehr_patient_id,
    latest.encounter_id,
    latest.status,
    latest.class,
    try_cast(
        case when length(latest.started) < 10 then left(latest.started || '-01-01', 10) else latest.started end as timestamptz
    ) as started_at,
    try_cast(
        case when length(latest.ended) < 10 then left(latest.ended || '-01-01', 10) else latest.ended end as timestamptz
    ) as ended_at,
    latest.discharge_disposition,
    coalesce(
        provider.npi,
        case
            when latest.provider.identifier.system = 'http://hl7.org/fhir/sid/us-npi'
                then latest.provider.identifier.value
        end,
        list_filter(
            list_filter(latest.contained, lambda one: latest.provider.reference = '#' || one.id)[1].identifier,
            lambda one: one.system = 'http://hl7.org/fhir/sid/us-npi'
        )[1].value,
        nullif(regexp_extract(latest.provider.reference, 'us-npi(?:\||%7C)(\d{10})$', 1), '')
    ) as provider_npi,
from latest
left join staging.ehr_provider as provider
    on provider.resource_type || '/' || provider.resource_id
        = case
            when regexp_full_match(latest.provider.reference, 'Practitioner(?:Role)?/[A-Za-z0-9\-.]{1,64}')
                then latest.provider.reference
            else
                case
                    when starts_with(latest.provider.reference, 'urn:uuid:') then 'Practitioner'
                    else regexp_extract(latest.provider.reference, '(Practitioner(?:Role)?)/[A-Za-z0-9\-.]+', 1)
                end
                || '/'
                || regexp_extract(latest.provider.reference, '(?:Practitioner(?:Role)?/|^urn:uuid:)([A-Za-z0-9\-.]{1,64})', 1)
        end
where latest.status is distinct from 'entered-in-error'
