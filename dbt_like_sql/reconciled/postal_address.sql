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

plain as (
    select
        source,
        source_id,
        address_line,
        city,
        state,
        postal_code,
        updated_at,
        trim(regexp_replace(lower(strip_accents(address_line)), '[^a-z0-9]+', ' ', 'g')) as line,
    from addresses
    where nullif(trim(address_line), '') is not null
),

-- The words that a person types both in full and as the Postal Service shortens them.
abbreviation as (
    select word, short
    from (
        values
            ('street', 'st'), ('avenue', 'ave'), ('av', 'ave'), ('road', 'rd'), ('drive', 'dr'), ('lane', 'ln'),
            ('boulevard', 'blvd'), ('court', 'ct'), ('place', 'pl'), ('square', 'sq'), ('terrace', 'ter'),
            ('circle', 'cir'), ('highway', 'hwy'), ('parkway', 'pkwy'), ('apartment', 'apt'), ('unit', 'apt'),
            ('suite', 'ste'), ('north', 'n'), ('south', 's'), ('east', 'e'), ('west', 'w')
    ) as both_ways(word, short)
),

word as (
    select
        line,
        unnest(string_split(line, ' ')) as word,
        unnest(range(len(string_split(line, ' ')))) as place,
    from (select distinct line from plain) as line
),

shortened as (
    select word.line, string_agg(coalesce(abbreviation.short, word.word), ' ' order by word.place) as line_key
    from word
    left join abbreviation on abbreviation.word = word.word
    group by word.line
),

spelt as (
    select
        plain.source,
        plain.source_id,
        link.patient_id,
        plain.address_line,
        plain.city,
        plain.state,
        plain.postal_code,
        plain.updated_at as said_at,
        case when plain.updated_at <= clock.as_of then plain.updated_at end as updated_at,
        shortened.line_key,
        lower(trim(plain.city)) as city_key,
        left(regexp_replace(plain.postal_code, '[^0-9]', '', 'g'), 5) as postal_key,
    from plain
    cross join clock
    inner join shortened on shortened.line = plain.line
    inner join identity.patient_link as link on link.source = plain.source and link.source_id = plain.source_id
)

select
    source,
    source_id,
    patient_id,
    address_line,
    city,
    state,
    postal_code,
    said_at,
    updated_at,
    line_key,
    concat_ws('|', line_key, coalesce(nullif(postal_key, ''), city_key)) as address_key,
from spelt
