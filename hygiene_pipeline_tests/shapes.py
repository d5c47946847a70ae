"""Column types of the tables that SQL models read, and the shipped policy values, for the test bed.

A test names only the columns that it is about; the bed fills the rest with nulls from the shapes here.
"""

from typing import Any

PEOPLE = {
    "first_name": "VARCHAR",
    "last_name": "VARCHAR",
    "name_key": "VARCHAR",
    "birth_date": "DATE",
    "sex": "VARCHAR",
}
ADDRESS = {"address_line": "VARCHAR", "city": "VARCHAR", "state": "VARCHAR", "postal_code": "VARCHAR"}

STAGING: dict[str, dict[str, str]] = {
    "staging.phone_number": {
        "raw": "VARCHAR",
        "e164": "VARCHAR",
        "reason": "VARCHAR",
        "digits": "VARCHAR",
        "number_type": "VARCHAR",
        "extension": "VARCHAR",
    },
    "staging.crm_contact": {
        "contact_id": "VARCHAR",
        "mrn": "VARCHAR",
        **PEOPLE,
        "phone_raw": "VARCHAR",
        "phone": "VARCHAR",
        "phone_reason": "VARCHAR",
        "phone_digits": "VARCHAR",
        "alternate_phone_raw": "VARCHAR",
        "alternate_phone": "VARCHAR",
        "email": "VARCHAR",
        **ADDRESS,
        "insurance_payer_id": "VARCHAR",
        "insurance_payer": "VARCHAR",
        "insurance_member_id": "VARCHAR",
        "insurance_status": "VARCHAR",
        "care_status": "VARCHAR",
        "segments": "VARCHAR[]",
        "referring_provider_npi": "VARCHAR",
        "last_phone_verified": "TIMESTAMPTZ",
        "preferred_channel": "VARCHAR",
        "sms_opt_out": "BOOLEAN",
        "email_opt_out": "BOOLEAN",
        "call_opt_out": "BOOLEAN",
        "owner": "VARCHAR",
        "is_active": "BOOLEAN",
        "last_modified": "TIMESTAMPTZ",
        "phone_since": "TIMESTAMPTZ",
        "source_file": "VARCHAR",
        "source_line": "BIGINT",
    },
    "staging.crm_interaction": {
        "interaction_id": "VARCHAR",
        "contact_id": "VARCHAR",
        "occurred_at": "TIMESTAMPTZ",
        "channel": "VARCHAR",
        "direction": "VARCHAR",
        "kind": "VARCHAR",
        "outcome": "VARCHAR",
        "staff": "VARCHAR",
        "topic": "VARCHAR",
        "resolved_at": "TIMESTAMPTZ",
        "score": "DOUBLE",
    },
    "staging.pm_patient": {
        "pm_patient_id": "VARCHAR",
        "mrn": "VARCHAR",
        **PEOPLE,
        "phone_raw": "VARCHAR",
        "phone": "VARCHAR",
        "email": "VARCHAR",
        **ADDRESS,
        "referring_provider_npi": "VARCHAR",
        "last_updated": "TIMESTAMPTZ",
        "phone_confirmed_at": "TIMESTAMPTZ",
        "email_confirmed_at": "TIMESTAMPTZ",
    },
    "staging.pm_coverage": {
        "pm_patient_id": "VARCHAR",
        "payer_id": "VARCHAR",
        "payer_name": "VARCHAR",
        "member_id": "VARCHAR",
        "member_key": "VARCHAR",
        "plan_name": "VARCHAR",
        "effective_date": "DATE",
        "termination_date": "DATE",
        "last_updated": "TIMESTAMPTZ",
        "coverage_rank": "BIGINT",
    },
    "staging.pm_eligibility": {
        "check_id": "VARCHAR",
        "pm_patient_id": "VARCHAR",
        "payer_id": "VARCHAR",
        "member_id": "VARCHAR",
        "member_key": "VARCHAR",
        "checked_at": "TIMESTAMPTZ",
        "result": "VARCHAR",
        "message": "VARCHAR",
        "source_format": "VARCHAR",
        "evidence_ref": "VARCHAR",
    },
    "staging.pm_appointment": {
        "appointment_id": "VARCHAR",
        "pm_patient_id": "VARCHAR",
        "provider_npi": "VARCHAR",
        "booked_at": "TIMESTAMPTZ",
        "scheduled_at": "TIMESTAMPTZ",
        "status": "VARCHAR",
        "visit_type": "VARCHAR",
        "location": "VARCHAR",
    },
    "staging.pm_referral_network": {
        "npi": "VARCHAR",
        "name": "VARCHAR",
        "specialty": "VARCHAR",
        "organization": "VARCHAR",
        "status": "VARCHAR",
        "effective_date": "DATE",
        "end_date": "DATE",
    },
    "staging.ehr_patient": {
        "ehr_patient_id": "VARCHAR",
        "mrn": "VARCHAR",
        **PEOPLE,
        "phone_raw": "VARCHAR",
        "phone": "VARCHAR",
        "phone_confirmed_at": "TIMESTAMPTZ",
        "email": "VARCHAR",
        "email_confirmed_at": "TIMESTAMPTZ",
        **ADDRESS,
        "is_deceased": "BOOLEAN",
        "deceased_at": "TIMESTAMPTZ",
        "is_active": "BOOLEAN",
        "replaced_by": "VARCHAR",
        "pcp_npi": "VARCHAR",
        "last_updated": "TIMESTAMPTZ",
    },
    "staging.ehr_care_event": {
        "ehr_patient_id": "VARCHAR",
        "event_id": "VARCHAR",
        "event_at": "TIMESTAMPTZ",
        "received_at": "TIMESTAMPTZ",
        "kind": "VARCHAR",
        "care_status": "VARCHAR",
        "evidence_ref": "VARCHAR",
        "is_cancelled": "BOOLEAN",
    },
    "staging.ehr_condition": {
        "ehr_patient_id": "VARCHAR",
        "condition_id": "VARCHAR",
        "system": "VARCHAR",
        "code": "VARCHAR",
        "clinical_status": "VARCHAR",
        "recorded_at": "TIMESTAMPTZ",
    },
    "staging.ehr_encounter": {
        "ehr_patient_id": "VARCHAR",
        "encounter_id": "VARCHAR",
        "status": "VARCHAR",
        "class": "VARCHAR",
        "started_at": "TIMESTAMPTZ",
        "ended_at": "TIMESTAMPTZ",
        "discharge_disposition": "VARCHAR",
        "provider_npi": "VARCHAR",
    },
    "staging.ehr_appointment": {
        "ehr_patient_id": "VARCHAR",
        "appointment_id": "VARCHAR",
        "status": "VARCHAR",
        "scheduled_at": "TIMESTAMPTZ",
    },
    "staging.phone_lookup": {
        "phone": "VARCHAR",
        "checked_at": "TIMESTAMPTZ",
        "valid": "BOOLEAN",
        "line_type": "VARCHAR",
        "line_status": "VARCHAR",
        "reassigned": "VARCHAR",
        "provider": "VARCHAR",
    },
    "staging.reply": {
        "contact_id": "VARCHAR",
        "received_at": "TIMESTAMPTZ",
        "channel": "VARCHAR",
        "kind": "VARCHAR",
        "value_raw": "VARCHAR",
        "value": "VARCHAR",
        "evidence_ref": "VARCHAR",
    },
}

