-- Each record's postal address in a form in which two spellings of one place are equal. One row per source record with an address.
with clock as (
    select as_of from policy.clock
),

addresses as (
    select
        'crm' as source,
        contact.contact_id as source_id,
        contact.address_line,
        contact.city,
        contact.state,
        contact.postal_code,
        coalesce(since.address_since, contact.last_modified) as updated_at,
    from staging.crm_contact as contact
    left join reconciled.crm_value_since as since on since.contact_id = contact.contact_id
    union all
    select 'pm', pm_patient_id, address_line, city, state, postal_code, last_updated
    from staging.pm_patient
    union all
    select 'ehr', ehr_patient_id, address_line, city, state, postal_code, last_updated
    from staging.ehr_patient
    where replaced_by is null
),

words as (
    select
        source,
        source_id,
        address_line,
        city,
        state,
        postal_code,
        updated_at,
        string_split(trim(regexp_replace(lower(strip_accents(address_line)), '[^a-z0-9]+', ' ', 'g')), ' ') as line_words,
    from addresses
    where nullif(trim(address_line), '') is not null
),

-- The abbreviations of the Postal Service that a person types both ways.
spelt as (
    select
        words.source,
        words.source_id,
        link.patient_id,
        words.address_line,
        words.city,
        words.state,
        words.postal_code,
        case when words.updated_at <= clock.as_of then words.updated_at end as updated_at,
        array_to_string(
            list_transform(
                words.line_words,
                lambda word: coalesce(
                    map {
                        'street': 'st', 'avenue': 'ave', 'av': 'ave', 'road': 'rd', 'drive': 'dr', 'lane': 'ln',
                        'boulevard': 'blvd', 'court': 'ct', 'place': 'pl', 'square': 'sq', 'terrace': 'ter',
                        'circle': 'cir', 'highway': 'hwy', 'parkway': 'pkwy', 'apartment': 'apt', 'suite': 'ste',
                        'unit': 'apt', 'north': 'n', 'south': 's', 'east': 'e', 'west': 'w'
                    }[word],
                    word
                )
            ),
            ' '
        ) as line_key,
        lower(trim(words.city)) as city_key,
        left(regexp_replace(words.postal_code, '[^0-9]', '', 'g'), 5) as postal_key,
    from words
    cross join clock
    inner join identity.patient_link as link on link.source = words.source and link.source_id = words.source_id
)

select
    source,
    source_id,
    patient_id,
    address_line,
    city,
    state,
    postal_code,
    updated_at,
    line_key,
    concat_ws('|', line_key, coalesce(nullif(postal_key, ''), city_key)) as address_key,
from spelt
