-- Messages that a later message took back: a discharge, an admission, a referral. One row per message taken back.
with message as (
    select
        event.event_id,
        event.kind,
        coalesce(merge.current_mrn, event.mrn) as mrn,
        -- What both messages are about: the referral, or the visit.
        case when event.kind like 'REF^%' then event.resource_id else event.visit_number end as subject,
        event.status,
        event.event_at,
    from raw.ehr_event as event
    left join staging.ehr_merge as merge on merge.retired_mrn = event.mrn
    where event.resource_type is null and event.extracted_at <= (select as_of from policy.clock)
),

taking_back as (
    select message.event_id, message.mrn, message.subject, message.event_at, policy.takes_back
    from message
    inner join policy.care_event_taken_back as policy on policy.message = message.kind
    union
    -- A referral may also say of itself that it came to nothing.
    select message.event_id, message.mrn, message.subject, message.event_at, policy.takes_back
    from message
    inner join policy.referral_ended on referral_ended.status = message.status
    inner join policy.care_event_taken_back as policy on policy.takes_back like 'REF^%'
    where message.kind like 'REF^%'
),

pair as (
    select
        message.event_id,
        message.subject,
        message.event_at,
        taking_back.event_id as taken_back_by,
        taking_back.event_at as taken_back_at,
    from message
    inner join taking_back
        on taking_back.mrn = message.mrn
        and taking_back.takes_back = message.kind
        and taking_back.subject is not distinct from message.subject
        and taking_back.event_at >= message.event_at
),

-- Where the visit has no number, only the latest one before can be meant.
meant as (
    select event_id, taken_back_by, taken_back_at
    from pair
    qualify
        subject is not null
        or row_number() over (partition by taken_back_by order by event_at desc, event_id desc) = 1
)

select
    event_id,
    arg_min(taken_back_by, row(taken_back_at, taken_back_by)) as taken_back_by,
    min(taken_back_at) as taken_back_at,
from meant
group by event_id
