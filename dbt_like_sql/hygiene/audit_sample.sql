-- A simple random sample of active contacts for a person to check by hand; the night is the seed.
with drawn as (

    select
        row_number() over (
            order by md5(epoch_us(clock.as_of)::varchar || ':' || contact_status.contact_id), contact_status.contact_id
        ) as sample_number,
        contact_status.contact_id,
        contact_status.phone_state,
        contact_status.insurance_state,
        contact_status.care_state,
        contact_status.referring_provider_state,
        contact_status.is_stale,
        audit.sample_size
    from hygiene.contact_status
    cross join policy.clock
    cross join policy.audit
    where contact_status.is_active

)

select
    sample_number,
    contact_id,
    phone_state,
    insurance_state,
    care_state,
    referring_provider_state,
    is_stale,
    -- A fifth is judged by two people, so that their agreement can be told.
    sample_number <= ceil(0.2 * sample_size) as needs_second_review
from drawn
where sample_number <= sample_size
