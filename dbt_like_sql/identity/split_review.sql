-- Records that carry another person's medical record number, for a person to look at. One row per source record set apart.
with apart as (
    select source, source_id, record_key, mrn_key, split_from
    from identity.mrn_group
    where split_from is not null
),

compared as (
    select
        apart.source,
        apart.source_id,
        link.patient_id,
        other.source as other_source,
        other.source_id as other_source_id,
        other_link.patient_id as other_patient_id,
        apart.mrn_key as mrn,
        record.name_key,
        record.birth_date,
        other.name_key as other_name_key,
        other.birth_date as other_birth_date,
    from apart
    inner join identity.record as record on record.record_key = apart.record_key
    inner join identity.record as other on other.record_key = apart.split_from
    inner join identity.patient_link as link on link.source = apart.source and link.source_id = apart.source_id
    inner join identity.patient_link as other_link
        on other_link.source = other.source and other_link.source_id = other.source_id
)

select
    source,
    source_id,
    patient_id,
    other_source,
    other_source_id,
    other_patient_id,
    mrn,
    'name_and_birth_date_differ' as reason,
    name_key,
    birth_date,
    other_name_key,
    other_birth_date,
from compared
