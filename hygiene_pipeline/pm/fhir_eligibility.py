"""Reads a FHIR R4 CoverageEligibilityResponse as an eligibility answer, by the same table of codes as a 271.

`inforce` is the answer; an outcome of `error` carries the X12 rejection codes. Values of a wrong type count
as absent.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, tzinfo

from hygiene_pipeline.pm.outcomes import Benefit, Outcomes, Rejection, decide
from hygiene_pipeline.pm.protocol import EligibilityAnswer, Result, Unusable

_TYPE = "CoverageEligibilityResponse"
_Resource = Mapping[str, object]


def read_response(
    resource: object, *, position: int, original: str, outcomes: Outcomes, timezone: tzinfo
) -> EligibilityAnswer | Unusable:
    """The answer that a parsed resource gives; a `created` without time is midnight in the practice's `timezone`."""
    if not isinstance(resource, Mapping) or resource.get("resourceType") != _TYPE:
        return Unusable(position=position, reason="not_an_eligibility_response", original=original)
    if resource.get("status") in ("cancelled", "draft", "entered-in-error"):
        return Unusable(position=position, reason="not_in_effect", field="status", original=original)
    resource_id = _text(resource.get("id"))
    if resource_id is None:
        return Unusable(position=position, reason="missing_key", field="id", original=original)
    checked_at = _instant(resource.get("created"), timezone)
    if checked_at is None:
        return Unusable(position=position, reason="bad_timestamp", field="created", original=original)
    begin, end = _benefit_period(resource)
    result, message = _verdict(resource, outcomes, begin, end, checked_at.astimezone(timezone).date())
    insurer = _object(resource.get("insurer"))
    return EligibilityAnswer(
        position=position,
        check_id=resource_id,
        pm_patient_id=_referenced(resource.get("patient")),
        payer_id=_referenced(insurer),
        payer_name=_text(insurer.get("display")),
        member_id=_member_id(resource),
        checked_at=checked_at.astimezone(UTC).isoformat(),
        result=result,
        message=message,
        plan_begin=begin.isoformat() if begin else None,
        plan_end=end.isoformat() if end else None,
        source_format="fhir",
        evidence_ref=f"{_TYPE}/{resource_id}",
    )


def _verdict(
    resource: _Resource, outcomes: Outcomes, begin: date | None, end: date | None, on: date
) -> tuple[Result, str]:
    # True and False in FHIR are what 1 and 6 are in X12.
    note = _text(resource.get("disposition"))
    benefits = [
        Benefit(
            code="1" if each["inforce"] else "6",
            service_types=(outcomes.service_type,),
            begin=begin,
            end=end,
            notes=(note,) if note else (),
        )
        for each in _objects(resource.get("insurance"))
        if isinstance(each.get("inforce"), bool)
    ]
    rejections = [Rejection(code=code, follow_up="", level="response") for code in _error_codes(resource)]
    outcome = _text(resource.get("outcome")) or "missing"
    decided = decide(outcomes, benefits if outcome != "error" else [], rejections, on=on)
    return decided or ("payer_error", f"outcome {outcome} without an answer on coverage")


def _error_codes(resource: _Resource) -> Iterator[str]:
    for error in _objects(resource.get("error")):
        for coding in _objects(_object(error.get("code")).get("coding")):
            code = _text(coding.get("code"))
            if code is not None:
                yield code


def _benefit_period(resource: _Resource) -> tuple[date | None, date | None]:
    for each in _objects(resource.get("insurance")):
        period = _object(each.get("benefitPeriod"))
        if period:
            return _day(period.get("start")), _day(period.get("end"))
    return None, None


def _member_id(resource: _Resource) -> str | None:
    """The subscriber id of the coverage, by identifier or as a contained resource."""
    for contained in _objects(resource.get("contained")):
        if contained.get("resourceType") == "Coverage" and _text(contained.get("subscriberId")):
            return _text(contained.get("subscriberId"))
    for each in _objects(resource.get("insurance")):
        identifier = _object(_object(each.get("coverage")).get("identifier"))
        if value := _text(identifier.get("value")):
            return value
    return None


def _referenced(reference: object) -> str | None:
    """The id at the end of a reference (relative, absolute, versioned or a URN), else the identifier's value."""
    target = _object(reference)
    path = _text(target.get("reference"))
    if path is None or path.startswith("#"):
        return _text(_object(target.get("identifier")).get("value"))
    return path.split("/_history/")[0].rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1] or None


def _instant(value: object, timezone: tzinfo) -> datetime | None:
    day = _day(value)
    if day is None or not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
        return found if found.tzinfo else found.replace(tzinfo=timezone)
    except ValueError:
        return None


def _day(value: object) -> date | None:
    if not isinstance(value, str):
        return None
    try:
        found = date.fromisoformat(value[:10])
    except ValueError:
        return None
    # The years around the calendar's ends cannot be carried to another time zone.
    return found if 1850 <= found.year < 9999 else None


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _object(value: object) -> _Resource:
    return value if isinstance(value, Mapping) else {}


def _objects(value: object) -> list[_Resource]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
