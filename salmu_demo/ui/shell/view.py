"""What a visitor looks at, and its form in the page's address; a link reopens the same view."""

import re
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from salmu_demo.core.errors import quoted
from salmu_demo.data.dataset import Persona
from salmu_demo.models.roles import NOTHING_TOLD, REFERENCES, TITLES, Told
from salmu_demo.workbench.search import MAX_TEXT

MAX_MODELS: Final = 4
"""Models shown side by side; more do not fit a screen."""

MOST_NAMED: Final = 3 * MAX_MODELS
"""Models of a link that are looked for."""

TABS: Final = ("audit", "probe", "benchmark", "unlearn", "leaderboard", "models", "data", "about")
JOB_PREFIXES: Final = {"benchmark": "", "attack": "attack-", "unlearn": "unlearn-"}
"""Kinds of jobs, and what the names of the elements about their jobs begin with."""
SEARCH_TAB: Final = "probe"
"""The tab whose text a link keeps."""
TAB_OF_JOBS: Final = {"benchmark": "benchmark", "attack": "benchmark", "unlearn": "unlearn"}
"""Kinds of jobs, and the tab that shows each."""
JOB_TABS: Final = tuple(dict.fromkeys(TAB_OF_JOBS.values()))
"""Tabs that show jobs."""
PARAMETERS: Final = ("persona", "kind", "models", *REFERENCES, "tab", "job", "q")
"""Parameters of an address that belong to a view."""

_JOB_ID: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")


@dataclass(frozen=True)
class View:
    """What is shown: a tab, a persona and one of its attributes, a job, a searched text; and who is told to be
    a reference.
    """

    persona: str | None = None
    kind: str | None = None
    tab: str = TABS[0]
    job: str | None = None
    told: Told = NOTHING_TOLD
    query: str = ""


def is_job_id(value: object) -> bool:
    """Whether a value has the form of a job's id; only the job manager knows whether there is such a job.

    >>> is_job_id("k3Jf0-_aZ9qLmN4tRv7wXy"), is_job_id("../../etc/passwd"), is_job_id(None)
    (True, False, False)
    """
    return isinstance(value, str) and _JOB_ID.fullmatch(value) is not None


@dataclass(frozen=True)
class LinkNames:
    """What a link may name.

    Attributes:
        personas: ids of the personas of the data set.
        kinds: its attribute kinds.
        models: references of the models that it opens.
        default_models: those that are chosen when a link names none.
    """

    personas: Collection[str]
    kinds: Collection[str]
    models: Container[str]
    default_models: tuple[str, ...]


@dataclass(frozen=True)
class ParsedLink:
    """A view read from an address, the models to compare in it, and what the address named in vain."""

    view: View
    models: tuple[str, ...]
    notices: list[str] = field(default_factory=list)


def parse_link(query: Mapping[str, str], known: LinkNames) -> ParsedLink:
    """Read the parameters of an address; whatever is not known is left out and named in a notice.

    >>> known = LinkNames({"7"}, {"city"}, ("a", "b"), ("a", "b"))
    >>> parse_link({"persona": "7", "models": "b", "kind": "shoe"}, known).notices
    ['The link names the attribute "shoe", which this data set does not have.']
    """
    notices: list[str] = []

    def known_or_none(parameter: str, words: str, allowed: Collection[str]) -> str | None:
        value = query.get(parameter, "").strip()
        if not value or value in allowed:
            return value or None
        notices.append(f"The link names the {words} {quoted(value)}, which this data set does not have.")
        return None

    persona = known_or_none("persona", "persona", known.personas)
    kind = known_or_none("kind", "attribute", known.kinds)
    tab = query.get("tab", "").strip()
    if tab and tab not in TABS:
        notices.append(f"The link names the tab {quoted(tab)}, which does not exist.")
    job = query.get("job", "").strip()
    if job and not is_job_id(job):
        notices.append(f"The link names the job {quoted(job)}, which is not a job's id.")
        job = ""
    models = _parse_models(query.get("models", ""), known, notices)
    text = query.get("q", "").strip()
    if len(text) > MAX_TEXT:
        notices.append(f"The link searches for a text of {len(text):,} characters; {MAX_TEXT} are the most.")
        text = ""
    first = JOB_TABS[0] if job else SEARCH_TAB if text else TABS[0]
    told = _parse_told(query, models, notices)
    return ParsedLink(View(persona, kind, tab if tab in TABS else first, job or None, told, text), models, notices)


