"""Writes the records of `landing_typed` to their raw table: only versions that are new, and what a snapshot removed."""

import duckdb

from hygiene_pipeline.landing.delivery import Delivery
from hygiene_pipeline.landing.places import Extract
from hygiene_pipeline.landing.typed_records import key_columns, same_key


def create_raw_table(con: duckdb.DuckDBPyConnection, extract: Extract) -> None:
    """The raw table of an extract, if it is not there: its columns, then where and when a record was read."""
    columns = [f'"{column.name}" {column.type}' for column in extract.columns]
    if extract.is_snapshot:
        columns.append("is_removed boolean")
    con.execute(
        f"""create table if not exists {extract.table} ({", ".join(columns)}, source_file varchar, source_line bigint,
              file_id varchar, take_seq bigint, extracted_at timestamptz, row_hash varchar)"""
    )


def write_versions(con: duckdb.DuckDBPyConnection, delivery: Delivery) -> int:
    """Append new and changed records, and for a snapshot the removals; returns how many records were delivered."""
    row = con.execute("select count(*) from landing_typed").fetchone()
    delivered = int(row[0]) if row else 0
    if delivered:
        if delivery.extract.is_snapshot:
            _write_removals(con, delivery)
        _write_changes(con, delivery)
    return delivered


def lay_known(con: duckdb.DuckDBPyConnection, delivery: Delivery) -> None:
    """Fill the temporary table `landing_known` with the latest version of every key in the raw table."""
    extract = delivery.extract
    version = f'"{extract.version}" desc nulls last, ' if extract.version else ""
    removed = "is_removed" if extract.is_snapshot else "false as is_removed"
    con.execute(
        f"""create or replace temp table landing_known as
            select {key_columns(extract)}, row_hash, {removed} from {extract.table}
            where extracted_at <= $extracted_at
            qualify row_number() over (
              partition by {key_columns(extract)}
              order by extracted_at desc, take_seq desc, {version}row_hash desc) = 1""",
        {"extracted_at": delivery.extracted_at},
    )


def _write_changes(con: duckdb.DuckDBPyConnection, delivery: Delivery) -> None:
    extract = delivery.extract
    columns = ", ".join(f'record."{column.name}"' for column in extract.columns)
    removed = "false, " if extract.is_snapshot else ""
    con.execute(
        f"""insert into {extract.table}
            select {columns}, {removed}$source_file, source_line, $file_id, $take_seq, $extracted_at, row_hash
            from landing_typed where record is not null
            order by source_line""",
        delivery.provenance,
    )


def _write_removals(con: duckdb.DuckDBPyConnection, delivery: Delivery) -> None:
    """Mark the keys that a full extract no longer has, unless so few came that the extract is likely cut off.

    A key whose line was unusable has not vanished: the words of every quarantined line of this file are looked at.
    """
    extract = delivery.extract
    columns = ", ".join(f'gone."{column.name}"' if column.name in extract.key else "null" for column in extract.columns)
    con.execute(
        f"""insert into {extract.table}
            with present as (select * from landing_known where not is_removed),
            gone as (
              from present anti join landing_typed as new on {same_key(extract, "present", "new")}
            ),
            unusable as (
              select distinct unnest(regexp_split_to_array(original, '[,"\\n]')) as word from quarantine.record
              where place = $place and file_id = $file_id and taken_at = $extracted_at
            ),
            share as (
              select ((select count(*) from present) - (select count(*) from gone)) as held,
                (select count(*) from present) as known
            )
            select {columns}, true, $source_file, null, $file_id, $take_seq, $extracted_at,
              md5(concat_ws(chr(31), 'removed', {key_columns(extract)}))
            from gone, share
            where share.held >= $min_share * share.known
              and trim(gone."{extract.key[0]}") not in (select trim(word) from unusable where word is not null)
            order by {key_columns(extract)}""",
        {**delivery.provenance, "place": extract.place, "min_share": delivery.min_share},
    )
