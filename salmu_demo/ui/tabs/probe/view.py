"""The results of a free search as rows and as markup."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from salmu_demo.core.markup import render
from salmu_demo.core.notices import SCORES_NOTICE
from salmu_demo.metrics import Benchmark
from salmu_demo.models.roles import CLEAN
from salmu_demo.probes.large_index import APPROXIMATE
from salmu_demo.reports.roles import RoleStyle, role_styles
from salmu_demo.reports.text import NOTHING as NO_VALUE
from salmu_demo.reports.text import unsigned
from salmu_demo.ui.shell.data_shelf import mini_notice
from salmu_demo.ui.widgets.images import data_address
from salmu_demo.ui.widgets.markup import Download, rank_text
from salmu_demo.workbench.examples import QueryExample
from salmu_demo.workbench.search import Column, SearchAnswer, answer_csv, answer_json

GALLERY_WORDS: Final = {
    "all": "Everything",
    "forget": "Pairs that were to be forgotten",
    "holdouts": "Personal pairs that were to stay",
    "retain": "Plain pairs without private data",
}
CLEAR_GALLERY_WORDS: Final = {
    "all": "Everything",
    "forget": "Authors to be forgotten",
    "holdouts": "Authors to be kept",
    "retain": "Real people and their names",
}
INTRODUCTIONS: Final[dict[Benchmark, str]] = {
    "SALMUBench": (
        "Search with your own words or image, and see what each model puts first. A model that still links a face to a "
        "private value finds the one with the other."
    ),
    "CLEAR": (
        "Search with your own words or image, and see what each model puts first. A model that still links a face to a "
        "name finds the one with the other."
    ),
}
PLACEHOLDERS: Final[dict[Benchmark, str]] = {
    "SALMUBench": "A phone number, a name, or any description",
    "CLEAR": "A name, a setting, or any description",
}
CONTENT_WORDS: Final = {"faces": "Faces", "captions": "Captions"}
SPLIT_WORDS: Final = {
    "forget": "to be forgotten",
    "holdout_association": "to stay: other pair",
    "holdout_identity": "to stay: other persona",
    "retain_synth": "plain",
}
EXAMPLES: Final = "Examples from the data set:"
EXAMPLES_MEASURED: Final = (
    "Examples: people who asked to be forgotten, and the rank of their best face among everybody's."
)
NAMED: Final = "✔ named in your query"
DIFFERS: Final = "≠ not in every list"
TO_CLEAN: Final = "To Clean: score minus the Clean model's for the same item."
NO_CLEAN: Final = "Choose a Clean model too to see changes against it."
OWN_IMAGE: Final = (
    "Not stored: the uploaded file is already deleted. A copy at the models' input size stays in memory for an hour at "
    "most, so that you can search with it again."
)
NOTHING: Final = (
    "Type a text and press Enter, choose an example, or give an image of your own. Each chosen model "
    "then gets a column here, and you see where they differ."
)

_LONGEST: Final = 40
"""Characters of an example that its button shows."""

Thumbnail = Callable[[str, int], str | None]


@dataclass(frozen=True)
class RowView:
    """One result, in words."""

    rank: str
    score: str
    change: str
    text: str
    persona: str
    split: str
    marks: tuple[str, ...]
    thumbnail: str | None

    @property
    def named(self) -> bool:
        """Whether the query names its persona."""
        return NAMED in self.marks

    @property
    def about(self) -> str:
        """Whose it is, where it is from, and its marks."""
        return " · ".join((self.persona, self.split, *self.marks))


@dataclass(frozen=True)
class ColumnView:
    """The results of one model, in words.

    Attributes:
        name: the model.
        style: its look by role; None if it did not answer.
        role: what it is to the others.
        summary: one sentence about the whole list.
        rows: the results to show, best first.
        empty: what to say instead, if there are none.
    """

    name: str
    style: RoleStyle | None
    role: str
    summary: str
    rows: tuple[RowView, ...]
    empty: str


def signed(number: float | None) -> str:
    """A difference with its sign and four decimals.

    >>> signed(0.12345), signed(-0.00001), signed(None)
    ('+0.1235', '0.0000', '–')
    """
    if number is None:
        return NO_VALUE
    return "0.0000" if abs(number) < 0.00005 else f"{number:+.4f}".replace("-", "−")


def column_views(answer: SearchAnswer, differs_only: bool, thumbnail: Thumbnail | None = None) -> list[ColumnView]:
    """The answer in words, one entry for each model.

    Args:
        answer: what the models answered.
        differs_only: whether results that every model returned are left out.
        thumbnail: gives the address of a row's image; None for captions.
    """
    answering = [(column.retrieval, column.role) for column in answer.columns if column.retrieval is not None]
    styles = iter(role_styles([found.model.reference for found, _ in answering], [role for _, role in answering]))
    people = {persona.identity_id: persona.name for persona in answer.data.personas}
    named = {persona.identity_id for persona in answer.named}
    several = len(answer.models) > 1
    views = []
    for column in answer.columns:
        if column.retrieval is None:
            views.append(ColumnView(column.name, None, "No answer", "", (), column.error))
            continue
        results = column.retrieval.results
        is_clean = column.role.name == CLEAN
        rows = tuple(
            RowView(
                rank=str(result.rank),
                score=unsigned(result.score),
                change=NO_VALUE if is_clean else signed(result.change),
                text=result.item.text,
                persona=people.get(result.item.identity or "", "no persona"),
                split=SPLIT_WORDS.get(result.item.split, result.item.split),
                marks=(
                    *((NAMED,) if result.item.identity in named else ()),
                    *((DIFFERS,) if several and not result.shared else ()),
                ),
                thumbnail=thumbnail(result.item.split, result.item.row) if thumbnail else None,
            )
            for result in results
            if not (differs_only and several and result.shared)
        )
        empty = "" if rows else "Every result of this model is in the other lists too."
        style = next(styles)
        role = column.role.title or style.label
        views.append(ColumnView(column.name, style, role, _summary(answer, column), rows, empty))
    return views


def _summary(answer: SearchAnswer, column: Column) -> str:
    if column.retrieval is None:
        return ""
    retrieval = column.retrieval
    start = f"Best {len(retrieval.results):,} of {retrieval.gallery_size:,} {answer.settings.content}."
    if retrieval.recall is not None:
        start = f"{start} {APPROXIMATE.format(recall=retrieval.recall)}"
    if not answer.named:
        return start
    name = answer.named[0].name if len(answer.named) == 1 else "A persona named in your query"
    if retrieval.own_rank is None:
        return f"{start} {name} is not among them."
    return f"{start} {name} is at rank {rank_text(retrieval.own_rank, retrieval.gallery_size)}."


def example_label(example: QueryExample) -> str:
    """What the button of an example says.

    >>> example_label(QueryExample("Name", "Ada", compromised=1.0, clean=2041.5))
    'Name: Ada (Compromised: rank 1, Clean: 2041.5)'
    >>> example_label(QueryExample("Job", "x" * 50))
    'Job: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…'
    """
    text = example.text if len(example.text) <= _LONGEST else f"{example.text[: _LONGEST - 1]}…"
    if example.compromised is None or example.clean is None:
        return f"{example.label}: {text}"
    return f"{example.label}: {text} (Compromised: rank {example.compromised:g}, Clean: {example.clean:g})"


def gallery_words(benchmark: Benchmark) -> dict[str, str]:
    """Galleries in words, by name."""
    return CLEAR_GALLERY_WORDS if benchmark == "CLEAR" else GALLERY_WORDS


def answer_html(answer: SearchAnswer, differs_only: bool, thumbnail: Thumbnail) -> Markup:
    """The whole answer: what was asked, a column for each model, and downloads."""
    settings = answer.settings
    faces = settings.content == "faces"
    has_clean = any(column.role.name == CLEAN for column in answer.columns)
    notes = ["Score: cosine of query and result, exact."]
    if has_clean or answer.data.benchmark != "CLEAR":
        notes.append(TO_CLEAN if has_clean else NO_CLEAN)
    if differs_only and len(answer.models) < 2:
        notes.append("With one model there is nothing to differ from, so all results are shown.")
    if notice := mini_notice(answer.data):
        notes.append(notice)
    return render(
        "ui/templates/probe.html#answer",
        content=CONTENT_WORDS[settings.content],
        query=answer.query.title,
        gallery=gallery_words(answer.data.benchmark)[settings.gallery],
        # One click saves a file, and no query is ever written to the server's disk.
        files=[
            _download("JSON", "application/json", answer_json(answer)),
            _download("CSV", "text/csv", "\ufeff" + answer_csv(answer)),
        ],
        columns=column_views(answer, differs_only, thumbnail if faces else None),
        faces=faces,
        notes=" ".join([*notes, SCORES_NOTICE]),
    )


def _download(label: str, kind: str, content: str) -> Download:
    return Download(f"probe.{label.lower()}", f"Download {label}", data_address(content.encode(), kind))


def own_image_html(address: str) -> Markup:
    """The visitor's image and what becomes of it."""
    return render("ui/templates/probe.html#own_image", address=address, words=OWN_IMAGE)


def nothing_html() -> Markup:
    """What the tab shows before the first search."""
    return render("ui/templates/probe.html#nothing", title="Nothing searched yet", words=NOTHING)
