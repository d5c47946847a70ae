-- What lookup providers said about numbers, up to the clock. One row per number, time and provider.
with lookups as (
    select
        phones.e164 as phone,
        lookups.checked_at,
        lookups.valid,
        lower(lookups.line_type) as line_type,
        coalesce(lookups.line_status, 'unknown') as line_status,
        coalesce(lookups.reassigned, 'no_data_available') as reassigned,
        coalesce(lower(lookups.provider), 'unknown') as provider,
        lookups.extracted_at,
        lookups.take_seq,
        lookups.row_hash,
    from raw.phone_lookups as lookups
    -- A lookup of something that is no number can be joined to no number.
    inner join staging.phone_number as phones on lookups.phone = phones.raw and phones.e164 is not null
    where lookups.extracted_at <= (select as_of from policy.clock)
),

latest as (
    select phone, checked_at, valid, line_type, line_status, reassigned, provider
    from lookups
    qualify row_number() over (
        partition by phone, checked_at, provider order by extracted_at desc, take_seq desc, row_hash desc
    ) = 1
)

select
    phone,
    checked_at,
    valid,
    line_type,
    line_status,
    reassigned,
    provider,
from latest
