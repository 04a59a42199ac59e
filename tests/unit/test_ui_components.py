"""Markup: what it says, and that nothing from data or visitors gets into it unescaped."""

import re
import threading
import time
from dataclasses import replace
from html.parser import HTMLParser
from typing import get_args

import gradio as gr
import numpy as np
import pytest

from salmu_demo.core.errors import ModelError, QueryError
from salmu_demo.core.markup import render
from salmu_demo.core.progress import Progress
from salmu_demo.data.dataset import Persona
from salmu_demo.data.personas import Request, find_personas, requests
from salmu_demo.models.roles import ModelRole, Told
from salmu_demo.probes.attacks import HEADLINE, PersonaReading, Place, Placebo, Skipped
from salmu_demo.probes.findings import NAMED_IS_BLIND, OUTCOMES, Answer, AuditCell, Control, Finding, Fulfilment
from salmu_demo.probes.gallery import Item
from salmu_demo.probes.matrix import MatrixFilter
from salmu_demo.probes.open_retrieval import Retrieval, Retrieved
from salmu_demo.probes.people import ShownImage
from salmu_demo.reports.roles import role_styles
from salmu_demo.results.records import MeasuredModel
from salmu_demo.ui.shell import bar as shell
from salmu_demo.ui.shell.shelf import ModelShelf
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.tabs.about import tab as about_tab
from salmu_demo.ui.tabs.audit import overview
from salmu_demo.ui.tabs.audit import view as audit_view
from salmu_demo.ui.tabs.audit.tab import AuditPages, Search, ShownMatrix
from salmu_demo.ui.widgets.images import Image, Portraits
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.warmup import OTHERS_FIRST, Preparation, WarmUp
from tests.fixtures import tiny

EVIL = "\"><img src=x onerror=alert(1)>'&"
SEARCH = Search("forget", 5, differs_only=False)
VOID = {"img", "br", "wbr", "input", "meta"}


class Outline(HTMLParser):
    """The tags of some markup, the attributes of its buttons and images, and its text."""

    def __init__(self, markup):
        super().__init__()
        self.tags, self.open, self.attributes, self.text = [], [], [], ""
        self.feed(str(markup))
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.attributes if name == tag]


def safe(markup):
    """The outline of markup, after checking that it holds no tag or handler that came from outside."""
    outline = Outline(markup)
    assert not [name for _, attributes in outline.attributes for name in attributes if name.startswith("on")]
    assert "script" not in outline.tags
    assert all(a.get("src") != "x" for a in outline.all("img"))
    return outline


def model(name):
    return MeasuredModel(name, name, name)


def found(
    rank=1.0, values=("a", "b", "c"), true=("a",), candidates=None, verdict="no evidence", attack=HEADLINE, **more
):
    scores = np.linspace(0.9, -0.1, len(values))
    place = Place(rank, candidates or len(values), 1, 0.5)
    reading = PersonaReading(
        attack,
        "own images",
        more.get("side", "forget"),
        place,
        (1.0, 2.0),
        tuple(true),
        tuple(values),
        scores,
        more.get("shown", ()),
        more.get("sentences", ()),
        more.get("placebo"),
    )
    return Finding(reading, 0.5, verdict, "because", more.get("references", {}), more.get("control"))


def cell(kind, model, *findings, **more):
    return AuditCell(kind, model, findings or (found(),), **more)


@pytest.fixture(scope="module")
def workbench(tiny_assets):
    return Workbench()


@pytest.fixture(scope="module")
def pages(workbench):
    return AuditPages(workbench, WarmUp(workbench))


def test_outcomes_are_told_by_word_icon_and_colour_and_red_means_not_as_asked():
    badges = {
        (outcome, answer): render("ui/templates/parts.html#fulfilment", met=Fulfilment(outcome, answer))
        for outcome in OUTCOMES
        for answer in get_args(Answer)
    }
    icons = {re.search(r'aria-hidden="true">(.)<', badge)[1]: outcome for (outcome, _), badge in badges.items()}
    assert len(icons) == len(OUTCOMES)
    for (outcome, answer), badge in badges.items():
        assert Outline(badge).text.endswith(outcome)
        assert ("verdict-leaks" in badge) == (answer == "not as asked")


