"""The run's own time, read from `policy.clock`. Nothing else in the warehouse knows what time it is."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

import duckdb

from hygiene_pipeline.failures import PermanentError


@dataclass(frozen=True, kw_only=True)
class Clock:
    """When this run is: `as_of` in UTC, `as_of_date` in the practice's zone, `previous_as_of` the run before."""

    as_of: datetime
    as_of_date: date
    previous_as_of: datetime | None


def read_clock(con: duckdb.DuckDBPyConnection) -> Clock:
    """The clock of the run that the warehouse is in."""
    try:
        row = con.execute("select epoch_us(as_of), as_of_date, epoch_us(previous_as_of) from policy.clock").fetchone()
    except duckdb.CatalogException:
        row = None
    if row is None:
        raise PermanentError("policy.clock: is not set; materialize policy/tables first, it starts every run")
    return Clock(as_of=instant(row[0]), as_of_date=row[1], previous_as_of=instant(row[2]) if row[2] else None)


def instant(microseconds: int) -> datetime:
    """Microseconds since the epoch, as DuckDB gives them without a detour over the machine's own zone."""
    return datetime.fromtimestamp(microseconds / 1_000_000, tz=UTC)
