-- Every policy of a patient, which of them comes first today, and what its payer last said of it. One row per patient, payer and first day.
with clock as (
    select as_of, as_of_date, timezone from policy.clock
),

records as (
    select patient_id, source_id as pm_patient_id
    from identity.patient_link
    where source = 'pm'
),

-- Two PM records of one person may hold the same policy.
held as (
    select
        records.patient_id,
        policy.pm_patient_id,
        policy.payer_id,
        policy.payer_name,
        nullif(regexp_replace(upper(policy.payer_id), '[^A-Z0-9]', '', 'g'), '') as payer_key,
        policy.member_id,
        nullif(policy.member_key, '') as member_key,
        policy.plan_name,
        policy.effective_date,
        policy.termination_date,
        policy.last_updated,
        -- The last day itself is covered; a date that nobody entered does not end or delay anything.
        case
            when policy.termination_date < clock.as_of_date then 'ended'
            when policy.effective_date > clock.as_of_date then 'not_begun'
            else 'in_force'
        end as standing,
    from staging.pm_coverage as policy
    cross join clock
    inner join records on records.pm_patient_id = policy.pm_patient_id
    qualify row_number() over (
        partition by records.patient_id, coalesce(payer_key, policy.payer_id), policy.effective_date
        order by policy.last_updated desc nulls last, policy.pm_patient_id
    ) = 1
),

placed as (
    select
        held.*,
        row_number() over (
            partition by patient_id
            order by
                standing = 'in_force' desc,
                effective_date desc nulls last,
                last_updated desc nulls last,
                payer_id,
                pm_patient_id
        ) as place,
    from held
),

-- A renewal beside the row that it renews is one policy.
policies_in_force as (
    select
        patient_id,
        min(place) as place,
    from placed
    where standing = 'in_force'
    group by patient_id, coalesce(payer_key, payer_id), member_key
),

ranks as (
    select
        patient_id,
        place,
        row_number() over (partition by patient_id order by place) as rank_number,
    from policies_in_force
),

ranked as (
    select
        placed.*,
        ranks.rank_number,
    from placed
    left join ranks on ranks.patient_id = placed.patient_id and ranks.place = placed.place
),

-- An answer about the plan that the patient had before says nothing of the plan they have now.
asked as (
    select
        ranked.patient_id,
        ranked.place,
        answer.result,
        answer.message,
        {
            'at': answer.checked_at,
            'check_id': answer.check_id,
            'result': answer.result,
            'ref': answer.evidence_ref
        } as answer,
    from staging.pm_eligibility as answer
    cross join clock
    inner join records on records.pm_patient_id = answer.pm_patient_id
    inner join ranked
        on
            ranked.patient_id = records.patient_id
            and coalesce(nullif(answer.member_key, '') = ranked.member_key, true)
            and coalesce(
                nullif(regexp_replace(upper(answer.payer_id), '[^A-Z0-9]', '', 'g'), '') = ranked.payer_key, true
            )
    where answer.checked_at <= clock.as_of
),

answers as (
    select
        patient_id,
        place,
        max(answer) as latest_ask,
        arg_max(message, answer) as ask_message,
        max(answer) filter (result <> 'payer_error') as latest_answer,
    from asked
    group by patient_id, place
),

errors as (
    select
        asked.patient_id,
        asked.place,
        count(*) as errors_in_a_row,
    from asked
    inner join answers on answers.patient_id = asked.patient_id and answers.place = asked.place
    where
        asked.result = 'payer_error'
        and (answers.latest_answer is null or asked.answer.at > answers.latest_answer.at)
    group by asked.patient_id, asked.place
),

versions as (
    select
        version.pm_patient_id,
        version.payer_id,
        version.effective_date,
        min(version.known_from) as first_known_at,
        max(version.known_from) filter (version.known_to is null) as latest_at,
        any_value(version.is_removed) filter (version.known_to is null) as is_removed,
        arg_max(version.member_key, version.version) filter (not version.is_removed) as last_member_key,
        arg_max(version.termination_date, version.version) filter (not version.is_removed) as last_termination_date,
        arg_max(version.plan_name, version.version) filter (not version.is_removed) as last_plan_name,
        list(distinct version.member_key) filter (version.member_key is not null) as member_keys,
    from reconciled.coverage_version as version
    group by version.pm_patient_id, version.payer_id, version.effective_date
),