LATER_LAYERS: dict[str, dict[str, str]] = {
    "identity.patient_link": {
        "source": "VARCHAR",
        "source_id": "VARCHAR",
        "patient_id": "VARCHAR",
        "method": "VARCHAR",
        "match_probability": "DOUBLE",
    },
    "reconciled.field_candidate": {
        "patient_id": "VARCHAR",
        "field": "VARCHAR",
        "source": "VARCHAR",
        "source_id": "VARCHAR",
        "value": "VARCHAR",
        "confirmed_at": "TIMESTAMPTZ",
        "is_valid": "BOOLEAN",
        "strength": "INTEGER",
        "evidence_ref": "VARCHAR",
    },
    "reconciled.field_decision": {
        "patient_id": "VARCHAR",
        "field": "VARCHAR",
        "value": "VARCHAR",
        "source": "VARCHAR",
        "rule": "VARCHAR",
        "is_conflict": "BOOLEAN",
        "candidates": "STRUCT(source VARCHAR, value VARCHAR, confirmed_at TIMESTAMPTZ)[]",
        "decided_confirmed_at": "TIMESTAMPTZ",
        "evidence_ref": "VARCHAR",
    },
    "hygiene.contact_status": {
        "contact_id": "VARCHAR",
        "patient_id": "VARCHAR",
        "is_active": "BOOLEAN",
        **{
            f"{part}_{column}": kind
            for part in ("phone", "insurance", "care", "referring_provider")
            for column, kind in {
                "state": "VARCHAR",
                "reason": "VARCHAR",
                "confirmed_at": "TIMESTAMPTZ",
                "evidence_source": "VARCHAR",
                "evidence_ref": "VARCHAR",
                "evidence_at": "TIMESTAMPTZ",
            }.items()
        },
        "is_stale": "BOOLEAN",
        "stale_fields": "VARCHAR[]",
    },
    "hygiene.finding": {
        "contact_id": "VARCHAR",
        "staleness_type": "VARCHAR",
        "reason": "VARCHAR",
        "evidence_source": "VARCHAR",
        "evidence_ref": "VARCHAR",
        "evidence_at": "TIMESTAMPTZ",
    },
    "hygiene.issue": {
        "issue_id": "VARCHAR",
        "contact_id": "VARCHAR",
        "staleness_type": "VARCHAR",
        "reason": "VARCHAR",
        "evidence_source": "VARCHAR",
        "evidence_ref": "VARCHAR",
        "evidence_at": "TIMESTAMPTZ",
        "state": "VARCHAR",
        "first_seen": "TIMESTAMPTZ",
        "last_seen": "TIMESTAMPTZ",
        "resolved_at": "TIMESTAMPTZ",
        "priority_tier": "INTEGER",
        "priority_score": "DOUBLE",
        "assignee": "VARCHAR",
        "due_at": "TIMESTAMPTZ",
    },
    "hygiene.phone_validation_plan": {
        "phone": "VARCHAR",
        "contact_id": "VARCHAR",
        "reason": "VARCHAR",
        "rank": "BIGINT",
        "estimated_cost": "DOUBLE",
    },
    "sync.crm_change": {
        "change_id": "VARCHAR",
        "contact_id": "VARCHAR",
        "field": "VARCHAR",
        "old_value": "VARCHAR",
        "new_value": "VARCHAR",
        "reason": "VARCHAR",
        "evidence_ref": "VARCHAR",
        "state": "VARCHAR",
        "attempts": "INTEGER",
        "planned_at": "TIMESTAMPTZ",
        "applied_at": "TIMESTAMPTZ",
        "sync_id": "VARCHAR",
        "event_at": "TIMESTAMPTZ",
        "evidence_at": "TIMESTAMPTZ",
    },
    "sync.message": {
        "message_id": "VARCHAR",
        "contact_id": "VARCHAR",
        "channel": "VARCHAR",
        "address_kind": "VARCHAR",
        "template": "VARCHAR",
        "try_number": "INTEGER",
        "state": "VARCHAR",
        "reason": "VARCHAR",
        "planned_at": "TIMESTAMPTZ",
        "sent_at": "TIMESTAMPTZ",
    },
    "quarantine.record": {
        "source": "VARCHAR",
        "place": "VARCHAR",
        "source_file": "VARCHAR",
        "source_line": "BIGINT",
        "field": "VARCHAR",
        "reason": "VARCHAR",
        "original": "VARCHAR",
        "file_id": "VARCHAR",
        "taken_at": "TIMESTAMPTZ",
    },
}

