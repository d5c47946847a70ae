"""Who is who: linked by number, else by name, birth date and contact; ids that stay; nobody twice, nobody lost."""

from collections.abc import Sequence
from datetime import date
from functools import cache
from hashlib import md5

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hygiene_pipeline_tests.bed import Bed
from hygiene_pipeline_tests.sql.cases import IDENTITY, Row, ago, lay

TABLES = {"ehr": ("staging.ehr_patient", "ehr_patient_id"), "pm": ("staging.pm_patient", "pm_patient_id")}
TABLES |= {"crm": ("staging.crm_contact", "contact_id")}
ANNA: Row = {
    "name_key": "anna keller",
    "birth_date": date(1980, 5, 4),
    "phone": "+16172530001",
    "email": "a@example.org",
}
BRUNO: Row = {
    "name_key": "bruno ortiz",
    "birth_date": date(1951, 11, 30),
    "phone": "+16172530002",
    "email": "b@example.org",
}

Record = tuple[str, str, Row]
Nights = Sequence[tuple[float, dict[tuple[str, str], str]]]


def bed_of(records: Sequence[Record], nights: Nights = ()) -> Bed:
    """A bed with these (source, id, columns) records, and the links that earlier nights kept."""
    tables: dict[str, list[Row]] = {table: [] for table, _ in TABLES.values()}
    for source, source_id, row in records:
        table, key = TABLES[source]
        tables[table].append({key: source_id, **row})
    history = [
        {"as_of": ago(days), "source": source, "source_id": source_id, "patient_id": patient_id}
        for days, known in nights
        for (source, source_id), patient_id in known.items()
    ]
    bed = shared_bed()
    for table, rows in {**tables, "history.identity_patient_link": history}.items():
        bed.table(table, rows)
    return bed


@cache
def shared_bed() -> Bed:
    """One warehouse for all tests of this file: each lays anew every table that identity reads."""
    return lay({})


def links_of(bed: Bed) -> dict[tuple[str, str], str]:
    bed.build("identity.record", "identity.mrn_group", "identity.patient_link")
    rows = bed.rows("select source, source_id, patient_id from identity.patient_link")
    found = {(row["source"], row["source_id"]): row["patient_id"] for row in rows}
    assert len(found) == len(rows)
    return found


def clusters(links: dict[tuple[str, str], str]) -> set[frozenset[tuple[str, str]]]:
    """Who is together, whatever the ids are."""
    patients: dict[str, set[tuple[str, str]]] = {}
    for record, patient_id in links.items():
        patients.setdefault(patient_id, set()).add(record)
    return {frozenset(members) for members in patients.values()}


def minted(record: str) -> str:
    return "p-" + md5(record.encode(), usedforsecurity=False).hexdigest()[:12]


# Two records each, and how they are linked; `none` if they are two people.
PAIRS: dict[str, tuple[str, Record, Record]] = {
    "the same number, spaces aside": ("mrn", ("ehr", "e", {"mrn": "007"}), ("crm", "c", {"mrn": " 007 "})),
    "the same number, case aside": ("mrn", ("pm", "p", {"mrn": "ab1"}), ("crm", "c", {"mrn": "AB1"})),
    "the same number, day and month swapped": ("mrn", ("ehr", "e", {"mrn": "1", **ANNA}),
        ("crm", "c", {"mrn": "1", **ANNA, "birth_date": date(1980, 4, 5)})),
    "the same number and name, another birth date": ("mrn", ("ehr", "e", {"mrn": "1", **ANNA}),
        ("crm", "c", {"mrn": "1", **ANNA, "birth_date": date(1999, 9, 9)})),
    "the same number, one key slipped in name and birth date": ("mrn", ("ehr", "e", {"mrn": "1", **ANNA}),
        ("crm", "c", {"mrn": "1", "name_key": "ana keller", "birth_date": date(1980, 5, 7)})),
    "the same number and birth date, another name": ("mrn", ("ehr", "e", {"mrn": "1", **ANNA}),
        ("crm", "c", {"mrn": "1", **BRUNO, "birth_date": ANNA["birth_date"]})),
    "the same number, first and last name swapped": ("mrn", ("ehr", "e", {"mrn": "1", **ANNA}),
        ("crm", "c", {"mrn": "1", "name_key": "keller anna", "birth_date": date(1999, 9, 9)})),
    "the same number, nothing else known": ("mrn", ("ehr", "e", {"mrn": "1", **ANNA}), ("crm", "c", {"mrn": "1"})),
    "no number, all else the same": ("name_birth_contact", ("ehr", "e", {"mrn": "1", **ANNA}), ("crm", "c", ANNA)),
    "the telephone alone in common": ("name_birth_contact", ("ehr", "e", {**ANNA, "email": None}),
        ("crm", "c", {**ANNA, "email": "other@example.org"})),
    "the email alone in common": ("name_birth_contact", ("ehr", "e", {**ANNA, "phone": "+16172530009"}),
        ("pm", "p", {**ANNA, "email": "A@Example.org"})),
    "a mistyped number, all else the same": ("name_birth_contact", ("ehr", "e", {"mrn": "1", **ANNA}),
        ("pm", "p", {"mrn": "2", **ANNA})),
    "the EHR merged the record": ("replaced_by", ("ehr", "e1", {"mrn": "1", "replaced_by": "e2"}), ("ehr", "e2", {})),
    "leading zeros are part of a number": ("none", ("ehr", "e", {"mrn": "007"}), ("crm", "c", {"mrn": "7"})),
    "an empty number is none": ("none", ("ehr", "e", {"mrn": ""}), ("crm", "c", {"mrn": " "})),
    "one number, plainly two people": ("none", ("ehr", "e", {"mrn": "1", **ANNA}),
        ("crm", "c", {"mrn": "1", **BRUNO})),
    "no contact in common": ("none", ("ehr", "e", ANNA), ("crm", "c", {**ANNA, "phone": None, "email": None})),
    "another birth date": ("none", ("ehr", "e", ANNA), ("crm", "c", {**ANNA, "birth_date": date(1980, 5, 5)})),
    "another name": ("none", ("ehr", "e", ANNA), ("crm", "c", {**ANNA, "name_key": "anne keller"})),
    "a contact alone": ("none", ("ehr", "e", {"phone": "+16172530001"}), ("crm", "c", {"phone": "+16172530001"})),
    "no name": ("none", ("ehr", "e", {**ANNA, "name_key": ""}), ("crm", "c", {**ANNA, "name_key": ""})),
}  # fmt: skip


