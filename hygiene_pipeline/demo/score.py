"""How well a night's findings and the corrections so far agree with the truth. Pure functions; changes nothing."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hygiene_pipeline.demo.emit_phone import PLACEHOLDER_DIGITS
from hygiene_pipeline.demo.names import plain
from hygiene_pipeline.demo.pathways import SEGMENTS
from hygiene_pipeline.demo.payers import policy_key
from hygiene_pipeline.demo.phones import digits_of, e164, is_dialable
from hygiene_pipeline.demo.truth import Truth

DETECTORS = ("phone", "insurance", "care", "referring_provider")
SHARED_NUMBER_LIMIT = 5
Row = Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Flag:
    """A detector's word on a contact: `state` is one of current, stale, unverified, unknown."""

    contact_id: str
    field: str
    state: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A correction that was written to the CRM."""

    contact_id: str
    field: str
    old: str | None
    new: str | None
    at: dt.datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectorScore:
    """One detector against the truth; `unseen` are misses that no source had shown yet."""

    detector: str
    true_positives: int
    false_positives: int
    false_negatives: int
    unseen: int

    @property
    def precision(self) -> float | None:
        """Share of the flagged that really deviate."""
        return _share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float | None:
        """Share of the deviations that were flagged."""
        return _share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def recall_with_evidence(self) -> float | None:
        """Share flagged of the deviations that some source had shown."""
        return _share(self.true_positives, self.true_positives + self.false_negatives - self.unseen)


def score(
    flags: Iterable[Flag], contacts: Iterable[Row], truth: Truth, *, as_of: dt.datetime
) -> dict[str, DetectorScore]:
    """Compare the flagged set of a night with what really deviates in the contacts that the night read.

    Counted are active contacts of patients; of the dead, only the care status can be right or wrong.
    """
    rows = {row["contact_id"] or "": row for row in contacts if (row["is_active"] or "").lower() == "true"}
    flagged = {(flag.contact_id, flag.field) for flag in flags if flag.state == "stale"}
    shared = crowded_numbers(rows.values())
    counts: dict[str, Counter[str]] = {detector: Counter() for detector in DETECTORS}
    for contact_id, row in rows.items():
        if truth.at(contact_id, "care_status", as_of) is None:
            continue
        is_dead = truth.at(contact_id, "care_status", as_of) == "deceased"
        for detector in ("care",) if is_dead else DETECTORS:
            is_wrong = deviates(detector, row, truth, as_of, shared)
            outcome = _outcome(is_wrong=is_wrong, is_flagged=(contact_id, detector) in flagged)
            counts[detector][outcome] += 1
            if outcome == "missed" and not has_evidence(detector, row, truth, as_of, shared):
                counts[detector]["unseen"] += 1
    return {
        detector: DetectorScore(
            detector=detector, true_positives=count["found"], false_positives=count["false"],
            false_negatives=count["missed"], unseen=count["unseen"],
        )
        for detector, count in counts.items()
    }  # fmt: skip


def harms(changes: Iterable[Change], truth: Truth) -> list[Change]:
    """The corrections that replaced what was true at that moment by what was not."""
    return [change for change in changes if _is_harm(change, truth)]


def crowded_numbers(rows: Iterable[Row]) -> frozenset[str]:
    """Numbers on more contacts than any family has."""
    counts = Counter(digits_of(row["phone"]) for row in rows)
    return frozenset(number for number, count in counts.items() if number and count > SHARED_NUMBER_LIMIT)


def deviates(detector: str, row: Row, truth: Truth, as_of: dt.datetime, shared: frozenset[str] = frozenset()) -> bool:
    """Whether a contact's field really is stale."""
    contact_id = row["contact_id"] or ""
    if detector == "phone":
        right = e164(digits_of(row["phone"])) == truth.at(contact_id, "phone", as_of)
        texted_landline = _texts(row) and truth.at(contact_id, "line_type", as_of) == "landline"
        return not right or texted_landline or digits_of(row["phone"]) in shared
    if detector == "insurance":
        return _insurance_deviates(row, truth.at(contact_id, "policy", as_of) or "")
    if detector == "care":
        status, segments = _care(row)
        return (status, segments) != (
            truth.at(contact_id, "care_status", as_of),
            _segments(truth.at(contact_id, "segments", as_of)),
        )
    return (row["referring_provider_npi"] or None) != truth.at(contact_id, "referring_provider_npi", as_of) or not row[
        "referring_provider_npi"
    ]


