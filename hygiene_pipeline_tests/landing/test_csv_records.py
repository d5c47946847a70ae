"""Properties of the record splitter: what Python's own writer wrote comes back, and nothing makes it fail."""

import csv
import io

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hygiene_pipeline.landing.csv_lines import told_apart
from hygiene_pipeline.landing.csv_records import add_records, lay_records
from hygiene_pipeline_tests.landing.desk import Desk

CON = duckdb.connect(config={"threads": 1})
FIELD = st.text(st.sampled_from('ab "\n,;é'), max_size=6)
ROWS = st.lists(st.tuples(FIELD, FIELD, FIELD), min_size=1, max_size=6)


def records(text):
    """Line, text and fields of every record of a file, whichever way each was read."""
    lines = told_apart(text, has_marks=False)
    lay_records(CON, lines.quoted)
    add_records(CON, lines.plain)
    return CON.execute("select line, text, fields from landing_record order by line").fetchall()


@settings(max_examples=30)
@given(ROWS)
def test_what_a_csv_writer_wrote_comes_back_with_its_lines(rows):
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(("x", "y", "z"))
    lines = []
    for row in rows:
        lines.append(buffer.getvalue().count("\n") + 1)
        writer.writerow(row)
    read = [(line, fields) for line, _, fields in records(buffer.getvalue())[1:]]
    assert read == [(line, list(row)) for line, row in zip(lines, rows, strict=True)]


@settings(max_examples=30)
@given(ROWS)
def test_a_record_is_the_same_whether_or_not_its_fields_were_quoted(rows):
    def written(quoting):
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n", quoting=quoting).writerows([("x", "y", "z"), *rows])
        return [(line, fields) for line, _, fields in records(buffer.getvalue())]

    assert written(csv.QUOTE_MINIMAL) == written(csv.QUOTE_ALL)


@settings(max_examples=30)
@given(st.lists(st.text(st.sampled_from('ab",'), min_size=1, max_size=8), min_size=1, max_size=8))
def test_no_line_is_lost_whatever_its_quotes(lines):
    read = records("\n".join(["x,y", *lines]))
    assert "\n".join(text for _, text, _ in read).split("\n") == ["x,y", *lines]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return Desk(tmp_path_factory.mktemp("landing"))


@settings(max_examples=15)
@given(content=st.binary(max_size=80))
def test_no_bytes_break_the_loader(desk, content):
    loaded = desk.take("pm/patients.csv", b"pm_patient_id,first_name\n1,Ann\n" + content + b"\n")
    assert loaded.rows + loaded.quarantined > 0
