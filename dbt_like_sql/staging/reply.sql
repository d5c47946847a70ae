-- What patients answered to our messages, up to the clock. One row per contact, time and kind of reply.
with latest as (
    select
        contact_id,
        received_at,
        lower(channel) as channel,
        kind,
        value as value_raw,
        source_file || ':' || source_line as evidence_ref,
    from raw.replies
    where extracted_at <= (select as_of from policy.clock)
    qualify row_number() over (
        partition by contact_id, received_at, kind order by extracted_at desc, take_seq desc, row_hash desc
    ) = 1
),

replies as (
    select
        latest.contact_id,
        latest.received_at,
        latest.channel,
        latest.kind,
        latest.value_raw,
        -- A stop carries no number.
        case when latest.kind = 'stop' then latest.value_raw else phones.e164 end as value,
        latest.evidence_ref,
    from latest
    left join staging.phone_number as phones on latest.value_raw = phones.raw
)

select
    contact_id,
    received_at,
    channel,
    kind,
    value_raw,
    value,
    evidence_ref,
from replies
