"""Links: a view survives the way into an address and back, and nothing an address holds breaks the page."""

from urllib.parse import parse_qsl

import pytest

from salmu_demo.models.roles import Told
from salmu_demo.ui.shell.view import MAX_MODELS, MOST_NAMED, LinkNames, View, format_link, parse_link

BUILT_IN = ("mini-clean", "mini-compromised")
ADDED = ("local-dir:/a folder/with,comma", "hf-hub:org/name@rev", "100%25/x.safetensors", "ünï")
KNOWN = LinkNames({"00000001", "7"}, ["city", "iban"], (*BUILT_IN, *ADDED), BUILT_IN)


def reopened(view, models):
    """What a browser hands back of a link."""
    return parse_link(dict(parse_qsl(format_link(view, models, BUILT_IN))), KNOWN)


@pytest.mark.parametrize("tab", ["audit", "probe", "benchmark", "about"])
@pytest.mark.parametrize(("persona", "kind"), [(None, None), ("7", None), ("00000001", "iban")])
@pytest.mark.parametrize("models", [BUILT_IN, ("mini-compromised",), ADDED, ("mini-clean", ADDED[0])])
def test_a_link_reopens_the_same_view(tab, persona, kind, models):
    link = reopened(View(persona, kind, tab), models)
    assert link.view == View(persona, kind, tab)
    assert link.models == models
    assert link.notices == []


def test_a_link_keeps_the_text_that_was_searched_for():
    seen = View(tab="probe", query="née & 50 % +1?")
    assert reopened(seen, BUILT_IN).view == seen
    assert reopened(seen, ADDED).models == ADDED
    assert parse_link({"q": " a name "}, KNOWN).view == View(tab="probe", query="a name")
    # It is not part of what another tab shows.
    assert format_link(View(query="a name"), BUILT_IN, BUILT_IN) == ""
    long = parse_link({"q": "x" * 501}, KNOWN)
    assert long.view == View()
    assert "searches for a text of 501 characters; 500 are the most" in long.notices[0]


JOB = "k3Jf0-_aZ9qLmN4tRv7wXy"


def test_a_link_to_a_job_opens_the_benchmark_tab():
    assert parse_link({"job": JOB}, KNOWN).view == View(tab="benchmark", job=JOB)
    assert reopened(View(tab="benchmark", job=JOB), BUILT_IN).view == View(tab="benchmark", job=JOB)


@pytest.mark.parametrize("tab", ["audit", "probe", "about"])
def test_a_link_to_another_tab_does_not_give_away_the_job(tab):
    assert JOB not in format_link(View("7", tab=tab, job=JOB), BUILT_IN, BUILT_IN)


@pytest.mark.parametrize("job", ["../../etc/passwd", "<b>", "a" * 65, "short", f"{JOB}/x"])
def test_what_is_no_job_id_is_left_out_of_the_view(job):
    link = parse_link({"job": job}, KNOWN)
    assert link.view == View()
    assert "which is not a job's id" in link.notices[0]


def test_the_first_page_has_no_query():
    assert format_link(View(), BUILT_IN, BUILT_IN) == ""


def test_a_link_stays_readable():
    assert (
        format_link(View("7", "city", "audit"), BUILT_IN, BUILT_IN)
        == "persona=7&kind=city&models=mini-clean,mini-compromised"
    )


def test_an_attribute_without_a_persona_is_no_part_of_a_link():
    assert "kind" not in format_link(View(None, "city"), BUILT_IN, BUILT_IN)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"persona": "nobody"}, 'persona "nobody"'),
        ({"persona": "7", "kind": "shoe_size"}, 'attribute "shoe_size"'),
        ({"tab": "settings"}, 'tab "settings"'),
        ({"models": "mini-clean,evil"}, 'model "evil"'),
        ({"models": "hf-hub:someone/unknown"}, 'model "hf-hub:someone/unknown"'),
    ],
)
def test_unknown_names_are_left_out_with_a_notice(query, words):
    link = parse_link(query, KNOWN)
    assert len(link.notices) == 1
    assert words in link.notices[0]
    assert link.view.tab == "audit"
    assert set(link.models) <= set(BUILT_IN)


@pytest.mark.parametrize(
    "query",
    [
        {"persona": "", "models": ",,, ,", "kind": "", "tab": ""},
        {"persona": "<script>alert(1)</script>", "kind": "\x00", "tab": "../..", "models": "%,%2,%2C,%%%"},
        {"persona": "x" * 10_000, "models": "y" * 10_000},
        {"unrelated": "1"},
    ],
)
def test_garbage_opens_the_first_page(query):
    link = parse_link(query, KNOWN)
    assert link.view == View()
    assert link.models == BUILT_IN
    assert all(len(notice) < 200 for notice in link.notices)


def test_more_models_than_fit_are_cut_with_a_notice():
    models = [*BUILT_IN, *ADDED]
    link = reopened(View(), models)
    assert link.models == tuple(models[:MAX_MODELS])
    assert len(link.notices) == 1


def test_a_model_named_twice_is_shown_once():
    assert parse_link({"models": "mini-clean,mini-clean"}, KNOWN).models == ("mini-clean",)


def test_a_link_keeps_who_is_told_to_be_a_reference():
    view = View("7", told=Told(ADDED[0], ADDED[1]))
    link = reopened(view, ADDED[:3])
    assert (link.view, link.notices) == (view, [])


def test_a_link_tells_nothing_of_models_it_does_not_show():
    link = parse_link({"models": "mini-clean", "clean": "<b>" * 100_000, "compromised": "mini-compromised"}, KNOWN)
    assert link.view.told == Told()
    assert len(link.notices) == 2
    assert "is Clean, which is not one of its models" in link.notices[0]
    assert max(map(len, link.notices)) < 200
    both = parse_link({"models": "mini-clean", "clean": "mini-clean", "compromised": "mini-clean"}, KNOWN)
    assert both.view.told == Told()
    assert "is told to be both Clean and Compromised" in both.notices[0]


def test_of_a_link_with_thousands_of_models_few_are_looked_for():
    class Counted(tuple):
        asked = 0

        def __contains__(self, reference):
            self.asked += 1
            return False

    known = Counted()
    link = parse_link({"models": ",".join(map(str, range(20_000)))}, LinkNames((), (), known, BUILT_IN))
    assert known.asked == MOST_NAMED
    assert len(link.notices) == MOST_NAMED + 1
    assert "names 20,000 models" in link.notices[0]
