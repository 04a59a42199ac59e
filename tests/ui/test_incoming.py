"""What strangers send in place of files, and what becomes of the files they do send: over HTTP, to the running app."""

import io
import os
import re
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from salmu_demo.ui.shell.incoming import MAX_FILES
from salmu_demo.ui.shell.visitor_files import visitor_files
from tests.ui.client import END, MULTIPART, Visitor, file_payload, multipart

REFUSED = ("was not uploaded here", "does not ask for")
VISITORS = 12

Left = Callable[[], list[Path]]


def png(colour: str = "teal") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (50, 70), colour).save(stream, "PNG")
    return stream.getvalue()


def files() -> set[Path]:
    """All that is held of visitors, but for jobs' own files."""
    return {path for path in visitor_files().root.rglob("*") if path.is_file() and "private" not in path.parts[-3:]}


@pytest.fixture
def files_left(app_url: str) -> Left:
    """A function that lists what a test has left: the page hands out what was made for others before, for a while."""
    before = files()
    return lambda: sorted(files() - before)


def forged(victim: Path, fifo: Path) -> dict[str, object]:
    """Payloads for files that were not uploaded, by what is odd about them."""
    path = str(victim)
    return {
        "no meta": {"path": path},
        "empty meta": {"path": path, "meta": {}},
        "other meta": {"path": path, "meta": {"_type": "x"}},
        "meta that is a text": {"path": path, "meta": "x"},
        "meta": file_payload(path),
        "stream": file_payload(path, is_stream=True),
        "address beside it": {"path": path, "url": "http://127.0.0.1:1/x.png"},
        "address for it": file_payload("http://127.0.0.1:1/x.png"),
        "only an address": {"url": path},
        "image in the address": {"url": "data:image/png;base64,iVBORw0KGgo="},
        "relative": {"path": os.path.relpath(victim)},
        "relative with meta": file_payload(os.path.relpath(victim)),
        "fifo": {"path": str(fifo)},
        "fifo with meta": file_payload(str(fifo)),
        "folder": {"path": str(victim.parent)},
        "link": {"path": str(victim.parent / "link.png")},
        "number": {"path": 7},
        "null": {"path": None},
        "deep": [[{"path": path}]],
        "in a list": [{"path": path}],
    }


@pytest.mark.parametrize("taking", ["probe-image", "upload-model", "board-import"])
def test_nothing_but_an_upload_is_opened_shown_or_removed(app_url: str, tmp_path: Path, capfd, taking: str):
    victim, fifo = tmp_path / "victim.png", tmp_path / "fifo.png"
    victim.write_bytes(png())
    os.mkfifo(fifo)
    (tmp_path / "link.png").symlink_to(victim)
    visitor = Visitor(app_url)
    for kind, value in forged(victim, fifo).items():
        outcome = visitor.send(taking, "upload", value)
        assert any(sentence in str(outcome.error) for sentence in REFUSED), (kind, outcome)
        assert victim.read_bytes() == png(), kind
        assert fifo.exists(), kind
    assert "Traceback" not in capfd.readouterr().err


def test_visitors_with_the_same_image_at_once_lose_nothing(app_url: str, files_left: Left):
    def search(_: int) -> str:
        visitor = Visitor(app_url)
        outcome = visitor.send("probe-image", "upload", visitor.upload("face.png", png()))
        return outcome.error or "".join(re.findall("<tbody>.*?</tbody>", outcome.data[-1]))

    with ThreadPoolExecutor(VISITORS) as pool:
        answers = set(pool.map(search, range(VISITORS)))
    assert [answer[:200] for answer in answers if not answer.startswith("<tbody>")] == []
    assert len(answers) == 1
    assert files_left() == []


def test_visitors_with_the_same_model_at_once_lose_nothing(app_url: str, tiny_assets: Path, files_left: Left):
    content = next((tiny_assets / "models" / "mini-clean").glob("*.safetensors")).read_bytes()

    def add(_: int) -> str | None:
        visitor = Visitor(app_url)
        return visitor.send("upload-model", "upload", visitor.upload("same.safetensors", content)).error

    with ThreadPoolExecutor(8) as pool:
        errors = set(pool.map(add, range(8)))
    assert not any("gone" in str(error) or "cannot be kept" in str(error) for error in errors)
    assert files_left() == []


