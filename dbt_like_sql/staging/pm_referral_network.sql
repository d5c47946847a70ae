-- Providers with whom a referral relationship is or was kept. One row per NPI still in the PM's list.
with latest as (
    select
        npi,
        name,
        specialty,
        organization,
        status,
        effective_date,
        end_date,
        is_removed,
    from raw.pm_referral_network
    where extracted_at <= (select as_of from policy.clock)
    qualify row_number() over (
        partition by npi
        order by extracted_at desc, take_seq desc, effective_date desc nulls last, row_hash desc
    ) = 1
)

select
    npi,
    name,
    specialty,
    organization,
    status,
    effective_date,
    end_date,
from latest
where not is_removed
