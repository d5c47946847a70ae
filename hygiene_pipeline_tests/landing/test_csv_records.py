"""Properties of the record splitter: what Python's own writer wrote comes back, and nothing makes it fail."""

import csv
import io

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hygiene_pipeline.landing.csv_records import lay_records
from hygiene_pipeline_tests.landing.desk import Desk

CON = duckdb.connect(config={"threads": 1})
FIELD = st.text(st.sampled_from('ab "\n,;é'), max_size=6)
ROWS = st.lists(st.tuples(FIELD, FIELD, FIELD), min_size=1, max_size=6)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(ROWS)
def test_what_a_csv_writer_wrote_comes_back_with_its_lines(rows):
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(("x", "y", "z"))
    lines = []
    for row in rows:
        lines.append(buffer.getvalue().count("\n") + 1)
        writer.writerow(row)
    lay_records(CON, buffer.getvalue())
    read = CON.execute("select line, fields from landing_record order by line").fetchall()[1:]
    assert read == [(line, list(row)) for line, row in zip(lines, rows, strict=True)]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.text(st.sampled_from('ab",'), min_size=1, max_size=8), min_size=1, max_size=8))
def test_no_line_is_lost_whatever_its_quotes(lines):
    lay_records(CON, "\n".join(["x,y", *lines]))
    read = CON.execute("select line, text from landing_record order by line").fetchall()
    assert "\n".join(text for _, text in read).split("\n") == ["x,y", *lines]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return Desk(tmp_path_factory.mktemp("landing"))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(content=st.binary(max_size=80))
def test_no_bytes_break_the_loader(desk, content):
    loaded = desk.take("pm/patients.csv", b"pm_patient_id,first_name\n1,Ann\n" + content + b"\n")
    assert loaded.rows + loaded.quarantined > 0