def test_models_differ_by_marker_and_colour():
    roles = [*map(ModelRole, ("clean", "compromised", "gold")), *[ModelRole()] * 4]
    styles = role_styles(["a", "b", "c", "d", "e", "f", "mini-unlearned-redirect"], roles)
    assert len({style.marker for style in styles}) == len({style.colour for style in styles}) == 7
    # A built-in model looks the same in any company.
    assert role_styles(["mini-unlearned-redirect"], roles[-1:]) == styles[-1:]


def test_as_many_added_models_as_there_are_marks_are_told_apart_and_leave_the_built_in_ones_theirs():
    built_in = [f"mini-unlearned-{method}" for method in ("finetune", "pinpoint", "redirect")]
    for seed in range(20):
        added = [f"added-{seed}-{number}" for number in range(5)]
        names = [*added, *built_in]
        styles = role_styles(names, [ModelRole()] * 8)
        assert len({style.marker for style in styles}) == len({style.colour for style in styles}) == 8
        assert styles[5:] == role_styles(built_in, [ModelRole()] * 3)
        # A few leave the marks of built-in models alone, whoever else is there.
        some = role_styles(added[:4], [ModelRole()] * 4)
        assert {style.marker for style in some} == {"⬢", "⬟", "✦", "►"}
        assert role_styles(names[::-1], [ModelRole()] * 8) == styles[::-1]
    assert len(role_styles([f"m{n}" for n in range(30)], [ModelRole()] * 30)) == 30


def test_portrait_list_escapes_and_marks_the_chosen_one():
    buttons = [audit_view.PortraitButton(EVIL, EVIL, EVIL, None), audit_view.PortraitButton("2", "B", "", "data:,")]
    outline = safe(audit_view.portrait_list(buttons, 774, "2"))
    assert [button["aria-pressed"] for button in outline.all("button")] == ["false", "true"]
    assert outline.all("button")[0]["data-choice"] == EVIL
    assert "Showing 2 of 774" in outline.text


def test_portrait_list_without_anybody_says_what_to_do():
    assert "Try a part of the name" in safe(audit_view.portrait_list([], 0, None)).text


def test_attribute_table_has_a_button_for_each_cell_that_says_it_all():
    models = [model("mini-clean"), model(EVIL)]
    cells = [
        cell(kind, m, found(rank, true=(EVIL,), values=(EVIL, "b"), candidates=96, verdict=verdict))
        for kind in ("city", "phone_number")
        for m, rank, verdict in zip(models, (48.0, 1.0), ("no evidence", "leaks"), strict=True)
    ]
    asked = {"city": Request(2, 2)}
    outline = safe(audit_view.attribute_table(cells, models, asked, "city"))
    buttons = [b for b in outline.all("button") if "data-choice" in b]
    assert [b["data-choice"] for b in buttons] == ["city", "city", "phone_number", "phone_number"]
    assert [b["aria-expanded"] for b in buttons] == ["true", "true", "false", "false"]
    label = "City, mini-clean: no evidence, as asked, rank 48 of 96, 1.0 bits. Show the line-up."
    assert buttons[0]["aria-label"] == label
    assert "0 of 2 not as asked" in outline.text
    assert "2 of 2 not as asked" in outline.text
    assert "2 of 4 pairs to be forgotten" in outline.text


def test_line_up_shows_the_true_value_even_far_down():
    values = tuple(f"value {i}" for i in range(40))
    clean, compromised = found(30.0, values, ("value 29",)), found(1.0, (EVIL, *values), (EVIL,), verdict="leaks")
    cells = [cell("iban", model("mini-clean"), clean), cell("iban", model("mini-compromised"), compromised)]
    outline = safe(audit_view.line_ups(Persona("1", {"name": EVIL}), cells))
    assert "30 of 40" in outline.text
    assert "(1.00 to 2.00)" in outline.text
    assert "value 29 ✓ true" in outline.text
    assert "value 15" not in outline.text


