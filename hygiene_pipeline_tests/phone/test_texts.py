"""The texts of every source, read once: a later night has what it would have had if it had read all of them anew."""

import pytest

from hygiene_pipeline.landing import ehr_events
from hygiene_pipeline.phone.texts import normalise_every_text
from hygiene_pipeline_tests.bed import Bed

FIRST, LATER = "2026-03-01T07:00:00Z", "2026-03-02T07:00:00Z"
OLD, NEW, GONE = "(617) 253-0001", "617.253.0002", "call my wife"


@pytest.fixture
def bed():
    made = Bed()
    made.raw()
    ehr_events.create_tables(made.con)
    made.table("raw.pm_patients", [{"phone": OLD, "extracted_at": FIRST}, {"phone": GONE, "extracted_at": LATER}])
    made.table("raw.crm_contacts", [{"phone": None, "alternate_phone": OLD, "extracted_at": FIRST}])
    return made


def read(bed, as_of, region="US"):
    bed.clock(as_of)
    rows = normalise_every_text(bed.con, default_region=region)
    table = bed.con.execute("select raw, e164 from staging.phone_number order by raw").fetchall()
    assert rows == len(table)
    return dict(table)


def test_a_night_has_the_texts_up_to_its_clock_whatever_was_read_before(bed):
    first, later = {OLD: "+16172530001"}, {OLD: "+16172530001", GONE: None}
    assert [read(bed, FIRST), read(bed, LATER), read(bed, FIRST), read(bed, LATER)] == [first, later, first, later]


def test_only_what_is_new_is_read(bed):
    read(bed, FIRST)
    bed.con.execute("update staging.phone_number set e164 = 'as read before'")
    bed.add("raw.replies", [{"kind": "change_phone", "value": NEW, "extracted_at": LATER}])
    assert read(bed, LATER) == {OLD: "as read before", NEW: "+16172530002", GONE: None}


def test_where_a_number_is_dialled_from_makes_all_verdicts_anew(bed):
    assert read(bed, FIRST)[OLD] == "+16172530001"
    assert read(bed, FIRST, region="GB")[OLD] is None