def of_town(record: Record, town: int) -> Record:
    """The record with numbers, contacts and ids that no other town has: what is laid side by side does not touch."""
    source, source_id, row = record
    own = {"mrn", "phone", "email"}
    moved = {
        name: value.replace(value.strip(), f"{value.strip()}{town:04}")
        if name in own and value and value.strip()
        else value
        for name, value in row.items()
    }
    if moved.get("replaced_by"):
        moved["replaced_by"] = f"{town}-{moved['replaced_by']}"
    return source, f"{town}-{source_id}", moved


@pytest.fixture(scope="module")
def paired() -> dict[tuple[str, str], dict[str, str]]:
    records = [of_town(record, town) for town, (_, *pair) in enumerate(PAIRS.values()) for record in pair]
    bed = bed_of(records)
    links_of(bed)
    return {(row["source"], row["source_id"]): row for row in bed.rows("select * from identity.patient_link")}


@pytest.mark.parametrize(("town", "name"), list(enumerate(PAIRS)), ids=list(PAIRS))
def test_a_pair_of_records(paired: dict[tuple[str, str], dict[str, str]], town: int, name: str) -> None:
    method, *pair = PAIRS[name]
    one, other = (paired[of_town(record, town)[:2]] for record in pair)
    assert (one["method"], other["method"]) == (method, method)
    assert (one["patient_id"] == other["patient_id"]) == (method != "none")


def test_two_numbers_that_both_link_stay_two_patients() -> None:
    records = [("ehr", "e1", {"mrn": "1", **ANNA}), ("crm", "c1", {"mrn": "1", **ANNA})]
    records += [("ehr", "e2", {"mrn": "2", **ANNA}), ("crm", "c2", {"mrn": "2", **ANNA})]
    bed = bed_of(records)
    assert len(set(links_of(bed).values())) == 2
    bed.build("identity.match_review")
    assert [row["reason"] for row in bed.rows("select reason from identity.match_review")] == [
        "same_name_and_birth_date"
    ]


def test_a_chain_of_shared_contacts_is_one_patient() -> None:
    steps = [
        ("+16172530001", None),
        ("+16172530001", "x@example.org"),
        ("+16172530002", "x@example.org"),
        ("+16172530002", None),
    ]
    records = [("crm", f"c{at}", {**ANNA, "phone": phone, "email": email}) for at, (phone, email) in enumerate(steps)]
    assert set(links_of(bed_of(records)).values()) == {minted("crm:c0")}


def test_of_one_number_and_two_people_each_finds_their_own() -> None:
    records = [
        ("ehr", "e", {"mrn": "1", **ANNA}),
        ("pm", "p", {"mrn": "1", **BRUNO}),
        ("crm", "c", {"mrn": "1", **BRUNO}),
    ]
    bed = bed_of(records)
    bed.build(*IDENTITY)
    rows = bed.rows(
        "select source, source_id, other_source, other_source_id from identity.split_review order by source"
    )
    assert [tuple(row.values()) for row in rows] == [("crm", "c", "ehr", "e"), ("pm", "p", "ehr", "e")]
    assert clusters(links_of(bed)) == {frozenset({("ehr", "e")}), frozenset({("pm", "p"), ("crm", "c")})}


