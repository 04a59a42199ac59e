import copy
import csv
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from salmu_demo.core.errors import ImageError, QueryError
from salmu_demo.features.pixels import VisitorImage
from salmu_demo.ui.tabs.probe.view import DIFFERS, NAMED, answer_html, column_views, own_image_html
from salmu_demo.ui.widgets.images import Thumbnails, image_address
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.search import (
    MAX_TEXT,
    KeptImages,
    Query,
    SearchAnswer,
    answer_csv,
    answer_json,
    named_personas,
    search,
    settings_of,
)
from tests.fixtures import tiny
from tests.fixtures.tiny import MARKUP, PERSONAS

MODELS = ["mini-compromised", "mini-clean"]


@pytest.fixture(scope="module")
def workbench(tiny_assets) -> Workbench:
    return Workbench()


def ask(workbench: Workbench, text: str = "a person", k: int = 5, content="captions", models=MODELS) -> SearchAnswer:
    return search(workbench, models, Query(text), settings_of(content, "all", k))


def no_image(split: str, row: int) -> None:
    return None


def test_columns_follow_the_chosen_models_and_rows_the_ranks(workbench):
    views = column_views(ask(workbench), differs_only=False)
    assert [view.name for view in views] == MODELS
    assert [view.style.marker for view in views] == ["■", "●"]
    assert all([row.rank for row in view.rows] == ["1", "2", "3", "4", "5"] for view in views)
    assert all(re.fullmatch(r"−?\d\.\d{4}", row.score) for view in views for row in view.rows)


def test_changes_are_measured_against_clean_which_has_none_itself(workbench):
    compromised, clean = column_views(ask(workbench), differs_only=False)
    assert {row.change for row in clean.rows} == {"–"}
    assert all(re.fullmatch(r"[+−]\d\.\d{4}|0\.0000", row.change) for row in compromised.rows)
    (alone,) = column_views(ask(workbench, models=["mini-compromised"]), differs_only=False)
    assert {row.change for row in alone.rows} == {"–"}


def test_differs_only_hides_what_all_models_return(workbench):
    answer = ask(workbench, k=20)
    for all_rows, kept in zip(column_views(answer, False), column_views(answer, True), strict=True):
        assert kept.rows == tuple(row for row in all_rows.rows if DIFFERS in row.marks)
    assert len(column_views(answer, True)[0].rows) < 20


def test_differs_only_says_when_nothing_is_left_and_ignores_a_single_model(workbench):
    everything = ask(workbench, k=50, content="captions")
    size = everything.columns[0].retrieval.gallery_size
    whole = search(workbench, MODELS, Query("x"), settings_of("captions", "retain", 50))
    assert whole.columns[0].retrieval.gallery_size <= 50 < size
    assert [view.rows for view in column_views(whole, True)] == [(), ()]
    assert "in the other lists too" in answer_html(whole, True, no_image)
    single = ask(workbench, models=["mini-clean"])
    assert len(column_views(single, True)[0].rows) == 5
    assert "With one model" in answer_html(single, True, no_image)


def test_a_named_persona_is_marked_and_its_first_rank_is_said(workbench):
    phone = PERSONAS["00000004"]["phone_number"]
    answer = search(workbench, MODELS, Query(f"call {phone}"), settings_of("faces", "all", 50))
    assert [persona.name for persona in answer.named] == ["Amara Diallo"]
    for view in column_views(answer, False):
        own = [row for row in view.rows if NAMED in row.marks]
        assert own
        assert {row.persona for row in own} == {"Amara Diallo"}
        assert "Amara Diallo is at rank " in view.summary


def test_an_approximate_search_says_what_it_misses(workbench):
    answer = ask(workbench, models=["mini-clean"])
    assert "approximate" not in answer_html(answer, False, no_image)
    (column,) = answer.columns
    misses = replace(column, retrieval=replace(column.retrieval, recall=0.9725))
    (view,) = column_views(replace(answer, columns=[misses]), False)
    assert "The search is approximate: by measurement it finds 97.2% of the ten best." in view.summary


def test_only_what_one_persona_has_names_it(workbench):
    data = workbench.data
    assert named_personas(data, "someone from Malmö with A+") == ()
    assert named_personas(data, "  ") == ()
    assert [p.name for p in named_personas(data, "where is zoë åström?")] == ["Zoë Åström"]
    assert [p.name for p in named_personas(data, "SUN.MEILING@work.example")] == ["孫 美玲"]


def test_markup_from_data_query_and_models_is_escaped(workbench):
    answer = ask(workbench, "<script>alert(1)</script> tailor <b>& cutter</b>", k=50, models=[*MODELS, "<i>no</i>"])
    html = answer_html(answer, False, no_image)
    assert "<script>" not in html
    assert "<b>" not in html
    assert "<i>no" not in html
    job = PERSONAS[MARKUP]["job"]
    assert any(job in row.text for view in column_views(answer, False) for row in view.rows)
    assert "&lt;b&gt;&amp; cutter" in html


def test_a_model_that_fails_does_not_hide_the_others(workbench):
    answer = ask(workbench, models=["nonesuch", *MODELS])
    views = column_views(answer, False)
    assert [view.name for view in views] == ["nonesuch", *MODELS]
    assert "There is no model 'nonesuch'" in views[0].empty
    assert [len(view.rows) for view in views] == [0, 5, 5]
    assert json.loads(answer_json(answer))["models"][0].keys() == {"name", "error"}


