-- Diagnoses as the EHR shows them at the clock, without refuted and mistaken ones. One row per condition and coding.
with latest as (
    select
        owner.ehr_patient_id,
        condition.id as condition_id,
        unnest(condition.code.coding) as coding,
        condition.clinicalStatus.coding[1].code as clinical_status,
        condition.verificationStatus.coding[1].code as verification_status,
        coalesce(condition.recordedDate, condition.onsetDateTime) as recorded,
        condition.last_updated,
    from raw.fhir_condition as condition
    inner join staging.ehr_resource as owner
        on owner.resource_type = 'Condition' and owner.resource_id = condition.id
        and owner.extracted_at = condition.extracted_at and owner.take_seq = condition.take_seq
        and owner.source_line = condition.source_line and owner.row_hash = condition.row_hash
)

select distinct
    ehr_patient_id,
    condition_id,
    coding.system as system,
    coding.code as code,
    coalesce(clinical_status, 'active') as clinical_status,
    coalesce(
        try_cast(
            case when length(recorded) < 10 then left(recorded || '-01-01', 10) else recorded end as timestamptz
        ),
        last_updated
    ) as recorded_at,
from latest
where coding.code is not null and coalesce(verification_status, 'confirmed') not in ('entered-in-error', 'refuted')
