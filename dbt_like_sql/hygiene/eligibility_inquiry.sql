-- The inquiries that the plan asks for, by the trace that their answers will bear.
with due as (

    select
        check_id,
        pm_patient_id,
        payer_id,
        member_id
    from hygiene.eligibility_recheck_plan
    where not is_left_out

)

select
    check_id,
    pm_patient_id,
    payer_id,
    member_id
from due
