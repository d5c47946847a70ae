"""Visits to the practice, from booking to the encounter that remains of them."""

import datetime as dt
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hygiene_pipeline.demo.clock import Clock
    from hygiene_pipeline.demo.people import Person

VISIT_TYPES = ("follow_up", "annual_physical", "sick_visit", "new_problem", "vaccination", "care_review")
LOCATIONS = ("Riverside Main", "Riverside North")


@dataclass(slots=True)
class Visit:
    """An appointment; fulfilled ones became an encounter."""

    visit_id: str
    provider: str
    booked_at: dt.datetime
    at: dt.datetime
    status: str
    visit_type: str
    location: str

    @property
    def encounter_id(self) -> str:
        """Id of the encounter of a fulfilled visit."""
        return f"enc-{self.visit_id}"

    @property
    def ends_at(self) -> dt.datetime:
        """When the patient left."""
        return self.at + dt.timedelta(minutes=25)


def draw_visit(
    person: "Person", number: int, date: dt.date, *, status: str, booked_days: int, clock: "Clock", rng: Random
) -> Visit:
    """An appointment of a person in the practice's hours."""
    at = clock.at(date, hour=rng.randrange(8, 17), minute=rng.randrange(0, 60, 5))
    return Visit(
        visit_id=f"{person.index:06d}-{number:03d}",
        provider=person.pcp,
        booked_at=at - dt.timedelta(days=booked_days, minutes=rng.randrange(400)),
        at=at,
        status=status,
        visit_type=rng.choice(VISIT_TYPES),
        location=LOCATIONS[person.index % 2],
    )


def past_visits(person: "Person", clock: "Clock", rng: Random) -> list[Visit]:
    """The visits of more than three years; one person in fourteen has not come for longer than that."""
    if rng.random() < 0.07:
        days = [rng.randrange(1130, 1500)]
    else:
        last = min(int(rng.expovariate(1 / 200)) + 2, 1050)
        days = [last + extra * rng.randrange(60, 210) for extra in range(rng.choice((1, 2, 2, 3, 4, 5)))]
    made = []
    for number, ago in enumerate(sorted(days, reverse=True)):
        status = "fulfilled" if ago == min(days) or rng.random() < 0.88 else rng.choice(("cancelled", "noshow"))
        date = weekday(clock.start - dt.timedelta(days=ago))
        booked = rng.randrange(1, 40)
        made.append(draw_visit(person, number, date, status=status, booked_days=booked, clock=clock, rng=rng))
    return made


def weekday(date: dt.date) -> dt.date:
    """The date itself, or the Friday before a weekend."""
    return date - dt.timedelta(days=max(date.weekday() - 4, 0))
