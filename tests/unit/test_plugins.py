"""Plug-ins: files and entry points are imported once, and what is wrong with one is a sentence."""

import os
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from salmu_demo.core import plugins
from salmu_demo.core.errors import PluginError
from salmu_demo.core.plugins import METRICS, VARIABLE, load_entry_points, load_plugins, outside_code
from salmu_demo.metrics import Metric, all_metrics, find_metric
from salmu_demo.metrics import base as base_module

METRIC = """
import numpy as np
from salmu_demo.metrics import Metric, MetricResult, MetricView, register

LOADED = {loaded}

@register
class Mine(Metric):
    name = "{name}"
    pillar = "utility"
    title = "A title"
    explanation = "One sentence."
    split = "forget"

    def compute(self, view: MetricView) -> MetricResult:
        return self.result(np.full(3, 0.25))
"""


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Metric]]:
    """Registries and notes of what is loaded of their own, so that nothing stays behind."""
    metrics = dict(base_module.REGISTRY)
    monkeypatch.setattr(base_module, "REGISTRY", metrics)
    monkeypatch.setattr(plugins, "LOADED", set())
    monkeypatch.setattr(plugins, "SEARCHED", set())
    monkeypatch.setenv(VARIABLE, "")
    before = set(sys.modules)
    yield metrics
    for name in set(sys.modules) - before:
        if name.startswith(("salmu_plugin_", "extras_of_a_test")):
            del sys.modules[name]
    plugins.outside_digest.cache_clear()


def write(path: Path, name: str = "Mine", loaded: str = "True") -> Path:
    path.write_text(METRIC.format(name=name, loaded=loaded), "utf-8")
    return path


def test_a_file_registers_a_metric_once_and_is_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write(tmp_path / "mine.py", loaded=f"open({str(tmp_path / 'log')!r}, 'a').write('x')")
    monkeypatch.chdir(tmp_path)
    load_plugins([Path("mine.py")])
    load_plugins([path])
    load_plugins()
    assert (tmp_path / "log").read_text() == "x"
    assert find_metric("mine").title == "A title"
    assert os.environ[VARIABLE] == str(path)


def test_files_that_the_variable_names_are_loaded_when_metrics_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "one").mkdir()
    files = [write(tmp_path / "one" / "mine.py", "One"), write(tmp_path / "mine.py", "Two")]
    monkeypatch.setenv(VARIABLE, os.pathsep.join(map(str, files)))
    assert [metric.name for metric in all_metrics()][-2:] == ["One", "Two"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"is not a file; give a Python file\."),
        ("1 +", r"cannot be loaded: SyntaxError: invalid syntax .*\."),
        (
            "import nonesuch",
            r"cannot be loaded: ModuleNotFoundError: No module named 'nonesuch'\.",
        ),
        ("raise ValueError('odd')", r"cannot be loaded: ValueError: odd\."),
        ("raise ValueError", r"cannot be loaded: ValueError\."),
        (METRIC.format(name="RetFail", loaded=1), r"cannot be loaded: There is already a metric called RetFail"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_refused_each_time(tmp_path: Path, content: str | None, sentence: str):
    path, before = tmp_path / "mine.py", all_metrics()
    if content is not None:
        path.write_text(content, "utf-8")
    for _ in range(2):
        with pytest.raises(PluginError, match=rf"The plug-in .*mine\.py {sentence}") as caught:
            load_plugins([path])
        assert "\n" not in str(caught.value)
    assert os.environ[VARIABLE] == ""
    assert all_metrics() == before
    assert not [name for name in sys.modules if name.startswith("salmu_plugin_")]


def test_a_file_of_another_ending_is_refused(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("x = 1")
    with pytest.raises(PluginError, match=r"notes\.txt is not a Python file; its name must end in \.py"):
        load_plugins([tmp_path / "notes.txt"])


def test_a_file_that_was_mended_is_loaded(tmp_path: Path):
    path = write(tmp_path / "mine.py", loaded="1 / 0")
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        load_plugins([path])
    write(path)
    load_plugins([path])
    assert find_metric("Mine")


def entry_points(monkeypatch: pytest.MonkeyPatch, folder: Path, value: str) -> list[str]:
    """Let an entry point be installed; returns the groups that are asked for."""
    asked: list[str] = []

    def found(group: str) -> list[EntryPoint]:
        asked.append(group)
        return [EntryPoint("mine", value, group)]

    monkeypatch.setattr(plugins, "entry_points", found)
    monkeypatch.syspath_prepend(folder)
    return asked


def test_an_entry_point_is_loaded_when_its_registry_is_first_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path / "extras_of_a_test.py")
    asked = entry_points(monkeypatch, tmp_path, "extras_of_a_test")
    load_plugins()
    assert asked == []
    assert all_metrics()[-1].name == "Mine"
    assert find_metric("Mine") in all_metrics()
    assert asked == [METRICS]


def test_an_entry_point_that_fails_is_named_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path / "extras_of_a_test.py", loaded="1 / 0")
    entry_points(monkeypatch, tmp_path, "extras_of_a_test")
    for _ in range(2):
        with pytest.raises(PluginError, match="mine of the package extras_of_a_test cannot be loaded: ZeroDiv"):
            load_entry_points(METRICS)


def test_code_from_outside_has_a_digest_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    digests = []
    for text in ("True", "False", "True"):
        load_plugins([write(tmp_path / "mine.py", loaded=text)])
        digests.append(outside_code(type(find_metric("Mine"))))
        plugins.LOADED.clear()
        plugins.outside_digest.cache_clear()
    assert digests[0] == digests[2] != digests[1]
    assert {outside_code(type(metric)) for metric in all_metrics()[:-1]} == {""}


def test_of_a_package_all_modules_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "extras_of_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    write(package / "metrics.py")
    monkeypatch.syspath_prepend(tmp_path)
    entry_points(monkeypatch, tmp_path, "extras_of_a_test.metrics")
    kind = type(find_metric("Mine"))
    before = outside_code(kind)
    (package / "formula.py").write_text("HALF = 0.5")
    plugins.outside_digest.cache_clear()
    assert outside_code(kind) != before
