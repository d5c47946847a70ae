"""Whatever is in a text or a name, DuckDB reads it as it was."""

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hygiene_pipeline.sql_spelling import literal, quoted

# DuckDB's texts hold no NUL and no half of a surrogate pair.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@pytest.fixture(scope="module")
def con():
    return duckdb.connect()


@given(TEXTS)
def test_a_text_comes_back_as_it_was(con, text):
    assert con.execute(f"select {literal(text)}").fetchone() == (text,)


@given(TEXTS)
def test_a_name_comes_back_as_it_was(con, name):
    assert con.execute(f"select 1 as {quoted(name)}").description[0][0] == name
