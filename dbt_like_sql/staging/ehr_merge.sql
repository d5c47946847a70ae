-- What became of medical record numbers that messages merged into others. One row per retired number.
with recursive
said as (
    select event_id, kind, mrn, retired_mrn, event_at
    from raw.ehr_event
    where
        retired_mrn is not null
        and retired_mrn <> mrn
        and extracted_at <= (select as_of from policy.clock)
),

-- A number that survives a later merge is alive again, and one that was unlinked was never the other.
standing as (
    select merge.retired_mrn, merge.mrn, merge.event_at
    from said as merge
    left join said as later
        on later.mrn = merge.retired_mrn and later.event_at > merge.event_at and later.kind <> 'ADT^A37'
    left join said as unlinked
        on unlinked.kind = 'ADT^A37'
        and least(unlinked.mrn, unlinked.retired_mrn) = least(merge.mrn, merge.retired_mrn)
        and greatest(unlinked.mrn, unlinked.retired_mrn) = greatest(merge.mrn, merge.retired_mrn)
        and unlinked.event_at >= merge.event_at
    where merge.kind <> 'ADT^A37' and later.mrn is null and unlinked.mrn is null
    qualify row_number() over (
        partition by merge.retired_mrn order by merge.event_at desc, merge.event_id desc
    ) = 1
),

-- Whoever was merged into somebody who was merged again follows to the end; `union` ends a circle.
followed as (
    select retired_mrn, mrn as current_mrn, event_at as merged_at
    from standing
    union
    select followed.retired_mrn, standing.mrn, followed.merged_at
    from followed
    inner join standing on standing.retired_mrn = followed.current_mrn
)

select followed.retired_mrn, followed.current_mrn, followed.merged_at
from followed
anti join standing on standing.retired_mrn = followed.current_mrn
