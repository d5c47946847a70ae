-- What is known of each telephone number itself, whoever claims it. One row per E.164 number.
with clock as (
    select as_of from policy.clock
),

lookups as (
    select
        lookup.phone,
        lookup.checked_at,
        lookup.provider,
        lookup.valid,
        lookup.line_type,
        lookup.line_status,
        lookup.reassigned,
        -- No data and a failed call answer nothing, so they never replace what an earlier call found out.
        case
            when lookup.valid = false or lookup.line_status = 'inactive' then 'dead'
            when lookup.valid = true or lookup.line_status in ('active', 'reachable') then 'fine'
        end as answer,
    from staging.phone_lookup as lookup
    cross join clock
    where lookup.checked_at <= clock.as_of
),

looked_up as (
    select
        phone,
        max({'at': checked_at, 'provider': provider, 'answer': answer}) as attempt,
        max({'at': checked_at, 'provider': provider, 'answer': answer}) filter (answer is not null) as answered,
        max({'at': checked_at, 'provider': provider}) filter (answer = 'fine') as fine,
        max({'at': checked_at, 'provider': provider, 'line_type': line_type})
            filter (line_type <> 'unknown') as typed,
        max(checked_at) filter (line_type in ('mobile', 'nonfixedvoip')) as took_texts_at,
        max({'at': checked_at, 'provider': provider, 'reassigned': reassigned})
            filter (reassigned in ('yes', 'no')) as reassignment,
    from lookups
    group by phone
),

used as (
    select phone, phone_digits as digits, is_active from staging.crm_contact where phone is not null
    union all
    select phone, null, false from staging.pm_patient where phone is not null
    union all
    select phone, null, false from staging.ehr_patient where phone is not null
    union all
    select value, null, false from staging.reply where kind in ('confirm_phone', 'change_phone') and value is not null
    union all
    select phone, null, false from looked_up
),

numbers as (
    select
        phone,
        coalesce(
            max(digits),
            case when phone like '+1%' then substr(phone, 3) else ltrim(phone, '+') end
        ) as digits,
        count(*) filter (is_active) as active_contacts,
    from used
    group by phone
),

judged as (
    select
        numbers.phone,
        case
            when placeholder.digits is not null then 'pattern'
            when practice.phone is not null then 'practice_number'
            when numbers.active_contacts > (select shared_number_limit from policy.phone) then 'shared'
        end as placeholder_kind,
        numbers.active_contacts,
    from numbers
    left join reconciled.placeholder_phone as placeholder on placeholder.digits = numbers.digits
    left join (select distinct phone from policy.practice) as practice on practice.phone = numbers.phone
)

select
    judged.phone,
    judged.placeholder_kind,
    judged.active_contacts,
    looked_up.attempt.at as attempted_at,
    looked_up.attempt.provider as attempted_by,
    looked_up.attempt.answer as attempt_answer,
    looked_up.answered.at as answered_at,
    looked_up.answered.provider as answered_by,
    looked_up.answered.answer as answer,
    looked_up.fine.at as fine_at,
    looked_up.fine.provider as fine_by,
    looked_up.typed.line_type as line_type,
    looked_up.typed.at as line_type_at,
    looked_up.typed.provider as line_type_by,
    looked_up.typed.line_type = 'landline' and looked_up.took_texts_at is not null as is_landline_by_now,
    looked_up.reassignment.reassigned as reassigned,
    looked_up.reassignment.at as reassigned_at,
    looked_up.reassignment.provider as reassigned_by,
from judged
left join looked_up on looked_up.phone = judged.phone
