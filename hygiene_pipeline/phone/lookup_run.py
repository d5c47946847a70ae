"""One run of lookups: asks a vendor about many numbers at once, at its pace, again where that helps, and stops in time.

Nothing is stored here. A run gives turns: what is about to be asked, which whoever runs it writes down before he takes
the next turn, and what has been answered. So of a killed run all is known but the calls that were under way.
"""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice

import stamina

from hygiene_pipeline.failures import HygieneError, TransientError
from hygiene_pipeline.phone.gate import Gate, GateClosedError, Patience, ServiceDownError
from hygiene_pipeline.phone.protocol import (
    LookupAnswer,
    LookupRequest,
    NoAnswerError,
    NumberRefusedError,
    PhoneLookup,
    Remedy,
    ServiceBusyError,
    ServiceRefusedError,
)

# A vendor that takes no number at all is set up wrongly, whatever it says about each.
_REFUSED_IN_A_ROW = 25


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How hard a vendor is asked: calls at a time and a second, tries of one number and the seconds between them."""

    concurrency: int = 10
    per_second: float = 20.0
    attempts: int = 4
    first_wait: float = 0.5
    longest_wait: float = 8.0
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, kw_only=True)
class LookupOutcome:
    """How a request ended: with an answer; or `refused`, `failed` or `unasked`, and `told` says why."""

    request: LookupRequest
    state: str
    answer: LookupAnswer | None = None
    told: str | None = None


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What goes out once the next turn is taken, and what has come back."""

    asked: tuple[LookupRequest, ...]
    outcomes: tuple[LookupOutcome, ...]


class LookupRun:
    """A run against one vendor; used once. `stopped_by` and `stopped_packages` say what was given up, and why."""

    def __init__(self, service: PhoneLookup, pace: Pace) -> None:
        self._service = service
        self._pace = pace
        self._gate = Gate(per_second=pace.per_second, patience=pace.patience)
        self._lock = threading.Lock()
        self._refused_in_a_row = 0
        self.stopped_by: HygieneError | None = None
        self.stopped_packages: dict[str, str] = {}

    def turns(self, requests: Iterable[LookupRequest]) -> Iterator[Turn]:
        """Ask about all requests, most urgent first. Between two turns nothing new goes out."""
        waiting = filter(self._is_worth_asking, requests)
        running: dict[Future[LookupOutcome], LookupRequest] = {}
        outcomes: tuple[LookupOutcome, ...] = ()
        # As many again stand ready, so that no thread waits for the last turn to be written down.
        room = 2 * self._pace.concurrency
        try:
            with ThreadPoolExecutor(self._pace.concurrency, thread_name_prefix="phone_lookup") as threads:
                try:
                    while True:
                        asked = tuple(islice(waiting, room - len(running))) if self.stopped_by is None else ()
                        if asked or outcomes:
                            yield Turn(asked=asked, outcomes=outcomes)
                        running |= {threads.submit(self._look_up, request): request for request in asked}
                        if not running:
                            return
                        done, _ = wait(running, return_when=FIRST_COMPLETED)
                        for future in done:
                            del running[future]
                        outcomes = tuple(future.result() for future in done)
                finally:
                    self._gate.close()
        finally:
            self._gate.dispose()

    def _is_worth_asking(self, request: LookupRequest) -> bool:
        """Whether anything is left to ask of it; if not, it stays due for another night."""
        return not request.packages or bool(request.without(self.stopped_packages).packages)

    def _look_up(self, request: LookupRequest) -> LookupOutcome:
        """One number to its end: answered, refused, failed or never asked."""
        partial: list[LookupAnswer] = []
        try:
            for attempt in stamina.retry_context(
                on=lambda error: isinstance(error, TransientError) and not isinstance(error, ServiceDownError),
                attempts=self._pace.attempts,
                timeout=None,
                wait_initial=self._pace.first_wait,
                wait_max=self._pace.longest_wait,
                wait_jitter=self._pace.first_wait,
            ):
                with attempt:
                    self._attempt(request, partial)
        except GateClosedError as error:
            return partial_outcome(request, partial, "unasked", error)
        except (ServiceRefusedError, ServiceDownError) as error:
            self._stop(error)
            return partial_outcome(request, partial, "failed", error)
        except NumberRefusedError as error:
            self._count_refusal(error)
            return partial_outcome(request, partial, "refused", error)
        except TransientError as error:
            return partial_outcome(request, partial, "failed", error)
        return LookupOutcome(request=request, state="answered", answer=partial[-1])

    def _attempt(self, request: LookupRequest, partial: list[LookupAnswer]) -> None:
        """Ask once for what is still open; `partial` ends with all that is known by now."""
        so_far = partial[-1] if partial else None
        again = {each.package for each in so_far.failed_with(Remedy.AGAIN)} if so_far else set(request.packages)
        left = request.without({*request.packages} - again).without(self.stopped_packages)
        if request.packages and not left.packages:
            if so_far is None:
                raise GateClosedError("every package was stopped before it went out")
            return
        answer = self._ask(left)
        known = so_far.completed_by(answer) if so_far else answer
        partial.append(known)
        for failure in answer.failed_with(Remedy.STOP_PACKAGE):
            self._stop_package(failure.package, failure.told)
        if failures := known.failed_with(Remedy.AGAIN):
            raise NoAnswerError(failures[0].told)

    def _ask(self, request: LookupRequest) -> LookupAnswer:
        """One call through the gate, which hears how it went."""
        self._gate.enter()
        try:
            answer = self._service.ask(request)
        except ServiceBusyError as error:
            if error.retry_after is None:
                self._gate.failed()
            else:
                self._gate.pause(error.retry_after)
            raise
        except TransientError:
            self._gate.failed()
            raise
        except NumberRefusedError:
            self._gate.succeeded()
            raise
        self._gate.succeeded()
        with self._lock:
            self._refused_in_a_row = 0
        return answer

    def _stop(self, error: HygieneError) -> None:
        """Let no further call out; the first reason is the one that is told."""
        with self._lock:
            self.stopped_by = self.stopped_by or error
        self._gate.close()

    def _stop_package(self, package: str, told: str) -> None:
        with self._lock:
            self.stopped_packages.setdefault(package, told)

    def _count_refusal(self, error: NumberRefusedError) -> None:
        with self._lock:
            self._refused_in_a_row += 1
            is_too_many = self._refused_in_a_row >= _REFUSED_IN_A_ROW
        if is_too_many:
            self._stop(ServiceRefusedError(f"{_REFUSED_IN_A_ROW} numbers in a row were refused; the last: {error}"))


def partial_outcome(
    request: LookupRequest, partial: list[LookupAnswer], state: str, error: HygieneError
) -> LookupOutcome:
    """What some packages answered is an answer, and was paid for, though others did not."""
    if partial and partial[-1].answered:
        return LookupOutcome(request=request, state="answered", answer=partial[-1], told=str(error))
    return LookupOutcome(request=request, state=state, told=str(error))
