"""Replies line by line: what loads and what does not."""

import json

import pytest

from hygiene_pipeline.landing.file import Loaded
from hygiene_pipeline_tests.landing.desk import Desk

REPLY = {
    "contact_id": "c1",
    "received_at": "2026-02-27T18:30:00-05:00",
    "channel": "sms",
    "kind": "change_phone",
    "value": "(617) 253-0000",
}

TAKEN = "2026-03-01 07:00:00+00"


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def line(**changes: object) -> str:
    return json.dumps({**REPLY, **changes}, ensure_ascii=False)


LINES = {
    "a reply": (line(), ("change_phone", "(617) 253-0000", "2026-02-27 23:30:00+00"), []),
    "a stop without value": (line(kind="STOP", value=None), ("stop", None, "2026-02-27 23:30:00+00"), []),
    "a stop by another word": (line(kind="Unsubscribe"), ("stop", "(617) 253-0000", "2026-02-27 23:30:00+00"), []),
    "a stop at no time counts from when it was taken": (
        line(kind="stop", received_at="soon"),
        ("stop", "(617) 253-0000", TAKEN),
        [(1, "received_at", "bad_timestamp")],
    ),
    "a stop without a time as well": (
        line(kind="STOP", received_at=None),
        ("stop", "(617) 253-0000", TAKEN),
        [(1, "received_at", "missing_key")],
    ),
    "a stop of nobody": (line(kind="stop", contact_id=None), None, [(1, "contact_id", "missing_key")]),
    "a number as value": (line(value=6172530000), ("change_phone", "6172530000", "2026-02-27 23:30:00+00"), []),
    "a time without offset is UTC": (
        line(received_at="2026-02-27T18:30:00"),
        ("change_phone", "(617) 253-0000", "2026-02-27 18:30:00+00"),
        [],
    ),
    "fields nobody asked for": (line(mood="fine"), ("change_phone", "(617) 253-0000", "2026-02-27 23:30:00+00"), []),
    "no JSON": ('{"contact_id": "c1"', None, [(1, None, "not_json")]),
    "no object": ("[1]", None, [(1, None, "not_json")]),
    "Latin-1": (line(value="é").encode("latin-1"), None, [(1, None, "not_utf8")]),
    "no contact": (line(contact_id=""), None, [(1, "contact_id", "missing_key")]),
    "an unknown kind": (line(kind="thanks"), None, [(1, "kind", "unknown_code"), (1, "kind", "unusable_key")]),
    "no time": (
        line(received_at="soon"),
        None,
        [(1, "received_at", "bad_timestamp"), (1, "received_at", "unusable_key")],
    ),
}


@pytest.mark.parametrize(("text", "row", "quarantined"), LINES.values(), ids=LINES.keys())
def test_a_line_is_a_reply_or_is_quarantined(desk, text, row, quarantined):
    loaded = desk.take_replies(text)
    rows = desk.rows("select kind, value, received_at::varchar as at from raw.replies")
    assert [tuple(each.values()) for each in rows] == ([row] if row else [])
    assert desk.quarantined() == quarantined
    assert loaded == Loaded(rows=len(rows), quarantined=len(quarantined))


def test_blank_lines_are_nothing_and_lines_are_counted(desk):
    desk.take_replies(f"\n{line()}\r\n\n{line(contact_id='c2')}\n")
    rows = desk.rows("select contact_id, source_line from raw.replies order by all")
    assert [tuple(row.values()) for row in rows] == [("c1", 2), ("c2", 4)]


def test_a_file_delivered_again_adds_nothing(desk):
    desk.take_replies(line())
    desk.take_replies(f"{line()}\n{line(contact_id='c2')}\n")
    assert desk.rows("select count(*) as n from raw.replies")[0]["n"] == 2


def test_an_empty_file_is_nothing(desk):
    assert desk.take_replies("") == Loaded(rows=0, quarantined=0)
