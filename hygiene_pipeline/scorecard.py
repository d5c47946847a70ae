"""The scorecard: what the metrics say about some nights, read from a warehouse and laid out for a terminal.

Reads `metrics` and a few counts, writes nothing. The page for the practice manager is `report`.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hygiene_pipeline.scorecard_records import (
    Activity,
    Asking,
    Detector,
    Measure,
    Night,
    PhoneCost,
    QueueLine,
    Roi,
    Scorecard,
    StaleRate,
    wilson_interval,
)
from hygiene_pipeline.scorecard_words import (
    METRIC,
    STALE,
    days,
    grade_word,
    hours,
    measure_value,
    money,
    month_cost,
    share,
    target,
)

_GRADE_STYLE = {"target": "green", "acceptable": "yellow", "poor": "red", "no_data": "dim"}


def measured_nights(con: duckdb.DuckDBPyConnection) -> list[datetime]:
    """Every as_of that has benchmarks, oldest first; none before the first run."""
    if not _exists(con, "metrics.benchmark"):
        return []
    rows = con.execute("select distinct as_of from metrics.benchmark order by as_of").fetchall()
    return [row[0] for row in rows]


def read_scorecard(
    con: duckdb.DuckDBPyConnection,
    nights: Sequence[datetime] | None = None,
    *,
    detectors: Sequence[Detector] = (),
) -> Scorecard:
    """The scorecard of `nights` (the first, the middle and the last measured one if not given).

    A night that was never measured is left out.
    """
    measured = measured_nights(con)
    chosen = [night for night in measured if night in nights] if nights is not None else _spread(measured)
    if not chosen:
        return Scorecard(practice="", nights=(), detectors=tuple(detectors))
    practice, zone = _one(con, "select practice.name, clock.timezone from policy.practice, policy.clock")
    return Scorecard(
        practice=practice,
        nights=tuple(_night(con, as_of, first=measured[0], zone=ZoneInfo(zone)) for as_of in chosen),
        detectors=tuple(detectors),
    )


def _spread(measured: Sequence[datetime]) -> list[datetime]:
    """First, last, and the one nearest to the middle of the time between, each once."""
    if not measured:
        return []
    first, last = measured[0], measured[-1]
    middle = first + (last - first) / 2
    return sorted({first, min(measured, key=lambda night: abs(night - middle)), last})


def _night(con: duckdb.DuckDBPyConnection, as_of: datetime, *, first: datetime, zone: ZoneInfo) -> Night:
    label = as_of.astimezone(zone).date()
    lag = _rows(con, "select p95_hours from metrics.sync_lag where stage = 'total' and as_of = $as_of", as_of)
    asked = _rows(con, _ASKING, as_of)
    roi = _rows(
        con,
        "select wasted_per_month, annual_waste, hygiene_cost, net_annual_saving from metrics.roi where as_of = $as_of",
        as_of,
    )
    phone_cost = _rows(con, _PHONE_COST, as_of) if _exists(con, "metrics.phone_cost") else []
    return Night(
        as_of=as_of,
        label=label,
        day=(label - first.astimezone(zone).date()).days,
        measures=tuple(Measure(**row) for row in _rows(con, _MEASURES, as_of)),
        stale=tuple(StaleRate(**row) for row in _rows(con, _STALE, as_of)),
        lag_p95_hours=lag[0]["p95_hours"] if lag else None,
        asking=Asking(**asked[0]) if asked else Asking(),
        roi=Roi(**roi[0]) if roi else None,
        queue=tuple(QueueLine(**row) for row in _rows(con, _QUEUE, as_of)),
        phone_cost=PhoneCost(**phone_cost[0]) if phone_cost else PhoneCost(),
        activity=_activity(con, as_of),
    )


_MEASURES = """
select benchmark.metric, benchmark.value, benchmark.numerator, benchmark.denominator, benchmark.unit, benchmark.grade,
       benchmark.target, benchmark_policy.acceptable_from, benchmark_policy.higher_is_better
