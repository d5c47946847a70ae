"""The command line: thin words over what the package does. User errors are one line, never a traceback."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from hygiene_pipeline.doctor import examine
from hygiene_pipeline.failures import HygieneError, PermanentError
from hygiene_pipeline.finding import Finding
from hygiene_pipeline.folders import Folders
from hygiene_pipeline.practice import load_practice
from hygiene_pipeline.progress import listening

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
# What goes into a file or a pipe is not cut at the 80 columns of a terminal that is not there.
_PIPED_WIDTH = 140
_out = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH)
_err = Console(stderr=True)

PracticeOption = Annotated[str, typer.Option("--practice", help="The practice: the name of its file.")]


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except HygieneError as error:
        # As text: what a message quotes from a file may look like markup.
        _err.print(Text.assemble(("error", "red"), " ", str(error)), soft_wrap=True)
        raise typer.Exit(1) from None


@app.command()
def run(
    practice: PracticeOption,
    as_of: Annotated[str, typer.Option("--as-of", help="ISO 8601 with offset; default: now.")] = "",
) -> None:
    """Run the nightly job for a practice, here and now, with progress shown."""
    with _one_line_errors():
        load_practice(Folders().practices, practice)
        at = _instant(as_of) if as_of else None
        # Dagster takes seconds to import; the other commands do without.
        from hygiene_pipeline.defs.in_process import recorded_runs, run_job

        with _spinner("starting") as show, recorded_runs() as instance, listening(show):
            outcome = run_job("nightly", practice, as_of=at, instance=instance)
        if not outcome.success:
            raise PermanentError(
                "\n".join(outcome.problems) or f"run {outcome.run_id} failed; see it in the Dagster UI"
            )
        _out.print(f"[green]done[/green]  results in {Folders().of(practice).warehouse}")


@app.command()
def simulate(
    practice: PracticeOption,
    patients: Annotated[int, typer.Option(min=50, max=1_000_000)] = 3200,
    days: Annotated[int, typer.Option(min=0, max=3650)] = 60,
    seed: Annotated[int, typer.Option()] = 20260105,
) -> None:
    """Make a demo practice: what its three systems would drop into landing over these days. Nobody works in it."""
    from hygiene_pipeline.demo.story import simulate_only

    with _one_line_errors(), _bar("simulating", days + 1) as step:
        simulate_only(practice, patients=patients, days=days, seed=seed, on_day=step)
    _out.print(f"[green]done[/green]  landing files in {Folders().of(practice).landing}")


@app.command()
def demo(
    practice: PracticeOption = "riverside",
    patients: Annotated[int, typer.Option(min=50, max=1_000_000)] = 3200,
    days: Annotated[int, typer.Option(min=1, max=3650)] = 60,
    seed: Annotated[int, typer.Option()] = 20260105,
) -> None:
    """Live through the demo practice's days, its nights run for real, and print its scorecard."""
    from hygiene_pipeline.defs.in_process import night_runner
    from hygiene_pipeline.demo.story import live

    with _one_line_errors():
        load_practice(Folders().practices, practice)
        with _bar("nights", days + 1) as step, night_runner(practice) as run_night:
            live(practice, patients=patients, days=days, seed=seed, run_night=run_night, on_night=step)
        _print_scorecard(practice)
        _print_places(practice)


@app.command()
def scorecard(practice: PracticeOption) -> None:
    """Print the benchmarks, the queue and what staleness costs, as of the last run."""
    with _one_line_errors():
        _print_scorecard(practice)


@app.command()
def doctor(practice: PracticeOption) -> None:
    """Check the practice file, keys, agreements and connections; changes nothing, costs nothing."""
    table = Table("", "what", "finding", box=None)
    is_fatal = False
    with _one_line_errors():
        for finding in examine(practice, at=datetime.now(UTC)):
            table.add_row(_mark(finding), finding.subject, Text(finding.told))
            is_fatal = is_fatal or (finding.is_fatal and not finding.is_fine)
    _out.print(table)
    if is_fatal:
        raise typer.Exit(1)


@app.command()
def listen(practice: PracticeOption) -> None:
    """Receive HL7 v2 messages over MLLP until stopped; each is acknowledged once it is safe on the disk."""
    from hygiene_pipeline.receive import listen as listen_until_stopped

    with _one_line_errors():
        _log_to_stderr()
        listen_until_stopped(practice, tell=_tell_address)


@app.command()
def webhook(practice: PracticeOption) -> None:
    """Receive FHIR notifications over HTTP until stopped; the secret is the practice's key `webhook`."""
    from hygiene_pipeline.receive import receive_notifications

    with _one_line_errors():
        _log_to_stderr()
        receive_notifications(practice, tell=_tell_address)


def _tell_address(address: str) -> None:
    _err.print(f"listening on {address}", highlight=False, soft_wrap=True)


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")


def _mark(finding: Finding) -> Text:
    if finding.is_fine:
        return Text("ok", style="green")
    return Text("no", style="red") if finding.is_fatal else Text("--", style="yellow")


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise PermanentError("--as-of: is not a time with offset; allowed: ISO 8601 such as 2026-03-01T07:00:00Z")
    return at.astimezone(UTC)


@contextmanager
def _spinner(first: str) -> Iterator[Callable[[str], None]]:
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=_err, transient=True
    ) as progress:
        task = progress.add_task(first)
        yield lambda words: progress.update(task, description=words)


@contextmanager
def _bar(words: str, total: int) -> Iterator[Callable[[str], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_err, transient=True) as progress:
        task = progress.add_task(words, total=total)

        def step(told: str) -> None:
            progress.update(task, advance=1, description=told)

        yield step


def _print_scorecard(practice: str) -> None:
    from hygiene_pipeline.demo.story import scores_of
    from hygiene_pipeline.night import open_night
    from hygiene_pipeline.scorecard import read_scorecard, render

    folders = Folders()
    load_practice(folders.practices, practice)
    # Looking makes no warehouse and no key.
    if not folders.of(practice).warehouse.exists():
        raise _not_measured(practice)
    with open_night(practice) as night:
        card = read_scorecard(night.warehouse.con, detectors=scores_of(night.folders))
    if not card.nights:
        raise _not_measured(practice)
    _out.print(render(card))


def _not_measured(practice: str) -> PermanentError:
    return PermanentError(f"{practice}: no night has been measured yet; run hygiene run --practice {practice}")


def _print_places(practice: str) -> None:
    own = Folders().of(practice)
    _out.print(f"\nwarehouse  {own.warehouse}  (encrypted; published copies in {own.published})")
    _out.print(f"report     {own.reports / 'scorecard.html'}")
    _out.print("UI         make ui, then open http://127.0.0.1:3000")


if __name__ == "__main__":
    app()
