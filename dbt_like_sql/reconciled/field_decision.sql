-- Which value of a field is true, who says so and by what rule. One row per patient and field that any source speaks of.
with strategy as (
    select field, min(strategy) as strategy
    from policy.source_of_truth
    group by field
),

weighed as (
    select
        candidate.patient_id,
        candidate.field,
        candidate.source,
        candidate.value,
        candidate.value_key,
        candidate.confirmed_at,
        candidate.is_valid,
        candidate.evidence_ref,
        strategy.strategy,
        candidate.strength = 3 as is_patients_word,
        -- Compared column by column, smallest first: a total order, so that no result hangs on the order of rows.
        {
            'invalid': not candidate.is_valid,
            'by_rule': case strategy.strategy
                when 'opt_out_wins' then case candidate.value when 'true' then 0 else 1 end
                when 'most_recent' then 0
                when 'most_recently_confirmed' then case candidate.strength when 3 then 0 else 1 end
                else coalesce(truth.source_rank, 99)
            end,
            'seconds_ago': -epoch_us(coalesce(candidate.confirmed_at, timestamptz '0001-01-01 00:00:00+00')),
            -- Between equals the CRM keeps what it has: a change needs a reason.
            'replaces': strategy.strategy = 'most_recently_confirmed' and candidate.source <> 'crm',
            'source_rank': coalesce(truth.source_rank, 99),
            'source': candidate.source,
            'source_id': candidate.source_id,
            'value': candidate.value
        } as place,
    from reconciled.field_candidate as candidate
    left join strategy on strategy.field = candidate.field
    left join policy.source_of_truth as truth
        on truth.field = candidate.field and truth.source = candidate.source
),

gathered as (
    select
        patient_id,
        field,
        any_value(strategy) as strategy,
        min({
            'place': place,
            'confirmed_at': confirmed_at,
            'is_valid': is_valid,
            'is_patients_word': is_patients_word,
            'evidence_ref': evidence_ref
        }) as best,
        min(value_key) <> max(value_key) as is_conflict,
        coalesce(min(value_key) filter (is_valid) <> max(value_key) filter (is_valid), false) as is_choice,
        list_sort(list({'source': source, 'value': value, 'confirmed_at': confirmed_at})) as candidates,
    from weighed
    group by patient_id, field
),

decided as (
    select
        patient_id,
        field,
        case when best.is_valid then best.place.value end as value,
        case when best.is_valid then best.place.source end as source,
        case
            when not best.is_valid then 'no_valid_value'
            when not is_conflict then 'only_value'
            when not is_choice then 'only_valid_value'
            when strategy = 'opt_out_wins' then 'opt_out_wins'
            when strategy = 'most_recent' then 'most_recent'
            when strategy = 'most_recently_confirmed' then
                case
                    when best.is_patients_word then 'patient_confirmed'
                    when best.confirmed_at is null then 'unconfirmed'
                    else 'most_recently_confirmed'
                end
            else coalesce(strategy, 'authoritative') || ':' || best.place.source
        end as rule,
        is_conflict,
        candidates,
        case when best.is_valid then best.confirmed_at end as decided_confirmed_at,
        case when best.is_valid then best.evidence_ref end as evidence_ref,
    from gathered
)

select patient_id, field, value, source, rule, is_conflict, candidates, decided_confirmed_at, evidence_ref
from decided