def test_an_image_is_nobody_elses_and_gone_after_any_end(app_url: str, files_left: Left):
    visitor, other = Visitor(app_url), Visitor(app_url)
    first, second = (page.upload("face.png", png()) for page in (visitor, other))
    assert first["path"] != second["path"]
    address = f"gradio_api/file={first['path']}"
    assert visitor.get(address) == png()
    assert visitor.send("probe-image", "upload", first).error is None
    assert other.status(address) == 403
    assert "is gone" in str(other.send("probe-image", "upload", first).error)
    assert other.send("probe-image", "upload", second).error is None
    private = visitor_files().private_folder("test", 100) / "result.json"
    private.write_text("{}")
    assert visitor.status(f"gradio_api/file={private}") == 403
    private.unlink()
    broken = visitor.upload("face.png", png()[:40])
    assert "is not an image" in str(visitor.send("probe-image", "upload", broken).error)
    assert files_left() == []


def test_an_upload_that_breaks_off_leaves_nothing(app_url: str, files_left: Left):
    address = urlsplit(app_url)
    head = (
        f"POST /gradio_api/upload HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 90000000\r\n"
        "Content-Type: multipart/form-data; boundary=edge\r\n\r\n"
    )
    assert address.hostname
    with socket.create_connection((address.hostname, address.port or 80)) as connection:
        connection.sendall(head.encode() + multipart("face.png", bytes(3_000_000)))
        wait_until(lambda: files_left() != [])
    wait_until(lambda: files_left() == [])
    assert list(visitor_files().uploads.iterdir()) == []


def wait_until(condition) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(
    "body",
    [b"", b"--edge", b"--edge\r\n\r\nx\r\n--edge--", multipart("x.png", b"x") * (MAX_FILES + 1) + END],
    ids=["empty", "cut off", "without a head", "too many files"],
)
def test_what_is_not_an_upload_is_refused(app_url: str, body: bytes, files_left: Left):
    visitor = Visitor(app_url)
    assert visitor.status("gradio_api/upload", body) == 400
    code = visitor.status("gradio_api/upload", body, MULTIPART)
    assert code == 400 or visitor.post("upload", body, MULTIPART) == []
    assert files_left() == []


def test_what_else_comes_with_an_upload_is_not_kept(app_url: str, files_left: Left):
    body = multipart("x.png", b"x", field="other") + multipart("../../face.png", b"y") + END
    (path,) = Visitor(app_url).post("upload", body, MULTIPART)
    assert [file.name for file in files_left()] == ["face.png"]
    with visitor_files().claimed(path) as file:
        assert file.read_bytes() == b"y"


@pytest.mark.parametrize("path", ["deep_link?session_hash={}", "file=http://127.0.0.1/", "file=https://example.org/x"])
def test_routes_without_a_use_here_are_closed(app_url: str, path: str):
    visitor = Visitor(app_url)
    visitor.send("probe-search", "click")
    assert visitor.status(f"gradio_api/{path.format(visitor.session)}") == 404


def test_routes_that_write_for_anybody_are_closed(app_url: str):
    for path in ("component_server", "process_recording"):
        assert Visitor(app_url).status(f"gradio_api/{path}", b"{}") == 404
    assert not (visitor_files().served / "deep_links").exists()


@pytest.mark.parametrize("path", ["cancel", "reset"])
def test_an_event_without_a_number_is_stopped_without_a_fault(app_url: str, path: str):
    # The page asks for it where a visitor clicks on before it was told the number.
    named = b'{"event_id": "none of ours", "session_hash": "a", "fn_index": 0}'
    assert Visitor(app_url).status(f"gradio_api/{path}", named.replace(b'"none of ours"', b"null")) == 200
    assert Visitor(app_url).status(f"gradio_api/{path}", b'{"event_id": 5}') == 422