known as (
    select
        ranked.*,
        versions.first_known_at,
        case
            when len(versions.member_keys) > 1 or versions.member_keys[1] <> ranked.member_key
                then list_sort(list_filter(
                    versions.member_keys, lambda former: former is distinct from ranked.member_key
                ))
        end as former_member_keys,
        answers.latest_ask as ask,
        answers.ask_message,
        answers.latest_answer as answer,
        coalesce(errors.errors_in_a_row, 0) as errors_in_a_row,
        clock.as_of_date,
        timezone(clock.timezone, answers.latest_answer.at)::date as answered_on,
    from ranked
    cross join clock
    left join answers on answers.patient_id = ranked.patient_id and answers.place = ranked.place
    left join errors on errors.patient_id = ranked.patient_id and errors.place = ranked.place
    left join versions
        on
            versions.pm_patient_id = ranked.pm_patient_id
            and versions.payer_id = ranked.payer_id
            and versions.effective_date is not distinct from ranked.effective_date
),

vouched as (
    select
        known.*,
        as_of_date - answered_on as answer_age_days,
        coalesce(
            rank_number is not null
            and answer.result = 'active'
            and answer_age_days <= (select answer_valid_days from policy.insurance)
            and answered_on >= coalesce(effective_date, answered_on),
            false
        ) as is_vouched_for,
    from known
),

vouched_twice as (
    select patient_id
    from vouched
    where is_vouched_for
    group by patient_id
    having count(*) > 1
),

present as (
    select
        vouched.patient_id,
        pm_patient_id,
        payer_id,
        payer_name,
        payer_key,
        member_id,
        member_key,
        plan_name,
        effective_date,
        termination_date,
        last_updated,
        standing,
        place,
        rank_number,
        first_known_at,
        coalesce(former_member_keys, []) as former_member_keys,
        answer.result as answer,
        answer.at as answered_at,
        answer.ref as answer_ref,
        answer_age_days,
        answered_on,
        ask.result as latest_ask,
        ask.at as asked_at,
        ask.ref as ask_ref,
        ask_message,
        errors_in_a_row,
        is_vouched_for,
        is_vouched_for and vouched_twice.patient_id is not null as is_vouched_for_beside_another,
    from vouched
    left join vouched_twice on vouched_twice.patient_id = vouched.patient_id
),

-- What the PM no longer lists is history, but was a policy once.
removed as (
    select
        records.patient_id,
        versions.pm_patient_id,
        versions.payer_id,
        nullif(regexp_replace(upper(versions.payer_id), '[^A-Z0-9]', '', 'g'), '') as payer_key,
        versions.last_member_key as member_key,
        versions.last_plan_name as plan_name,
        versions.effective_date,
        versions.last_termination_date as termination_date,
        versions.first_known_at,
        versions.latest_at as removed_at,
    from versions
    inner join records on records.pm_patient_id = versions.pm_patient_id
    where versions.is_removed
    qualify row_number() over (
        partition by records.patient_id, coalesce(payer_key, versions.payer_id), versions.effective_date
        order by versions.latest_at desc, versions.pm_patient_id
    ) = 1
),

policies as (
    select
        patient_id,
        pm_patient_id,
        payer_id,
        payer_name,
        payer_key,
        member_id,
        member_key,
        plan_name,
        effective_date,
        termination_date,
        last_updated,
        standing,
        place,
        rank_number,
        first_known_at,
        null::timestamptz as removed_at,
        former_member_keys,
        answer,
        answered_at,
        answer_ref,
        answer_age_days,
        answered_on,
        latest_ask,
        asked_at,
        ask_ref,
        ask_message,
        errors_in_a_row,
        is_vouched_for,
        is_vouched_for_beside_another,
    from present
    union all by name
    select
        removed.patient_id,
        removed.pm_patient_id,
        removed.payer_id,
        removed.payer_key,
        removed.member_key,
        removed.plan_name,
        removed.effective_date,
        removed.termination_date,
        'removed' as standing,
        removed.first_known_at,
        removed.removed_at,
        []::varchar[] as former_member_keys,
        0 as errors_in_a_row,
        false as is_vouched_for,
        false as is_vouched_for_beside_another,
    from removed
    anti join held
        on
            held.patient_id = removed.patient_id
            and coalesce(held.payer_key, held.payer_id) = coalesce(removed.payer_key, removed.payer_id)
            and held.effective_date is not distinct from removed.effective_date
)

select
    patient_id,
    pm_patient_id,
    payer_id,
    payer_name,
    payer_key,
    member_id,
    member_key,
    plan_name,
    effective_date,
    termination_date,
    last_updated,
    standing,
    place,
    rank_number,
    case
        when rank_number = 1 then 'primary'
        when rank_number = 2 then 'secondary'
        when rank_number = 3 then 'tertiary'
        when rank_number > 3 then 'further'
    end as rank,
    first_known_at,
    removed_at,
    former_member_keys,
    answer,
    answered_at,
    answer_ref,
    answer_age_days,
    answered_on,
    latest_ask,
    asked_at,
    ask_ref,
    ask_message,
    errors_in_a_row,
    is_vouched_for,
    is_vouched_for_beside_another,
from policies
