-- Every version of a patient that the EHR gave up to the clock, the first is 1. One row per FHIR Patient id and version.
select
    id as ehr_patient_id,
    row_number() over version as version_number,
    row_number() over version = count(*) over (partition by id) as is_latest,
    count(*) over (partition by id) as versions,
    coalesce(
        list_filter(identifier, lambda one:
            list_contains(list_transform(one.type.coding, lambda each: each.code), 'MR')
            and one.use is distinct from 'old')[1].value,
        list_filter(identifier, lambda one:
            list_contains(list_transform(one.type.coding, lambda each: each.code), 'MR'))[1].value,
        -- Some EHRs name the kind of number in words only.
        list_filter(identifier, lambda one:
            regexp_matches(lower(one.type.text), '^(mrn|medical record n)') and one.use is distinct from 'old')[1].value,
        list_filter(identifier, lambda one: one.use = 'usual')[1].value,
        case when len(identifier) = 1 then identifier[1].value end
    ) as mrn,
    last_updated,
    extracted_at,
    take_seq,
    source_line,
    row_hash,
from raw.fhir_patient as patient
anti join staging.ehr_deletion as deletion
    on deletion.resource_type = 'Patient' and deletion.resource_id = patient.id
    and deletion.deleted_at >= coalesce(patient.last_updated, patient.extracted_at)
where extracted_at <= (select as_of from policy.clock)
window version as (
    partition by id
    -- What the EHR dates itself counts by that date: a notification may bring an older state after the export.
    order by coalesce(last_updated, extracted_at), extracted_at, take_seq, source_line, row_hash
)
