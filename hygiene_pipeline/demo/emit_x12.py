"""Eligibility answers as payers and clearinghouses send them: X12 271, FHIR responses and a billing service's CSV."""

import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from hygiene_pipeline.demo.eligibility import Answer
from hygiene_pipeline.demo.emit_files import write_csv, write_ndjson, write_text
from hygiene_pipeline.demo.names import plain
from hygiene_pipeline.demo.world import World

ANSWERS = ("check_id", "pm_patient_id", "payer_id", "member_id", "checked_at", "result", "message")
ORIGINATOR = "9877281234"
BAD_RESPONSE = '{"resourceType":"CoverageEligibilityResponse","id":"cut-off","status":"act\n'
BAD_ANSWER = "B-000000,,BSBMA,XXP123456789,yesterday,perhaps,\n"


def emit_answers(world: World, folder: Path, day: int) -> None:
    """One 271 interchange a day of asking, and a few answers in the other two formats."""
    answers = sorted(world.news.answers, key=lambda answer: (answer.checked_at, answer.check_id))
    by_fhir = [answer for answer in answers if answer.person.index % 29 == 0]
    by_csv = [answer for answer in answers if answer.person.index % 31 == 0 and answer.person.index % 29]
    rest = [answer for answer in answers if answer.person.index % 29 and answer.person.index % 31]
    weeks = groupby(rest, key=lambda answer: _batch(world, answer, day))
    for number, (date, batch) in enumerate(weeks):
        control = day * 100 + number + 1
        write_text(folder / f"{date.isoformat()}.{control:06d}.271", interchange(world, list(batch), control))
    stamp = world.clock.date(day).isoformat()
    write_ndjson(folder / f"{stamp}.ndjson", [_response(world, answer) for answer in by_fhir], tail=_bad(day, 0))
    if by_csv:
        rows = [_row(world, answer) for answer in by_csv]
        write_csv(folder / f"{stamp}.csv", ANSWERS, rows, tail=_bad(day, 1))


def _bad(day: int, which: int) -> str:
    return (BAD_RESPONSE, BAD_ANSWER)[which] if day % 9 == 0 else ""


def _batch(world: World, answer: Answer, day: int) -> dt.date:
    """History comes in weekly batches, later days as they are."""
    date = world.clock.local(answer.checked_at).date()
    return date if day else date - dt.timedelta(days=date.weekday())


def interchange(world: World, answers: Sequence[Answer], control: int) -> str:
    """One ISA…IEA with a transaction an answer; every fourth file has a segment a line."""
    sent = world.clock.local(answers[-1].checked_at)
    head = [
        f"ISA*00*          *00*          *ZZ*CLEARINGHOUSE01*ZZ*RIVERSIDEPC0001*{sent:%y%m%d*%H%M}"
        f"*^*00501*{control:09d}*0*P*:",
        f"GS*HB*CLEARINGHOUSE01*RIVERSIDEPC0001*{sent:%Y%m%d*%H%M}*{control}*X*005010X279A1",
    ]
    body = [segment for number, answer in enumerate(answers, 1) for segment in _transaction(world, answer, number)]
    tail = [f"GE*{len(answers)}*{control}", f"IEA*1*{control:09d}"]
    return ("~\n" if control % 4 == 0 else "~").join([*head, *body, *tail]) + "~"


def _transaction(world: World, answer: Answer, number: int) -> Iterator[str]:
    at = world.clock.local(answer.checked_at)
    payer = answer.coverage.payer
    segments = [
        f"ST*271*{number:04d}*005010X279A1",
        f"BHT*0022*11*{answer.check_id}*{at:%Y%m%d*%H%M%S}",
        "HL*1**20*1",
        f"NM1*PR*2*{payer.name.upper()}*****PI*{payer.payer_id}",
        "HL*2*1*21*1",
        f"NM1*1P*2*RIVERSIDE PRIMARY CARE*****XX*{world.land.network.practice[0].npi}",
        *_subscriber(world, answer),
    ]
    yield from segments
    yield f"SE*{len(segments) + 1}*{number:04d}"


def _subscriber(world: World, answer: Answer) -> Iterator[str]:
    person, home = answer.person, answer.person.address.now
    last, first = (plain(name).upper() or "PATIENT" for name in (person.last.now, person.first))
    yield "HL*3*2*22*0"
    yield f"TRN*2*{answer.check_id}*{ORIGINATOR}"
    yield f"NM1*IL*1*{last}*{first}****MI*{answer.member_id}"
    yield f"REF*EJ*{person.pm_id}"
    yield f"N3*{home.line.upper()}"
    yield f"N4*{home.city.upper()}*{home.state}*{home.postal_code}"
    if answer.result in ("not_found", "payer_error"):
        valid, follow_up = ("N", "R") if answer.result == "payer_error" else ("Y", "C")
        yield f"AAA*{valid}**{answer.code}*{follow_up}"
        return
    yield f"DMG*D8*{person.birth_date:%Y%m%d}*{person.sex}"
    yield f"DTP*291*D8*{world.clock.local(answer.checked_at):%Y%m%d}"
    yield f"DTP*346*D8*{answer.coverage.effective:%Y%m%d}"
    if answer.result == "inactive" and answer.coverage.terminated is not None:
        yield f"DTP*347*D8*{answer.coverage.terminated:%Y%m%d}"
    yield f"EB*{answer.code}**30**{answer.coverage.plan.upper()}"
    if answer.result == "active":
        yield "EB*B**98*HM**27*25.00*****Y"
        yield "EB*C*IND*30****1500.00*****Y"


def _response(world: World, answer: Answer) -> dict[str, object]:
    response: dict[str, object] = {
        "resourceType": "CoverageEligibilityResponse",
        "id": answer.check_id,
        "identifier": [{"system": "urn:riverside:eligibility-check", "value": answer.check_id}],
        "status": "active",
        "purpose": ["validation"],
        "patient": {
            "reference": f"Patient/{answer.person.pm_id}",
            "identifier": {"system": "urn:riverside:pm", "value": answer.person.pm_id},
        },
        "servicedDate": world.clock.local(answer.checked_at).date().isoformat(),
        "created": world.clock.text(answer.checked_at),
        "request": {"reference": f"CoverageEligibilityRequest/{answer.check_id}"},
        "outcome": "error" if answer.result in ("payer_error", "not_found") else "complete",
        "disposition": answer.message,
        "insurer": {
            "identifier": {"system": "urn:riverside:payer", "value": answer.coverage.payer.payer_id},
            "display": answer.coverage.payer.name,
        },
    }
    if response["outcome"] == "error":
        code = {"system": "https://x12.org/codes/reject-reason-codes", "code": answer.code, "display": answer.message}
        response["error"] = [{"code": {"coding": [code]}}]
    coverage = {"identifier": {"system": "urn:riverside:member", "value": answer.member_id}}
    insurance: dict[str, object] = {"coverage": coverage}
    if answer.result in ("active", "inactive"):
        insurance["inforce"] = answer.result == "active"
    response["insurance"] = [insurance]
    return response


def _row(world: World, answer: Answer) -> list[object]:
    return [
        answer.check_id, answer.person.pm_id, answer.coverage.payer.payer_id, answer.member_id,
        world.clock.text(answer.checked_at), answer.result, answer.message,
    ]  # fmt: skip
