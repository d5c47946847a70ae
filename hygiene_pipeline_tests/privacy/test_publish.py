"""Each role's database holds what the role needs and nothing else, and is replaced by one rename."""

import hashlib
import hmac
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from hygiene_pipeline.privacy.publish import publish
from hygiene_pipeline.privacy.roles import Role, Roles, load_roles
from hygiene_pipeline.warehouse import open_warehouse

KEY = "ab" * 32

ROLES = Roles.model_validate(
    {
        "coded_fields": ["care_status"],
        "roles": {
            "analyst": {
                "description": "De-identified.",
                "is_encrypted": False,
                "tables": {
                    "hygiene.contact_status": {"columns": {"contact_id": "hash", "seen_at": "month", "born": "year"}},
                    "reconciled.field_decision": {"columns": {"contact_id": "hash", "field": "keep", "value": "coded"}},
                },
            },
            "steward": {
                "description": "All of it.",
                "is_encrypted": True,
                "tables": {"hygiene.contact_status": {"columns": "all", "where": "contact_id <> 'c2'"}},
            },
        },
    }
)


@pytest.fixture
def warehouse(tmp_path: Path):
    with open_warehouse(tmp_path / "warehouse.duckdb", key=KEY) as opened:
        opened.con.execute(
            """create table hygiene.contact_status as select * from (values
                 ('c1', 'Adélaïde', timestamptz '2026-03-17 10:00:00+00', date '1954-02-03'),
                 ('c2', null, null, null)) t(contact_id, first_name, seen_at, born)"""
        )
        opened.con.execute(
            """create table reconciled.field_decision as select * from (values
                 ('c1', 'care_status', 'active'), ('c1', 'phone', '+16175550199')) t(contact_id, field, value)"""
        )
        yield opened


def nothing_to_check(con: duckdb.DuckDBPyConnection, role: Role, catalog: str) -> None:
    """Every draft is fine."""


def read(path: Path, sql: str, key: str | None = None) -> list[tuple]:
    con = duckdb.connect()
    option = f", ENCRYPTION_KEY '{key}'" if key else ""
    con.execute(f"attach '{path}' as p (READ_ONLY{option})")
    con.execute("use p")
    return con.execute(sql).fetchall()


def test_an_analyst_sees_keyed_hashes_months_years_and_codes_only(warehouse, tmp_path):
    target = tmp_path / "published" / "analyst.duckdb"
    publish(warehouse.con, ROLES, "analyst", target, key=KEY, check=nothing_to_check, grains={})
    expected = hmac.new(KEY.encode(), b"c1", hashlib.sha256).hexdigest()[:16]
    rows = read(
        target, "select contact_id, cast(seen_at as varchar), born from hygiene.contact_status where born is not null"
    )
    assert rows == [(expected, "2026-03-01", 1954)]
    assert read(target, "select field, value from reconciled.field_decision order by field") == [
        ("care_status", "active"),
        ("phone", None),
    ]
    assert b"Ad\xc3\xa9la" not in target.read_bytes()
    assert b"6175550199" not in target.read_bytes()


def test_an_encrypted_role_needs_its_key_and_gets_its_rows_only(warehouse, tmp_path):
    target = tmp_path / "published" / "steward.duckdb"
    publish(warehouse.con, ROLES, "steward", target, key=KEY, check=nothing_to_check, grains={})
    assert read(target, "select contact_id from hygiene.contact_status", KEY) == [("c1",)]
    with pytest.raises(duckdb.Error):
        read(target, "select 1 from hygiene.contact_status")


def test_roles_are_published_at_once_each_over_its_own_connection(warehouse, tmp_path):
    """Both drafts are there before either is put in place, and one that is refused costs the other nothing."""
    both_are_there = threading.Barrier(2, timeout=60)

    def target(name: str) -> Path:
        return tmp_path / "published" / f"{name}.duckdb"

    def look(con: duckdb.DuckDBPyConnection, role: Role, catalog: str) -> None:
        both_are_there.wait()
        if con.execute(f"select count(*) from {catalog}.hygiene.contact_status").fetchone() != (2,):
            raise RuntimeError("refused")

    def build(name: str) -> dict[str, int]:
        with warehouse.beside() as con:
            return publish(con, ROLES, name, target(name), key=KEY, check=look, grains={})

    with ThreadPoolExecutor(2) as threads:
        analyst, steward = threads.submit(build, "analyst"), threads.submit(build, "steward")
    assert analyst.result() == {"hygiene.contact_status": 2, "reconciled.field_decision": 2}
    assert read(target("analyst"), "select max(cast(seen_at as varchar)) from hygiene.contact_status") == [
        ("2026-03-01",)
    ]
    with pytest.raises(RuntimeError, match="refused"):
        steward.result()
    assert [path.name for path in target("steward").parent.iterdir()] == ["analyst.duckdb"]


