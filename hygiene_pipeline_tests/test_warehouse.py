"""The warehouse is encrypted, waits for its lock, and says in one line when its key is not the one."""

import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

from hygiene_pipeline.failures import KeyProblemError, PermanentError, WarehouseBusyError
from hygiene_pipeline.warehouse import connect_memory, open_warehouse

KEY = "5e" * 32
OTHER_PROCESS = """
import sys, pathlib
from hygiene_pipeline.warehouse import open_warehouse
with open_warehouse(pathlib.Path(sys.argv[1]), key=sys.argv[2]) as warehouse:
    print("open", flush=True)
    sys.stdin.readline()
"""


def test_nothing_readable_is_on_disk(tmp_path):
    path = tmp_path / "warehouse.duckdb"
    with open_warehouse(path, key=KEY) as warehouse:
        warehouse.con.execute("create table raw.person as select 'Unmistakable Name' as name")
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert b"Unmistakable" not in file.read_bytes()
    with pytest.raises(duckdb.Error):
        duckdb.connect(str(path), read_only=True).execute("from raw.person")


def test_a_wrong_key_is_one_clear_line(tmp_path):
    path = tmp_path / "warehouse.duckdb"
    with open_warehouse(path, key=KEY):
        pass
    with pytest.raises(KeyProblemError, match="the key does not open it") as refused, open_warehouse(path, key="00"):
        pass
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_duckdb_is_one_clear_line(tmp_path):
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(b"not a database" * 400)
    with pytest.raises(PermanentError, match=r"warehouse\.duckdb"), open_warehouse(path, key=KEY):
        pass


def test_opening_twice_in_a_thread_nests(tmp_path):
    path = tmp_path / "warehouse.duckdb"
    with open_warehouse(path, key=KEY) as outer:
        with open_warehouse(path, key=KEY) as inner:
            assert inner is outer
        assert outer.value("select 1") == 1
    with open_warehouse(path, key=KEY) as again:
        assert again.value("select 2") == 2


def test_another_thread_waits_its_turn(tmp_path):
    path = tmp_path / "warehouse.duckdb"
    seen: list[str] = []

    def work() -> None:
        with open_warehouse(path, key=KEY) as warehouse:
            seen.append(str(warehouse.value("select 'thread'")))

    with open_warehouse(path, key=KEY):
        other = threading.Thread(target=work)
        other.start()
        other.join(0.2)
        assert seen == []
    other.join(60)
    assert seen == ["thread"]


def test_it_waits_for_another_process_and_says_so_when_that_takes_too_long(tmp_path):
    path = tmp_path / "warehouse.duckdb"
    holder = subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, str(path), KEY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    with (
        pytest.raises(WarehouseBusyError, match="another process has it open"),
        open_warehouse(path, key=KEY, wait_seconds=0.2),
    ):
        pass
    threading.Timer(0.3, holder.stdin.close).start()
    with open_warehouse(path, key=KEY, wait_seconds=60) as warehouse:
        assert warehouse.value("select 3") == 3
    holder.wait(60)


def fail_halfway(warehouse):
    with warehouse.transaction():
        with warehouse.transaction():
            warehouse.con.execute("insert into raw.t values (1)")
        raise RuntimeError


def test_a_failed_transaction_leaves_nothing_and_nested_ones_join(tmp_path):
    with open_warehouse(tmp_path / "warehouse.duckdb", key=KEY) as warehouse:
        warehouse.con.execute("create table raw.t (a integer)")
        with pytest.raises(RuntimeError):
            fail_halfway(warehouse)
        assert warehouse.value("select count(*) from raw.t") == 0
        with warehouse.transaction():
            warehouse.con.execute("insert into raw.t values (2)")
        assert warehouse.value("select count(*) from raw.t") == 1


def test_what_is_spilled_is_encrypted_and_nothing_is_fetched():
    con = connect_memory()
    settings = dict(
        con.execute(
            """select name, value from duckdb_settings() where name in
               ('temp_file_encryption', 'autoinstall_known_extensions', 'autoload_known_extensions', 'TimeZone')"""
        ).fetchall()
    )
    assert settings == {
        "temp_file_encryption": "true",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "TimeZone": "UTC",
    }


def test_a_relative_path_is_the_same_warehouse(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_warehouse(tmp_path / "w.duckdb", key=KEY) as outer, open_warehouse(Path("w.duckdb"), key=KEY) as inner:
        assert inner is outer
