"""Night after night: which versions of a record are written, and when a record counts as removed."""

import pytest

from hygiene_pipeline_tests.landing.desk import Desk

PATIENTS = "pm/patients.csv"


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def patients(*names: str) -> str:
    return "pm_patient_id,first_name\n" + "".join(f"{name.split('=')[0]},{name.split('=')[1]}\n" for name in names)


ALL = ("1=Ann", "2=Bo", "3=Cy", "4=Di")
NIGHTS = {
    "the same extract twice": ([patients(*ALL), patients(*ALL)], []),
    "the same records in another order": ([patients(*ALL), patients(*reversed(ALL))], []),
    "a changed record": ([patients(*ALL), patients("1=Anna", *ALL[1:])], [("1", "Anna", False)]),
    "a new record": ([patients(*ALL), patients(*ALL, "5=Ed")], [("5", "Ed", False)]),
    "a record that vanished": ([patients(*ALL), patients(*ALL[1:])], [("1", None, True)]),
    "half of the records still there": (
        [patients(*ALL), patients(*ALL[:2])],
        [("3", None, True), ("4", None, True)],
    ),
    "an extract cut off": ([patients(*ALL), patients(*ALL[:1])], []),
    "another practice's extract": (
        [patients(*ALL), patients("7=Gil", "8=Hal")],
        [("7", "Gil", False), ("8", "Hal", False)],
    ),
    "an empty extract": ([patients(*ALL), patients()], []),
    "an empty file": ([patients(*ALL), ""], []),
    "a refused file": ([patients(*ALL), "first_name\nAnn\n"], []),
    "a record whose line is unusable has not vanished": (
        [patients(*ALL), patients(*ALL[:3]) + '"4",Di,surplus\n'],
        [],
    ),
    "a record that vanished and came back": (
        [patients(*ALL), patients(*ALL[1:]), patients(*ALL)],
        [("1", "Ann", False)],
    ),
    "a record that stays away is removed once": ([patients(*ALL), patients(*ALL[1:]), patients(*ALL[1:])], []),
    "a value that changed back": (
        [patients(*ALL), patients("1=Anna", *ALL[1:]), patients(*ALL)],
        [("1", "Ann", False)],
    ),
}


@pytest.mark.parametrize(("nights", "last"), NIGHTS.values(), ids=NIGHTS.keys())
def test_a_snapshot_writes_what_changed(desk, nights, last):
    for content in nights:
        desk.take(PATIENTS, content)
    rows = desk.rows(
        "select pm_patient_id, first_name, is_removed from raw.pm_patients where take_seq = ? order by all", len(nights)
    )
    assert [tuple(row.values()) for row in rows] == last


def test_an_addition_is_never_a_removal(desk):
    desk.take("pm/appointments.csv", "appointment_id,status\na1,booked\na2,booked\n")
    desk.take("pm/appointments.csv", "appointment_id,status\na1,arrived\n")
    rows = desk.rows(
        "select appointment_id, status, take_seq from raw.pm_appointments order by take_seq, appointment_id"
    )
    assert [tuple(row.values()) for row in rows] == [("a1", "booked", 1), ("a2", "booked", 1), ("a1", "arrived", 2)]


def test_a_policy_without_effective_date_keeps_its_key(desk):
    header = "pm_patient_id,payer_id,effective_date,member_id\n"
    desk.take("pm/coverage.csv", header + "p1,aetna,,M1\np2,aetna,2026-01-01,M2\n")
    desk.take("pm/coverage.csv", header + "p1,aetna,,M9\np2,aetna,2026-01-01,M2\n")
    rows = desk.rows("select pm_patient_id, member_id, is_removed from raw.pm_coverage where take_seq = 2")
    assert [tuple(row.values()) for row in rows] == [("p1", "M9", False)]


def test_a_list_longer_than_a_row_group_arrives_whole_in_one_transaction(desk):
    desk.con.execute("set threads = 2")
    content = "\n".join(["pm_patient_id,birth_date", *(f"{number},not a date" for number in range(130_000))])
    desk.con.execute("begin")
    desk.take("pm/patients.csv", content)
    desk.con.execute("commit")
    [stored] = desk.con.execute("select (select count(*) from raw.pm_patients)").fetchone()
    [rejected] = desk.con.execute("select count(*) from quarantine.record").fetchone()
    assert (stored, rejected) == (130_000, 130_000)