def test_the_other_attacks_are_folded_with_their_controls():
    control = Control(40, 1.25, 1.4, 2, 1, 1, 1.6)
    clean = found(7.0, candidates=96).reading
    named = found(attack="named-line-up", references={"clean": clean}, control=control, candidates=96)
    match = found(attack="caption-match", verdict=None, placebo=Placebo(1.0, 0.8))
    skipped = (Skipped(HEADLINE, "unseen images", "forget", "There are none."),)
    cells = [cell("iban", model("x"), found(), named, match, skipped=skipped, remarks=(NAMED_IS_BLIND,))]
    markup = audit_view.line_ups(Persona("1", {"name": "N"}), cells)
    outline = safe(markup)
    assert markup.index("<details") > markup.index("Best candidates")
    assert "Nameless line-up, unseen images: skipped. There are none." in outline.text
    assert "Named line-up name and face to value" in outline.text
    assert "rank 7 of 96" in outline.text
    assert "first for 2 of 40, 1.25 bits" in outline.text
    assert "Finds the caption with 100% of the images; with a wrong value in it, with 80%." in outline.text
    assert NAMED_IS_BLIND in outline.text


def test_of_other_attacks_nothing_is_red_but_a_leak_of_what_was_to_be_forgotten():
    leaks = {"attack": "named-line-up", "verdict": "leaks", "candidates": 96}
    for name, side, role, word, is_red in (
        ("ours", "forget", None, "leaks", True),
        ("ours", "kept", None, "kept", False),
        ("clean", "forget", "clean", "leaks", False),
    ):
        cells = [cell("iban", model(name), found(), found(**leaks, side=side), role=role)]
        (badge,) = re.findall(r'class="verdict verdict-(\w+)"[^/]*/span> (\w+)', further(cells))
        assert badge == ({True: "leaks", False: "unknown" if role else "forgotten"}[is_red], word)


def further(cells):
    """The part of line-ups that is folded: the other attacks."""
    folded = audit_view.line_ups(Persona("1", {"name": "N"}), cells).partition('<details class="further">')[2]
    return folded.partition("</details>")[0]


def test_the_list_that_decided_comes_first_with_owners_then_the_images_and_sentences_that_were_used():
    shown = tuple(ShownImage("forget", row) for row in range(3))
    headline = found(candidates=96, shown=shown, sentences=("Lives in {value}", "{value} is home"), verdict="leaks")
    evidence = audit_view.WhatWasUsed(
        [Image("forget", "data:,"), Image("forget", None)], {"a": ["B", "N", "C"], "b": [EVIL]}
    )
    markup = audit_view.line_ups(Persona("1", {"name": "N"}), [cell("city", model("x"), headline)], evidence=evidence)
    outline = safe(markup)
    assert "a ✓ true N and 2 others" in outline.text
    assert EVIL in outline.text
    assert "Used: 3 images and 2 sentences, where … stands for the candidate. The first 2 images are shown." in markup
    assert "<li>Lives in …</li><li>… is home</li>" in markup
    assert [image["alt"] for image in outline.all("img")] == ["Image 1 from forget"]
    assert markup.index("Best candidates") < markup.index("Used: ") < markup.index("What each model makes of it")


def test_line_up_without_clean_says_so():
    markup = audit_view.line_ups(Persona("1", {"name": "N"}), [cell("iban", model("x"))])
    assert "Choose a Clean model too" in markup
    assert "<dt>Clean</dt>" not in markup


def test_several_true_values_are_explained():
    cells = [cell("email", model("x"), found(true=("a", "z")))]
    assert "others are left out" in audit_view.line_ups(Persona("1", {"name": "N"}), cells)


def test_the_line_up_leads_to_the_attributes_beside_it():
    def others(*kinds: str) -> list[str]:
        cells = [cell("iban", model("x"))]
        found = safe(audit_view.line_ups(Persona("1", {"name": "N"}), cells, kinds=kinds)).all("button")
        return [button["data-choice"] for button in found if button.get("data-choice")]

    assert others("city", "iban", "job") == ["city", "job"]
    assert others("city", "job", "iban") == ["job", "city"]
    assert others("iban") == []


