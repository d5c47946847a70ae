-- What lookup providers said about numbers, up to the clock. One row per number, time and provider.
with bought_elsewhere as (
    select
        phones.e164 as phone,
        lookups.checked_at,
        lookups.valid,
        lower(lookups.line_type) as line_type,
        coalesce(lookups.line_status, 'unknown') as line_status,
        coalesce(lookups.reassigned, 'no_data_available') as reassigned,
        coalesce(lower(lookups.provider), 'unknown') as provider,
        (select lookup_price_usd from policy.phone) as cost_usd,
    from raw.phone_lookups as lookups
    -- A lookup of something that is no number can be joined to no number.
    inner join staging.phone_number as phones on lookups.phone = phones.raw and phones.e164 is not null
    where lookups.extracted_at <= (select as_of from policy.clock)
    qualify row_number() over (
        partition by phones.e164, lookups.checked_at, coalesce(lower(lookups.provider), 'unknown')
        order by lookups.extracted_at desc, lookups.take_seq desc, lookups.row_hash desc
    ) = 1
),

-- A vendor that gave no answer was asked all the same: that is known, and proves nothing.
asked_by_us as (
    select
        phone,
        asked_at as checked_at,
        valid,
        lower(line_type) as line_type,
        coalesce(line_status, 'unknown') as line_status,
        coalesce(reassigned, 'no_data_available') as reassigned,
        provider,
        cost_usd,
    from sync.phone_lookup_call
    where state in ('answered', 'refused', 'failed') and asked_at <= (select as_of from policy.clock)
    qualify row_number() over (partition by phone, asked_at, provider order by call_no desc) = 1
),

lookups as (
    select * from bought_elsewhere
    union all by name
    select * from asked_by_us
)

select
    phone,
    checked_at,
    valid,
    line_type,
    line_status,
    reassigned,
    provider,
    cost_usd,
from lookups
qualify row_number() over (partition by phone, checked_at, provider order by cost_usd desc, valid, line_type, line_status) = 1
