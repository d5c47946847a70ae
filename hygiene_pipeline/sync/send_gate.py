"""The SQL of who is asked to confirm a phone number, where, and who must not be.

The gate is evaluated in order and the first hit blocks: the person, then the tries, then each address. What it
blocks is kept with its reason. `$carried` names the channels that are not switched off.
"""

# A superseded number needs no question: the right one is known and written by the outbox.
_ASKABLE = "('missing', 'placeholder', 'invalid_format', 'reassigned', 'disconnected', 'landline_converted')"

_VOICE = "('sms', 'text', 'call', 'voice', 'phone')"

# A message never handed over is planned afresh: its reader may have opted out since.
FORGET_UNSENT = "delete from sync.message where state = 'planned' and planned_at < $as_of"

LATER_MESSAGES = "select count(*) from sync.message where planned_at > $as_of"

PLAN = f"""
insert into sync.message by name
with decided as (
    select
        patient_id,
        coalesce(bool_or(field = 'care_status' and value = 'deceased'), false) as is_deceased,
        coalesce(bool_or(field = 'email_opt_out' and value = 'true'), false) as email_opt_out,
        coalesce(bool_or(field in ('sms_opt_out', 'call_opt_out') and value = 'true'), false) as phone_opt_out
    from reconciled.field_decision
    group by patient_id
),
-- Whoever said stop on one channel is left in peace on all, before the CRM shows it.
stopped as (
    select contact_id
    from staging.reply
    where kind = 'stop'
    union
    select contact_id
    from sync.message
    where state = 'failed' and reason = 'opted_out'
),
-- What a provider said of an address holds for as long as the address stays the same.
refused_address as (
    select distinct contact_id, address_key
    from sync.message
    where state = 'failed' and reason = 'bad_address'
),
-- One row per contact whose phone only the patient can put right, and which is not being put right already.
askable as (
    select
        contact.contact_id,
        contact.phone,
        contact.phone_digits,
        contact.email,
        contact.alternate_phone,
        coalesce(contact.is_active, false) as is_active,
        coalesce(contact.care_status, '') = 'deceased'
        or coalesce(status.care_reason, '') = 'deceased_not_marked'
        or coalesce(decided.is_deceased, false) as is_deceased,
        coalesce(contact.email_opt_out, false)
        or coalesce(decided.email_opt_out, false)
        or stopped.contact_id is not null as email_opt_out,
        coalesce(contact.sms_opt_out, false)
        or coalesce(contact.call_opt_out, false)
        or coalesce(decided.phone_opt_out, false)
        or stopped.contact_id is not null as phone_opt_out,
        -- The tries are counted for this number since it last was good.
        coalesce(greatest(contact.phone_since, status.phone_confirmed_at), to_timestamp(0)) as since
    from staging.crm_contact as contact
    inner join hygiene.contact_status as status on status.contact_id = contact.contact_id
    left join identity.patient_link as link on link.source = 'crm' and link.source_id = contact.contact_id
    left join decided on decided.patient_id = link.patient_id
    left join stopped on stopped.contact_id = contact.contact_id
    where
        status.phone_state = 'stale'
        and status.phone_reason in {_ASKABLE}
        and not exists (
            select 1
            from sync.crm_change as change
            where
                change.contact_id = contact.contact_id
                and change.field = 'phone'
                and (change.state in ('planned', 'failed') or change.touched_at >= $as_of)
        )
),
-- A message that may have arrived is a try; one that surely reached nobody is none.
handed_over as (
    select
        contact_id,
        planned_at,
        state <> 'failed' or reason = 'refused' as is_try
    from sync.message
    where state in ('planned', 'sending', 'sent', 'unconfirmed', 'failed') and planned_at < $as_of
),
tried as (
    select
        askable.contact_id,
        count(*) filter (message.is_try) as tries,
        count(message.contact_id) as messages,
        max(message.planned_at) filter (message.is_try) as last_try
    from askable
    left join handed_over as message
        on message.contact_id = askable.contact_id and message.planned_at >= askable.since
    group by askable.contact_id
),
latest_lookup as (
    select phone, valid, line_type, line_status, reassigned
    from staging.phone_lookup
    qualify row_number() over (partition by phone order by checked_at desc, provider) = 1
),
number_use as (
    select contact.number, count(distinct coalesce(link.patient_id, contact.contact_id)) as patients
    from (
        select contact_id, phone as number
        from staging.crm_contact
        union
        select contact_id, alternate_phone as number
        from staging.crm_contact
    ) as contact
    left join identity.patient_link as link on link.source = 'crm' and link.source_id = contact.contact_id
    where contact.number is not null
    group by contact.number
),
bad_email as (
    select distinct contact_id
    from hygiene.finding
    where staleness_type = 'email'
),
called as (
    select
        contact_id,
        count(*) as in_week,
        count(*) filter (where cast(timezone(clock.timezone, occurred_at) as date) = clock.as_of_date) as today
    from staging.crm_interaction
    cross join policy.clock as clock
    where direction = 'outbound' and channel in {_VOICE} and occurred_at between $as_of - interval 7 day and $as_of
    group by contact_id
),
gated as (
    select
        askable.contact_id,
        askable.since,
        tried.tries,
        tried.messages,
        tried.last_try,
        case
            when askable.is_deceased then 'deceased'
            when not askable.is_active then 'inactive'
            when askable.phone = practice.phone then 'practice_number'
            when tried.tries >= reengagement.max_tries then 'tries_exhausted'
        end as person_block,
        case
            when askable.email is null then 'no_address'
            when askable.email_opt_out then 'opted_out'
            when refused_email.contact_id is not null then 'bad_address'
            when
                -- A carrier's mail gateway: the mail would come out of the bad number as a text.
                length(askable.phone_digits) >= 7
                and regexp_full_match(askable.email, '[-+.()0-9]+@.*')
                and ends_with(
                    regexp_replace(split_part(askable.email, '@', 1), '[^0-9]', '', 'g'), askable.phone_digits
                )
                then 'bad_address'
            when bad_email.contact_id is not null then 'bad_address'
            when not regexp_full_match(askable.email, '[^@\\s]+@[^@\\s]+\\.[^@\\s]+') then 'bad_address'
            when not list_contains($carried::varchar[], 'email') then 'channel_off'
        end as email_block,
        case
            when askable.alternate_phone is null then 'no_address'
            when askable.alternate_phone = askable.phone then 'no_address'
            when
                length(askable.phone_digits) >= 7
                and ends_with(askable.alternate_phone, askable.phone_digits)
                then 'no_address'
            when askable.phone_opt_out then 'opted_out'
            when askable.alternate_phone = practice.phone then 'bad_address'
            when not lookup.valid or lookup.line_status = 'inactive' then 'bad_address'
            when lookup.reassigned = 'yes' or lookup.line_type = 'landline' then 'bad_address'
            when refused_phone.contact_id is not null then 'bad_address'
            when number_use.patients > 1 then 'shared_number'
            when called.today >= 1 or called.in_week >= 3 then 'too_many'
            when not $text_fits then 'text_too_long'
            when not list_contains($carried::varchar[], 'sms') then 'channel_off'
        end as phone_block
    from askable
    inner join tried on tried.contact_id = askable.contact_id
    cross join policy.reengagement as reengagement
    cross join policy.practice as practice
    left join bad_email on bad_email.contact_id = askable.contact_id
    left join refused_address as refused_email
        on refused_email.contact_id = askable.contact_id and refused_email.address_key = sha256(askable.email)
    left join refused_address as refused_phone
        on refused_phone.contact_id = askable.contact_id and refused_phone.address_key = sha256(askable.alternate_phone)
    left join latest_lookup as lookup on lookup.phone = askable.alternate_phone
    left join number_use on number_use.number = askable.alternate_phone
    left join called on called.contact_id = askable.contact_id
),
due as (
    select
        gated.contact_id,
        gated.since,
        gated.tries + 1 as try_number,
        gated.messages + 1 as message_number,
        case when gated.email_block is null then 'email' else 'alternate_phone' end as address_kind,
        case
            when gated.person_block is not null then gated.person_block
            when gated.email_block is not null and gated.phone_block is not null
                then coalesce(nullif(gated.email_block, 'no_address'), gated.phone_block)
        end as block
    from gated
    cross join policy.reengagement as reengagement
    cross join policy.clock as clock
    where
        gated.last_try is null
        or cast(timezone(clock.timezone, gated.last_try) as date) + reengagement.wait_days <= clock.as_of_date
),
last_word as (
    select contact_id, arg_max(state || ' ' || coalesce(reason, ''), planned_at) as said
    from sync.message
    where planned_at < $as_of
    group by contact_id
),
message as (
    select
        left(sha256(concat_ws(
            chr(31), contact_id, 'confirm_phone', cast(epoch_us(since) as varchar), cast(message_number as varchar)
        )), 24) as message_id,
        contact_id,
        case address_kind when 'email' then 'email' else 'sms' end as channel,
        address_kind,
        case address_kind when 'email' then 'confirm_phone_email' else 'confirm_phone_sms' end as template,
        try_number,
        'planned' as state,
        null as reason
    from due
    where block is null
    union all
    select
        left(sha256(concat_ws(chr(31), due.contact_id, due.block, cast(epoch_us($as_of) as varchar))), 24),
        due.contact_id,
        null,
        null,
        null,
        due.try_number,
        'suppressed',
        due.block
    from due
    left join last_word on last_word.contact_id = due.contact_id
    -- A reason is noted when it begins, not every night it lasts.
    where due.block is not null and last_word.said is distinct from 'suppressed ' || due.block
)
select
    message_id,
    contact_id,
    channel,
    address_kind,
    template,
    try_number,
    state,
    reason,
    $as_of as planned_at,
    null as sent_at
from message
where not exists (select 1 from sync.message as known where known.message_id = message.message_id)
order by contact_id
"""

PLANNED = "select count(*) from sync.message where state = 'planned' and planned_at = $as_of"
