"""A process of one of this project's modules beside this one, and a pipe to it: for work that another core can do.

It lives no longer than the process that started it, writes nothing anywhere, and what goes to and fro is pickled.
"""

import os
import subprocess
import sys
from multiprocessing import Pipe
from multiprocessing.connection import Connection


class ProcessBeside:
    """The process, as its owner sees it: `module` is run with the far end of the pipe, which `far_end` finds there."""

    def __init__(self, module: str) -> None:
        self.owner = os.getpid()
        self._connection, far = Pipe()
        known = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(  # noqa: S603 - our own module, by the interpreter that runs us
            [sys.executable, "-P", "-m", module, str(far.fileno())],
            # It adds to what the owner's cores do; a pool of threads a library would get in their way.
            env={**os.environ, "PYTHONPATH": known, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # A library's traceback may quote values.
            stderr=subprocess.DEVNULL,
            pass_fds=[far.fileno()],
        )
        far.close()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs, and is this process's own and not that of one it was forked from."""
        return self.owner == os.getpid() and self._process.poll() is None

    def leave(self) -> None:
        """End the process, which has nothing to put in order."""
        self._connection.close()
        if self.owner == os.getpid():
            self._process.kill()
            self._process.wait()


def far_end() -> Connection:
    """The pipe to the owner, in the process that was started; it is at its end once the owner is gone."""
    return Connection(int(sys.argv[1]))
