"""Care pathways: conditions, care plans, episodes, referrals and hospital stays, and the care status they amount to."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

# name, ICD-10-CM, SNOMED CT, outreach segment (none: not a chronic-disease programme), share of adults
CONDITIONS = (
    ("Essential hypertension", "I10", "59621000", "hypertension", 0.27),
    ("Type 2 diabetes mellitus without complications", "E11.9", "44054006", "diabetes", 0.12),
    ("Asthma", "J45.909", "195967001", "asthma", 0.07),
    ("Chronic obstructive pulmonary disease", "J44.9", "13645005", "copd", 0.05),
    ("Chronic kidney disease", "N18.9", "709044004", "ckd", 0.04),
    ("Heart failure", "I50.9", "84114007", "heart_failure", 0.025),
    ("Osteoarthritis of knee", "M17.11", "239873007", None, 0.08),
    ("Low back pain", "M54.50", "279039007", None, 0.09),
)
SEGMENTS = frozenset(segment for *_, segment, _ in CONDITIONS if segment)
CHRONIC_PLANS = ("Diabetes self management plan", "Hypertension management plan", "COPD action plan")
EPISODES = ("Orthopaedic rehabilitation", "Post-surgical follow-up", "Cardiac rehabilitation")
DISPOSITIONS = ("home", "home", "home", "snf", "rehab", "oth")
LEAVING = frozenset({"completed", "discharged", "deceased"})


@dataclass(slots=True)
class Condition:
    """A diagnosis on the problem list; `kind` is its row in `CONDITIONS`."""

    condition_id: str
    kind: int
    recorded_at: dt.datetime
    is_active: bool = True

    @property
    def segment(self) -> str | None:
        """The outreach segment this diagnosis puts a patient into."""
        return CONDITIONS[self.kind][3]


@dataclass(slots=True)
class CareRecord:
    """A care plan, episode, referral or hospital stay in its present state."""

    kind: str
    record_id: str
    title: str
    started_at: dt.datetime
    status: str
    ended_at: dt.datetime | None = None
    disposition: str | None = None
    provider: str = ""

    @property
    def changed_at(self) -> dt.datetime:
        """When the present state began."""
        return self.ended_at or self.started_at

    @property
    def meaning(self) -> str | None:
        """What the present state says about the patient's care status; an answered referral says nothing."""
        if self.kind in ("CarePlan", "EpisodeOfCare"):
            return "active" if self.status == "active" else "completed"
        if self.kind == "ServiceRequest":
            return "referred" if self.status == "active" else None
        return "discharged" if self.status == "finished" and self.disposition else None

    def finish(self, at: dt.datetime, rng: Random) -> None:
        """Complete the plan or referral, finish the episode, discharge from the stay."""
        self.ended_at = at
        self.status = "completed" if self.kind in ("CarePlan", "ServiceRequest") else "finished"
        if self.kind == "Encounter":
            self.disposition = rng.choice(DISPOSITIONS)


def open_record(kind: str, record_id: str, at: dt.datetime, provider: str, rng: Random) -> CareRecord:
    """A pathway that begins."""
    titles = {
        "CarePlan": CHRONIC_PLANS,
        "EpisodeOfCare": EPISODES,
        "ServiceRequest": ("Referral to cardiology", "Referral to orthopaedics", "Referral to physical therapy"),
        "Encounter": ("Hospital stay",),
    }[kind]
    status = "in-progress" if kind == "Encounter" else "active"
    return CareRecord(kind, record_id, rng.choice(titles), at, status, provider=provider)


def care_status(care: Iterable[CareRecord], *, is_dead: bool) -> str:
    """The status that the present states amount to: the latest by its own time, a death always."""
    if is_dead:
        return "deceased"
    said = [(record.changed_at, record.meaning) for record in care if record.meaning]
    return max(said)[1] or "none" if said else "none"


def condition_segments(conditions: Iterable[Condition], status: str) -> list[str]:
    """The outreach segments a patient belongs to."""
    if status in LEAVING:
        return []
    return sorted({condition.segment for condition in conditions if condition.is_active and condition.segment})


def draw_conditions(index: int, *, is_adult: bool, at: dt.datetime, rng: Random) -> list[Condition]:
    """A problem list."""
    if not is_adult:
        return [Condition(f"cond-{index:06d}-2", 2, at)] if rng.random() < 0.06 else []
    drawn = []
    for kind, (*_, share) in enumerate(CONDITIONS):
        if rng.random() < share:
            recorded_at = at - dt.timedelta(days=rng.randrange(900))
            drawn.append(Condition(f"cond-{index:06d}-{kind}", kind, recorded_at, is_active=rng.random() > 0.03))
    return drawn


def past_care(index: int, provider: str, start: dt.datetime, rng: Random) -> list[CareRecord]:
    """The pathways of the last two years: none for half of the patients, otherwise one to three, one after another."""
    roll = rng.random()
    if roll < 0.5:
        return []
    made = []
    at = start - dt.timedelta(days=rng.uniform(300, 720))
    for number in range(rng.choice((1, 1, 2, 3))):
        kind = rng.choices(("CarePlan", "EpisodeOfCare", "ServiceRequest", "Encounter"), (45, 25, 15, 15))[0]
        record = open_record(kind, f"{kind[:4].lower()}-{index:06d}-{number}", at, provider, rng)
        made.append(record)
        length = dt.timedelta(days=rng.uniform(2, 6) if kind == "Encounter" else rng.uniform(20, 95))
        if kind == "Encounter" or rng.random() < (0.35 if number else 0.45):
            record.finish(min(at + length, start - dt.timedelta(days=2)), rng)
        at = at + length + dt.timedelta(days=rng.uniform(3, 40))
        if at > start - dt.timedelta(days=20):
            break
    return made
