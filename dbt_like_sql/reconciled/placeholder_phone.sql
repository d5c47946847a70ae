-- Telephone digits that are nobody's number by the practice's patterns. One row per digits as they stand in staging.
with used as (
    select phone_digits as digits from staging.crm_contact
    union
    select substr(phone, 3) from staging.pm_patient where phone like '+1%'
    union
    select substr(phone, 3) from staging.ehr_patient where phone like '+1%'
    union
    select substr(value, 3) from staging.reply where kind in ('confirm_phone', 'change_phone') and value like '+1%'
),

national as (
    select
        digits,
        -- What is no valid number keeps the country code that was typed before it.
        case when length(digits) = 11 and digits like '1%' then substr(digits, 2) else digits end as plain_digits,
    from used
    where digits <> ''
),

-- A pattern that comes from a table is compiled anew for every row it meets: one text of all numbers is one row.
listed as (
    select string_agg(distinct plain_digits, chr(10)) as every_number
    from national
),

matched as (
    select distinct unnest(regexp_extract_all(listed.every_number, '(?m)^(?:' || pattern || ')$')) as plain_digits
    from listed
    cross join policy.placeholder_phone
)

select national.digits
from national
inner join matched on matched.plain_digits = national.plain_digits
