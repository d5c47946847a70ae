"""The declared columns of every tabular extract: names, types, keys and accepted codes. Declarations only, no reading.

A column that is not declared here is ignored; a declared one that an extract lacks is null. The raw table of an extract
has exactly these columns, then where and when each record was read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

ColumnType = Literal["varchar", "date", "timestamptz", "boolean", "double"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of ours. `codes` maps every accepted spelling (lower case) to the code that is kept."""

    name: str
    type: ColumnType = "varchar"
    codes: Mapping[str, str] | None = None
    is_past: bool = False


@dataclass(frozen=True, kw_only=True)
class Extract:
    """A tabular extract of a source system and the raw table it goes to.

    `key` names a record; a record without a usable value in every `required` column is quarantined whole. A snapshot is
    the full list each time, so that a key which is no longer in it was removed. Of two records with one key in the same
    extract the later by `version` counts.
    """

    place: str
    source: str
    table: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    required: tuple[str, ...]
    version: str | None = None
    is_snapshot: bool = False


def _columns(names: str, kind: ColumnType = "varchar") -> tuple[Column, ...]:
    return tuple(Column(name=name, type=kind) for name in names.split())


def _code(name: str, codes: str, aliases: Mapping[str, Iterable[str]] | None = None) -> Column:
    accepted = {code: code for code in codes.split()}
    for code, spellings in (aliases or {}).items():
        accepted.update(dict.fromkeys(spellings, code))
    return Column(name=name, codes=accepted)


# FHIR's administrative gender is what is kept.
_SEX = _code(
    "sex",
    "male female other unknown",
    {
        "male": ["m"],
        "female": ["f"],
        "other": ["o", "x", "nonbinary", "non-binary"],
        "unknown": ["u", "unk", "undifferentiated"],
    },
)
_BIRTH_DATE = Column(name="birth_date", type="date", is_past=True)
_ADDRESS = _columns("address_line city state postal_code")

_PATIENTS = Extract(
    place="pm/patients.csv",
    source="pm",
    table="raw.pm_patients",
    columns=(
        *_columns("pm_patient_id mrn first_name last_name"),
        _BIRTH_DATE,
        _SEX,
        *_columns("phone email"),
        *_ADDRESS,
        *_columns("referring_provider_npi"),
        *_columns("last_updated", "timestamptz"),
    ),
    key=("pm_patient_id",),
    required=("pm_patient_id",),
    version="last_updated",
    is_snapshot=True,
)

_COVERAGE = Extract(
    place="pm/coverage.csv",
    source="pm",
    table="raw.pm_coverage",
    columns=(
        *_columns("pm_patient_id payer_id payer_name member_id plan_name"),
        *_columns("effective_date termination_date", "date"),
        *_columns("last_updated", "timestamptz"),
    ),
    # A policy that was renewed is a second record with the same payer and often the same member id.
    key=("pm_patient_id", "payer_id", "effective_date"),
    required=("pm_patient_id", "payer_id"),
    version="last_updated",
    is_snapshot=True,
)

_APPOINTMENTS = Extract(
    place="pm/appointments.csv",
    source="pm",
    table="raw.pm_appointments",
    columns=(
        *_columns("appointment_id pm_patient_id provider_npi"),
        *_columns("booked_at scheduled_at", "timestamptz"),
        _code(
            "status",
            "booked arrived fulfilled cancelled noshow",
            {"cancelled": ["canceled"], "noshow": ["no-show", "no_show", "no show"]},
        ),
        *_columns("visit_type location"),
    ),
    key=("appointment_id",),
    required=("appointment_id",),
)

_REFERRAL_NETWORK = Extract(
    place="pm/referral_network.csv",
    source="pm",
    table="raw.pm_referral_network",
    columns=(
        *_columns("npi name specialty organization"),
        _code("status", "active inactive"),
        *_columns("effective_date end_date", "date"),
    ),
    key=("npi",),
    required=("npi",),
    version="effective_date",
    is_snapshot=True,
)

_CONTACTS = Extract(
    place="crm/contacts.csv",
    source="crm",
    table="raw.crm_contacts",
    columns=(
        *_columns("contact_id mrn first_name last_name"),
        _BIRTH_DATE,
        _SEX,
        *_columns("phone alternate_phone email"),
        *_ADDRESS,
        *_columns("insurance_payer_id insurance_payer insurance_member_id"),
        _code("insurance_status", "active lapsed verify_required unknown"),
        _code("care_status", "none active completed referred discharged deceased"),
        *_columns("segments referring_provider_npi"),
        *_columns("last_phone_verified", "timestamptz"),
        *_columns("preferred_channel"),
        *_columns("sms_opt_out email_opt_out call_opt_out", "boolean"),
        *_columns("owner"),
        *_columns("is_active", "boolean"),
        *_columns("last_modified", "timestamptz"),
    ),
    key=("contact_id",),
    required=("contact_id",),
    version="last_modified",
    is_snapshot=True,
)

_INTERACTIONS = Extract(
    place="crm/interactions.csv",
    source="crm",
    table="raw.crm_interactions",
    columns=(
        *_columns("interaction_id contact_id"),
        *_columns("occurred_at", "timestamptz"),
        *_columns("channel direction kind outcome staff topic"),
        *_columns("resolved_at", "timestamptz"),
        *_columns("score", "double"),
    ),
    key=("interaction_id",),
    required=("interaction_id",),
    version="resolved_at",
)

_LOOKUPS = Extract(
    place="phone/lookups.csv",
    source="phone",
    table="raw.phone_lookups",
    columns=(
        *_columns("phone"),
        *_columns("checked_at", "timestamptz"),
        *_columns("valid", "boolean"),
        *_columns("line_type"),
        _code("line_status", "active inactive reachable unreachable unknown"),
        _code(
            "reassigned",
            "yes no no_data_available",
            {
                "yes": ["true", "1", "y"],
                "no": ["false", "0", "n"],
                "no_data_available": ["no data available", "no_data", "unknown"],
            },
        ),
        *_columns("provider"),
    ),
    key=("phone", "checked_at", "provider"),
    required=("phone", "checked_at"),
)

ELIGIBILITY = Extract(
    place="pm/eligibility",
    source="pm",
    table="raw.pm_eligibility",
    columns=(
        *_columns("check_id pm_patient_id payer_id payer_name member_id"),
        *_columns("checked_at", "timestamptz"),
        _code("result", "active inactive not_found payer_error"),
        *_columns("message"),
        *_columns("plan_begin plan_end", "date"),
        *_columns("source_format evidence_ref"),
    ),
    # A clearinghouse may echo one trace for a whole batch, so the trace alone names no answer.
    key=("check_id", "evidence_ref"),
    required=("check_id", "checked_at", "result"),
)

# The words by which carriers let people end messages.
_STOP_WORDS = ("stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "opt-out", "opt_out")

REPLIES = Extract(
    place="replies",
    source="replies",
    table="raw.replies",
    columns=(
        *_columns("contact_id"),
        *_columns("received_at", "timestamptz"),
        *_columns("channel"),
        _code("kind", "confirm_phone change_phone stop", {"stop": _STOP_WORDS}),
        *_columns("value"),
    ),
    key=("contact_id", "received_at", "kind"),
    required=("contact_id", "received_at", "kind"),
)

EXTRACTS: dict[str, Extract] = {
    extract.place: extract
    for extract in (_PATIENTS, _COVERAGE, _APPOINTMENTS, _REFERRAL_NETWORK, _CONTACTS, _INTERACTIONS, _LOOKUPS)
}