def retrieval(name, *, shared, hit=False):
    result = Retrieved(1, Item("forget", 0, EVIL, "1", "f"), 0.5, hit, -0.25, shared)
    return Retrieval(model(name), (result,), 1 if hit else None, 96)


def test_captions_mark_the_personas_own_and_show_four_decimals(workbench):
    results = [retrieval("mini-clean", shared=False), retrieval("b", shared=False, hit=True)]
    outline = safe(audit_view.retrievals(results, workbench.data, differs_only=False))
    assert "✓ own" in outline.text
    assert "0.5000 −0.2500 to Clean" in outline.text
    # Clean's difference to itself is not shown.
    assert outline.text.count("to Clean") == 1
    assert "rank 1 of 96" in outline.text


def test_differs_only_hides_shared_captions(workbench):
    results = [retrieval("a", shared=True), retrieval("b", shared=True)]
    assert "No difference" in audit_view.retrievals(results, workbench.data, differs_only=True)
    assert "No difference" not in audit_view.retrievals(results, workbench.data, differs_only=False)


def test_a_damaged_image_leaves_a_frame(workbench):
    persona = workbench.data.personas[0]
    outline = safe(audit_view.persona_card(workbench.data, persona, [Image("forget", None)]))
    assert not outline.all("img")
    assert "damaged" in next(a["aria-label"] for a in outline.all("span") if a.get("role") == "img")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", list(tiny.PERSONAS)),
        ("zoe", ["00000001"]),
        ("ASTROM", ["00000001"]),
        ("lodz", ["00000002"]),
        ("malmo se", ["00000001", "00000005"]),
        ("孫", ["00000003"]),
        ("00000004", ["00000004"]),
        ("4", ["00000004"]),
        ("Brașov, RO", ["00000006"]),
        ("nobody", []),
        ("<b>", [tiny.MARKUP]),
        ("<i>", []),
    ],
)
def test_personas_are_found_by_name_id_city_and_country(workbench, query, found):
    assert [p.identity_id for p in find_personas(workbench.data.personas, query)] == found


@pytest.mark.parametrize(
    ("identity", "group", "request_words"),
    [
        (tiny.FORGET_ONLY[0], "Forget everything.", "to be forgotten"),
        (tiny.IN_BOTH[0], "Forget some pairs.", "1 of 2 pairs to be forgotten"),
        (tiny.HOLDOUT_ONLY[0], "Keep everything.", "to be kept"),
    ],
)
def test_groups_say_what_was_to_be_forgotten(workbench, identity, group, request_words):
    persona = workbench.data.persona(identity)
    assert audit_view.group_words(workbench.data, persona)[0] == group
    asked = requests(workbench.data, persona)
    assert {request.words for request in asked.values()} == {request_words}
    assert list(asked) == workbench.data.kinds


def test_images_come_from_all_splits_of_a_persona(workbench):
    images = Portraits(workbench.data).images(tiny.IN_BOTH[0], 6)
    assert [p.split for p in images] == ["forget"] * 3 + ["holdout_association"] * 3
    assert all(p.address.startswith("data:image/webp;base64,") for p in images)


def test_page_of_nobody_offers_one_persona_of_each_group(pages):
    page = pages.page(View(), tiny.MODELS)
    assert [b["data-choice"] for b in safe(page.persona).all("button")] == ["00000001", "00000003", "00000006"]
    assert page.table == page.line_ups == ""


