-- The policies whose payer is asked next, the most urgent first, and those that must wait or need a person before.
with person as (

    select
        patient_id,
        min(contact_id) as contact_id,
        min(next_visit_on) as next_visit_on,
        bool_or(in_active_care) as in_active_care
    from hygiene.issue_context
    where is_active and patient_id is not null
    group by patient_id

),

asked as (

    select
        person.contact_id,
        coverage.patient_id,
        coverage.pm_patient_id,
        coverage.payer_id,
        coverage.payer_name,
        coverage.member_id,
        coverage.member_key,
        coverage.effective_date,
        coverage.rank_number,
        coverage.answer,
        coverage.answered_at,
        coverage.answered_on,
        coverage.answer_age_days,
        coverage.latest_ask,
        coverage.asked_at,
        coverage.errors_in_a_row,
        coverage.last_updated,
        len(coverage.former_member_keys) > 0 as has_former_member_id,
        person.next_visit_on,
        person.in_active_care,
        regexp_extract(coverage.ask_message, 'AAA \w+ ([A-Z]) \(', 1) as follow_up
    from reconciled.coverage
    inner join person on coverage.patient_id = person.patient_id
    where coverage.rank_number is not null and coverage.member_key is not null

),

-- The first reason that applies.
reasoned as (

    select
        asked.*,
        coalesce(asked.next_visit_on <= clock.as_of_date + recheck.before_visit_days, false) as has_visit_soon,
        case
            when asked.latest_ask = 'payer_error' then 'payer_error'
            when asked.answer is null and asked.has_former_member_id then 'member_id_changed'
            when asked.answer is null then 'never'
            when asked.answer <> 'active' and asked.last_updated > asked.answered_at then 'changed_since'
            when
                asked.answered_on < recheck.plan_year_began_on
                and clock.as_of_date < recheck.plan_year_began_on + recheck.plan_year_days
                then 'plan_year'
            when asked.answer_age_days > insurance.answer_valid_days then 'too_old'
            when
                asked.next_visit_on <= clock.as_of_date + recheck.before_visit_days
                and asked.answer_age_days > recheck.visit_answer_days
                then 'visit'
            when asked.answer_age_days > insurance.answer_valid_days - recheck.ahead_days then 'ageing'
        end as reason
    from asked
    cross join policy.clock
    cross join policy.insurance
    cross join policy.recheck

),

waiting as (

    select
        reasoned.*,
        case
            when reasoned.reason = 'payer_error' and follow_up.wait_days is not null
                then reasoned.asked_at + to_days(follow_up.wait_days)
            when reasoned.reason = 'payer_error'
                then reasoned.asked_at + to_seconds(3600 * retry.wait_hours)
        end as not_before,
        coalesce(reasoned.reason = 'payer_error' and follow_up.is_held, false) as is_held,
        coalesce(reasoned.reason = 'payer_error' and reasoned.errors_in_a_row > recheck.max_retries, false) as is_given_up
    from reasoned
    cross join policy.recheck
    left join policy.recheck_follow_up as follow_up on reasoned.follow_up = follow_up.follow_up
    left join policy.recheck_retry as retry
        on retry.errors = least(
            greatest(reasoned.errors_in_a_row, 1), (select max(recheck_retry.errors) from policy.recheck_retry)
        )
    where reasoned.reason is not null

),

ordered as (

    select
        waiting.*,
        case
            when waiting.is_held then 'needs_correction'
            when waiting.is_given_up then 'too_many_errors'
            when waiting.not_before > clock.as_of then 'too_soon'
        end as obstacle,
        row_number() over (
            order by
                obstacle is not null,
                waiting.has_visit_soon desc,
                if(waiting.has_visit_soon, waiting.next_visit_on, null) nulls last,
                list_position(
                    ['member_id_changed', 'never', 'changed_since', 'payer_error', 'plan_year', 'too_old', 'visit', 'ageing'],
                    waiting.reason
                ),
                waiting.in_active_care desc,
                waiting.answered_at nulls first,
                waiting.rank_number,
                waiting.pm_patient_id,
                waiting.payer_id,
                waiting.effective_date
        ) as rank
    from waiting
    cross join policy.clock

)

select
    -- The same until an answer comes, so that asking twice can be told from asking again.
    'HP' || upper(left(md5(concat_ws(
        '|', clock.practice, ordered.pm_patient_id, ordered.payer_id, ordered.member_key,
        coalesce(epoch_us(ordered.asked_at)::varchar, 'never')
    )), 16)) as check_id,
    ordered.contact_id,
    ordered.patient_id,
    ordered.pm_patient_id,
    ordered.payer_id,
    ordered.payer_name,
    ordered.member_id,
    ordered.effective_date,
    ordered.reason,
    ordered.rank,
    coalesce(ordered.obstacle, if(ordered.rank > recheck.daily_limit, 'daily_limit', null)) as left_out_because,
    left_out_because is not null as is_left_out,
    ordered.not_before,
    ordered.next_visit_on,
    ordered.answer,
    ordered.answered_at,
    ordered.answer_age_days,
    ordered.asked_at,
    ordered.errors_in_a_row,
    -- A payer is asked about one day: that of the visit, if it is near.
    if(ordered.has_visit_soon, ordered.next_visit_on, clock.as_of_date) as service_date
from ordered
cross join policy.clock
cross join policy.recheck
