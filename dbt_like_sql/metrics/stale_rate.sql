-- How many active contacts are stale tonight, by kind of staleness and by any of them.
with active_contact as (

    select
        contact_status.phone_state,
        contact_status.insurance_state,
        contact_status.care_state,
        contact_status.referring_provider_state,
        contact_status.is_stale
    from hygiene.contact_status
    where contact_status.is_active

),

counted as (

    select
        'phone' as staleness_type,
        count(*) as contacts,
        count(*) filter (where phone_state = 'stale') as stale
    from active_contact

    union all

    select
        'insurance' as staleness_type,
        count(*) as contacts,
        count(*) filter (where insurance_state = 'stale') as stale
    from active_contact

    union all

    select
        'care' as staleness_type,
        count(*) as contacts,
        count(*) filter (where care_state = 'stale') as stale
    from active_contact

    union all

    select
        'referring_provider' as staleness_type,
        count(*) as contacts,
        count(*) filter (where referring_provider_state = 'stale') as stale
    from active_contact

    union all

    select
        'any' as staleness_type,
        count(*) as contacts,
        count(*) filter (where is_stale) as stale
    from active_contact

)

select
    clock.as_of,
    counted.staleness_type,
    counted.contacts,
    counted.stale,
    counted.stale / nullif(counted.contacts, 0) as rate
from counted
cross join policy.clock