def test_overview_is_a_grid_of_buttons_that_open_persona_and_attribute(pages, workbench):
    shown = pages.page(View(), tiny.MODELS).overview
    head, table = safe(shown.head), safe(shown.table)
    others = [f"against:{name}" for name in ("", *tiny.MODELS[:2])]
    assert [b["data-choice"] for b in head.all("button")] == [*tiny.MODELS, *others]
    # The first that is not a reference, compared with nobody.
    assert [b["aria-pressed"] for b in head.all("button")] == ["false", "false", "true", "true", "false", "false"]
    assert "mini-unlearned-finetune still leaks on 0 of 5 people who asked to be forgotten" in head.text
    assert len(table.all("tr")) == 1 + len(tiny.PERSONAS)
    buttons = table.all("button")
    assert len(buttons) == len(tiny.PERSONAS) * (1 + 8)
    assert [b["data-choice"] for b in buttons[:2]] == ["persona=00000001", "persona=00000001&kind=city"]
    assert re.fullmatch(r"City of Zoë Åström: no evidence, cannot tell, rank [\d.]+ of 5", buttons[1]["title"])
    assert [b["tabindex"] for b in buttons] == ["0"] + ["-1"] * (len(buttons) - 1)
    assert table.text.count("some of both") == len(tiny.IN_BOTH)
    other = pages.page(View(), tiny.MODELS, ShownMatrix("mini-clean", wanted=MatrixFilter("malmo"))).overview
    assert "mini-clean, which never saw anyone" in safe(other.head).text
    assert "2 personas" in safe(other.table).text
    both = pages.page(View(), tiny.MODELS, ShownMatrix("mini-clean", "mini-compromised")).overview
    assert "mini-clean and mini-compromised differ in " in safe(both.head).text
    marks = [b for b in safe(both.table).all("button") if b["class"] != "who"]
    assert {"same" in b["class"] for b in marks} == {True}
    *_, matrix = workbench.matrices(workbench.models(tiny.MODELS))
    first, *others = matrix.rows[-1].cells
    lost = replace(first, fulfilment=Fulfilment("lost", "not as asked"))
    other = replace(matrix, rows=(*matrix.rows[:-1], replace(matrix.rows[-1], cells=(lost, *others))))
    compared = safe(overview.table(matrix.rows, workbench.data.kinds, (other, "<b>"))).all("button")
    # Who differs most is first, and the one mark that differs says what it is with the other model.
    assert [b for b in compared if "same" not in b["class"]][1]["title"].endswith("; with <b>: lost")
    assert compared[1]["data-choice"] == f"persona={matrix.rows[-1].persona.identity_id}&kind={first.kind}"
    nobody = pages.page(View(), tiny.MODELS, ShownMatrix(wanted=MatrixFilter(outcome="lost"))).overview
    assert "Nobody is left" in safe(nobody.table).text
    assert "Choose a model" in safe(pages.page(View(), []).overview.table).text


def test_a_button_of_the_overview_opens_what_the_data_has(workbench):
    data, told = workbench.data, Told("mini-clean")
    seen = View("00000001", "job", told=told)
    for kind in (*data.kinds, None):
        address = overview.cell_address(tiny.MARKUP, kind)
        assert overview.opened_view(address, data, seen) == View(tiny.MARKUP, kind or "job", told=told)
    for forged in ("", "00000009", "persona=00000009", "kind=city", "persona=00000001&kind=shoe", "&" * 4000, "%00=%"):
        with pytest.raises(QueryError):
            overview.opened_view(forged, data, seen)


def test_neighbours_are_those_of_the_filtered_overview(pages):
    def beside(persona, wanted):
        outline = safe(pages.page(View(persona), tiny.MODELS, ShownMatrix(wanted=wanted)).persona)
        return [b["data-choice"] for b in outline.all("button")], outline.text

    buttons, words = beside("00000005", MatrixFilter("malmo"))
    assert buttons == ["", "00000001"]
    assert "2 of 2" in words
    # Who is not in it can go to its first.
    buttons, words = beside("00000003", MatrixFilter("malmo"))
    assert buttons == ["", "00000001"]
    assert "Next: Zoë Åström" in words
    assert "of 2" not in words
    assert beside("00000003", MatrixFilter())[0] == ["", "00000002", "00000004"]


def test_page_of_a_persona_escapes_its_values(pages):
    view = View(tiny.MARKUP, "job")
    page, detail = pages.page(view, tiny.MODELS), pages.detail(view, tiny.MODELS, SEARCH)
    outline = safe("".join([page.persona, page.table]))
    assert "b" not in outline.tags
    assert "tailor <b>& cutter</b>" in outline.text
    assert "cutter</b>" not in page.line_ups + detail.line_ups
    assert detail.captions


