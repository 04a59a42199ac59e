"""`scripts/deploy-space`: what is checked, and that a dry run pushes nothing; the Hub is a stand-in on this machine."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.hub import StandInHub, run_hub
from tests.fixtures.scripts import SCRIPTS, load_script

FRONT = "---\ntitle: x\nsdk: gradio\nsdk_version: 6.31.0\napp_file: app.py\npython_version: '3.12'\n---\n# x\n"
FILES = {"README.md": FRONT, "app.py": "print()\n", "requirements.txt": "gradio[oauth]>=6.27,<7\n", "a/b.txt": "b"}

Deploy = Callable[..., tuple[int, str]]


@pytest.fixture
def hub() -> Iterator[tuple[StandInHub, str]]:
    with run_hub() as found:
        yield found


@pytest.fixture(scope="module")
def script() -> Any:
    return load_script("deploy-space")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with one commit that holds what a Space needs."""
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    commit(tmp_path)
    return tmp_path


def commit(folder: Path) -> None:
    own = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    for command in (["init", "-q"], ["add", "-A"], [*own, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True)


@pytest.fixture
def deploy(hub: tuple[StandInHub, str], folder: Path) -> Deploy:
    """Runs the script without installing anything: its exit code, and what it printed."""

    def run(*options: str) -> tuple[int, str]:
        command = [
            sys.executable,
            str(SCRIPTS / "deploy-space"),
            "org/space",
            "--folder",
            str(folder),
            "--skip-install",
            *options,
        ]
        known = {"HF_ENDPOINT": hub[1], "HF_TOKEN": hub[0].token, "HF_HUB_DISABLE_XET": "1"}
        done = subprocess.run(command, env={**os.environ, **known}, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def test_a_dry_run_checks_and_pushes_nothing(hub: tuple[StandInHub, str], deploy: Deploy):
    code, said = deploy("--dry-run")
    assert (code, said.splitlines()[-1]) == (0, "Dry run: nothing was pushed to org/space")
    assert said.startswith("4 files, ")
    assert "GET /api/whoami-v2" in hub[0].requests
    assert all(request.startswith("GET ") for request in hub[0].requests)


def test_a_push_replaces_the_files_of_the_space(hub: tuple[StandInHub, str], deploy: Deploy):
    hub[0].add("spaces/org/space", {"old.txt": b"of an earlier version"}, hidden=True)
    code, said = deploy()
    assert code == 0, said
    found = hub[0].repositories["spaces/org/space"].files
    assert found == {name: content.encode() for name, content in FILES.items()}


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("README.md", "# x\n", "README.md has no front matter"),
        ("README.md", FRONT.replace("app_file: app.py\n", ""), "The front matter of README.md lacks app_file."),
        ("README.md", FRONT.replace("app.py", "other.py"), "an app_file that is there"),
        ("README.md", FRONT.replace("6.31.0", "5.0.0"), "The sdk_version 5.0.0 of README.md is not one"),
        ("README.md", FRONT.replace("title: x", "title: [x"), "is not YAML"),
        ("large.bin", "0" * 50_000_001, "large.bin has 50.0 MB; no file of a Space"),
    ],
)
def test_a_repository_that_no_space_can_run_is_refused(
    script: Any, folder: Path, name: str, content: str, sentence: str
):
    (folder / name).write_text(content)
    commit(folder)
    files = script.committed_files(folder)

    def check() -> None:
        script.check_front_matter(folder, files)
        script.check_sizes(files)

    with pytest.raises(script.NotReadyError, match=re.escape(sentence)):
        check()


def test_what_is_refused_is_told_in_a_sentence_and_not_pushed(
    hub: tuple[StandInHub, str], folder: Path, deploy: Deploy
):
    (folder / "README.md").write_text("# x\n")
    code, said = deploy()
    assert (code, said) == (
        2,
        "deploy-space: The working tree differs from the last commit; commit, or stash what is not for it.\n",
    )
    commit(folder)
    code, said = deploy()
    assert (code, said) == (2, "deploy-space: README.md has no front matter, which configures the Space.\n")
    assert not any(request.startswith("POST") for request in hub[0].requests)