POLICY: dict[str, dict[str, str]] = {
    "policy.clock": {
        "as_of": "TIMESTAMPTZ",
        "as_of_date": "DATE",
        "previous_as_of": "TIMESTAMPTZ",
        "practice": "VARCHAR",
        "timezone": "VARCHAR",
    },
    "policy.practice": {
        "practice": "VARCHAR",
        "name": "VARCHAR",
        "timezone": "VARCHAR",
        "phone": "VARCHAR",
        "monthly_spend": "DOUBLE",
        "hygiene_cost_per_year": "DOUBLE",
        "crm_kind": "VARCHAR",
        "crm_sync": "VARCHAR",
    },
    "policy.phone": {
        "confirmed_for_days": "INTEGER",
        "revalidate_after_days": "INTEGER",
        "shared_number_limit": "INTEGER",
        "default_region": "VARCHAR",
        "lookup_price_usd": "DOUBLE",
        "monthly_budget_usd": "DOUBLE",
    },
    "policy.placeholder_phone": {"pattern": "VARCHAR", "note": "VARCHAR"},
    "policy.insurance": {"answer_valid_days": "INTEGER"},
    "policy.care_event_mapping": {"kind": "VARCHAR", "event": "VARCHAR", "care_status": "VARCHAR", "rank": "INTEGER"},
    "policy.segment": {"segment": "VARCHAR", "system": "VARCHAR", "code_prefix": "VARCHAR"},
    "policy.segment_exit": {"care_status": "VARCHAR", "leaves": "BOOLEAN"},
    "policy.source_of_truth": {
        "field": "VARCHAR",
        "source": "VARCHAR",
        "source_rank": "INTEGER",
        "strategy": "VARCHAR",
        "write": "VARCHAR",
    },
    "policy.priority": {
        "visit_soon_days": "INTEGER",
        "seen_within_months": "INTEGER",
        "dormant_after_months": "INTEGER",
    },
    "policy.due": {"tier": "INTEGER", "days": "INTEGER"},
    "policy.assignment": {"staleness_type": "VARCHAR", "role": "VARCHAR", "is_fallback": "BOOLEAN"},
    "policy.staff": {
        "staff_id": "VARCHAR",
        "role": "VARCHAR",
        "handles": "VARCHAR",
        "capacity_per_day": "INTEGER",
        "absent_from": "DATE",
        "absent_to": "DATE",
    },
    "policy.staff_absence": {"staff_id": "VARCHAR", "absent_from": "DATE", "absent_to": "DATE"},
    "policy.benchmark_policy": {
        "metric": "VARCHAR",
        "unit": "VARCHAR",
        "higher_is_better": "BOOLEAN",
        "target": "DOUBLE",
        "acceptable_from": "DOUBLE",
        "acceptable_to": "DOUBLE",
        "poor": "DOUBLE",
        "lag_window_days": "INTEGER",
    },
    "policy.delivery": {"place": "VARCHAR", "min_share": "DOUBLE", "is_required": "BOOLEAN"},
    "policy.reengagement": {
        "max_tries": "INTEGER",
        "wait_days": "INTEGER",
        "quiet_from_hour": "INTEGER",
        "quiet_to_hour": "INTEGER",
    },
    "policy.audit": {"sample_size": "INTEGER"},
}