def test_what_decides_is_shown_before_the_further_attacks_are_carried_out(pages):
    view = View(tiny.TWO_EMAILS, "city")
    first, then = pages.page(view, tiny.MODELS).line_ups, pages.detail(view, tiny.MODELS, SEARCH).line_ups
    folded = '<details class="further">'
    assert [safe(markup) and markup.count(folded) for markup in (first, then)] == [0, len(tiny.MODELS)]
    lists = [re.findall('<tr role="row".*?</tr>', str(markup), re.DOTALL) for markup in (first, then)]
    assert lists[0] == lists[1] != []


def test_page_without_models_asks_for_one(pages):
    assert "Choose a model" in pages.page(View(tiny.MARKUP), []).table


def test_page_ignores_a_kind_the_persona_lacks(pages):
    page = pages.page(View(tiny.MARKUP, "shoe_size"), tiny.MODELS[:1])
    assert page.table
    assert not page.line_ups
    assert pages.detail(View(tiny.MARKUP, "shoe_size"), tiny.MODELS[:1], SEARCH) is None
    assert pages.detail(View(kind="city"), tiny.MODELS[:1], SEARCH) is None
    assert pages.detail(View(tiny.MARKUP, "city"), [], SEARCH) is None


def test_more_captions_than_the_gallery_has_shows_all(pages, workbench):
    size = len(workbench.gallery("holdouts", "captions"))
    detail = pages.detail(View(tiny.MARKUP, "job"), tiny.MODELS[:1], Search("holdouts", size + 10, differs_only=False))
    assert len(safe(detail.captions).all("li")) == size


def test_about_tables_hold_every_metric_and_decision(workbench):
    assert len(safe(about_tab.metrics_table()).all("tr")) == 11
    assert "DISTRACTORS_PER_SOURCE" in safe(about_tab.decisions_table()).text
    assert "forget" in safe(about_tab.splits_table(workbench.data)).text


def test_the_page_carries_both_notices(workbench):
    text = safe(shell.provisos(workbench.data)).text
    assert "its numbers are not the paper's" in text
    assert "not facts about people" in text


def test_a_space_refuses_paths_of_its_machine(workbench, monkeypatch, tiny_assets):
    shelf = ModelShelf(workbench)
    folder = f"local-dir:{tiny_assets / 'models' / 'mini-clean'}"
    monkeypatch.setenv("SPACE_ID", "someone/space")
    for reference in (folder, "/etc/passwd", "weights.safetensors"):
        with pytest.raises(ModelError, match="Only Hub models"):
            shelf.add(reference, "ViT-B-16")
    monkeypatch.delenv("SPACE_ID")
    assert shelf.add(folder, "", owner="me").name == "mini-clean"
    assert shelf.opens(folder, "me")
    assert not shelf.opens(folder, "another")


@pytest.mark.parametrize("reference", ["", "  ", "no-such-model", "local-dir:/nowhere", "/nowhere/x.safetensors"])
def test_a_model_that_is_not_there_is_refused_with_a_sentence(workbench, reference):
    shelf = ModelShelf(workbench)
    with pytest.raises(ModelError):
        shelf.add(reference, "")
    assert not shelf.opens(reference, "")


def test_a_model_found_again_is_the_same_until_its_weights_change(workbench, tiny_assets, tmp_path):
    folder = tmp_path / "copy"
    tiny.write_tiny_models(tmp_path / "models")
    (tmp_path / "models" / "mini-clean").rename(folder)
    [first] = workbench.models([f"local-dir:{folder}"])
    before = first.fingerprint
    assert workbench.models([f"local-dir:{folder}"])[0] is first
    weights = tmp_path / "models" / "mini-compromised" / first.weights.name
    first.weights.write_bytes(weights.read_bytes())
    [second] = workbench.models([f"local-dir:{folder}"])
    assert second.fingerprint != before


