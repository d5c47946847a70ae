"""Policies over time: which comes first, on which day one ends, what was removed or corrected, and what payers said."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest

from hygiene_pipeline_tests.bed import Bed
from hygiene_pipeline_tests.sql.cases import AS_OF, RECONCILED, STATUS, Row, ago, lay, links

TODAY = date(2026, 3, 1)
NEW_YEAR = date(2026, 1, 1)
LAST_YEAR = date(2025, 1, 1)


def policy(payer: str = "A", member: str | None = "A-1", begins: date | None = LAST_YEAR, **more: object) -> Row:
    """A policy as PM lists it; `days_ago` says when it was read."""
    seen = ago(float(str(more.pop("days_ago", 60))))
    return {
        "pm_patient_id": "p1", "payer_id": payer, "payer_name": f"Payer {payer}", "member_id": member,
        "effective_date": begins, "last_updated": seen, "extracted_at": seen, "is_removed": False, "take_seq": 1,
        **more,
    }  # fmt: skip


def answer(payer: str | None, member: str | None, result: str, days: float) -> Row:
    key = "".join(filter(str.isalnum, member)) if member else None
    return {
        "pm_patient_id": "p1", "payer_id": payer, "member_id": member, "member_key": key, "result": result,
        "check_id": f"k{days}", "checked_at": ago(days), "evidence_ref": f"271/{days}",
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Case:
    """What PM held over time, and what follows: (payer, first day): (standing, rank)."""

    name: str
    policies: Sequence[Row] = ()
    expected: dict[tuple[str, date | None], tuple[str, str | None]] = field(default_factory=dict)
    as_of: str = AS_OF


IN_FORCE, ENDED, NOT_BEGUN, REMOVED = "in_force", "ended", "not_begun", "removed"
CASES = [
    Case(name="a patient with no coverage"),
    Case(name="one policy", policies=[policy()], expected={("A", LAST_YEAR): (IN_FORCE, "primary")}),
    Case(
        name="the one that began last comes first",
        policies=[policy(), policy("B", "B-1", NEW_YEAR)],
        expected={("B", NEW_YEAR): (IN_FORCE, "primary"), ("A", LAST_YEAR): (IN_FORCE, "secondary")},
    ),
    Case(
        name="three policies in force",
        policies=[policy(), policy("B", "B-1", NEW_YEAR), policy("C", "C-1", None)],
        expected={
            ("B", NEW_YEAR): (IN_FORCE, "primary"),
            ("A", LAST_YEAR): (IN_FORCE, "secondary"),
            ("C", None): (IN_FORCE, "tertiary"),
        },
    ),
    Case(
        name="a plan that ended with the year before the one that followed",
        policies=[policy(termination_date=date(2025, 12, 31)), policy("B", "B-1", NEW_YEAR)],
        expected={("B", NEW_YEAR): (IN_FORCE, "primary"), ("A", LAST_YEAR): (ENDED, None)},
    ),
    Case(
        name="a plan that begins tomorrow is nobody's yet",
        policies=[policy(), policy("B", "B-1", TODAY + timedelta(days=1))],
        expected={("A", LAST_YEAR): (IN_FORCE, "primary"), ("B", TODAY + timedelta(days=1)): (NOT_BEGUN, None)},
    ),
    Case(
        name="the first day is covered",
        policies=[policy(begins=TODAY)],
        expected={("A", TODAY): (IN_FORCE, "primary")},
    ),
    Case(
        name="the last day is covered",
        policies=[policy(termination_date=TODAY)],
        expected={("A", LAST_YEAR): (IN_FORCE, "primary")},
    ),
    Case(
        name="until midnight where the practice is, though it is tomorrow in Greenwich",
        policies=[policy(termination_date=TODAY)],
        as_of="2026-03-02T04:59:59Z",
        expected={("A", LAST_YEAR): (IN_FORCE, "primary")},
    ),
    Case(
        name="and not a second longer",
        policies=[policy(termination_date=TODAY)],
        as_of="2026-03-02T05:00:00Z",
        expected={("A", LAST_YEAR): (ENDED, None)},
    ),
    Case(
        name="a renewal beside the row that it renews is one policy",
        policies=[policy(), policy(begins=NEW_YEAR), policy("B", "B-1", None)],
        expected={
            ("A", NEW_YEAR): (IN_FORCE, "primary"),
            ("A", LAST_YEAR): (IN_FORCE, None),
            ("B", None): (IN_FORCE, "secondary"),
        },
    ),
    Case(
        name="two policies of one payer under two member ids are two",
        policies=[policy(), policy(member="A-2", begins=NEW_YEAR)],
        expected={("A", NEW_YEAR): (IN_FORCE, "primary"), ("A", LAST_YEAR): (IN_FORCE, "secondary")},
    ),
    Case(
        name="the same policy in two PM records of one person is one",
        policies=[policy(), policy(pm_patient_id="p2")],
        expected={("A", LAST_YEAR): (IN_FORCE, "primary")},
    ),
    Case(
        name="a policy that PM no longer lists is history",
        policies=[policy(), policy(member=None, is_removed=True, days_ago=5), policy("B", "B-1", NEW_YEAR)],
        expected={("B", NEW_YEAR): (IN_FORCE, "primary"), ("A", LAST_YEAR): (REMOVED, None)},
    ),
    Case(
        name="a policy that PM lists again is one",
        policies=[policy(), policy(member=None, is_removed=True, days_ago=5), policy(days_ago=2)],
        expected={("A", LAST_YEAR): (IN_FORCE, "primary")},
    ),
    Case(
        name="what PM says tomorrow is not known today",
        policies=[policy(), policy(termination_date=LAST_YEAR, days_ago=-1)],
        expected={("A", LAST_YEAR): (IN_FORCE, "primary")},
    ),
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Patient:
    """One patient of two PM records, p1 and p2, and the CRM contact that shows the policy A-1."""

    policies: Sequence[Row] = ()
    answers: Sequence[Row] = ()
    shown: Row = field(default_factory=dict)


def built(*patients: Patient, as_of: str = AS_OF) -> Bed:
    """All of them side by side; contact and patient bear the number of their place."""
    tables: dict[str, list[Row]] = {
        "raw.pm_coverage": [], "staging.pm_eligibility": [], "staging.crm_contact": [], "identity.patient_link": [],
    }  # fmt: skip
    shown = {"insurance_payer_id": "A", "insurance_member_id": "A-1", "insurance_status": "active"}
    for number, patient in enumerate(patients):
        own = f"{number:02}"
        tables["staging.crm_contact"].append({"contact_id": own, **shown, **patient.shown})
        tables["identity.patient_link"] += links(("crm", own, own), *(("pm", f"{own}-p{n}", own) for n in (1, 2)))
        for name, rows in (("raw.pm_coverage", patient.policies), ("staging.pm_eligibility", patient.answers)):
            tables[name] += [{**row, "pm_patient_id": f"{own}-{row['pm_patient_id']}"} for row in rows]
    bed = lay(tables, as_of)
    bed.build("staging.pm_coverage", *RECONCILED, *STATUS)
    return bed


@pytest.fixture(scope="module")
def ordered() -> dict[str, list[Row]]:
    """The policies of each case by its name."""
    found: dict[str, list[Row]] = {}
    for as_of in sorted({case.as_of for case in CASES}):
        cases = [case for case in CASES if case.as_of == as_of]
        bed = built(*(Patient(policies=case.policies) for case in cases), as_of=as_of)
        for number, case in enumerate(cases):
            found[case.name] = bed.rows("from reconciled.coverage where patient_id = ? order by place", f"{number:02}")
    return found


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_policies_are_put_in_order(ordered: dict[str, list[Row]], case: Case) -> None:
    rows = ordered[case.name]
    assert {(row["payer_id"], row["effective_date"]): (row["standing"], row["rank"]) for row in rows} == case.expected
    assert len(rows) == len(case.expected)


BOTH = [policy(), policy("B", "B-1", NEW_YEAR)]
SAID = {
    "both payers say active": (BOTH, [answer("A", "A-1", "active", 9), answer("B", "B1", "active", 3)], {"A", "B"}),
    "only one was asked": (BOTH, [answer("B", "B1", "active", 3)], set()),
    "one says inactive": (BOTH, [answer("A", "A-1", "inactive", 9), answer("B", "B1", "active", 3)], set()),
    "one could not answer": (BOTH, [answer("A", "A-1", "payer_error", 9), answer("B", "B1", "active", 3)], set()),
    "one answer is too old": (BOTH, [answer("A", "A-1", "active", 91), answer("B", "B1", "active", 3)], set()),
    "one policy has ended": (
        [policy(termination_date=NEW_YEAR), BOTH[1]],
        [answer("A", "A-1", "active", 9), answer("B", "B1", "active", 3)],
        set(),
    ),
}


@pytest.fixture(scope="module")
def vouched_for() -> dict[str, set[str]]:
    bed = built(*(Patient(policies=policies, answers=answers) for policies, answers, _ in SAID.values()))
    rows = bed.rows("select patient_id, payer_id from reconciled.coverage where is_vouched_for_beside_another")
    return {
        name: {row["payer_id"] for row in rows if row["patient_id"] == f"{number:02}"}
        for number, name in enumerate(SAID)
    }


@pytest.mark.parametrize("name", SAID)
def test_two_payers_that_both_say_active(vouched_for: dict[str, set[str]], name: str) -> None:
    assert vouched_for[name] == SAID[name][2]


SHOWN = {
    "the second of two that payers vouch for": (
        [answer("A", "A-1", "active", 9), answer("B", "B1", "active", 3)], {}, ("verified", "271/9")),
    "the first of them": (
        [answer("A", "A-1", "active", 9), answer("B", "B1", "active", 3)],
        {"insurance_payer_id": "B", "insurance_member_id": "b1"}, ("verified", "271/3")),
    "the second, as lapsed": (
        [answer("A", "A-1", "active", 9)], {"insurance_status": "lapsed"}, ("status_mismatch", "271/9")),
    "the second, of whom nobody asked": ([answer("B", "B1", "active", 3)], {}, ("payer_mismatch", "coverage/p1")),
    "the second, whose payer said so before the first began": (
        [answer("A", "A-1", "active", 62), answer("B", "B1", "active", 3)], {}, ("payer_mismatch", "coverage/p1")),
    "the second, whose payer says inactive": (
        [answer("A", "A-1", "inactive", 2), answer("B", "B1", "active", 3)], {}, ("payer_mismatch", "coverage/p1")),
    "a policy that PM does not hold": (
        [answer("B", "B1", "active", 3)], {"insurance_payer_id": "Z"}, ("payer_mismatch", "coverage/p1")),
}  # fmt: skip


@pytest.fixture(scope="module")
def verdicts() -> dict[str, tuple[str, str]]:
    bed = built(*(Patient(policies=BOTH, answers=answers, shown=contact) for answers, contact, _ in SHOWN.values()))
    rows = bed.rows(
        "select contact_id, insurance_reason, insurance_evidence_ref from hygiene.contact_status order by 1"
    )
    return {
        name: (row["insurance_reason"], row["insurance_evidence_ref"]) for name, row in zip(SHOWN, rows, strict=True)
    }


@pytest.mark.parametrize("name", SHOWN)
def test_which_of_two_policies_the_crm_may_show(verdicts: dict[str, tuple[str, str]], name: str) -> None:
    reason, ref = verdicts[name]
    assert (reason, ref.partition("/")[0]) == (SHOWN[name][2][0], SHOWN[name][2][1].partition("/")[0])
    assert ref == SHOWN[name][2][1] or ref.startswith("coverage/")


CHANGED = [policy(days_ago=60), policy(member="A-2", days_ago=5)]
CHANGED_ID = {
    "nobody asked about the new one": ([answer("A", "A-1", "active", 9)], "A-2", "never_verified"),
    "the payer no longer knows the old one": ([answer("A", "A-1", "not_found", 2)], "A-2", "never_verified"),
    "the payer knows the new one": ([answer("A", "A-2", "active", 2)], "A-2", "verified"),
    "the payer knows the new one that the CRM lacks": ([answer("A", "A-2", "active", 2)], "A-1", "member_id_mismatch"),
}


def test_a_member_id_that_changed() -> None:
    bed = built(
        *(
            Patient(policies=CHANGED, answers=answers, shown={"insurance_member_id": shown})
            for answers, shown, _ in CHANGED_ID.values()
        )
    )
    rows = bed.rows("select insurance_reason from hygiene.contact_status order by contact_id")
    assert [row["insurance_reason"] for row in rows] == [reason for *_, reason in CHANGED_ID.values()]
    assert bed.rows("select distinct member_key, former_member_keys from reconciled.coverage") == [
        {"member_key": "A2", "former_member_keys": ["A1"]}
    ]


def test_every_version_is_kept_with_the_time_it_was_held() -> None:
    removed = policy(member=None, is_removed=True, days_ago=2)
    bed = built(Patient(policies=[*CHANGED, removed]))
    rows = bed.rows("select * from reconciled.coverage_version order by version")
    assert [(row["member_key"], row["is_removed"], row["known_from"], row["known_to"]) for row in rows] == [
        ("A1", False, ago(60), ago(5)),
        ("A2", False, ago(5), ago(2)),
        (None, True, ago(2), None),
    ]
    [row] = bed.rows("select member_key, standing, first_known_at, removed_at from reconciled.coverage")
    assert row == {"member_key": "A2", "standing": REMOVED, "first_known_at": ago(60), "removed_at": ago(2)}


def test_the_contracts_hold_on_every_case() -> None:
    policies = [*BOTH, *CHANGED[1:], policy("C", None, None)]
    bed = built(Patient(policies=policies, answers=[answer(None, None, "active", 1)]))
    assert bed.failures("reconciled.coverage") == {}
    assert bed.failures("reconciled.coverage_version") == {}