def test_a_failed_check_leaves_the_old_file_and_no_draft(warehouse, tmp_path):
    target = tmp_path / "published" / "analyst.duckdb"
    publish(warehouse.con, ROLES, "analyst", target, key=KEY, check=nothing_to_check, grains={})
    before = target.read_bytes()

    def refuse(con: duckdb.DuckDBPyConnection, role: Role, catalog: str) -> None:
        raise RuntimeError("refused")

    warehouse.con.execute("delete from hygiene.contact_status")
    with pytest.raises(RuntimeError, match="refused"):
        publish(warehouse.con, ROLES, "analyst", target, key=KEY, check=refuse, grains={})
    assert target.read_bytes() == before
    assert [path.name for path in target.parent.iterdir()] == ["analyst.duckdb"]
    publish(warehouse.con, ROLES, "analyst", target, key=KEY, check=nothing_to_check, grains={})
    assert [path.name for path in target.parent.iterdir()] == ["analyst.duckdb"]


def test_a_reader_with_the_old_file_open_is_not_disturbed(warehouse, tmp_path):
    target = tmp_path / "published" / "analyst.duckdb"
    publish(warehouse.con, ROLES, "analyst", target, key=KEY, check=nothing_to_check, grains={})
    reader = duckdb.connect(str(target), read_only=True)
    warehouse.con.execute("delete from hygiene.contact_status")
    publish(warehouse.con, ROLES, "analyst", target, key=KEY, check=nothing_to_check, grains={})
    assert reader.execute("select count(*) from hygiene.contact_status").fetchone() == (2,)
    assert read(target, "select count(*) from hygiene.contact_status") == [(0,)]


def test_the_shipped_roles_are_well_formed():
    roles = load_roles().roles
    assert set(roles) == {"analyst", "care_coordinator", "data_steward"}
    assert not roles["analyst"].is_encrypted
    kept = {
        column
        for table in roles["analyst"].tables.values()
        if table.columns != "all"
        for column, how in table.columns.items()
        if how == "keep"
    }
    assert not kept & {"contact_id", "patient_id", "source_id", "first_name", "last_name", "phone", "email", "mrn"}


@pytest.mark.parametrize(
    "grain",
    [(), ("contact_id",), ("contact_id", "first_name")],
    ids=["no grain", "its grain", "a grain of columns that are not published"],
)
def test_rows_with_hashed_ids_do_not_lie_in_the_order_of_the_ids(warehouse, tmp_path, grain):
    warehouse.con.execute(
        "insert into hygiene.contact_status select 'c' || id, null, null, null from range(10, 60) t(id)"
    )
    target = tmp_path / "published" / "analyst.duckdb"
    grains = {"hygiene.contact_status": grain}
    rows = publish(warehouse.con, ROLES, "analyst", target, key=KEY, check=nothing_to_check, grains=grains)
    assert rows == {"hygiene.contact_status": 52, "reconciled.field_decision": 2}
    published = read(target, "select contact_id from hygiene.contact_status order by rowid")
    assert published == sorted(published)


def test_an_id_that_one_table_has_twice_multiplies_no_rows(warehouse, tmp_path):
    warehouse.con.execute(
        "create table identity.patient_link as select unnest(['pm', 'crm']) as source, '1001' as source_id"
    )
    role = Role.model_validate(
        {
            "description": "Links.",
            "is_encrypted": False,
            "tables": {"identity.patient_link": {"columns": {"source": "keep", "source_id": "hash"}}},
        }
    )
    roles = Roles(coded_fields=[], roles={"links": role})
    target = tmp_path / "links.duckdb"
    rows = publish(warehouse.con, roles, "links", target, key=KEY, check=nothing_to_check, grains={})
    assert rows == {"identity.patient_link": 2}
    assert [source for source, _ in read(target, "from identity.patient_link order by source")] == ["crm", "pm"]
