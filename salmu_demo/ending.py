"""The end of a process by Ctrl+C or SIGTERM: quick at any moment, told in one line, and leaving nothing behind.

What must not stay behind is registered with :mod:`atexit`, so that it holds for every end. Nothing large is imported
here: programs call :func:`end_on_signals` before the imports that take them seconds.
"""

import _thread
import atexit
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, NoReturn

PATIENCE: Final = 4.0
"""Seconds that the exit functions may take in all."""


def end_on_signals(words: str = "salmu-demo: stopped.\n") -> None:
    """End this process by :func:`end` on SIGINT and SIGTERM, with 130 and 143; for the main thread of a program.

    Args:
        words: what is then written to standard error.
    """
    process = os.getpid()

    def end_by(number: int, frame: FrameType | None) -> None:
        if os.getpid() != process:
            # A forked worker: what its parent registered is not its own to remove.
            os._exit(128 + number)
        for other in (signal.SIGINT, signal.SIGTERM):
            signal.signal(other, signal.SIG_IGN)
        end(128 + number, words)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end_by)


def end(code: int, words: str = "") -> NoReturn:
    """End this process and its workers now: run the exit functions, and wait for no thread.

    No exception is raised through the code under way: one that comes in the middle of an import or a destructor is
    swallowed or printed, and threads that still work would be waited for.
    """
    done = _thread.allocate_lock()
    done.acquire()

    def last_things() -> None:
        try:
            # Not imported here: whoever was interrupted may hold the lock of that import.
            workers = sys.modules.get("multiprocessing.process")
            for worker in workers.active_children() if workers else ():
                worker.terminate()
            atexit._run_exitfuncs()
        finally:
            done.release()

    # A thread of its own, because one of them may need a lock that the interrupted code holds; and a bare one, because
    # that code may be just about to start another, which holds a lock of the module threading.
    with suppress(RuntimeError):  # Python is at its end already.
        _thread.start_new_thread(last_things, ())
        done.acquire(timeout=PATIENCE)
    with suppress(OSError):
        os.write(2, words.encode())
    os._exit(code)


@contextmanager
def also_at_end(action: Callable[[], None]) -> Iterator[None]:
    """Do something when the block is left, or when the process ends within it."""
    atexit.register(action)
    try:
        yield
    finally:
        atexit.unregister(action)
        action()