SHAPES: dict[str, dict[str, str]] = {**STAGING, **LATER_LAYERS, **POLICY}


def truth(fields: str, sources: str, strategy: str, write: str) -> list[dict[str, Any]]:
    """The rows of one line of the source-of-truth policy, sources in the order of their rank."""
    return [
        {"field": field, "source": source, "source_rank": rank, "strategy": strategy, "write": write}
        for field in fields.split()
        for rank, source in enumerate(sources.split(), start=1)
    ]


ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"

SHIPPED: dict[str, list[dict[str, Any]]] = {
    "policy.practice": [
        {
            "practice": "riverside",
            "name": "Riverside Primary Care",
            "timezone": "America/New_York",
            "phone": "+16175550100",
            "monthly_spend": 2240.0,
            "hygiene_cost_per_year": 4200.0,
            "crm_kind": "embedded",
            "crm_sync": "apply",
        }
    ],
    "policy.phone": [
        {
            "confirmed_for_days": 90,
            "revalidate_after_days": 90,
            "shared_number_limit": 5,
            "default_region": "US",
            "lookup_price_usd": 0.015,
            "monthly_budget_usd": 100.0,
        }
    ],
    "policy.placeholder_phone": [
        {"pattern": r"000\d*", "note": "zeros in front"},
        {"pattern": r"(\d{3})?1234567", "note": "123-4567 in any area code"},
        {"pattern": "1234567890", "note": "counting up"},
        {"pattern": r"(\d{3})?55501\d{2}", "note": "reserved for fiction"},
        *({"pattern": f"{digit}{{7,10}}", "note": "one digit repeated"} for digit in range(10)),
    ],
    "policy.insurance": [{"answer_valid_days": 90}],
    "policy.care_event_mapping": [
        {"kind": kind, "event": event, "care_status": status, "rank": rank}
        for kind, event, status, rank in (
            ("CarePlan", "active", "active", 1),
            ("CarePlan", "completed", "completed", 2),
            ("EpisodeOfCare", "active", "active", 1),
            ("EpisodeOfCare", "finished", "completed", 2),
            ("ServiceRequest", "active", "referred", 3),
            ("Encounter", "finished+disposition", "discharged", 4),
            ("ADT", "A03", "discharged", 4),
            ("Patient", "deceased", "deceased", 9),
        )
    ],
    "policy.segment": [
        {"segment": "diabetes", "system": ICD10, "code_prefix": "E10"},
        {"segment": "diabetes", "system": ICD10, "code_prefix": "E11"},
        {"segment": "hypertension", "system": ICD10, "code_prefix": "I10"},
        {"segment": "asthma", "system": ICD10, "code_prefix": "J45"},
    ],
    "policy.segment_exit": [
        {"care_status": status, "leaves": status in {"completed", "discharged", "deceased"}}
        for status in ("none", "active", "completed", "referred", "discharged", "deceased")
    ],
    "policy.source_of_truth": [
        *truth("care_status segments", "ehr", "authoritative", "auto"),
        *truth("insurance_status", "eligibility pm", "authoritative", "auto"),
        *truth("insurance_payer_id insurance_payer insurance_member_id", "pm", "authoritative", "auto"),
        *truth("preferred_channel", "crm", "authoritative", "never"),
        *truth("sms_opt_out email_opt_out call_opt_out", "crm patient ehr pm", "opt_out_wins", "auto"),
        *truth("first_name last_name birth_date sex", "ehr pm crm", "most_recent", "review"),
        *truth("address_line city state postal_code", "ehr pm crm", "most_recent", "auto"),
        *truth("phone email", "patient ehr pm crm", "most_recently_confirmed", "auto"),
        *truth("referring_provider_npi", "pm", "staff_review", "review"),
    ],
    "policy.priority": [{"visit_soon_days": 14, "seen_within_months": 18, "dormant_after_months": 36}],
    "policy.due": [{"tier": tier, "days": days} for tier, days in ((1, 2), (2, 7), (3, 30), (4, 90))],
    "policy.assignment": [
        {"staleness_type": kind, "role": role, "is_fallback": False}
        for kind, role in (
            ("phone", "care_coordinator"),
            ("email", "care_coordinator"),
            ("address", "care_coordinator"),
            ("care", "care_coordinator"),
            ("referring_provider", "care_coordinator"),
            ("identity", "data_steward"),
            ("insurance", "billing"),
        )
    ],
    "policy.staff": [
        {"staff_id": staff_id, "role": role, "handles": handled, "capacity_per_day": 40}
        for staff_id, role, handles in (
            ("coordinator-1", "care_coordinator", "phone email address care referring_provider identity"),
            ("billing-1", "billing", "insurance"),
        )
        for handled in handles.split()
    ],
    "policy.staff_absence": [],
    "policy.benchmark_policy": [
        {
            "metric": metric,
            "unit": unit,
            "higher_is_better": higher,
            "target": target,
            "acceptable_from": low,
            "acceptable_to": high,
            "poor": poor,
            "lag_window_days": 30,
        }
        for metric, unit, higher, target, low, high, poor in (
            ("contact_validity_rate", "rate", True, 0.90, 0.75, 0.85, 0.75),
            ("insurance_status_accuracy", "rate", True, 0.95, 0.80, 0.90, 0.80),
            ("care_status_sync_lag_hours", "hours", False, 24.0, 24.0, 72.0, 168.0),
            ("stale_record_rate", "rate", False, 0.08, 0.10, 0.25, 0.25),
            ("phone_validation_cadence_days", "days", False, 31.0, 31.0, 100.0, 180.0),
        )
    ],
    "policy.delivery": [
        {"place": "pm/patients.csv", "min_share": 0.5, "is_required": True},
        {"place": "crm/contacts.csv", "min_share": 0.5, "is_required": True},
    ],
    "policy.reengagement": [{"max_tries": 3, "wait_days": 7, "quiet_from_hour": 9, "quiet_to_hour": 20}],
    "policy.audit": [{"sample_size": 100}],
}
