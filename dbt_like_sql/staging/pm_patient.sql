-- Patients as the PM shows them at the clock. One row per patient that the PM still has.
with versions as (
    select
        patients.pm_patient_id,
        patients.mrn,
        patients.first_name,
        patients.last_name,
        patients.birth_date,
        patients.sex,
        patients.phone as phone_raw,
        phones.e164 as phone,
        -- The same number in another spelling is the same number.
        coalesce(phones.e164, phones.digits, patients.phone, '') as phone_key,
        lower(trim(patients.email)) as email,
        patients.address_line,
        patients.city,
        patients.state,
        patients.postal_code,
        patients.referring_provider_npi,
        patients.last_updated,
        patients.is_removed,
        row_number() over version as version_number,
        row_number() over version = count(*) over (partition by patients.pm_patient_id) as is_latest,
    from raw.pm_patients as patients
    left join staging.phone_number as phones on patients.phone = phones.raw
    where patients.extracted_at <= (select as_of from policy.clock)
    window version as (
        partition by patients.pm_patient_id
        order by patients.extracted_at, patients.take_seq, patients.last_updated nulls first, patients.row_hash
    )
),

changes as (
    select
        pm_patient_id,
        last_updated,
        version_number,
        phone_key is distinct from lag(phone_key) over (partition by pm_patient_id order by version_number) as is_new_phone,
        coalesce(email, '') is distinct from
            lag(coalesce(email, '')) over (partition by pm_patient_id order by version_number) as is_new_email,
    from versions
    where not is_removed
),

-- A later edit of the address says nothing about the number, so the first version that carries it counts.
confirmations as (
    select
        pm_patient_id,
        arg_max_null(last_updated, version_number) filter (where is_new_phone) as phone_confirmed_at,
        arg_max_null(last_updated, version_number) filter (where is_new_email) as email_confirmed_at,
    from changes
    group by pm_patient_id
),

patients as (
    select
        versions.pm_patient_id,
        versions.mrn,
        versions.first_name,
        versions.last_name,
        -- Where an accent may be left out in writing it folds; in other scripts a mark is a vowel, and without it the name
        -- is another.
        nullif(trim(regexp_replace(regexp_replace(
            lower(array_to_string(list_transform(
                string_split(nfc_normalize(concat_ws(' ', versions.first_name, versions.last_name)), ' '),
                lambda word: case
                    when regexp_matches(
                        word, '[^\p{Latin}\p{Greek}\p{Cyrillic}\p{Arabic}\p{Hebrew}\p{Common}\p{Inherited}]'
                    )
                        then word
                    else strip_accents(word)
                end
            ), ' ')),
            '[^\p{L}\p{M} ]|\p{Inherited}', '', 'g'), ' +', ' ', 'g')), '') as name_key,
        versions.birth_date,
        versions.sex,
        versions.phone_raw,
        versions.phone,
        versions.email,
        versions.address_line,
        versions.city,
        versions.state,
        versions.postal_code,
        versions.referring_provider_npi,
        versions.last_updated,
        case when versions.phone_raw is not null then confirmations.phone_confirmed_at end as phone_confirmed_at,
        case when versions.email is not null then confirmations.email_confirmed_at end as email_confirmed_at,
    from versions
    left join confirmations on versions.pm_patient_id = confirmations.pm_patient_id
    where versions.is_latest and not versions.is_removed
)

select
    pm_patient_id,
    mrn,
    first_name,
    last_name,
    name_key,
    birth_date,
    sex,
    phone_raw,
    phone,
    email,
    address_line,
    city,
    state,
    postal_code,
    referring_provider_npi,
    last_updated,
    phone_confirmed_at,
    email_confirmed_at,
from patients
