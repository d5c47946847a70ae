-- Records grouped by medical record number, apart where one number plainly carries two people. One row per source record.
with recursive
number as (
    select mrn_key, min(record_key) as first_record, coalesce(min(birth_date) <> max(birth_date), false) as is_doubtful
    from identity.record
    where mrn_key is not null
    group by mrn_key
),

-- A number whose records agree on the birthday is one person's. Of any other, each round, the first record of a number is its anchor and takes all that do not contradict it; the rest go into the next round.
rounds as (
    select
        0 as round,
        record_key,
        mrn_key,
        name_key,
        birth_date,
        {'record_key': record_key, 'name_key': name_key, 'birth_date': birth_date} as anchor,
        true as is_apart,
    from identity.record
    where mrn_key in (select mrn_key from number where is_doubtful)
    union all
    select
        round,
        record_key,
        mrn_key,
        name_key,
        birth_date,
        anchor,
        -- A slip of a key or day and month swapped is not another birthday, nor is a respelt name another person.
        case
            when birth_date is null or anchor.birth_date is null or birth_date = anchor.birth_date then false
            when birth_date::varchar = strftime(anchor.birth_date, '%Y-%d-%m') then false
            when levenshtein(birth_date::varchar, anchor.birth_date::varchar) <= 1 then false
            when name_key is null or anchor.name_key is null then false
            else greatest(
                jaro_winkler_similarity(name_key, anchor.name_key),
                jaro_winkler_similarity(
                    array_to_string(list_sort(string_split(name_key, ' ')), ' '),
                    array_to_string(list_sort(string_split(anchor.name_key, ' ')), ' ')
                )
            ) < 0.85
        end,
    from (
        select
            round + 1 as round,
            record_key,
            mrn_key,
            name_key,
            birth_date,
            first_value({'record_key': record_key, 'name_key': name_key, 'birth_date': birth_date})
                over (partition by mrn_key order by record_key) as anchor,
        from rounds
        where is_apart
    ) as candidate
),

placed as (
    select record_key, anchor.record_key as group_key
    from rounds
    where not is_apart
),

first_anchor as (
    select record_key, anchor.record_key as split_from
    from rounds
    where round = 1 and is_apart
),

grouped as (
    select
        record.source,
        record.source_id,
        record.record_key,
        record.mrn_key,
        coalesce(placed.group_key, number.first_record, record.record_key) as group_key,
        first_anchor.split_from,
    from identity.record as record
    left join number on number.mrn_key = record.mrn_key and not number.is_doubtful
    left join placed on placed.record_key = record.record_key
    left join first_anchor on first_anchor.record_key = record.record_key
),

sizes as (
    select group_key, count(*) as records
    from grouped
    group by group_key
)

select
    grouped.source,
    grouped.source_id,
    grouped.record_key,
    grouped.mrn_key,
    grouped.group_key,
    sizes.records,
    grouped.split_from,
from grouped
inner join sizes on sizes.group_key = grouped.group_key
