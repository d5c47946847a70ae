"""HL7 v2.5.1 ADT messages, several a file, as an interface engine writes them to disk."""

import datetime as dt
from itertools import islice
from pathlib import Path

from hygiene_pipeline.demo.clock import Clock
from hygiene_pipeline.demo.emit_files import write_text
from hygiene_pipeline.demo.people import Demographics, Person
from hygiene_pipeline.demo.world import AdtEvent, World

MESSAGES_A_FILE = 25
STRUCTURES = {
    "A01": "ADT_A01",
    "A03": "ADT_A03",
    "A04": "ADT_A01",
    "A08": "ADT_A01",
    "A31": "ADT_A05",
    "A40": "ADT_A39",
}
# FHIR discharge dispositions as UB-04 codes of PV1-36.
DISPOSITIONS = {"home": "01", "snf": "03", "rehab": "62", "oth": "70"}
HISTORY = dt.timedelta(days=45)


def emit_messages(world: World, landing: Path, day: int) -> None:
    """The day's messages in the order of their events; day 0 has the discharges of the last weeks."""
    events = sorted(_recent(world) if day == 0 else world.news.adt, key=lambda event: (event.at, event.person.index))
    numbered = iter(enumerate(events, 1))
    file_number = 0
    while batch := list(islice(numbered, MESSAGES_A_FILE)):
        file_number += 1
        # Every fifth file went through a tool that turned segment ends into line feeds.
        ending = "\n" if (day + file_number) % 5 == 0 else "\r"
        text = "".join(message(event, f"ADT{day:04d}{number:05d}", world.clock, ending) for number, event in batch)
        stamp = world.clock.date(day - 1).isoformat()
        write_text(landing / "ehr_events" / f"adt.{stamp}.{file_number:03d}.hl7", text)
    if day % 10 == 3:
        write_text(
            landing / "ehr_events" / f"adt.{world.clock.date(day - 1).isoformat()}.cut.hl7", "MSH|^~\\&|EHR\rPID|"
        )


def _recent(world: World) -> list[AdtEvent]:
    since = world.clock.midnight(0) - HISTORY
    return [
        AdtEvent("A03", person, record.ended_at, record.record_id, record)
        for person in world.patients
        for record in person.care
        if record.kind == "Encounter" and record.ended_at is not None and record.ended_at > since
    ]


def message(event: AdtEvent, control_id: str, clock: Clock, ending: str) -> str:
    """One message, MSH to PV1 (or MRG), each segment ended by `ending`."""
    stamp = _stamp(event.at, clock)
    segments = [
        f"MSH|^~\\&|EHR|RIVERSIDE|CRM|RIVERSIDE|{stamp}||ADT^{event.trigger}^{STRUCTURES[event.trigger]}"
        f"|{control_id}|P|2.5.1|||AL|NE||UNICODE UTF-8",
        f"EVN|{event.trigger}|{stamp}||||{stamp}",
        _pid(event.person, event, clock),
        f"PD1||||{event.person.pcp}^^^^^^^^NPI^L^^^NPI",
    ]
    segments.append(f"MRG|{event.retired_mrn}^^^RIVERSIDE^MR" if event.trigger == "A40" else _pv1(event, clock))
    return ending.join(segments) + ending


def _pid(person: Person, event: AdtEvent, clock: Clock) -> str:
    note = person.ehr
    if note is None:
        raise ValueError("the EHR sends no message about a patient it does not know")
    home = note.address
    is_dead = person.died_at is not None and note.updated_at >= person.died_at
    fields = [""] * 31
    fields[1] = "1"
    fields[3] = f"{person.mrn}^^^RIVERSIDE^MR~{person.ehr_id}^^^RIVERSIDE^PI"
    fields[5] = f"{_escaped(note.last)}^{_escaped(note.first)}^^^^^L"
    fields[7], fields[8] = f"{person.birth_date:%Y%m%d}", person.sex
    fields[11] = f"{_escaped(home.line)}^^{home.city}^{home.state}^{home.postal_code}^USA^H"
    fields[13] = _phones(note)
    if is_dead and person.died_at is not None:
        fields[29], fields[30] = _stamp(person.died_at, clock), "Y"
    return "PID|" + "|".join(fields[1:]).rstrip("|")


def _phones(note: Demographics) -> str:
    number = note.number
    phone = f"^PRN^CP^^1^{number[:3]}^{number[3:]}"
    return f"{phone}~^NET^Internet^{note.email}" if note.email else phone


def _pv1(event: AdtEvent, clock: Clock) -> str:
    fields = [""] * 46
    stay = event.stay
    fields[1], fields[2] = "1", "I" if stay else "N" if event.trigger == "A31" else "O"
    fields[7] = f"{event.person.pcp}^^^^^^^^NPI^L^^^NPI"
    if event.person.referrer:
        fields[8] = f"{event.person.referrer}^^^^^^^^NPI^L^^^NPI"
    fields[19] = event.visit_id
    if stay is not None:
        fields[44] = _stamp(stay.started_at, clock)
        if event.trigger == "A03" and stay.ended_at is not None:
            fields[36] = DISPOSITIONS[stay.disposition or "oth"]
            fields[45] = _stamp(stay.ended_at, clock)
    return "PV1|" + "|".join(fields[1:]).rstrip("|")


def _stamp(instant: dt.datetime, clock: Clock) -> str:
    return f"{clock.local(instant):%Y%m%d%H%M%S%z}"


def _escaped(text: str) -> str:
    for char, escape in (("\\", "\\E\\"), ("|", "\\F\\"), ("^", "\\S\\"), ("&", "\\T\\"), ("~", "\\R\\")):
        text = text.replace(char, escape)
    return text
