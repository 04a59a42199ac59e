"""A Space of the kind ZeroGPU: what needs its GPU runs where `spaces` lends it. The package is a stand-in."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from salmu_demo.core.errors import ModelError
from salmu_demo.models import zero_gpu
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.references import find_model
from salmu_demo.models.registry import EncoderRegistry
from tests.integration.test_container import free_port

ROOT = Path(__file__).parents[2]
PIXELS = np.arange(2 * 32 * 32 * 3, dtype=np.uint32).astype(np.uint8).reshape(2, 32, 32, 3)
TEXTS = ["a cat", "a dog at night"]
SECONDS = 120.0

STAND_IN = '''
"""As the package does it: a process that is forked for each call, given and returning what can be pickled."""
import multiprocessing, os, pickle, sys
from pathlib import Path

LOG = Path(os.environ["SPACES_LOG"])
assert "torch" not in sys.modules or os.environ.get("TORCH_IS_THERE")

def note(line):
    with LOG.open("a") as log:
        print(line, file=log)

def GPU(task=None, *, duration=None):
    if task is None:
        return lambda task: GPU(task, duration=duration)
    note(f"decorated for {duration} seconds")
    context = multiprocessing.get_context("fork")
    def there(given, answers):
        try:
            answers.send(task(*pickle.loads(given)))
        except Exception as error:
            answers.send(type(error).__name__)
    def lent(*arguments):
        if os.environ.get("QUOTA") == "0":
            raise RuntimeError("You have exceeded your GPU quota")
        note(f"lent for {arguments[1]}")
        mine, theirs = context.Pipe()
        process = context.Process(target=there, args=(pickle.dumps(arguments), theirs))
        process.start()
        found = mine.recv()
        process.join()
        if isinstance(found, str):
            raise RuntimeError(found)
        return found
    return lent
'''
STARTUP = "from spaces import note\n\ndef startup():\n    note('started')\n"


@pytest.fixture
def spaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package, beside what is installed; its log."""
    package = tmp_path / "site" / "spaces"
    (package / "zero").mkdir(parents=True)
    (package / "__init__.py").write_text(STAND_IN)
    (package / "zero" / "__init__.py").write_text(STARTUP)
    log = tmp_path / "log"
    monkeypatch.setenv("SPACES_LOG", str(log))
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.syspath_prepend(package.parent)
    yield log
    for name in ("spaces", "spaces.zero"):
        sys.modules.pop(name, None)


@pytest.fixture
def lent(spaces: Path, tiny_assets: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """This process may ask for the GPU."""
    monkeypatch.setenv("TORCH_IS_THERE", "1")
    zero_gpu.prepare()
    yield spaces
    zero_gpu.leave()


def test_batches_are_encoded_where_the_gpu_is_and_queries_here(lent: Path):
    source = find_model("mini-clean")
    plain = Encoder(source)
    with EncoderRegistry().lend(source) as encoder:
        np.testing.assert_array_equal(encoder.encode_pixels(PIXELS), plain.encode_pixels(PIXELS))
        np.testing.assert_array_equal(encoder.encode_texts(TEXTS), plain.encode_texts(TEXTS))
        np.testing.assert_array_equal(encoder.encode_texts(TEXTS, fill=False), plain.encode_texts(TEXTS, fill=False))
    assert lent.read_text().splitlines() == [
        "decorated for 20 seconds", "lent for encode_pixels", "lent for encode_texts",
    ]  # fmt: skip


def test_a_gpu_that_cannot_be_had_is_said_in_a_sentence(lent: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("QUOTA", "0")
    with EncoderRegistry().lend(find_model("mini-clean")) as encoder:
        sentence = r"could not encode with mini-clean \(You have exceeded your GPU quota\); sign in, or try again later"
        with pytest.raises(ModelError, match=sentence):
            encoder.encode_texts(TEXTS)


def test_elsewhere_nothing_is_decorated(spaces: Path, tiny_assets: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SPACES_ZERO_GPU")
    zero_gpu.prepare()
    zero_gpu.announce()
    with EncoderRegistry().lend(find_model("mini-clean")) as encoder:
        assert type(encoder) is Encoder
    assert not spaces.exists()


def test_the_app_asks_before_torch_is_imported_and_tells_the_space_when_it_answers(
    spaces: Path, tiny_assets: Path, tmp_path: Path
):
    path = f"{spaces.parent / 'site'}{os.pathsep}{ROOT}"
    environment = {**os.environ, "PORT": free_port(), "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}
    log = (tmp_path / "app.log").open("w")
    with log, subprocess.Popen([sys.executable, str(ROOT / "app.py")], env=environment, stdout=log, stderr=log) as app:
        try:
            end = time.monotonic() + SECONDS
            while not spaces.exists() or "started" not in spaces.read_text():
                assert app.poll() is None, (tmp_path / "app.log").read_text()
                assert time.monotonic() < end
                time.sleep(0.2)
        finally:
            app.terminate()
    assert spaces.read_text().splitlines() == ["decorated for 20 seconds", "started"]
