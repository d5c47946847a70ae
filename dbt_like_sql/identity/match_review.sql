-- Patients who may be one person, for a person to look at. One row per pair of patients.
with people as (
    select
        link.patient_id,
        record.name_key,
        record.birth_date,
        record.phone,
        record.email,
    from identity.record as record
    inner join identity.patient_link as link
        on link.source = record.source and link.source_id = record.source_id
    where record.name_key is not null and record.birth_date is not null
),

-- Every namesake is paired with the first, not with every other: a common name must not make a crowd of pairs.
namesake as (
    select name_key, birth_date, min(patient_id) as patient_id
    from people
    group by name_key, birth_date
    having min(patient_id) <> max(patient_id)
),

same_name as (
    select distinct
        namesake.patient_id,
        people.patient_id as other_patient_id,
        'same_name_and_birth_date' as reason,
    from namesake
    inner join people
        on people.name_key = namesake.name_key
        and people.birth_date = namesake.birth_date
        and people.patient_id <> namesake.patient_id
),

contact as (
    select distinct patient_id, name_key, birth_date, unnest([phone, email]) as contact
    from people
),

respelt as (
    select distinct
        one.patient_id,
        other.patient_id as other_patient_id,
        'similar_name_same_birth_date_and_contact' as reason,
    from contact as one
    inner join contact as other
        on other.contact = one.contact
        and other.birth_date = one.birth_date
        and other.patient_id > one.patient_id
    where one.name_key <> other.name_key
        and jaro_winkler_similarity(one.name_key, other.name_key) >= 0.85
),

pairs as (
    select patient_id, other_patient_id, reason from same_name
    union all
    select patient_id, other_patient_id, reason from respelt
)

select patient_id, other_patient_id, min(reason) as reason
from pairs
group by patient_id, other_patient_id
