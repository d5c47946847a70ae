-- Every contact with a patient that the CRM logged, up to the clock. One row per interaction.
with latest as (
    select
        interaction_id,
        contact_id,
        occurred_at,
        lower(channel) as channel,
        lower(direction) as direction,
        lower(kind) as kind,
        lower(outcome) as outcome,
        staff,
        topic,
        resolved_at,
        score,
    from raw.crm_interactions
    where extracted_at <= (select as_of from policy.clock)
    qualify row_number() over (
        partition by interaction_id
        order by extracted_at desc, take_seq desc, resolved_at desc nulls last, row_hash desc
    ) = 1
)

select
    interaction_id,
    contact_id,
    occurred_at,
    channel,
    direction,
    kind,
    outcome,
    staff,
    topic,
    resolved_at,
    score,
from latest