def test_a_respelt_name_is_for_a_person_to_look_at() -> None:
    bed = bed_of([("ehr", "e", ANNA), ("crm", "c", {**ANNA, "name_key": "ana keller"})])
    bed.build(*IDENTITY, "identity.match_review")
    [row] = bed.rows("select reason, patient_id < other_patient_id as is_ordered from identity.match_review")
    assert row == {"reason": "similar_name_same_birth_date_and_contact", "is_ordered": True}


@pytest.mark.parametrize(
    ("records", "anchor"),
    [
        ([("crm", "c", {"mrn": "1"}), ("pm", "p", {"mrn": "1"}), ("ehr", "e", {"mrn": "1"})], "ehr:e"),
        ([("crm", "c", {"mrn": "1"}), ("pm", "p2", {"mrn": "1"}), ("pm", "p1", {"mrn": "1"})], "pm:p1"),
        ([("crm", "c", {})], "crm:c"),
    ],
)
def test_a_new_patient_is_named_after_the_most_authoritative_record(records: list[Record], anchor: str) -> None:
    assert set(links_of(bed_of(records)).values()) == {minted(anchor)}


def test_a_known_patient_keeps_the_id_when_a_better_record_comes() -> None:
    records = [("crm", "c", {"mrn": "1"}), ("ehr", "e", {"mrn": "1"})]
    assert set(links_of(bed_of(records, [(1, {("crm", "c"): "p-known"})])).values()) == {"p-known"}


@pytest.mark.parametrize(
    ("nights", "kept"),
    [
        ([(9, {("crm", "c"): "p-b"}), (5, {("ehr", "e"): "p-a"})], "p-b"),
        ([(9, {("crm", "c"): "p-b", ("ehr", "e"): "p-a"})], "p-a"),
    ],
    ids=["the oldest id is kept", "of two as old the smaller"],
)
def test_patients_that_turn_out_to_be_one(nights: Nights, kept: str) -> None:
    records = [("crm", "c", {"mrn": "1"}), ("ehr", "e", {"mrn": "1"})]
    assert set(links_of(bed_of(records, nights)).values()) == {kept}


def test_a_patient_who_turns_out_to_be_two_leaves_the_id_to_the_more_authoritative_record() -> None:
    known = {("crm", "c"): "p-one", ("ehr", "e"): "p-one"}
    links = links_of(bed_of([("crm", "c", {"mrn": "1"}), ("ehr", "e", {"mrn": "2"})], [(1, known)]))
    assert links[("ehr", "e")] == "p-one"
    assert links[("crm", "c")] not in {"p-one", minted("crm:c")}


@pytest.mark.parametrize("days", [-1, 0], ids=["tomorrow's", "this night's own"])
def test_a_night_does_not_read_ids_that_only_it_or_a_later_one_gave(days: float) -> None:
    assert links_of(bed_of([("crm", "c", {})], [(days, {("crm", "c"): "p-other"})])) == {("crm", "c"): minted("crm:c")}


PERSON = st.fixed_dictionaries({
    "mrn": st.sampled_from([None, "1", "2", "3", "4"]),
    "name_key": st.sampled_from([None, "anna keller", "bruno ortiz"]),
    "birth_date": st.sampled_from([None, date(1980, 5, 4), date(1951, 11, 30)]),
    "phone": st.sampled_from([None, "+16172530001", "+16172530002"]),
    "email": st.sampled_from([None, "a@example.org"]),
})  # fmt: skip


def towns(prefix: str) -> st.SearchStrategy[list[Record]]:
    """Many small panels side by side: one run of the SQL sees all of them."""
    records = st.lists(st.tuples(st.sampled_from(["ehr", "pm", "crm"]), PERSON), min_size=1, max_size=9)
    return st.lists(records, min_size=20, max_size=30).map(
        lambda drawn: [
            of_town((source, f"{prefix}{index}", row), town)
            for town, panel in enumerate(drawn)
            for index, (source, row) in enumerate(panel)
        ]
    )


THOROUGH = settings(max_examples=2, suppress_health_check=list(HealthCheck))


@THOROUGH
@given(panel=towns("r"))
def test_every_record_is_in_one_patient_whatever_the_order(panel: list[Record]) -> None:
    links = links_of(bed_of(panel))
    assert set(links) == {(source, source_id) for source, source_id, _ in panel}
    assert links_of(bed_of(panel[::-1])) == links
    assert links_of(bed_of(panel, [(1, links)])) == links, "the next night is not the same"


@THOROUGH
@given(panel=towns("r"), more=towns("s"))
def test_more_records_rename_nobody(panel: list[Record], more: list[Record]) -> None:
    before = links_of(bed_of(panel))
    after = links_of(bed_of([*panel, *more], [(1, before)]))
    by_patient: dict[str, set[str]] = {}
    for record, patient_id in after.items():
        by_patient.setdefault(patient_id, set()).update({before[record]} if record in before else set())
    for patient_id, earlier in by_patient.items():
        # One id for all, an old one if there was one, unless a patient was split and another part has kept it.
        assert patient_id in earlier or not earlier or all(old in by_patient for old in earlier)
    assert clusters(after) == clusters(links_of(bed_of([*panel, *more])))
