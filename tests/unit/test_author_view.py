"""What the Audit tab shows of authors of CLEAR: marked names, verdicts, evidence, everybody; no browser, no model."""

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from salmu_demo.data.dataset import Persona
from salmu_demo.models.roles import OTHER, ModelRole
from salmu_demo.probes.author_findings import AnsweredQuestion, AuthorFinding, AuthorReading, EvidenceLine, Measure
from salmu_demo.probes.findings import Fulfilment
from salmu_demo.probes.people import ShownImage, Side
from salmu_demo.ui.tabs.authors import view
from salmu_demo.ui.widgets.images import Image

EVIL = "Sven <b>Ek</b>"
PEOPLE = {"1": Persona("1", {"name": EVIL}), "2": Persona("2", {"name": "Ann Ox"})}


class People:
    """Two authors, the first one to be forgotten."""

    people = PEOPLE

    def side(self, identity: str) -> Side:
        return "forget" if identity == "1" else "kept"

    def images(self, identity: str) -> list[ShownImage]:
        return [ShownImage("forget", 0), ShownImage("forget", 1)]

    def caption(self, shown: ShownImage) -> str:
        return f"{EVIL} before shelf {shown.row}"


def model(name: str, role: ModelRole = OTHER) -> Any:
    return SimpleNamespace(name=name, reference=name, own_role=role)


def finding(lacks_words: bool = False) -> AuthorFinding:
    own = Measure(1.0, np.array([0.0, 0.5]))
    line = EvidenceLine("captions", own, 0.02, "leaks", "0 of 2 others reach it", Fulfilment("leaks", "not as asked"))
    captions = (f"meet {EVIL.lower()} & co", "<script>alert(1)</script>")
    answers = (AnsweredQuestion("who writes?", "it is he", "it is he", 0.5, True),)
    reading = AuthorReading(
        None if lacks_words else captions, (EVIL, "Cy Elm"), np.array([0.25, 0.75]), () if lacks_words else answers,
        {"captions": own}, {"name": "it is too long", "answers": "it has no text decoder"},
    )  # fmt: skip
    return AuthorFinding(model("base", ModelRole("compromised", "name")), "compromised", "forget", reading, (line,))


def test_the_name_is_marked_wherever_it_stands_and_nothing_becomes_markup():
    images = [Image("forget", None), Image("forget", None)]
    page = str(view.evidence(People(), PEOPLE["1"], [finding()], images))  # type: ignore[arg-type]
    assert 'class="leaked"' in page
    assert "sven &lt;b&gt;ek&lt;/b</mark>" in page
    assert "<script>" not in page
    assert "<b>" not in page
    assert "True: Sven &lt;b&gt;Ek&lt;/b&gt; before shelf 1" in page
    assert "✓ true" in page
    assert "Not read: it is too long." in page
    silent = str(view.evidence(People(), PEOPLE["1"], [finding(lacks_words=True)], images))  # type: ignore[arg-type]
    assert "What it writes" not in silent
    assert "How it answers" not in silent


def test_a_verdict_stands_beside_what_chance_does_and_what_is_missing_is_said():
    page = str(view.verdicts([finding()]))
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "2 of 2 captions others: 25.0%. 0 of 2 others reach it." in text
    assert "1 of 1 not as asked" in text
    assert "Not read: it has no text decoder." in text
    assert "verdict-leaks" in page


def test_everybody_is_counted_by_what_was_asked():
    models = [model("base", ModelRole("compromised", "name")), model("gold", ModelRole("gold", "name"))]
    captions = [
        {"1": ("sven b ek b here", "nobody"), "2": ("ann ox", "ann ox")},
        {"1": ("nobody", "sven"), "2": ("ann ox", "nobody")},
    ]
    order = view.order_of(People(), [PEOPLE["2"], PEOPLE["1"]])  # type: ignore[arg-type]
    assert order == ["1", "2"]
    page = str(view.overview(People(), order, models, captions))  # type: ignore[arg-type]
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "base writes the name of 1 of 1 to be forgotten, and of 1 of 1 to be kept." in text
    assert "gold writes the name of 0 of 1 to be forgotten, and of 1 of 1 to be kept." in text
    assert page.count('class="verdict-leaks"') == 1
    assert "text decoder" in str(view.overview(People(), order, [], []))  # type: ignore[arg-type]


@pytest.mark.parametrize(("order", "before", "after"), [(["1", "2"], None, "Ann Ox"), (["2", "1"], "Ann Ox", None)])
def test_the_card_leads_to_the_neighbours(order: list[str], before: str | None, after: str | None):
    page = str(view.author_card(People(), PEOPLE["1"], [Image("forget", None)], order))  # type: ignore[arg-type]
    assert ("Previous" in page, "Next" in page) == (before is not None, after is not None)
    assert "To be forgotten." in page
    assert "<b>" not in page
