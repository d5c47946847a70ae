-- Whose record number it is, merged ones included. One row per number that a patient has or had and a message may name.
with own as (
    select mrn, arg_min(ehr_patient_id, row(replaced_by is not null, ehr_patient_id)) as ehr_patient_id
    from staging.ehr_patient
    where mrn is not null
    group by mrn
),

every_number as (
    select mrn from own
    union
    select retired_mrn from staging.ehr_merge
),

belonging as (
    select
        every_number.mrn,
        -- A survivor that was never exported is known by the record that it took the place of.
        coalesce(survivor.ehr_patient_id, own.ehr_patient_id) as ehr_patient_id,
    from every_number
    left join staging.ehr_merge as merge on merge.retired_mrn = every_number.mrn
    left join own as survivor on survivor.mrn = merge.current_mrn
    left join own on own.mrn = every_number.mrn
)

select mrn, ehr_patient_id
from belonging
where ehr_patient_id is not null
