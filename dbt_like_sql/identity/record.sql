-- Every record of the three systems with what it can be recognised by. One row per source record.
with records as (
    select
        'ehr' as source,
        ehr_patient_id as source_id,
        mrn,
        name_key,
        birth_date,
        phone,
        email,
        replaced_by,
    from staging.ehr_patient
    union all
    select 'pm', pm_patient_id, mrn, name_key, birth_date, phone, email, null
    from staging.pm_patient
    union all
    select 'crm', contact_id, mrn, name_key, birth_date, phone, email, null
    from staging.crm_contact
),

keyed as (
    select
        source,
        source_id,
        -- Sorts the EHR before the PM before the CRM, and within a system by id: the order in which records anchor a patient.
        case source when 'ehr' then '1' when 'pm' then '2' else '3' end || ':' || source_id as record_key,
        nullif(upper(trim(mrn)), '') as mrn_key,
        nullif(trim(name_key), '') as name_key,
        birth_date,
        phone,
        nullif(lower(trim(email)), '') as email,
        replaced_by,
    from records
)

select source, source_id, record_key, mrn_key, name_key, birth_date, phone, email, replaced_by
from keyed
