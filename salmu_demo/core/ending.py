"""The end of a process by Ctrl+C or SIGTERM: quick at any moment, told in one line, and leaving nothing behind.

What must not stay behind is registered with `atexit`, so that it holds for every end. Nothing large is imported
here: programs call `end_on_signals` before the imports that take them seconds.
"""

import _thread
import atexit
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, NoReturn

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

PATIENCE: Final = 4.0
"""Seconds that the exit functions may take in all."""

LAST_RESORT: Final = 20
"""Seconds after which the system ends a process that cannot end itself, because code in C keeps Python from running.

On a busy machine that can be a job's thread, whose priority is low, that loads a library.
"""


def end_on_signals(words: str = "salmu-demo: stopped.\n") -> None:
    """End this process by `end` on SIGINT and SIGTERM, with 130 and 143; for the main thread of a program.

    No exception is raised through the code under way: one that comes in the middle of an import or a destructor is
    swallowed or printed, and threads that still work would be waited for. And it is not the main thread that acts,
    which may be waiting for something and never hear of a signal that the system gives to another thread.

    Args:
        words: what is then written to standard error.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def watch() -> None:
        while (number := os.read(reading, 1)[0]) not in _SIGNALS:
            pass
        end(128 + number, words)

    for number in _SIGNALS:
        signal.signal(number, _stand_still)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    os.register_at_fork(after_in_child=_leave_it_to_the_parent)
    _thread.start_new_thread(watch, ())


def _stand_still(number: int, frame: FrameType | None) -> None:
    while True:
        time.sleep(1)


def _leave_it_to_the_parent() -> None:
    """A forked worker shares the pipe, and what its parent registered is not its own to remove."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def end(code: int, words: str = "") -> NoReturn:
    """End this process and its workers now: run the exit functions, and wait for no thread."""
    signal.alarm(LAST_RESORT)
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
