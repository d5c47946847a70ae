"""Writes the records of `landing_typed` to their raw table: only versions that are new, and what a snapshot removed.

Nothing is inserted where there is nothing to insert: after an empty insert, DuckDB 1.5 loses a later one of more than a
row group into the same table, if both are of one transaction.
"""

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
        if delivery.extract.is_snapshot and delivery.is_whole:
            _write_removals(con, delivery)
        _write_changes(con, delivery)
    return delivered


def lay_known(con: duckdb.DuckDBPyConnection, delivery: Delivery) -> None:
    """Fill the temporary table `landing_known` with the latest version of every key in the raw table.

    An addition, or what was asked for by key, is a few records beside all there ever were: only the keys that
    `landing_text` shows.
    """
    extract = delivery.extract
    version = f'"{extract.version}" desc nulls last, ' if extract.version else ""
    removed, shown = "is_removed" if extract.is_snapshot else "false as is_removed", ""
    if not extract.is_snapshot or not delivery.is_whole:
        first = f'"{extract.key[0]}"'
        con.execute(f"create or replace temp table landing_key as select distinct {first} from landing_text")
        shown = f"and {first} in (from landing_key)"
    con.execute(
        f"""create or replace temp table landing_known as
            select {key_columns(extract)}, row_hash, {removed} from {extract.table}
            where extracted_at <= $extracted_at {shown}
            qualify row_number() over (
              partition by {key_columns(extract)}
              order by extracted_at desc, take_seq desc, {version}row_hash desc) = 1""",
        {"extracted_at": delivery.extracted_at},
    )
    con.execute("drop table if exists landing_key")


def _write_changes(con: duckdb.DuckDBPyConnection, delivery: Delivery) -> None:
    extract = delivery.extract
    columns = ", ".join(f'record."{column.name}"' for column in extract.columns)
    removed = "false, " if extract.is_snapshot else ""
    if not con.execute("select 1 from landing_typed where record is not null limit 1").fetchone():
        return
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
    extract, key = delivery.extract, key_columns(delivery.extract)
    con.execute(
        f"""create or replace temp table landing_gone as
            with present as (select {key} from landing_known where not is_removed),
            gone as (from present anti join landing_typed as new on {same_key(extract, "present", "new")}),
            unusable as (
              select distinct unnest(regexp_split_to_array(original, '[,"\n]')) as word from quarantine.record
              where place = $place and file_id = $file_id and taken_at = $extracted_at
            ),
            share as (
              select ((select count(*) from present) - (select count(*) from gone)) as held,
                (select count(*) from present) as known
            )
            select gone.* from gone, share
            where share.held >= $min_share * share.known
              and trim(gone."{extract.key[0]}") not in (select trim(word) from unusable where word is not null)""",
        {
            "place": extract.place,
            "file_id": delivery.file_id,
            "extracted_at": delivery.extracted_at,
            "min_share": delivery.min_share,
        },
    )
    columns = ", ".join(f'"{column.name}"' if column.name in extract.key else "null" for column in extract.columns)
    if con.execute("select 1 from landing_gone limit 1").fetchone():
        con.execute(
            f"""insert into {extract.table}
                select {columns}, true, $source_file, null, $file_id, $take_seq, $extracted_at,
                  md5(concat_ws(chr(31), 'removed', {key}))
                from landing_gone
                order by {key}""",
            delivery.provenance,
        )
    con.execute("drop table landing_gone")