def has_evidence(
    detector: str, row: Row, truth: Truth, as_of: dt.datetime, shared: frozenset[str] = frozenset()
) -> bool:
    """Whether any source had shown by `as_of` that the field is wrong."""
    if detector == "phone":
        return _phone_evidence(row, truth, as_of, shared)
    shown = list(truth.shown(row["contact_id"] or "", detector, as_of))
    if detector == "insurance":
        policy = truth.at(row["contact_id"] or "", "policy", as_of) or ""
        latest_by_source = {each.source: each.verdict for each in reversed(shown) if each.value == _policy(row)}
        if (row["insurance_status"] or "").lower() == "active" and "not" in latest_by_source.values():
            return True
        return any(each.verdict == "is" and each.value == policy != "" for each in shown)
    if detector == "care":
        status, segments = _care(row)
        latest = shown[0].value if shown else None
        return latest is not None and latest != f"{status}|{';'.join(segments)}"
    npi = row["referring_provider_npi"] or ""
    return any((each.verdict == "is") == (each.value != npi) for each in shown)


def _phone_evidence(row: Row, truth: Truth, as_of: dt.datetime, shared: frozenset[str]) -> bool:
    contact_id, number = row["contact_id"] or "", digits_of(row["phone"])
    if not number or not is_dialable(number) or number in PLACEHOLDER_DIGITS or number in shared:
        return True
    verdict = truth.verdict_on(e164(number), as_of)
    if verdict == "not" or (verdict == "landline" and _texts(row)):
        return True
    since = _stood_by(row, truth, as_of)
    stated = _stated(truth, contact_id, as_of)
    against = [at for value, at in stated if value != e164(number)]
    own = [at for value, at in stated if value == e164(number)]
    return bool(against) and max(against) > max([*since, *own], default=min(against) - dt.timedelta(1))


def _stood_by(row: Row, truth: Truth, as_of: dt.datetime) -> list[dt.datetime]:
    """When the CRM's number was verified there, and when the desk typed it: what is older says nothing against it."""
    typed = next(iter(truth.shown(row["contact_id"] or "", "typed_phone", as_of)), None)
    is_this = typed is not None and typed.value == e164(digits_of(row["phone"]))
    verified = _instant(row["last_phone_verified"])
    return [at for at in (verified, typed.confirmed_at if typed and is_this else None) if at is not None]


def _stated(truth: Truth, contact_id: str, as_of: dt.datetime) -> list[tuple[str, dt.datetime]]:
    """The number that each system states, and since when without a break: a reader sees no more than that."""
    stated: dict[str, tuple[str, dt.datetime]] = {}
    broken: set[str] = set()
    for each in truth.shown(contact_id, "phone", as_of):
        value, _ = stated.setdefault(each.source, (each.value, each.confirmed_at))
        if each.value != value:
            broken.add(each.source)
        elif each.source not in broken:
            stated[each.source] = (value, each.confirmed_at)
    return list(stated.values())


def _insurance_deviates(row: Row, policy: str) -> bool:
    status = (row["insurance_status"] or "").lower()
    if status == "active":
        return _policy(row) != policy or not policy
    if status in ("lapsed", "verify_required"):
        return policy != ""
    return policy not in ("", _policy(row))


def _outcome(*, is_wrong: bool, is_flagged: bool) -> str:
    if is_flagged:
        return "found" if is_wrong else "false"
    return "missed" if is_wrong else "quiet"


def _is_harm(change: Change, truth: Truth) -> bool:
    true = truth.at(change.contact_id, change.field, change.at)
    if true is None:
        return False
    right = _comparable(change.field, true)
    return _comparable(change.field, change.old) == right != _comparable(change.field, change.new)


def _comparable(name: str, value: str | None) -> object:
    """A value as it is compared: numbers by digits, member ids without punctuation, segments as a set."""
    text = (value or "").strip()
    if name == "phone":
        return digits_of(text) or text
    if name == "insurance_member_id":
        return policy_key("", text)
    if name == "segments":
        return _segments(text)
    if name == "insurance_status":
        return "lapsed" if text == "verify_required" else text
    if name in ("first_name", "last_name"):
        return plain(text) or text
    return " ".join(text.casefold().split())


def _care(row: Row) -> tuple[str, tuple[str, ...]]:
    return (row["care_status"] or "none").lower(), _segments(row["segments"])


def _segments(text: str | None) -> tuple[str, ...]:
    """The condition segments among the segments of a contact; the others are the CRM's own business."""
    return tuple(sorted({part.strip() for part in (text or "").split(";")} & SEGMENTS))


def _policy(row: Row) -> str:
    return policy_key(row["insurance_payer_id"], row["insurance_member_id"])


def _texts(row: Row) -> bool:
    return row["preferred_channel"] == "sms" and (row["sms_opt_out"] or "").lower() != "true"


def _instant(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def reasons_of(flags: Iterable[Flag]) -> Iterator[tuple[str, str, int]]:
    """Detector, reason and count of the stale flags, for the report."""
    counts = Counter((flag.field, flag.reason) for flag in flags if flag.state == "stale")
    for (detector, reason), count in sorted(counts.items()):
        yield detector, reason, count
