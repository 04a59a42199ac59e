"""The Dockerfile's steps, taken here without Docker: what it copies is there and is enough, and the app answers."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
STEPS = [
    (step, rest)
    for step, _, rest in (
        line.partition(" ")
        for line in re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text("utf-8")).splitlines()
        if line and not line.startswith("#")
    )
]
COPIED = [name for step, rest in STEPS if step == "COPY" for name in rest.split()[:-1]]
ENVIRONMENT = dict(each.split("=", 1) for step, rest in STEPS if step == "ENV" for each in rest.split())
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


def only(wanted: str) -> str:
    [found] = [rest for step, rest in STEPS if step == wanted]
    return found


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of the container, with what is copied there and nothing else of this repository."""
    # What other tests of this process leave, Gradio's folder for one, would stand in for the container's own.
    for name in list(os.environ):
        if name == "PYTHONPATH" or name.startswith(("SALMU_", "GRADIO_", "SPACE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    # Nobody can write there, not even root.
    monkeypatch.setenv("HOME", "/proc/nobody")
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value.replace("/data", str(tmp_path / "data")))
    monkeypatch.setenv("PORT", free_port())
    (tmp_path / "app").mkdir()
    (tmp_path / "data").mkdir()
    for name in COPIED:
        source, target = ROOT / name, tmp_path / "app" / name
        if name == "assets":  # a hundred megabytes, of which a link is as good
            target.symlink_to(source)
        elif source.is_dir():
            shutil.copytree(source, target)  # with what is compiled, which changes nothing but the time
        else:
            shutil.copyfile(source, target)
    return tmp_path / "app"


def test_what_is_copied_is_there_and_not_ignored():
    allowed = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert allowed[0] == "*"
    assert {line.removeprefix("!") for line in allowed if line.startswith("!")} == set(COPIED)
    tracked = subprocess.run(["git", "-C", str(ROOT), "ls-files", *COPIED], capture_output=True, text=True, check=True)
    assert {Path(name).parts[0] for name in tracked.stdout.splitlines()} == set(COPIED)


def test_the_app_runs_as_the_user_and_on_the_port_that_the_files_agree_on():
    assert "useradd --create-home --uid 1000 user" in STEPS[2][1]
    assert only("USER") == "user"
    order = [step for step, _ in STEPS]
    assert order.index("COPY") < order.index("USER") < order.index("CMD")
    assert any(step == "RUN" and "-r requirements.txt" in rest for step, rest in STEPS)
    port = only("EXPOSE")
    assert port == ENVIRONMENT["PORT"]
    service = COMPOSE["services"]["salmu-demo"]
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert service["volumes"] == [f"data:{only('VOLUME')}"]
    assert all(ENVIRONMENT[name].startswith("/data/") for name in ("HF_HOME", "SALMU_CACHE_DIR", "SALMU_RUNS_DIR"))


def test_the_app_is_healthy_with_what_was_copied_and_a_home_nobody_can_write_to_and_stops_when_told(container: Path):
    health = json.loads(only("HEALTHCHECK").partition("CMD ")[2])
    check = [sys.executable, *health[1:]]
    assert subprocess.run(check, capture_output=True, check=False).returncode != 0
    command = [sys.executable, *json.loads(only("CMD"))[1:]]
    with subprocess.Popen(command, cwd=container, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as app:
        try:
            said = app.stdout.readline()
            assert said.startswith("salmu-demo is running on "), app.communicate()[1]
            assert subprocess.run(check, capture_output=True, check=False).returncode == 0
            assert [path.name for path in (container.parent / "data").iterdir()] == ["cache"]
            assert list((container.parent / "data" / "cache" / "gradio").iterdir())
        finally:
            app.terminate()  # As `docker stop` does.
            _, errors = app.communicate(timeout=30)
    assert app.returncode == 128 + signal.SIGTERM
    assert errors.splitlines()[-1] == "salmu-demo: stopped."
    assert "Traceback" not in errors
    assert not list((container.parent / "data" / "cache" / "gradio").iterdir())


def test_a_container_without_a_place_to_write_is_told_so(container: Path):
    bare = {name: value for name, value in os.environ.items() if not name.startswith("SALMU_")}
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=container, env=bare, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    # matplotlib has said before where its own files go.
    assert done.stderr.splitlines()[-1].startswith(
        "salmu-demo: The cache cannot be written to /proc/nobody/.cache/salmu-demo"
    )