from metrics.benchmark
inner join policy.benchmark_policy on benchmark.metric = benchmark_policy.metric
where benchmark.as_of = $as_of
order by list_position(['contact_validity_rate', 'insurance_status_accuracy', 'care_status_sync_lag_hours',
                        'stale_record_rate', 'phone_validation_cadence_days'], benchmark.metric)
"""
_ASKING = """
select share_asked, share_known, median_answer_age_days from metrics.coverage_of_asking where as_of = $as_of
"""
_STALE = """
select staleness_type, contacts, stale, rate from metrics.stale_rate
where as_of = $as_of
order by list_position(['phone', 'insurance', 'care', 'referring_provider', 'any'], staleness_type)
"""
_QUEUE = "select tier, assignee, open_issues, overdue from metrics.queue where as_of = $as_of order by tier, assignee"
_PHONE_COST = """
select lookups, spent_usd, spent_in_month_usd, budget_usd, corrected_numbers, usd_per_corrected_number
from metrics.phone_cost where as_of = $as_of
"""
_MESSAGES = """
select count(*) filter (where state = 'sent' and sent_at <= $as_of) as messages_sent,
       count(*) filter (where state = 'suppressed' and planned_at <= $as_of) as messages_suppressed
from sync.message
"""
_CHANGES = """
select count(*) filter (where state = 'applied' and applied_at <= $as_of) as changes_applied from sync.crm_change
"""


def _activity(con: duckdb.DuckDBPyConnection, as_of: datetime) -> Activity:
    counted: dict[str, Any] = {"messages_sent": 0, "messages_suppressed": 0, "changes_applied": 0}
    # A practice that never wrote back has no such tables yet.
    for table, query in (("sync.message", _MESSAGES), ("sync.crm_change", _CHANGES)):
        if _exists(con, table):
            counted |= _rows(con, query, as_of)[0]
    return Activity(**counted)


def _exists(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    schema, _, name = table.partition(".")
    found = con.execute(
        "select 1 from duckdb_tables()"
        " where database_name = current_database() and schema_name = $schema and table_name = $name",
        {"schema": schema, "name": name},
    )
    return found.fetchone() is not None


def _rows(con: duckdb.DuckDBPyConnection, query: str, as_of: datetime) -> list[dict[str, Any]]:
    result = con.execute(query, {"as_of": as_of})
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _one(con: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    [row] = con.execute(query).fetchall()
    return tuple(row)


def render(card: Scorecard) -> RenderableType:
    """The card as tables for a terminal, the nights side by side."""
    if not card.nights:
        return Text("No night has been measured yet.", style="dim")
    parts: list[RenderableType] = [
        Text(f"{card.practice}: {_when(card.nights[-1])}", style="bold"),
        _benchmarks(card.nights),
        _staleness(card.nights),
        _savings(card.nights),
        _queue(card.nights[-1]),
    ]
    if card.detectors:
        parts.append(_detectors(card.detectors))
    return Group(*_spaced(parts))


def _spaced(parts: Sequence[RenderableType]) -> Iterator[RenderableType]:
    for part in parts:
        yield part
        yield Text()


def _when(night: Night) -> str:
    return f"day {night.day}, {night.label.isoformat()}"


def _table(title: str, *fixed: str, nights: Sequence[Night] = ()) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in fixed:
        table.add_column(name)
    for night in nights:
        table.add_column(_when(night), justify="right")
    return table


def _benchmarks(nights: Sequence[Night]) -> Table:
    table = _table("Benchmarks", "", "target", nights=nights)
    by_night = [{measure.metric: measure for measure in night.measures} for night in nights]
    for measure in nights[-1].measures:
        cells = [_graded(found.get(measure.metric)) for found in by_night]
        table.add_row(METRIC[measure.metric], target(measure), *cells)
    table.add_row("  95 % of care events shown within", "", *(hours(night.lag_p95_hours) for night in nights))
    asking = [night.asking for night in nights]
    table.add_row("  contacts whose payer was ever asked", "", *(share(each.share_asked) for each in asking))
    table.add_row("  contacts whose insurance is known", "", *(share(each.share_known) for each in asking))
    table.add_row("  median age of payers' answers", "", *(days(each.median_answer_age_days) for each in asking))
    return table


def _graded(measure: Measure | None) -> Text:
    if measure is None:
        return Text("-", style="dim")
    return Text(f"{measure_value(measure)}  {grade_word(measure.grade)}", style=_GRADE_STYLE[measure.grade])


def _staleness(nights: Sequence[Night]) -> Table:
    table = _table("Stale records of active contacts", "", nights=nights)
    by_night = [{rate.staleness_type: rate for rate in night.stale} for night in nights]
    for name, words in STALE.items():
        found = [rates.get(name) for rates in by_night]
        table.add_row(words, *(f"{rate.stale:,}  {share(rate.rate)}" if rate else "-" for rate in found))
    table.add_row("active contacts", *(f"{night.stale[0].contacts:,}" if night.stale else "-" for night in nights))
    return table


def _savings(nights: Sequence[Night]) -> Table:
    table = _table("What staleness costs, and what was done about it", "", nights=nights)
    unknown = Roi(wasted_per_month=None, annual_waste=None, hygiene_cost=None, net_annual_saving=None)
    costs = [night.roi or unknown for night in nights]
    table.add_row("outreach wasted in a month", *(money(each.wasted_per_month) for each in costs))
    table.add_row("outreach wasted in a year", *(money(each.annual_waste) for each in costs))
    table.add_row("hygiene in a year", *(money(each.hygiene_cost) for each in costs))
    table.add_row("that waste less hygiene", *(money(each.net_annual_saving) for each in costs))
    done = [night.activity for night in nights]
    phones = [night.phone_cost for night in nights]
    table.add_row("phone lookups so far", *(f"{each.lookups:,}  {money(each.spent_usd)}" for each in phones))
    table.add_row("phone lookups this month", *(month_cost(each) for each in phones))
    table.add_row("phone lookups for a corrected number", *(money(each.usd_per_corrected_number) for each in phones))
    table.add_row("messages sent so far", *(f"{each.messages_sent:,}" for each in done))
    table.add_row("messages held back so far", *(f"{each.messages_suppressed:,}" for each in done))
    table.add_row("corrections written to the CRM so far", *(f"{each.changes_applied:,}" for each in done))
    return table


def _queue(night: Night) -> Table:
    tiers = (1, 2, 3, 4)
    table = _table(f"Open issues, {_when(night)} (of them overdue)", "", *(f"tier {tier}" for tier in tiers), "all")
    for person in sorted({line.assignee for line in night.queue}):
        table.add_row(person, *_work([line for line in night.queue if line.assignee == person], tiers))
    table.add_row("all", *_work(night.queue, tiers), style="bold")
    return table


def _work(lines: Sequence[QueueLine], tiers: Sequence[int]) -> list[str]:
    """Open issues by tier and in all, overdue ones in brackets."""
    groups = [[line for line in lines if line.tier == tier] for tier in tiers] + [list(lines)]
    counts = [(sum(line.open_issues for line in group), sum(line.overdue for line in group)) for group in groups]
    return [f"{count:,} ({overdue:,})" if overdue else f"{count:,}" for count, overdue in counts]


def _detectors(detectors: Sequence[Detector]) -> Table:
    interval = "95 % interval"
    table = _table(
        "Detectors against the planted truth, all nights run",
        "",
        "precision",
        interval,
        "recall of what a source shows",
        interval,
        "recall of everything",
        "harm",
    )
    for each in detectors:
        table.add_row(
            each.detector,
            share(each.precision),
            _interval(each.true_positives, each.flagged),
            share(each.recall),
            _interval(each.true_positives, each.showable),
            share(each.recall_of_everything),
            Text(f"{each.harm:,}", style="red" if each.harm else "green"),
        )
    return table


def _interval(successes: int, trials: int) -> str:
    if not trials:
        return "-"
    low, high = wilson_interval(successes, trials)
    return f"{share(low)} to {share(high)}"
