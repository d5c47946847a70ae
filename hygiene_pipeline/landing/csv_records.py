"""The records of a CSV file that are not plain lines, set-based: where each starts, its original text and its fields.

A quote that nobody closed swallows the lines after it in every CSV reader. Here a record of several lines that does not
come out with the header's number of fields is taken apart again, and each of its lines stands for itself.
"""

import duckdb
import pyarrow as pa

_QUOTED_OR_PLAIN = r""",(?:"(?:[^"]|"")*"[ \t]*|[^",][^,]*|)"""

# Null where a quote is opened and not closed, or something follows a closing quote.
_PARTS = f"""
    case when contains(text, '"') then regexp_extract_all(',' || text, '{_QUOTED_OR_PLAIN}') end"""

# Null where a quote is opened and not closed, or something follows a closing quote: then the parts do not add up.
_FIELDS = """
    case when parts is null then string_split(text, ',')
    when list_sum(list_transform(parts, lambda part: length(part))) = length(text) + 1
    then list_transform(
        parts,
        lambda part: case when part[2] = '"' then replace(rtrim(part, ' \t')[3:-2], '""', '"') else part[2:] end)
    end"""

_RECORDS = f"""
create or replace temp table landing_record as
with landing_line as (select lines_above + 1 as line, text, is_whole, record from landing_arrow),
several as (
    select record, min(line) as line, string_agg(text, chr(10) order by line) as text
    from landing_line where not is_whole group by record
),
several_parts as (select record, line, text, {_PARTS} as parts from several),
several_fields as (select record, line, text, {_FIELDS} as fields from several_parts),
single_parts as (select line, text, {_PARTS} as parts from landing_line where is_whole),
single_fields as (select line, text, {_FIELDS} as fields from single_parts),
header as (
    select len(fields) as width
    from (select line, fields from single_fields union all select line, fields from several_fields)
    order by line limit 1
),
broken as (
    select record from several_fields, header where fields is null or len(fields) is distinct from width
),
apart_parts as (
    select line, text, {_PARTS} as parts
    from landing_line semi join broken using (record) where trim(text, ' \t') <> ''
)
select line, text, fields from single_fields
union all
select line, text, fields from several_fields anti join broken using (record)
union all
select line, text, {_FIELDS} as fields from apart_parts"""


def lay_records(con: duckdb.DuckDBPyConnection, quoted: pa.Table) -> None:
    """Fill the temporary table `landing_record` (line, text, fields): line is the physical line a record starts on."""
    con.register("landing_arrow", quoted)
    con.execute(_RECORDS)
    con.unregister("landing_arrow")


def add_records(con: duckdb.DuckDBPyConnection, plain: pa.Table) -> None:
    """Add plain lines to `landing_record`: those whose number of fields somebody must judge."""
    con.register("landing_arrow", plain)
    con.execute(
        "insert into landing_record select lines_above + 1 as line, text, string_split(text, ',') from landing_arrow"
    )
    con.unregister("landing_arrow")
