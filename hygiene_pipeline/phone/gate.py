"""When a vendor may be asked: never faster than agreed, not while it asks for patience, not while it is down.

One gate stands before all threads that ask one vendor. It measures waits by a monotonic clock and knows no date.
"""

import threading
import time
from dataclasses import dataclass

from pyrate_limiter import GCRA, Duration, Limiter, Rate, StateBucket

from hygiene_pipeline.failures import HygieneError, TransientError

# A fifth of a second's calls may come at once: a thread that woke late catches up, and no vendor sees a burst.
_SMOOTHNESS = 5


class ServiceDownError(TransientError):
    """The vendor did not answer for so long that asking on is of no use tonight."""


class GateClosedError(HygieneError):
    """The run was stopped while this call waited for its turn; it never went out."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """When a vendor counts as down and how long it is left alone, seconds.

    After `failures` calls in a row without an answer nobody asks for `pause`; then one call tries alone. After `rounds`
    such pauses in a row the run ends. A vendor that asks for more than `longest_wait` is not waited for.
    """

    failures: int = 10
    pause: float = 30.0
    rounds: int = 3
    longest_wait: float = 120.0


class Gate:
    """Lets calls through one after another; `enter` waits, and the outcome of each call decides on the next."""

    def __init__(self, *, per_second: float, patience: Patience) -> None:
        self._patience = patience
        interval = round(Duration.SECOND.value * max(1.0, 1 / per_second))
        limit = max(1, round(per_second * interval / Duration.SECOND.value))
        self._rate = Rate(limit, interval, burst=max(2, limit // _SMOOTHNESS))
        self._limiter = Limiter(StateBucket([self._rate], GCRA()), buffer_ms=1)
        self._changed = threading.Condition()
        self._opens_at = 0.0
        self._failures = 0
        self._rounds = 0
        self._is_broken = False
        self._is_probing = False
        self._is_closed = False

    def enter(self) -> None:
        """Wait for the turn of one call.

        Raises:
            GateClosedError: the run was stopped meanwhile.
        """
        with self._changed:
            while not self._is_closed and (wait := self._wait_seconds()) > 0:
                self._changed.wait(wait)
            if self._is_closed:
                raise GateClosedError("stopped before it went out")
            self._is_probing = self._is_broken
        self._limiter.try_acquire("call")

    def succeeded(self) -> None:
        """A call got an answer, so the vendor is up."""
        with self._changed:
            self._failures = self._rounds = 0
            self._is_broken = self._is_probing = False
            self._changed.notify_all()

    def failed(self) -> None:
        """A call got no answer.

        Raises:
            ServiceDownError: so many did not, for so long, that the run should end.
        """
        with self._changed:
            if self._is_broken and not self._is_probing:
                return
            self._failures += 1
            if not self._is_probing and self._failures < self._patience.failures:
                return
            self._rounds += 1
            self._is_broken, self._is_probing = True, False
            self._opens_at = time.monotonic() + self._patience.pause
            if self._rounds > self._patience.rounds:
                raise ServiceDownError(
                    f"no answer {self._failures} times in a row, {self._patience.rounds} pauses among them"
                )

    def pause(self, seconds: float) -> None:
        """Let nobody through for so long: the vendor asked for it.

        Raises:
            ServiceDownError: it asks for longer than we are willing to wait.
        """
        if seconds > self._patience.longest_wait:
            raise ServiceDownError(f"it asks to wait {seconds:.0f} s, more than {self._patience.longest_wait:.0f} s")
        with self._changed:
            self._opens_at = max(self._opens_at, time.monotonic() + seconds)
            # Asked to wait is not down: whoever tried alone goes back into the line.
            self._is_probing = False

    def close(self) -> None:
        """Let nobody through any more; whoever waits is sent away."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def dispose(self) -> None:
        """Give back what the rate limit holds."""
        self._limiter.close()

    def _wait_seconds(self) -> float:
        wait = self._opens_at - time.monotonic()
        # While one call tries alone the others wait for how it ends.
        return max(wait, self._patience.longest_wait) if self._is_broken and self._is_probing else wait
