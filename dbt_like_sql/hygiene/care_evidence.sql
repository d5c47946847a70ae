-- The care status and condition segments that the CRM shows beside those the EHR stands for. One row per CRM contact.
with judged as (
    select coalesce(list_sort(list(distinct segment)), []) as segments
    from policy.segment
),

compared as (
    select
        contact.contact_id,
        link.patient_id,
        coalesce(lower(contact.care_status), 'none') as care_status,
        truth.patient_id is not null as is_in_ehr,
        truth.care_status as expected_care_status,
        list_sort(list_filter(
            coalesce(contact.segments, []),
            lambda segment: list_contains(judged.segments, segment)
        )) as segments,
        list_sort(list_filter(
            coalesce(contact.segments, []),
            lambda segment: not list_contains(judged.segments, segment)
        )) as own_segments,
        list_filter(truth.segments, lambda segment: list_contains(judged.segments, segment)) as expected_segments,
        truth.leaves_segments,
        truth.event_at,
        truth.evidence_ref,
        truth.record_updated_at,
        truth.condition_at,
        truth.condition_ref,
    from staging.crm_contact as contact
    cross join judged
    left join identity.patient_link as link on link.source = 'crm' and link.source_id = contact.contact_id
    left join reconciled.care_truth as truth on truth.patient_id = link.patient_id
)

select
    contact_id,
    patient_id,
    is_in_ehr,
    care_status,
    expected_care_status,
    segments as condition_segments,
    expected_segments as expected_condition_segments,
    list_sort(list_concat(own_segments, coalesce(expected_segments, segments))) as expected_segments,
    coalesce(segments <> expected_segments, false) as is_wrong_segment,
    event_at,
    evidence_ref,
    record_updated_at,
    case when leaves_segments then event_at else condition_at end as segment_evidence_at,
    case when leaves_segments then evidence_ref else coalesce(condition_ref, evidence_ref) end as segment_evidence_ref,
from compared
