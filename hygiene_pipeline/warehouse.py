"""The only door to DuckDB: open a practice's encrypted file, wait for its lock, write in transactions.

DuckDB opens an encrypted file only by ATTACH from an in-memory connection, and only once a process, so one in-memory
connection serves the process and openings of the same file nest. While a process writes, no other can even read; that
is why analysts get published copies and why opening waits.
"""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
from duckdb_extensions import import_extension

from hygiene_pipeline.failures import KeyProblemError, PermanentError, WarehouseBusyError
from hygiene_pipeline.sql_spelling import literal

CATALOG = "warehouse"
"""The name under which an open warehouse is attached."""

SCHEMAS = (
    "raw",
    "quarantine",
    "staging",
    "identity",
    "reconciled",
    "hygiene",
    "sync",
    "care",
    "metrics",
    "policy",
    "quality",
    "history",
    "building",
)
_EXTENSIONS = Path(__file__).parent.parent / ".venv" / "duckdb_extensions"
_FIRST_WAIT_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 2.0
_SMALL_BYTES = 256 * 1024 * 1024
# Threads share a table by row groups: of DuckDB's usual size, a panel of 100,000 patients would be one thread's work.
ROW_GROUP_ROWS = 30_720


def connect_memory(*, spill: Path | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory connection that fetches nothing, encrypts what it spills, and lives in UTC.

    httpfs brings the OpenSSL that writing an encrypted file needs. It is copied out of its installed package into a
    folder of the project's environment and loaded by name: nothing is downloaded, nothing is loaded by surprise.
    """
    extensions = Path(os.environ.get("HYGIENE_EXTENSIONS", _EXTENSIONS))
    extensions.mkdir(parents=True, exist_ok=True)
    con = duckdb.connect(
        config={
            "extension_directory": str(extensions),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
    )
    try:
        con.execute("load httpfs")
    except duckdb.IOException:
        import_extension("httpfs", con=con)
        con.execute("load httpfs")
    con.execute("set temp_file_encryption = true")
    con.execute("set TimeZone = 'UTC'")
    con.execute("set enable_progress_bar = false")
    if spill is not None:
        con.execute(f"set temp_directory = {literal(str(spill))}")
    return con


class Warehouse:
    """An open warehouse. `con` has the practice's database as its default catalog."""

    def __init__(self, con: duckdb.DuckDBPyConnection, path: Path) -> None:
        self.con = con
        self.path = path
        self._depth = 0

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """All rows of a query."""
        return self.con.execute(sql, list(parameters)).fetchall()

    def value(self, sql: str, parameters: Sequence[object] = ()) -> object:
        """The first column of the first row, or None."""
        row = self.con.execute(sql, list(parameters)).fetchone()
        return row[0] if row else None

    @contextmanager
    def beside(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A second connection, for a thread of its own; it sees what was committed."""
        with self.con.cursor() as con:
            con.execute("set TimeZone = 'UTC'")
            con.execute(f"use {CATALOG}")
            yield con

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit at the end, roll back on any failure. Nested use joins the outer transaction."""
        if self._depth:
            yield
            return
        self.con.execute("begin transaction")
        self._depth += 1
        try:
            yield
        except BaseException:
            self.con.execute("rollback")
            raise
        else:
            self.con.execute("commit")
        finally:
            self._depth -= 1


class _Opened:
    """Who has the process's one attached warehouse, and how often."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.warehouse: Warehouse | None = None
        self.count = 0
        self.memory: duckdb.DuckDBPyConnection | None = None


_opened = _Opened()


@contextmanager
def open_warehouse(path: Path, *, key: str, wait_seconds: float = 120.0) -> Iterator[Warehouse]:
    """Open a practice's warehouse for reading and writing, and make the file when there is none.

    Waits up to `wait_seconds` for another process's lock, then raises WarehouseBusyError. Opening it again in the
    same thread nests; another thread waits its turn.
    """
    path = path.absolute()
    if not _opened.lock.acquire(timeout=wait_seconds):
        raise WarehouseBusyError(f"{path}: another task of this process kept it; try again later")
    try:
        warehouse = _enter(path, key, wait_seconds)
        try:
            yield warehouse
        finally:
            _leave(warehouse)
    finally:
        _opened.lock.release()


def _enter(path: Path, key: str, wait_seconds: float) -> Warehouse:
    if _opened.warehouse is not None:
        if _opened.warehouse.path != path:
            raise PermanentError(f"{path}: another practice's warehouse is open in this process")
        _opened.count += 1
        return _opened.warehouse
    path.parent.mkdir(parents=True, exist_ok=True)
    con = _opened.memory = _opened.memory or connect_memory()
    con.execute(f"set temp_directory = {literal(str(path.parent / 'spill'))}")
    # On a small practice a second thread costs more than it brings. A new file is about to be filled: all of them.
    is_small = path.exists() and path.stat().st_size < _SMALL_BYTES
    con.execute(f"set threads = {1 if is_small else os.cpu_count() or 1}")
    _attach_when_free(con, path, key, wait_seconds)
    con.execute("use warehouse")
    present = {
        name for (name,) in con.execute("select schema_name from duckdb_schemas() where not internal").fetchall()
    }
    for schema in SCHEMAS:
        if schema not in present:
            con.execute(f"create schema if not exists {schema}")
    _opened.warehouse, _opened.count = Warehouse(con, path), 1
    return _opened.warehouse


def _leave(warehouse: Warehouse) -> None:
    _opened.count -= 1
    if _opened.count == 0:
        _opened.warehouse = None
        warehouse.con.execute("use memory")
        warehouse.con.execute("detach warehouse")


def _attach_when_free(con: duckdb.DuckDBPyConnection, path: Path, key: str, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    pause = _FIRST_WAIT_SECONDS
    while True:
        try:
            con.execute(
                f"attach {literal(str(path))} as warehouse (ENCRYPTION_KEY {literal(key)}, ENCRYPTION_CIPHER 'GCM',"
                f" ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
            )
        except duckdb.IOException as error:
            if "lock" not in str(error).lower():
                raise PermanentError(
                    f"{path}: cannot be opened; is it a DuckDB file, and may we write there?"
                ) from None
            if time.monotonic() + pause > deadline:
                raise WarehouseBusyError(
                    f"{path}: another process has it open and kept it for {wait_seconds:.0f} s; close it or try again"
                ) from None
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_WAIT_SECONDS)
        except duckdb.Error as error:
            raise _key_problem(path, error) from None
        else:
            return


def _key_problem(path: Path, error: duckdb.Error) -> PermanentError:
    text = str(error).lower()
    if "encryption key" in text or "encrypted" in text or "decrypt" in text:
        return KeyProblemError(f"{path}: the key does not open it; restore the key file it was made with")
    return PermanentError(f"{path}: DuckDB cannot open it ({type(error).__name__})")
