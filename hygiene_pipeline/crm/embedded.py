"""A CRM in a local SQLite file, with row versions and a log of writes: compare-and-set here is real.

The default of the demo practice. It plays by the rules a vendor's API would: people edit it while the pipeline runs.
The file holds contact details in clear, so only its owner may read it.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hygiene_pipeline.crm.protocol import (
    CONTACT_COLUMNS,
    Contact,
    Crm,
    FieldChange,
    Outcome,
    WriteResult,
)

_LOCK_TIMEOUT_SECONDS = 10.0
_ROWS_AT_ONCE = 10_000
_COLUMNS = ", ".join(CONTACT_COLUMNS)
_SCHEMA = f"""
create table if not exists contact (
    {", ".join(f"{column} text" for column in CONTACT_COLUMNS)},
    version integer not null default 1,
    primary key (contact_id)
) without rowid;
create table if not exists write_log (
    change_id text unique,
    contact_id text not null,
    field text not null,
    before_value text,
    after_value text,
    editor text not null,
    written_at text not null,
    version integer not null
);
"""
_VALUES = ", ".join(["nullif(?, '')"] * len(CONTACT_COLUMNS))
_INSERT = f"insert into contact ({_COLUMNS}) values ({_VALUES})"
_EDITABLE = frozenset(CONTACT_COLUMNS) - {"contact_id", "last_modified"}
_EDITOR_OF_SYNC = "hygiene_pipeline"


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A line of the write log."""

    change_id: str | None
    contact_id: str
    field: str
    before: str | None
    after: str | None
    editor: str
    at: datetime


def as_row(contact: Mapping[str, str | None]) -> tuple[str | None, ...]:
    """A contact in the order of CONTACT_COLUMNS; what it does not name is nothing."""
    return tuple(contact.get(column) for column in CONTACT_COLUMNS)


class UnknownContactError(LookupError):
    """The CRM has no contact of that id."""


