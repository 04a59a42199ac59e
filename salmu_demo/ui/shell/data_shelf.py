"""The data sets that visitors can choose. Each has a page of its own, and is opened when somebody first asks for it."""

import re
import threading
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Final

from salmu_demo.core.errors import QueryError, quoted
from salmu_demo.core.notices import CLEAR_MINI_NOTICE, MINI_NOTICE
from salmu_demo.core.settings import assets_dir, imports_dir, on_space
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.source import CLEAR_MINI, MINI, may_be_fetched
from salmu_demo.hub.reference import OFFICIAL, OFFICIAL_DATA
from salmu_demo.workbench.bench import Workbench

FOLDER: Final = "data"
"""Addresses of pages begin with it, but for that of the first page, which has none."""

MOST_OF_VISITORS: Final = 16
"""Data sets that visitors of a Space have imported and that are open at once: each has a page of its own."""

_IMPORTED: Final = re.compile(r"(?P<title>.+)-[0-9a-f]{16}")
_TITLES: Final = {MINI: "SALMU-Mini", CLEAR_MINI: "CLEAR-Mini", OFFICIAL_DATA: "SALMUBench, as released"}


class DataShelf:
    """The data sets that visitors can choose: what whoever runs the app named, and the embedded ones.

    On one's own machine the released data is among them. No choice downloads much: see `fetch_unasked`.
    """

    def __init__(self, first: Workbench, references: Sequence[str] = ()) -> None:
        """Offer the data set of the first page, and others by reference; those of this machine are opened at once.

        Raises:
            DataError: if one of these cannot be opened.
        """
        embedded = [MINI, *([CLEAR_MINI] if (assets_dir() / CLEAR_MINI).is_dir() else [])]
        own = [] if on_space() else sorted(map(str, imports_dir().glob("*")))
        named = [first.data.name, *references, *embedded, *([] if on_space() else [OFFICIAL]), *own]
        distinct = dict.fromkeys(OFFICIAL_DATA if name == OFFICIAL else name for name in named)
        self._first = first
        self._of_visitors: set[str] = set()
        self._references: dict[str, str] = {}
        for reference in distinct:
            self._references[_name(reference, self._references)] = reference
        self._opened = {next(iter(self._references)): first}
        self._lock = threading.Lock()
        for name, reference in self._references.items():
            # CLEAR-Mini is converted when it is first opened, which nobody should wait for who does not ask for it.
            if not may_be_fetched(reference) and reference != CLEAR_MINI and reference not in own:
                self.workbench(name)

    @property
    def choices(self) -> list[tuple[str, str]]:
        """Titles and names of the data sets that everybody can choose."""
        return [self.choice(name) for name in self._references if name not in self._of_visitors]

    def choices_on(self, name: str) -> list[tuple[str, str]]:
        """The same on the page of a data set, which is among them even if it is a visitor's."""
        return [*self.choices, *([self.choice(name)] if name in self._of_visitors else [])]

    def choice(self, name: str) -> tuple[str, str]:
        """Title and name of a data set."""
        return title(self._references[name]), name

    def check_room(self) -> None:
        """Refuse one more data set of a visitor if there are too many; raises `QueryError`."""
        if len(self._of_visitors) >= MOST_OF_VISITORS:
            raise QueryError("The page holds as many data sets of visitors as it has room for; try again tomorrow.")

    def add(self, folder: Path) -> str:
        """Offer a data set that was imported, and return its name: on a Space to nobody who does not know it.

        Raises:
            DataError: if it cannot be opened.
            QueryError: as `check_room` does.
        """
        with self._lock:
            self.check_room()
            name = _name(str(folder), self._references)
            self._references[name] = str(folder)
            if on_space():
                self._of_visitors.add(name)
        self.workbench(name)
        return name

    def name(self, workbench: Workbench) -> str:
        """The name of a data set that is open."""
        return next(name for name, opened in self._opened.items() if opened is workbench)

    def address(self, name: str, seen_from: str) -> str:
        """The address of a data set's page on that of another one, or of the same.

        Raises:
            QueryError: if it is not offered.
        """
        self._offered(name)
        first = next(iter(self._references))
        return ("./" if seen_from == first else "../../") + ("" if name == first else f"{FOLDER}/{name}/")

    def workbench(self, name: str) -> Workbench:
        """A data set, with the models that the others have found.

        Raises:
            QueryError: if it is not offered.
            DataError: if it cannot be opened.
        """
        reference = self._offered(name)
        if name not in self._opened:
            with self._lock:
                if name not in self._opened:
                    self._opened[name] = self._first.beside(reference)
        return self._opened[name]

    def workbench_for(self, data: str) -> Workbench:
        """What jobs on a data set work with: the workbench of its page, or one of their own; raises `DataError`."""
        opened = (workbench for workbench in list(self._opened.values()) if workbench.data.name == data)
        return next(opened, None) or self._first.beside(data)

    def _offered(self, name: str) -> str:
        if name not in self._references:
            raise QueryError(f"The page does not offer the data set {quoted(name)}; choose one that it does.")
        return self._references[name]


def title(reference: str) -> str:
    """What a data set is called where it is chosen.

    >>> title("mini"), title("org/name@v1"), title("/tmp/imports/people-0123456789abcdef")
    ('SALMU-Mini', 'org/name@v1', 'people')
    """
    place = PurePath(reference)
    imported = _IMPORTED.fullmatch(place.name) if place.parent.name == imports_dir().name else None
    return imported["title"] if imported else _TITLES.get(reference, reference)


def mini_notice(data: BenchmarkData) -> str:
    """What every view of an embedded miniature must say; empty for any other data."""
    if data.is_mini:
        return MINI_NOTICE
    return next((remark for remark in data.remarks if remark == CLEAR_MINI_NOTICE), "")


def _name(reference: str, taken: dict[str, str]) -> str:
    """A name that can be a part of an address: of a folder's path only the last part.

    >>> _name("/home/me/My data", {}), _name("mini", {"mini": "other/mini"}), _name("clear:a#b", {}), _name("/", {})
    ('my-data', 'mini-2', 'clear-a-b', 'data')
    """
    slug = re.sub("[^a-z0-9]+", "-", PurePath(reference).name.lower()).strip("-") or "data"
    number = 2
    found = slug
    while found in taken:
        found, number = f"{slug}-{number}", number + 1
    return found