def test_faces_come_as_thumbnails_with_rank_and_score(workbench):
    answer = ask(workbench, content="faces", k=3)
    html = answer_html(answer, False, Thumbnails(workbench.data).address)
    assert html.count('src="data:image/webp;base64,') == 6
    row = column_views(answer, False)[0].rows[0]
    assert f"<span>#1 {row.score}</span>" in html
    assert f'alt="Result 1: {row.persona}"' in html.replace("&#39;", "'")


def image(seed: int = 0, size=(70, 50)) -> VisitorImage:
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    return VisitorImage(Image.fromarray(noise))


def search_image(workbench: Workbench, asked: VisitorImage, models=MODELS) -> SearchAnswer:
    return search(workbench, models, Query(image=asked), settings_of("captions", "all", 2))


def scores(answer: SearchAnswer) -> list[float]:
    return [result.score for column in answer.columns for result in column.retrieval.results]


def test_an_image_is_searched_but_not_kept_in_the_files(workbench):
    answer = search_image(workbench, image())
    assert [len(view.rows) for view in column_views(answer, False)] == [2, 2]
    assert json.loads(answer_json(answer))["query"] == {"kind": "image"}
    assert "Not stored" in own_image_html(image_address(Image.new("RGB", (20, 30))))


def test_an_image_is_kept_at_the_models_input_size_and_finds_the_same_to_the_last_bit(workbench):
    asked = image(size=(700, 500))
    first = scores(search_image(workbench, asked))
    whole = Image.fromarray(np.random.default_rng(0).integers(0, 256, (700, 500, 3), np.uint8))
    plain = workbench.retrieve_for_image(whole, workbench.models(MODELS), "all", 2)
    assert first == [result.score for column in plain for result in column.results]
    KeptImages().keep(asked)
    side = tiny.MODEL_CONFIG["model_cfg"]["vision_cfg"]["image_size"]
    assert asked.kept_bytes == side * side * 3
    assert scores(search_image(workbench, asked)) == first


def test_a_model_of_another_input_size_asks_for_the_image_again(workbench, tmp_path):
    config = copy.deepcopy(tiny.MODEL_CONFIG)
    config["model_cfg"]["vision_cfg"]["image_size"] *= 2
    other = f"local-dir:{tiny.write_model(tmp_path / 'larger', config)}"
    asked = image()
    search_image(workbench, asked)
    KeptImages().keep(asked)
    known, larger = search_image(workbench, asked, [MODELS[0], other]).columns
    assert known.retrieval is not None
    assert larger.error.endswith("give it again.")


def test_all_kept_images_stay_within_one_budget(workbench):
    images = [image(seed) for seed in range(4)]
    for asked in images:
        search_image(workbench, asked)
    size = images[0].kept_bytes
    kept = KeptImages(budget=2 * size + 1)
    for asked in images[:2]:
        kept.keep(asked)
    kept.keep(images[0])  # used again, so the other one goes first
    kept.keep(images[2])
    assert [asked.kept_bytes for asked in images[:3]] == [size, 0, size]
    assert search_image(workbench, images[1]).columns[0].error.endswith("give it again.")
    del asked, images[0]  # A page that is closed makes room.
    kept.keep(images[2])
    assert [asked.kept_bytes for asked in images] == [0, size, size]


def test_files_hold_what_is_shown(workbench):
    answer = ask(workbench, "+46 70 111 22 33")
    document = json.loads(answer_json(answer))
    assert document["query"] == {"kind": "text", "text": "+46 70 111 22 33"}
    assert document["data"]["notice"]
    assert [model["name"] for model in document["models"]] == MODELS
    rows = list(csv.DictReader(io.StringIO(answer_csv(answer))))
    assert [row["model"] for row in rows] == [name for name in MODELS for _ in range(5)]
    first = document["models"][0]["results"][0]
    assert rows[0]["text"].lstrip("'") == first["text"]
    assert float(rows[0]["score"]) == first["score"]
    assert not any(row["text"].startswith(("=", "+", "-", "@")) for row in rows)


@pytest.mark.parametrize(
    ("models", "query", "message"),
    [
        ([], Query("x"), "No model is chosen"),
        (MODELS, Query("  "), "The query is empty"),
        (MODELS, Query("x" * (MAX_TEXT + 1)), "are read"),
    ],
)
def test_questions_that_cannot_be_asked(workbench, models, query, message):
    with pytest.raises(QueryError, match=message):
        search(workbench, models, query, settings_of("captions", "all", 5))


@pytest.mark.parametrize(
    "settings",
    [("voices", "all", 5), ("faces", "mine", 5), ("faces", "all", 0), ("faces", "all", 51), ("faces", "all", None)],
)
def test_settings_the_page_does_not_offer(settings):
    with pytest.raises(QueryError):
        settings_of(*settings)


def test_a_damaged_image_leaves_a_gap_only(workbench, monkeypatch):
    def broken(split, row):
        raise ImageError("damaged")

    monkeypatch.setattr(workbench.data, "image", broken)
    html = answer_html(ask(workbench, content="faces", k=1), False, Thumbnails(workbench.data).address)
    assert html.count("damaged") == 2