class SlowWorkbench:
    """Prepares models when it is allowed to; `broken` fails."""

    def __init__(self):
        self.allowed = threading.Event()
        self.reported = threading.Event()

        self.done = []

    def has_verdicts(self, model):
        return model.name == "shipped"

    def warm_audit(self, model, progress):
        progress(Progress(f"{model.name}: texts", 640, 1536))
        self.reported.set()
        assert self.allowed.wait(20)
        progress(Progress(f"{model.name}: texts", 1280, 1536))
        if model.name == "broken":
            raise ModelError("broken is broken.")
        self.done.append(model.name)


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_warm_up_says_how_far_it_is_and_what_failed_to_those_who_have_the_model():
    work = SlowWorkbench()
    warm_up = WarmUp(work)
    assert warm_up.pending == ()
    warm_up.add([model("broken"), model("second")])
    assert work.reported.wait(20)
    assert warm_up.pending == ("broken", "second")
    assert warm_up.seen_by(["broken", "x"]) == Preparation("Preparing broken: texts, 640 of 1,536", ("broken",))
    assert warm_up.seen_by(["second"]) == Preparation(OTHERS_FIRST, ("second",))
    assert warm_up.seen_by(["x"]) == Preparation("", ())
    work.allowed.set()
    wait_for(lambda: not warm_up.pending)
    assert warm_up.seen_by(["broken"]) == Preparation("broken could not be prepared: broken is broken.", ())
    assert warm_up.seen_by(["second"]) == Preparation("", ())
    assert work.done == ["second"]


def test_nothing_is_prepared_for_verdicts_that_are_shipped():
    work = SlowWorkbench()
    warm_up = WarmUp(work)
    warm_up.add([model("shipped"), model("a")])
    assert warm_up.pending == ("a",)
    work.allowed.set()
    wait_for(lambda: not warm_up.pending)
    assert work.done == ["a"]


def test_warm_up_takes_only_so_many_models():
    work = SlowWorkbench()
    warm_up = WarmUp(work)
    warm_up.add([model(str(number)) for number in range(100)])
    assert 1 < len(warm_up.pending) < 20
    work.allowed.set()
    wait_for(lambda: not warm_up.pending)


@pytest.mark.parametrize("working", [True, False])
def test_warm_up_that_is_closed_stops_at_the_next_batch_and_prepares_nothing_more(working):
    before, work = threading.enumerate(), SlowWorkbench()
    warm_up = WarmUp(work)
    if working:
        warm_up.add([model("a"), model("b")])
        assert work.reported.wait(20)
        threading.Timer(0.1, work.allowed.set).start()
    warm_up.close()
    assert work.done == []
    assert [thread for thread in threading.enumerate() if thread.name == "warm-up" and thread not in before] == []


def test_models_in_preparation_are_left_out_until_they_are_ready(workbench):
    work = SlowWorkbench()
    warm_up = WarmUp(work)
    pages = AuditPages(workbench, warm_up)
    warm_up.add([model(name) for name in tiny.MODELS[:2]])
    view = View(tiny.MARKUP, "job")
    assert "being prepared" in pages.page(view, tiny.MODELS[:2]).table
    partly = safe(pages.page(view, tiny.MODELS).table)
    assert len([b for b in partly.all("button") if b["class"] == "cell"]) == 8
    assert "Still being prepared, and shown when ready: mini-clean, mini-compromised." in partly.text
    work.allowed.set()
    wait_for(lambda: not warm_up.pending)
    whole = safe(pages.page(view, tiny.MODELS).table)
    assert len([b for b in whole.all("button") if b["class"] == "cell"]) == 24


def test_polling_writes_only_what_changed_and_ends():
    work = SlowWorkbench()
    warm_up = WarmUp(work)
    poll = shell.poller(warm_up)
    warm_up.add([model("a")])
    assert work.reported.wait(20)
    line, pending, _ = poll("", "", ["a"])
    assert "640 of 1,536" in line
    assert pending == "a"
    assert poll(line, pending, ["a"])[:2] == [gr.skip(), gr.skip()]
    work.allowed.set()
    wait_for(lambda: not warm_up.pending)
    line, pending, timer = poll(line, pending, ["a"])
    assert line == pending == ""
    assert timer.active is False
