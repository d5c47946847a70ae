"""The codes that FHIR R4 allows in the elements the pipeline decides by. Required bindings only, no local codes."""


def _codes(spelt: str) -> frozenset[str]:
    return frozenset(spelt.split())


GENDER = _codes("male female other unknown")
ENCOUNTER = _codes("planned arrived triaged in-progress onleave finished cancelled entered-in-error unknown")
REQUEST = _codes("draft active on-hold revoked completed entered-in-error unknown")
CARE_PLAN_INTENT = _codes("proposal plan order option")
REQUEST_INTENT = _codes("proposal plan directive order original-order reflex-order filler-order instance-order option")
EPISODE = _codes("planned waitlist active onhold finished cancelled entered-in-error")
APPOINTMENT = _codes("proposed pending booked arrived fulfilled cancelled noshow entered-in-error checked-in waitlist")
COVERAGE = _codes("active cancelled draft entered-in-error")
OBSERVATION = _codes("registered preliminary final amended corrected cancelled entered-in-error unknown")
EVENT = _codes("preparation in-progress not-done on-hold stopped completed entered-in-error unknown")
IMMUNIZATION = _codes("completed entered-in-error not-done")
CONSENT = _codes("draft proposed active rejected inactive entered-in-error")
