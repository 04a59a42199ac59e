"""How commands print: results on standard output, progress and errors on standard error."""

import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

from salmu_demo.core.errors import StorageError
from salmu_demo.core.progress import Progress
from salmu_demo.hub.reference import HF_HUB
from salmu_demo.reports.tables import comparison_text
from salmu_demo.results.analysis import Analysis

if TYPE_CHECKING:
    from salmu_demo.hub.push import Pushed

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class _Stream:
    """A stream of text that has every character, and whose failures are told apart from those of files."""

    def __init__(self, stream: TextIO, needed: bool) -> None:
        """Wrap a stream; without one that is not `needed`, for example because its disk is full, work goes on."""
        self._stream = stream
        self._needed = needed
        self._failed = False
        self._escaped = False

    def write(self, text: str) -> int:
        """Write text, characters that the terminal lacks as escapes; raises :class:`StorageError`."""
        with self._failing():
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                self._escaped = True
                encoding = self._stream.encoding
                self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        """Write what is kept back; raises :class:`StorageError`."""
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
    """Columns aligned with spaces."""
    lines = [[plain(str(cell)) for cell in line] for line in (header, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def plain(text: str) -> str:
    r"""Text without the control characters that a terminal would obey; data and errors may hold them.

    >>> plain("Ulm\x1b[2J")
    'Ulm�[2J'
    """
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def print_notes(sentences: Iterable[str]) -> None:
    """Remarks on standard error, each of them once."""
    for sentence in dict.fromkeys(sentences):
        print(f"Note: {plain(sentence)}", file=sys.stderr)


def print_pushed(pushed: "Pushed", repository: str) -> None:
    """Where a model went, and how it is loaded from there."""
    print(f"Pushed ({'private' if pushed.private else 'public'}): {pushed.address}. Load it: {HF_HUB}{repository}")


def print_analysis(analysis: Analysis) -> None:
    """The table of all metrics, and what each model did."""
    data = analysis.comparison.data
    for line in filter(None, (data.notice, data.sample and f"{data.title}.")):
        print(f"{line}\n")
    print(comparison_text(analysis.comparison))
    print("\nIn brackets: distance to the target.")
    for remark in analysis.remarks:
        print(plain(remark))
    for name, model in zip(analysis.names, analysis.models, strict=True):
        if model.diagnosis is not None:
            print(f"{name}: {model.diagnosis.label}. {' '.join(c.sentence for c in model.diagnosis.criteria)}")


def comparison_document(analysis: Analysis) -> dict[str, Any]:
    """Data, values, targets and diagnoses as JSON."""
    comparison = analysis.comparison
    return {
        "data": comparison.data.title,
        "remarks": analysis.remarks,
        "roles": {name: asdict(role) for name, role in zip(analysis.names, analysis.roles, strict=True)},
        "rows": [
            {
                "metric": row.spec.name,
                "target": row.target,
                "values": {name: cell.value for name, cell in zip(analysis.names, row.cells, strict=True)},
            }
            for row in comparison.rows
        ],
        "diagnoses": {
            name: model.diagnosis and model.diagnosis.label
            for name, model in zip(analysis.names, analysis.models, strict=True)
        },
    }


def size_text(count: int) -> str:
    """Bytes in words.

    >>> size_text(9_051_234)
    '9.1 MB'
    """
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


class TerminalProgress:
    """Progress on one line of standard error, if that is a terminal; otherwise a line for each finished stage."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last = 0.0

    def __call__(self, progress: Progress) -> None:
        """Show one report."""
        text = f"{progress.text}: {progress.done:,} of {progress.total:,}"
        if self._terminal:
            if progress.done == progress.total or time.monotonic() - self._last > 0.1:
                self._last = time.monotonic()
                print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
        elif progress.done == progress.total:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Clear the line."""
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
