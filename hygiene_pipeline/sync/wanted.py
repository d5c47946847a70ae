"""The SQL that decides which field of which CRM contact shall change, and to what.

Thresholds live in policy, verdicts in `hygiene.contact_status`; here is only which verdict may become a write of
which value.
"""

from hygiene_pipeline.sync.comparison import COMPARABLE_SQL

# referring_provider_npi is absent on purpose: a referring provider is a person's decision, always.
_FIELDS = (
    "first_name",
    "last_name",
    "birth_date",
    "sex",
    "address_line",
    "city",
    "state",
    "postal_code",
    "phone",
    "email",
    "insurance_payer_id",
    "insurance_payer",
    "insurance_member_id",
    "insurance_status",
    "care_status",
    "segments",
    "preferred_channel",
    "sms_opt_out",
    "email_opt_out",
    "call_opt_out",
)
_STAGED = {
    "phone": "coalesce(contact.phone, contact.phone_raw)",
    "birth_date": "cast(contact.birth_date as varchar)",
    "segments": "array_to_string(contact.segments, ';')",
    **{f"{channel}_opt_out": f"cast(contact.{channel}_opt_out as varchar)" for channel in ("sms", "email", "call")},
}
_SHOWN = ", ".join(f"{_STAGED.get(field, f'contact.{field}')} as {field}" for field in _FIELDS)

_SEGMENT_LIST = """
array_to_string(list_sort(list_distinct(list_filter(
    list_transform(string_split(decision.value, ';'), lambda segment: trim(segment)), lambda segment: segment <> ''
))), ';')
"""

_ISO = "strftime({instant}, '%Y-%m-%dT%H:%M:%SZ')"

_CONSIDERED = "create or replace temp table considered_contact as select distinct contact_id from"
EVERY_CONTACT = f"{_CONSIDERED} staging.crm_contact"
TOUCHED_CONTACTS = f"{_CONSIDERED} sync.touched_contact"
"""Whose changes are planned: everybody's, or those whose decisions event runs renewed since the last time."""

SHOWN = f"""
create or replace temp table shown_value as
with contact as (
    select contact.contact_id, link.patient_id, {_SHOWN}
    from staging.crm_contact as contact
    semi join considered_contact as considered on considered.contact_id = contact.contact_id
    left join identity.patient_link as link on link.source = 'crm' and link.source_id = contact.contact_id
)
select contact_id, patient_id, field, value
from contact unpivot include nulls (value for field in ({", ".join(_FIELDS)}))
"""

