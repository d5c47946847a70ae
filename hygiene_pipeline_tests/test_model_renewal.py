"""A table that is renewed by key is, after whatever changed, the table that would be made whole."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hygiene_pipeline.model_build import build_model
from hygiene_pipeline.model_contracts import ContractError
from hygiene_pipeline.model_renewal import MOST_CHANGED, renew
from hygiene_pipeline.sql_models import Model, load_models, topological
from hygiene_pipeline_tests.bed import Bed
from hygiene_pipeline_tests.model_files import write_model

SAYING = {"person": "VARCHAR", "word": "VARCHAR"}
SPELLING = {"word": "VARCHAR", "weight": "INTEGER"}
VIEW = "description: One row per saying.\nconfig: {materialized: view, meta: {grain: [person, word]}}"
TABLE = """
description: One row per person. What is said most weightily.
config: {meta: {grain: [person], renewal: {key: person, reads: identity.said}}}
columns: [{name: person, data_tests: [not_null]}]
"""
SAID = """
with own as (select person, word from raw.saying),
heard as (select person, 'heard' as word from raw.hearing)
select person, word from own union all select person, word from heard
"""
LOUDEST = """
select said.person, count(*) as words, max(said.word) as last_word, sum(weight.weight) as weight
from identity.said as said
left join raw.weight as weight on weight.word = said.word
group by said.person
"""
PEOPLE = [f"p{number:02}" for number in range(40)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    root = tmp_path_factory.mktemp("models")
    write_model(root, "identity.said", SAID, VIEW)
    write_model(root, "hygiene.loudest", LOUDEST, TABLE)
    return load_models(root)


def make(models: dict[str, Model]) -> Bed:
    """A bed with forty people who have each said something."""
    bed = Bed()
    bed.declare("raw.saying", SAYING)
    bed.declare("raw.hearing", {"person": "VARCHAR"})
    bed.declare("raw.weight", SPELLING)
    bed.table("raw.saying", [{"person": person, "word": word} for person in PEOPLE for word in ("a", "b")])
    bed.table("raw.hearing", [])
    bed.table("raw.weight", [{"word": "a", "weight": 1}, {"word": "b", "weight": 2}])
    night(bed, models)
    return bed


def night(bed: Bed, models: dict[str, Model]) -> None:
    for name in topological(models):
        build_model(bed.con, models[name]).raise_if_blocked()


def whole(bed: Bed, models: dict[str, Model]) -> list[dict[str, object]]:
    return bed.rows(f"from ({models['hygiene.loudest'].sql}) order by all")


def renewed_rows(bed: Bed) -> list[dict[str, object]]:
    return bed.rows("from hygiene.loudest order by all")


def loudest(models: dict[str, Model]) -> Model:
    return models["hygiene.loudest"]


CHANGE = st.one_of(
    st.tuples(st.just("says"), st.sampled_from([*PEOPLE, "new"]), st.sampled_from("abcz")),
    st.tuples(st.just("hears"), st.sampled_from(PEOPLE), st.just("")),
    st.tuples(st.just("goes"), st.sampled_from(PEOPLE), st.just("")),
    st.tuples(st.just("weighs"), st.just(""), st.sampled_from("abc")),
    st.tuples(st.just("is overwritten"), st.sampled_from(PEOPLE), st.just("")),
    st.tuples(st.just("is lost"), st.sampled_from(PEOPLE), st.just("")),
)
STATEMENTS = {
    "says": "insert into raw.saying values ($1, $2)",
    "hears": "insert into raw.hearing select $1 where $2 = ''",
    "goes": "delete from raw.saying where person = $1 and $2 = ''",
    "weighs": "update raw.weight set weight = weight + 1 where word = $2 and $1 = ''",
    # Whoever else writes the table: an event run, a hand.
    "is overwritten": "update hygiene.loudest set words = 99 where person = $1 and $2 = ''",
    "is lost": "delete from hygiene.loudest where person = $1 and $2 = ''",
}


@settings(max_examples=12)
@given(nights=st.lists(st.lists(CHANGE, max_size=12), min_size=1, max_size=4))
def test_it_is_always_the_table_that_would_be_made_whole(
    models: dict[str, Model], nights: list[list[tuple[str, str, str]]]
) -> None:
    bed = make(models)
    for changes in nights:
        for what, person, word in changes:
            bed.con.execute(STATEMENTS[what], [person, word])
        night(bed, models)
        assert renewed_rows(bed) == whole(bed, models)


@pytest.fixture
def bed(models: dict[str, Model]) -> Bed:
    return make(models)


def test_only_the_rows_of_changed_keys_are_made_anew(bed: Bed, models: dict[str, Model]) -> None:
    before = {row["person"]: row["place"] for row in bed.rows("select person, rowid as place from hygiene.loudest")}
    bed.con.execute("insert into raw.saying values ('p07', 'z')")
    build_model(bed.con, loudest(models)).raise_if_blocked()
    after = {row["person"]: row["place"] for row in bed.rows("select person, rowid as place from hygiene.loudest")}
    assert {person for person, place in after.items() if before.get(person) != place} == {"p07"}


def test_after_many_changes_the_table_lies_in_order_again(bed: Bed, models: dict[str, Model]) -> None:
    many = [{"person": person} for person in PEOPLE[: int(len(PEOPLE) * MOST_CHANGED) + 1]]
    bed.table("raw.hearing", many)
    build_model(bed.con, loudest(models)).raise_if_blocked()
    assert [row["person"] for row in bed.rows("from hygiene.loudest")] == PEOPLE


@pytest.mark.parametrize("slice_keys", [1, 7, 39, 40, 41])
def test_slices_of_any_size_make_the_same_table(bed: Bed, models: dict[str, Model], slice_keys: int) -> None:
    model = loudest(models)
    assert model.renewal is not None
    renew(bed.con, model, model.renewal, "building.beside", slice_keys=slice_keys)
    assert bed.rows("from building.beside") == bed.rows("from hygiene.loudest")


def test_a_row_without_a_key_is_found_by_the_test_of_the_table(bed: Bed, models: dict[str, Model]) -> None:
    bed.con.execute("insert into raw.saying values (null, 'a')")
    built = build_model(bed.con, loudest(models))
    assert [result.test for result in built.failures] == ["not_null_person"]
    assert len(renewed_rows(bed)) == len(PEOPLE)


def test_a_table_without_any_row_is_made(models: dict[str, Model]) -> None:
    bed = make(models)
    bed.table("raw.saying", [])
    night(bed, models)
    assert renewed_rows(bed) == []
    bed.table("raw.saying", [{"person": "p01", "word": "a"}])
    night(bed, models)
    assert [row["person"] for row in renewed_rows(bed)] == ["p01"]


@pytest.mark.parametrize(
    ("renewal", "told"),
    [
        (
            "{key: person, reads: raw.weight2}",
            "hygiene.loudest: is renewed by raw.weight2, which its SQL does not read",
        ),
        ("{key: words, reads: identity.said}", "is renewed by words, which is not in its grain"),
    ],
    ids=["a view it does not read", "a column outside its grain"],
)
def test_a_renewal_that_cannot_be_is_refused(tmp_path: Path, renewal: str, told: str) -> None:
    write_model(tmp_path, "identity.said", SAID, VIEW)
    contract = TABLE.replace("{key: person, reads: identity.said}", renewal)
    write_model(tmp_path, "hygiene.loudest", LOUDEST, contract)
    with pytest.raises(ContractError, match=told):
        load_models(tmp_path)