class EmbeddedCrm(Crm):
    """Contacts in one SQLite file, made on first use.

    `version` counts every change of a contact, and every change moves `last_modified`, whoever made it: so do the
    CRMs one can buy. For one thread at a time.
    """

    batch_size = 1000

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        # The mode is set before SQLite writes anything; its journals inherit it.
        path.touch(mode=0o600, exist_ok=True)
        path.chmod(0o600)
        # Kept open: the last connection to close would copy the write-ahead log back after each single edit.
        self._con = self._connect()
        self._con.execute("pragma journal_mode = wal")
        self._con.executescript(_SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._con.close()

    def seed(self, rows: Iterable[tuple[str | None, ...]]) -> int:
        """Fill an empty CRM with contacts as `as_row` lays them out; one that already has some is left alone.

        Returns how many were added.
        """
        with self._transaction() as con:
            if con.execute("select exists (select 1 from contact)").fetchone()[0]:
                return 0
            return con.executemany(_INSERT, rows).rowcount

    def add(self, row: Mapping[str, str | None], *, editor: str, at: datetime) -> None:
        """A person creates a contact."""
        contact_id = str(row["contact_id"])
        with self._transaction() as con:
            con.execute(_INSERT, as_row({**row, "last_modified": _iso(at)}))
            _log(con, _entry_of_person(contact_id, "contact_id", None, contact_id, editor=editor, at=at))

    def edit(self, contact_id: str, changes: Mapping[str, str | None], *, editor: str, at: datetime) -> None:
        """A person edits a contact: the last word wins. The CRM sets `last_modified` itself."""
        unknown = set(changes) - _EDITABLE - {"last_modified"}
        if unknown:
            raise ValueError(f"a contact has no editable field {', '.join(sorted(unknown))}")
        with self._transaction() as con:
            before = con.execute(f"select {_COLUMNS} from contact where contact_id = ?", (contact_id,)).fetchone()
            if before is None:
                raise UnknownContactError("the CRM has no contact of that id")
            for field in sorted(_EDITABLE & set(changes)):
                value = changes[field]
                _set(con, contact_id, field, value or None, at=at)
                _log(con, _entry_of_person(contact_id, field, before[field], value or None, editor=editor, at=at))

    def read_contacts(self) -> Iterator[dict[str, str | None]]:
        """Every contact ordered by contact_id, from one snapshot: edits made meanwhile do not show."""
        for rows in self.read_rows():
            for row in rows:
                yield dict(zip(CONTACT_COLUMNS, row, strict=True))

    def read_rows(self) -> Iterator[list[tuple[str | None, ...]]]:
        """What `read_contacts` gives, many contacts at a time, each in the order of CONTACT_COLUMNS."""
        with closing(self._connect()) as con:
            con.row_factory = None
            con.execute("begin")
            found = con.execute(f"select {_COLUMNS} from contact order by contact_id")
            while rows := found.fetchmany(_ROWS_AT_ONCE):
                yield rows

    def fetch(self, contact_ids: Collection[str]) -> dict[str, Contact]:
        """These contacts as they are now."""
        query = f"select {_COLUMNS}, version from contact where contact_id in (select value from json_each(?))"
        found = self._con.execute(query, (json.dumps(sorted(contact_ids)),)).fetchall()
        return {
            row["contact_id"]: Contact(
                contact_id=row["contact_id"],
                version=str(row["version"]),
                fields={column: row[column] for column in CONTACT_COLUMNS},
            )
            for row in found
        }

    def write(self, changes: Sequence[FieldChange], *, at: datetime) -> list[WriteResult]:
        """Compare and set each change in one transaction that also logs its change_id."""
        try:
            with self._transaction() as con:
                return [_write(con, change, at) for change in changes]
        except sqlite3.OperationalError:
            # Locked or out of space. The transaction is rolled back, so no change of this call happened.
            return [WriteResult(change_id=change.change_id, outcome=Outcome.FAILED) for change in changes]

    def _connect(self) -> sqlite3.Connection:
        con = sqlite3.connect(self._path, timeout=_LOCK_TIMEOUT_SECONDS, isolation_level=None)
        con.row_factory = sqlite3.Row
        # The ledger may say "applied" only of what survives a power cut.
        con.execute("pragma synchronous = full")
        return con

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._con.execute("begin immediate")
        try:
            yield self._con
            self._con.execute("commit")
        except BaseException:
            # A full disk has SQLite roll back by itself.
            if self._con.in_transaction:
                self._con.execute("rollback")
            raise


def _write(con: sqlite3.Connection, change: FieldChange, at: datetime) -> WriteResult:
    logged = con.execute(
        "select before_value, written_at from write_log where change_id = ?", (change.change_id,)
    ).fetchone()
    if logged is not None:
        return WriteResult(
            change_id=change.change_id,
            outcome=Outcome.ALREADY_APPLIED,
            before=logged["before_value"],
            written_at=datetime.fromisoformat(logged["written_at"]),
        )
    given = change.given
    columns = f"{change.field} as value, {given.field if given else 'null'} as given"
    now = con.execute(f"select {columns} from contact where contact_id = ?", (change.contact_id,)).fetchone()
    if now is None:
        return WriteResult(change_id=change.change_id, outcome=Outcome.NOT_FOUND)
    if now["value"] != (change.expected or None) or now["given"] != (given.value or None if given else None):
        return WriteResult(change_id=change.change_id, outcome=Outcome.CONFLICT)
    _set(con, change.contact_id, change.field, change.value or None, at=at)
    entry = _Entry(
        change_id=change.change_id,
        contact_id=change.contact_id,
        field=change.field,
        before=now["value"],
        after=change.value or None,
        editor=_EDITOR_OF_SYNC,
        at=at,
    )
    _log(con, entry)
    return WriteResult(
        change_id=change.change_id, outcome=Outcome.APPLIED, before=now["value"], written_at=at.astimezone(UTC)
    )


def _set(con: sqlite3.Connection, contact_id: str, field: str, value: str | None, *, at: datetime) -> None:
    # `field` is one of our own column names: FieldChange and edit() accept no other.
    con.execute(
        f"update contact set last_modified = ?, {field} = ?, version = version + 1 where contact_id = ?",
        (_iso(at), value, contact_id),
    )


def _log(con: sqlite3.Connection, entry: _Entry) -> None:
    con.execute(
        "insert into write_log (change_id, contact_id, field, before_value, after_value, editor, written_at, version)"
        " select ?, contact_id, ?, ?, ?, ?, ?, version from contact where contact_id = ?",
        (
            entry.change_id,
            entry.field,
            entry.before,
            entry.after,
            entry.editor,
            _iso(entry.at),
            entry.contact_id,
        ),
    )


def _entry_of_person(
    contact_id: str, field: str, before: str | None, after: str | None, *, editor: str, at: datetime
) -> _Entry:
    return _Entry(change_id=None, contact_id=contact_id, field=field, before=before, after=after, editor=editor, at=at)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
