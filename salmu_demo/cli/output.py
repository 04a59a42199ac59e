"""How commands print: results on standard output, progress and remarks on standard error; rich on a terminal alone."""

import atexit
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, ClassVar, Final, Self, TextIO, cast

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.highlighter import RegexHighlighter
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from salmu_demo.core.errors import StorageError
from salmu_demo.core.progress import Progress
from salmu_demo.core.text import aligned, plain


class _Stream:
    """A stream of text that has every character, and whose failures are told apart from those of files."""

    def __init__(self, stream: TextIO, needed: bool) -> None:
        """Wrap a stream; without one that is not `needed`, for example because its disk is full, work goes on."""
        self._stream = stream
        self._needed = needed
        self._failed = False
        self._escaped = False

    def write(self, text: str) -> int:
        """Write text, characters that the terminal lacks as escapes; raises `StorageError`."""
        with self._failing():
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                self._escaped = True
                encoding = self._stream.encoding
                self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        """Write what is kept back; raises `StorageError`."""
        with self._failing():
            self._stream.flush()

    def close(self) -> None:
        """Write the rest; of a stream that has failed, Python is not to try it once more at its end, aloud."""
        try:
            self.flush()
        finally:
            if self._failed:
                with suppress(OSError, ValueError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        if self._escaped:
            encoding = self._stream.encoding
            print_notes([f"Characters that the output's encoding {encoding} lacks are escaped; set PYTHONUTF8=1."])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._failed = True
            if self._needed:
                if isinstance(error, BrokenPipeError):
                    raise
                reason = error.strerror or error
                raise StorageError(f"The output cannot be written: {reason}; send it somewhere else.") from error


@contextmanager
def terminal() -> Iterator[None]:
    """Let a command print, whatever standard output and standard error are.

    Raises:
        StorageError: if standard output cannot be written, for example because its disk is full.
        BrokenPipeError: if whoever reads standard output is gone.
    """
    # Without standard output, Python prints to nowhere.
    output, errors = (stream and _Stream(stream, stream is sys.stdout) for stream in (sys.stdout, sys.stderr))
    with redirect_stdout(cast("TextIO", output)), redirect_stderr(cast("TextIO", errors)):
        try:
            yield
        finally:
            for stream in filter(None, (output, errors)):
                stream.close()


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    # Python's escapes of characters that a terminal lacks are not JSON's.
    has_all = sys.stdout is not None and "utf" in sys.stdout.encoding.lower()
    print(json.dumps(value, ensure_ascii=not has_all, indent=1))


def print_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table of rich on a terminal; otherwise columns aligned with spaces."""
    lines = [[plain(str(cell)) for cell in line] for line in (header, *rows)]
    if _is_terminal(sys.stdout):
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for title in lines[0]:
            table.add_column(Text(title))
        for line in lines[1:]:
            table.add_row(*(Text(cell, overflow="fold") for cell in line))
        Console(file=sys.stdout).print(table)
        return
    print(aligned(lines))


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def print_help(text: str) -> None:
    """The help of a command, on a terminal with its headings and options marked."""
    if _is_terminal(sys.stdout):
        Console(file=sys.stdout, theme=_HELP, highlighter=_Help(), markup=False, emoji=False).print(
            text, soft_wrap=True
        )
    else:
        print(text)


class _Help(RegexHighlighter):
    base_style = "help."
    highlights: ClassVar[list[str]] = [r"(?m)^(?P<heading>\w+:)", r"(?<![\w-])(?P<option>--?[a-z][a-z-]*)"]


_HELP: Final = Theme({"help.heading": "bold", "help.option": "cyan"})


def print_notes(sentences: Iterable[str]) -> None:
    """Remarks on standard error, each of them once."""
    for sentence in dict.fromkeys(sentences):
        print(f"Note: {plain(sentence)}", file=sys.stderr)


class TerminalProgress:
    """Progress on standard error while a block runs: a bar on a terminal, otherwise a line for each finished stage."""

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}", markup=False), BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f}", markup=False), TimeRemainingColumn(),
        )  # fmt: skip
        console = Console(file=sys.stderr)
        self._bar = Bar(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
        self._stage = self._line = ""

    def __enter__(self) -> Self:
        return self

    def __call__(self, progress: Progress) -> None:
        """Show one report."""
        stage = plain(progress.text)
        if not _is_terminal(sys.stderr):
            line = f"{stage}: {progress.done:,} of {progress.total:,}"
            if progress.done == progress.total and line != self._line:  # A job is asked about faster than it works.
                print(line, file=sys.stderr, flush=True)
                self._line = line
            return
        if not self._stage:
            atexit.register(_show_cursor)
            self._bar.start()
        if stage != self._stage:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._bar.add_task(stage, total=progress.total, completed=progress.done)
            self._stage = stage
        self._bar.update(self._bar.task_ids[0], total=progress.total, completed=progress.done)

    def __exit__(self, *_: object) -> None:
        if self._stage:
            self._bar.stop()
            atexit.unregister(_show_cursor)


def _show_cursor() -> None:
    """Clear the line of a bar that is cut short; by the system itself, because whoever was stopped may hold a lock."""
    with suppress(OSError):
        os.write(2, b"\r\x1b[K\x1b[?25h")