WANTED = f"""
create or replace temp table wanted_change as
with written_field as (
    select field
    from policy.source_of_truth
    group by field
    having bool_and("write" = 'auto')
),
care_event as (
    select link.patient_id, event.evidence_ref, min(event.event_at) as event_at, min(event.received_at) as received_at
    from staging.ehr_care_event as event
    inner join identity.patient_link as link on link.source = 'ehr' and link.source_id = event.ehr_patient_id
    where event.is_cancelled is not true
    group by link.patient_id, event.evidence_ref
),
-- A person set the care status or the insurance after what speaks against it: they may know what the EHR has not
-- exported or the payer has not said yet, so that word goes to their queue and not over theirs. What a sync wrote is
-- nobody's word.
own_write as (
    select distinct contact_id, applied_at from sync.crm_change where applied_at is not null
),
set_by_person as (
    select
        since.contact_id,
        case when care.contact_id is null then since.care_since end as care_since,
        case when insurance.contact_id is null then since.insurance_since end as insurance_since
    from reconciled.crm_value_since as since
    left join own_write as care on care.contact_id = since.contact_id and care.applied_at = since.care_since
    left join own_write as insurance
        on insurance.contact_id = since.contact_id and insurance.applied_at = since.insurance_since
    where since.care_since is not null or since.insurance_since is not null
),
-- Nearly all that the CRM shows is what was decided, and no verdict speaks of it: put aside before the other joins.
considered as (
    select
        shown.contact_id,
        shown.patient_id,
        shown.field,
        shown.value as shown_value,
        decision.value,
        decision.source,
        decision.rule,
        decision.is_conflict,
        decision.evidence_ref,
        decision.decided_confirmed_at
    from shown_value as shown
    inner join written_field on written_field.field = shown.field
    left join reconciled.field_decision as decision
        on decision.patient_id = shown.patient_id and decision.field = shown.field
    where
        decision.value is distinct from shown.value
        or shown.field in ('phone', 'insurance_status', 'care_status', 'segments')
),
decided as (
    select
        decision.contact_id,
        decision.field,
        decision.shown_value,
        decision.source,
        decision.decided_confirmed_at,
        case
            when decision.field = 'phone' then case
                when
                    status.phone_state = 'stale'
                    and decision.decided_confirmed_at is not null
                    and regexp_full_match(decision.value, '\\+[1-9]\\d{{6,14}}')
                    then decision.value
            end
            when
                decision.field like 'insurance_%'
                and person.insurance_since > coalesce(status.insurance_evidence_at, decision.decided_confirmed_at)
                then null
            when decision.field in ('insurance_payer_id', 'insurance_payer', 'insurance_member_id') then case
                when
                    status.insurance_reason in ('payer_mismatch', 'member_id_mismatch')
                    and decision.source in ('pm', 'eligibility')
                    then decision.value
            end
            when decision.field = 'insurance_status' then case status.insurance_reason
                when 'coverage_inactive' then 'verify_required'
                when 'subscriber_not_found' then 'verify_required'
                when 'coverage_terminated' then 'lapsed'
                when 'status_mismatch' then 'active'
            end
            when decision.field = 'care_status' and status.care_reason = 'deceased_not_marked' then 'deceased'
            when
                decision.field in ('care_status', 'segments')
                and person.care_since > coalesce(event.event_at, status.care_evidence_at, decision.decided_confirmed_at)
                then null
            when decision.field = 'care_status'
                then case status.care_reason when 'outdated_status' then decision.value end
            when decision.field = 'segments' then case when status.care_state = 'stale' then {_SEGMENT_LIST} end
            -- Nobody vouches for it: good enough to fill a gap, not to replace an address.
            when
                decision.field = 'email'
                and decision.decided_confirmed_at is null
                and decision.shown_value is not null
                then null
            -- Another spelling of the same address is no reason to write.
            when
                decision.field in ('email', 'address_line', 'city', 'state', 'postal_code')
                and decision.shown_value is not null
                and not decision.is_conflict
                then null
            when decision.field like '%_opt_out' then case when lower(decision.value) = 'true' then 'true' end
            else nullif(trim(decision.value), '')
        end as new_value,
        case
            when decision.field = 'phone' then status.phone_reason
            when decision.field like 'insurance_%' then status.insurance_reason
            when decision.field in ('care_status', 'segments') then status.care_reason
            else decision.rule
        end as reason,
        case
            when decision.field like 'insurance_%' then coalesce(status.insurance_evidence_ref, decision.evidence_ref)
            when decision.field in ('care_status', 'segments')
                then coalesce(status.care_evidence_ref, decision.evidence_ref)
            else decision.evidence_ref
        end as evidence_ref,
        case
            when decision.field like 'insurance_%'
                then coalesce(status.insurance_evidence_at, decision.decided_confirmed_at)
            when decision.field in ('care_status', 'segments')
                then coalesce(event.event_at, status.care_evidence_at, decision.decided_confirmed_at)
            else decision.decided_confirmed_at
        end as event_at,
        case when decision.field in ('care_status', 'segments') then event.received_at end as received_at
    from considered as decision
    inner join hygiene.contact_status as status on status.contact_id = decision.contact_id
    left join set_by_person as person on person.contact_id = decision.contact_id
    left join care_event as event
        on
            event.patient_id = decision.patient_id
            and event.evidence_ref = coalesce(status.care_evidence_ref, decision.evidence_ref)
),
differing as (
    select
        contact_id,
        field,
        shown_value,
        source,
        decided_confirmed_at,
        new_value,
        reason,
        evidence_ref,
        event_at,
        received_at
    from decided
    where
        new_value is not null
        -- Nearly all values are the same to the letter; only the few others are brought into a comparable form.
        and new_value is distinct from shown_value
        -- What the CRM says itself, tidied up, is no correction; opt-outs and verdicts stand on their own.
        and (source is distinct from 'crm' or field like '%_opt_out' or field in ('insurance_status', 'care_status'))
        and {COMPARABLE_SQL.format(field="field", value="new_value")}
        is distinct from {COMPARABLE_SQL.format(field="field", value="coalesce(shown_value, '')")}
),
confirmed_by_patient as (
    select contact.contact_id, reply.received_at as confirmed_at, reply.evidence_ref
    from staging.crm_contact as contact
    semi join considered_contact as considered on considered.contact_id = contact.contact_id
    inner join staging.reply as reply on reply.contact_id = contact.contact_id and reply.value = contact.phone
    where
        reply.kind in ('confirm_phone', 'change_phone')
        and not exists (
            select 1 from differing where differing.contact_id = contact.contact_id and differing.field = 'phone'
        )
    union all
    select contact_id, decided_confirmed_at, evidence_ref
    from differing
    where field = 'phone' and source = 'patient'
),
verified as (
    select
        confirmed.contact_id,
        max(confirmed.confirmed_at) as confirmed_at,
        arg_max(confirmed.evidence_ref, confirmed.confirmed_at) as evidence_ref
    from confirmed_by_patient as confirmed
    where exists (select 1 from written_field where field = 'phone')
    group by confirmed.contact_id
),
wanted as (
    select
        differing.contact_id,
        differing.field,
        case when differing.field = 'phone' then contact.phone_raw else differing.shown_value end as old_value,
        differing.new_value,
        differing.reason,
        differing.evidence_ref,
        differing.event_at,
        coalesce(differing.received_at, differing.event_at) as evidence_at
    from differing
    inner join staging.crm_contact as contact on contact.contact_id = differing.contact_id
    union all
    select
        verified.contact_id,
        'last_phone_verified',
        {_ISO.format(instant="contact.last_phone_verified")},
        {_ISO.format(instant="verified.confirmed_at")},
        'patient_confirmed',
        verified.evidence_ref,
        verified.confirmed_at,
        verified.confirmed_at
    from verified
    inner join staging.crm_contact as contact on contact.contact_id = verified.contact_id
    where
        contact.last_phone_verified is null
        or date_trunc('second', verified.confirmed_at) > contact.last_phone_verified
)
select
    contact_id,
    field,
    old_value,
    new_value,
    reason,
    evidence_ref,
    event_at,
    evidence_at,
    left(sha256(concat_ws(
        chr(31), contact_id, field, coalesce(old_value, ''), new_value, cast(epoch_us($as_of) as varchar)
    )), 24) as change_id
from wanted
"""