def _parse_models(text: str, known: LinkNames, notices: list[str]) -> tuple[str, ...]:
    named = [_unescape(part.strip()) for part in text.split(",") if part.strip()]
    distinct = list(dict.fromkeys(named))
    if len(distinct) > MOST_NAMED:
        notices.append(f"The link names {len(distinct):,} models; the first {MOST_NAMED} are looked for.")
    found = []
    for reference in distinct[:MOST_NAMED]:
        if reference in known.models:
            found.append(reference)
        else:
            notices.append(f"The link names the model {quoted(reference)}, which is not loaded here; add it first.")
    if len(found) > MAX_MODELS:
        notices.append(f"The link names {len(found)} models; the first {MAX_MODELS} are shown.")
    return tuple(found[:MAX_MODELS]) or known.default_models


def _parse_told(query: Mapping[str, str], models: Collection[str], notices: list[str]) -> Told:
    named = Told(*(query.get(role, "").strip() or None for role in REFERENCES))
    told = named.among(models)
    for role in REFERENCES:
        if named.of(role) != told.of(role):
            notices.append(
                f"The link says that {quoted(named.of(role) or '')} is {TITLES[role]}, which is not one of its models."
            )
    if told.contradiction:
        notices.append(f"In the link {told.contradiction}.")
        return NOTHING_TOLD
    return told


def format_link(view: View, models: Sequence[str], default_models: Sequence[str]) -> str:
    """The query of an address that reopens a view, without the question mark; empty for the page as it first opens.

    >>> format_link(View("7", "city"), ["mini-clean", "b,c"], ["mini-clean"])
    'persona=7&kind=city&models=mini-clean,b%252Cc'
    >>> format_link(View(), ["mini-clean"], ["mini-clean"])
    ''
    """
    job = view.job if view.tab in JOB_TABS else None
    text = view.query if view.tab == SEARCH_TAB else ""
    changed = view != View(job=view.job, query=view.query) or list(models) != list(default_models)
    parameters: dict[str, str | None] = {
        "persona": view.persona,
        "kind": view.kind if view.persona else None,
        "models": ",".join(_escape(reference) for reference in models) if changed else None,
        **{role: view.told.of(role) for role in REFERENCES},
        "tab": view.tab if view.tab != TABS[0] else None,
        # Whoever holds a job's id may cancel it, so only a link to the job itself gives it away.
        "job": job,
        "q": text,
    }
    # A link must stay readable, and these characters need no escape in a query.
    return urlencode({name: value for name, value in parameters.items() if value}, safe=",:/@")


class PagePersonas:
    """The personas of the page's data set; results on other data name personas that it does not know."""

    def __init__(self, personas: Iterable[Persona] = ()) -> None:
        self._names = {persona.identity_id: persona.name for persona in personas}

    def name(self, identity: str) -> str | None:
        """A persona's name, or None if it is not known here."""
        return self._names.get(identity)

    def address(self, identity: str, kind: str | None = None) -> str:
        """The address of the audit of a persona, with one of its attributes open.

        >>> PagePersonas().address("7"), PagePersonas().address("7", "city")
        ('?persona=7', '?persona=7&kind=city')
        """
        return f"?{format_link(View(identity, kind), (), ())}"


def _escape(reference: str) -> str:
    """A model reference without commas, which separate references: a path may contain one."""
    return reference.replace("%", "%25").replace(",", "%2C")


def _unescape(part: str) -> str:
    return part.replace("%2C", ",").replace("%25", "%")
