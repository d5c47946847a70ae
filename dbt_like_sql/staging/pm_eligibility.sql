-- What payers answered when asked about coverage, up to the clock. One row per check and answer.
with latest as (
    select
        check_id,
        pm_patient_id,
        payer_id,
        member_id,
        nullif(upper(regexp_replace(member_id, '[^A-Za-z0-9]', '', 'g')), '') as member_key,
        checked_at,
        result,
        message,
        source_format,
        evidence_ref,
    from raw.pm_eligibility
    where extracted_at <= (select as_of from policy.clock)
    qualify row_number() over (
        partition by check_id, evidence_ref
        order by extracted_at desc, take_seq desc, checked_at desc, row_hash desc
    ) = 1
),

-- Whom an inquiry of ours was about, by the trace that comes back with its answer.
inquiries as (
    select
        check_id,
        any_value(pm_patient_id) as pm_patient_id,
        any_value(payer_id) as payer_id,
        any_value(member_id) as member_id,
        any_value(nullif(upper(regexp_replace(member_id, '[^A-Za-z0-9]', '', 'g')), '')) as member_key,
    from history.hygiene_eligibility_inquiry
    where as_of < (select as_of from policy.clock)
    group by check_id
),

-- A member id that several patients share (a family's) tells nobody apart.
members as (
    select
        upper(payer_id) as payer_key,
        member_key,
        min(pm_patient_id) as pm_patient_id,
    from staging.pm_coverage
    where member_key is not null
    group by payer_key, member_key
    having count(distinct pm_patient_id) = 1
),

answers as (
    select
        latest.check_id,
        coalesce(latest.pm_patient_id, inquiries.pm_patient_id, members.pm_patient_id) as pm_patient_id,
        coalesce(latest.payer_id, inquiries.payer_id) as payer_id,
        coalesce(latest.member_id, inquiries.member_id) as member_id,
        coalesce(latest.member_key, inquiries.member_key) as member_key,
        latest.checked_at,
        latest.result,
        latest.message,
        latest.source_format,
        latest.evidence_ref,
    from latest
    left join inquiries on latest.check_id = inquiries.check_id
    left join members
        on upper(latest.payer_id) = members.payer_key and latest.member_key = members.member_key
)

select
    check_id,
    pm_patient_id,
    payer_id,
    member_id,
    member_key,
    checked_at,
    result,
    message,
    source_format,
    evidence_ref,
from answers
