"""Which raw table is fed from which place, by source system: the catalogue of the raw layer."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RawTable:
    """A table of schema raw. `judged`: its place's volume is compared with the delivery before."""

    name: str
    place: str
    description: str
    kind: str = "csv"
    judged: bool = False


def _fhir(resource: str, table: str, what: str) -> RawTable:
    return RawTable(
        name=f"fhir_{table}",
        place="ehr",
        description=f"One row per version of a FHIR R4 {resource} as the EHR exported it: {what}.",
        kind="fhir",
        judged=resource == "Patient",
    )


SOURCES: dict[str, tuple[RawTable, ...]] = {
    "ehr": (
        _fhir("Patient", "patient", "names, birth date, identifiers, telecom, death"),
        _fhir("Practitioner", "practitioner", "who treats, with NPI"),
        _fhir("PractitionerRole", "practitioner_role", "where and as what a practitioner works"),
        _fhir("Organization", "organization", "practices, hospitals, payers"),
        _fhir("Encounter", "encounter", "visits and stays, with discharge disposition"),
        _fhir("Condition", "condition", "diagnoses and the problem list"),
        _fhir("CarePlan", "care_plan", "care programmes with status and period"),
        _fhir("EpisodeOfCare", "episode_of_care", "care episodes with status and period"),
        _fhir("ServiceRequest", "service_request", "referrals among other orders"),
        _fhir("Appointment", "appointment", "booked visits"),
        _fhir("Coverage", "coverage", "insurance as registered in the EHR, not payer truth"),
        _fhir("Observation", "observation", "measurements and screenings"),
        _fhir("Procedure", "procedure", "procedures done"),
        _fhir("Immunization", "immunization", "vaccinations given"),
        _fhir("Consent", "consent", "consent decisions of patients"),
        _fhir("Bundle", "bundle", "transactions that say which resources it deleted"),
        RawTable(
            name="ehr_event",
            place="ehr_events",
            description="One row per event: an HL7 v2 message or a FHIR notification, normalised, once.",
            kind="hl7",
        ),
    ),
    "pm": (
        RawTable(
            name="pm_patients",
            place="pm/patients.csv",
            description="One row per version of a patient's registration in the practice management system.",
            judged=True,
        ),
        RawTable(
            name="pm_coverage",
            place="pm/coverage.csv",
            description="One row per version of a policy that a patient is registered with.",
            judged=True,
        ),
        RawTable(
            name="pm_referral_network",
            place="pm/referral_network.csv",
            description="One row per version of a referring provider's relationship with the practice.",
            judged=True,
        ),
        RawTable(
            name="pm_appointments", place="pm/appointments.csv", description="One row per version of an appointment."
        ),
        RawTable(
            name="pm_eligibility",
            place="pm/eligibility",
            description="One row per eligibility answer: X12 271, FHIR CoverageEligibilityResponse or CSV.",
            kind="x12",
        ),
    ),
    "crm": (
        RawTable(
            name="crm_contacts",
            place="crm/contacts.csv",
            description="One row per version of a CRM contact, read from an extract or through the CRM's adapter.",
            judged=True,
        ),
        RawTable(
            name="crm_interactions",
            place="crm/interactions.csv",
            description="One row per call, message or task that the CRM recorded.",
        ),
    ),
    "phone": (
        RawTable(
            name="phone_lookups",
            place="phone/lookups.csv",
            description="One row per carrier lookup of a number that was bought elsewhere.",
        ),
    ),
    "replies": (
        RawTable(
            name="replies",
            place="replies",
            description="One row per reply of a patient to a message that asked to confirm a number.",
            kind="json",
        ),
    ),
}
