"""Starting the app: ports, and settings that keep visitors apart from the machine."""

import queue
import socket
import threading
from collections.abc import Iterator
from urllib.parse import quote

import gradio as gr
import httpx
import pytest
from PIL import Image

from salmu_demo.core.errors import SalmuError
from salmu_demo.core.settings import assets_dir, cache_dir, runs_dir
from salmu_demo.ui import app
from salmu_demo.ui.shell import prefix, server
from salmu_demo.ui.tabs.audit.tab import AuditPages
from salmu_demo.ui.widgets.components import link_to
from salmu_demo.ui.widgets.components import served as served_copy
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.tiny import MODELS


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in ("PORT", "GRADIO_SERVER_PORT", "GRADIO_SERVER_NAME", "SALMU_ROOT_PATH", "SPACE_ID",
                 "SALMU_FORWARDED_ALLOW_IPS"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


def test_port_comes_from_the_environment(monkeypatch):
    assert server.chosen_port() is None
    monkeypatch.setenv("GRADIO_SERVER_PORT", "8001")
    assert server.chosen_port() == 8001
    monkeypatch.setenv("PORT", "8000")
    assert server.chosen_port() == 8000


@pytest.mark.parametrize("value", ["0", "65536", "-1", "eighty", "80.5"])
def test_a_port_that_is_none_is_refused(monkeypatch, value):
    monkeypatch.setenv("PORT", value)
    with pytest.raises(SalmuError, match="number from 1 to 65535"):
        server.chosen_port()


@pytest.mark.parametrize("value", ["demo", "/a b", "//demo", "/demo/../x", "/.hidden", "https://example.org/demo"])
def test_a_root_path_that_is_none_gives_one_sentence(monkeypatch, capsys, value):
    monkeypatch.setenv("SALMU_ROOT_PATH", value)
    with pytest.raises(SystemExit) as stopped:
        app.main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"salmu-demo: SALMU_ROOT_PATH is {value!r}; it must be a path such as /demo.\n"


def test_the_page_listens_where_it_is_told_to(monkeypatch):
    assert server.chosen_host() == "127.0.0.1"
    monkeypatch.setenv("SPACE_ID", "org/space")
    assert server.chosen_host() == "0.0.0.0"
    monkeypatch.setenv("GRADIO_SERVER_NAME", "192.0.2.1")
    assert server.chosen_host() == "192.0.2.1"


def test_a_page_below_a_path_is_found_with_a_proxy_that_cuts_the_path_off_and_without(
    tiny_assets, monkeypatch, tmp_path
):
    monkeypatch.setenv("SALMU_ROOT_PATH", "/demo/one/")
    with gr.Blocks() as built:
        gr.Markdown("Below a path")
    report = tmp_path / "100 % of #1?.pdf"
    report.write_bytes(b"a report")
    link = link_to(served_copy(report))
    with server.serving(built, server.listen("127.0.0.1", None)) as served, httpx.Client() as client:
        address = served.url.removesuffix("/demo/one/")
        proxy = {"X-Forwarded-Host": "example.org", "X-Forwarded-Proto": "https"}
        for place in ("/demo/one", ""):
            assert "Below a path" in client.get(f"{address}{place}/").text
            assert client.get(f"{address}{place}/config").json()["root"] == f"{address}/demo/one"
            far = client.get(f"{address}{place}/config", headers=proxy).json()
            assert far["root"] == "https://example.org/demo/one"
            assert client.get(f"{address}{place}/theme.css").is_success
            saved = client.get(f"{address}{place}/{link.address}")
            assert (saved.content, link.size) == (b"a report", 8)
            assert quote(link.name) in saved.headers["content-disposition"]
        # A link that is relative to the page needs a page whose address ends in a slash.
        assert client.get(f"{address}/demo/one", follow_redirects=True).url.path == "/demo/one/"
        assert client.get(f"{address}/demo/oneself/config").status_code == 404


@pytest.mark.parametrize("value", ["proxy", "10.0.0.0/33", "10.0.0.1,", "10.0.0.1/8"])
def test_proxies_that_are_no_addresses_give_one_sentence(monkeypatch, capsys, value):
    monkeypatch.setenv("SALMU_FORWARDED_ALLOW_IPS", value)
    with pytest.raises(SystemExit) as stopped:
        app.main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith(
        f"salmu-demo: SALMU_FORWARDED_ALLOW_IPS is {value!r}; it must list addresses or networks such as"
    )


def test_a_path_that_is_chosen_and_left_to_proxies_gives_one_sentence(monkeypatch):
    monkeypatch.setenv("SALMU_ROOT_PATH", "/demo")
    monkeypatch.setenv("SALMU_FORWARDED_ALLOW_IPS", "*")
    with pytest.raises(SalmuError, match="SALMU_ROOT_PATH says where the page is, and SALMU_FORWARDED_ALLOW_IPS has"):
        prefix.chosen_root_path()


@pytest.mark.parametrize(
    ("listed", "host", "is_one"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("10.0.0.0/8, 192.0.2.7", "10.9.8.7", True),
        ("10.0.0.0/8, 192.0.2.7", "::ffff:192.0.2.7", True),
        ("10.0.0.0/8", "192.0.2.7", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "10.0.0.1", False),
        ("10.0.0.0/8", "not an address", False),
        ("*", "2001:db8::1", True),
    ],
)
def test_a_proxy_is_known_by_its_address(monkeypatch, listed, host, is_one):
    monkeypatch.setenv("SALMU_FORWARDED_ALLOW_IPS", listed)
    assert (host in prefix.chosen_proxies()) is is_one


def test_the_path_that_a_trusted_proxy_says_is_that_of_the_page(tiny_assets, monkeypatch):
    def build() -> gr.Blocks:
        with gr.Blocks() as built:
            place, button = gr.Image(), gr.Button()
            button.click(lambda: Image.new("RGB", (2, 2)), None, place, api_name="show", queue=False)
        return built

    def roots(client: httpx.Client, address: str, prefix: str) -> set[str]:
        """Where the page says that it is, in its configuration and in the address of a file that it hands out."""
        sent = {"X-Forwarded-Host": "example.org", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": prefix}
        config = client.get(f"{address}config", headers=sent).json()
        made = client.post(f"{address}gradio_api/run/show", json={"data": []}, headers=sent).json()
        return {config["root"], made["data"][0]["url"].partition("/gradio_api/")[0]}

    monkeypatch.setenv("SALMU_FORWARDED_ALLOW_IPS", "127.0.0.1")
    with (
        server.serving(build(), server.listen("127.0.0.1", None), lambda name: build()) as served,
        httpx.Client() as client,
    ):
        url = served.url
        assert roots(client, url, "/demo/one/") == {"https://example.org/demo/one"}
        # The proxy may pass the path on, and each request counts for itself.
        assert roots(client, f"{url}two/", "/two") == {"https://example.org/two"}
        assert roots(client, f"{url}data/other/", "/two") == {"https://example.org/two/data/other"}
        # What a visitor has sent stands before what the proxy adds.
        assert roots(client, url, "/forged, /demo") == {"https://example.org/demo"}
        assert roots(client, url, "/") == {"https://example.org"}
        nothing = client.get(url)
        assert (nothing.status_code, nothing.text.partition(",")[0]) == (
            400, "The proxy 127.0.0.1 sends no X-Forwarded-Prefix"
        )  # fmt: skip
        for forged in ("https://example.org/x", "//example.org", "/a b", "/../x", f"/{'x' * 300}"):
            refused = client.get(url, headers={"X-Forwarded-Prefix": forged})
            assert (refused.status_code, "it must be a path such as /demo" in refused.text) == (400, True), forged
    monkeypatch.setenv("SALMU_FORWARDED_ALLOW_IPS", "192.0.2.1")
    with server.serving(build(), server.listen("127.0.0.1", None)) as served, httpx.Client() as client:
        # Nobody whose word counts.
        assert roots(client, served.url, "/forged") == {"https://example.org"}


def test_a_busy_port_gives_one_sentence(tiny_assets, monkeypatch, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        with pytest.raises(SystemExit) as stopped:
            app.main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err == (
        f"salmu-demo: Port {port} of 127.0.0.1 cannot be used; set PORT to a free one.\n"
    )


@pytest.mark.parametrize("named", [[], ["mini"]])
def test_a_missing_data_set_gives_one_sentence(tiny_assets, capsys, named):
    with pytest.raises(SystemExit) as stopped:
        app.main([*named, "/no/such/folder"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("salmu-demo: /no/such/folder is not a folder")


def test_without_a_port_the_first_free_one_is_taken():
    with server.listen("127.0.0.1", None) as first, server.listen("127.0.0.1", None) as second:
        ports = [listener.getsockname()[1] for listener in (first, second)]
    assert server.DEFAULT_PORT <= ports[0] < ports[1]


def test_a_cache_that_cannot_be_written_gives_one_sentence(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(SystemExit) as stopped:
        app.main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err == (
        f"salmu-demo: The cache cannot be written to {tmp_path / 'file' / 'cache'}: Not a directory; "
        "free it or set SALMU_CACHE_DIR.\n"
    )


# A page as visitors meet it


@pytest.fixture(scope="module")
def page(tiny_assets) -> Iterator[httpx.Client]:
    """A client of the page, which is served although this process never manages to ask its own address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALMU_UPLOAD_GB", "0.03")
        patch.delenv("SPACE_ID", raising=False)
        patch.setattr("gradio.networking.url_ok", lambda _: False)
        begun = threading.Event()
        patch.setattr("salmu_demo.workbench.bench.Workbench.warm_audit", lambda *_: begun.set())
        answers = threading.Event()
        built = app.build_app(Workbench(), answers=answers)
        listener = server.listen("127.0.0.1", None)
        with server.serving(built, listener) as served, httpx.Client(base_url=served.url) as client:
            assert client.get("").is_success
            assert not begun.is_set()
            answers.set()
            assert begun.wait(30)
            assert (built.state_holder.capacity, built.has_launched) == (app.MAX_SESSIONS, True)
            yield client
    assert not served.running


def test_nothing_of_visitors_is_kept_or_published(page: httpx.Client):
    assert "share" not in server.launch_options()
    assert "allowed_paths" not in server.launch_options()
    config = page.get("config").json()
    assert (config["run_history"], config["show_error"], config["footer_links"]) == (False, False, ["settings"])
    refused = {name: page.get(name).status_code for name in ("monitoring", "gradio_api/runs", "openapi.json", "docs")}
    assert refused == {"monitoring": 403, "gradio_api/runs": 404, "openapi.json": 404, "docs": 404}
    assert page.get("gradio_api/info").json() == {"named_endpoints": {}, "unnamed_endpoints": {}}


def test_no_file_of_the_machine_is_served(page: httpx.Client):
    for folder in (runs_dir(), cache_dir() / "uploads", cache_dir() / "features", assets_dir() / "salmu-mini"):
        folder.mkdir(parents=True, exist_ok=True)
        file = next((path for path in folder.rglob("*") if path.is_file()), folder / "secret.txt")
        file.touch()
        assert page.get(f"gradio_api/file={file}").status_code == 403, file


def test_no_other_site_may_ask_for_a_visitor(page: httpx.Client):
    for origin in ("http://evil.example", "null"):
        assert "access-control-allow-origin" not in page.get("config", headers={"Origin": origin}).headers


def test_an_upload_has_a_limit(page: httpx.Client):
    def upload(size: int) -> int:
        return page.post("gradio_api/upload", files={"files": ("model.safetensors", bytes(size))}).status_code

    assert upload(1000) == 200
    assert upload(31_000_000) == 413


def test_hidden_progress_is_written_to_no_component(page: httpx.Client):
    events = page.get("config").json()["dependencies"]
    hidden = [event for event in events if event["show_progress"] == "hidden"]
    assert hidden
    assert all(event["show_progress_on"] == [] for event in hidden)
    # A handful at most of all others: each is looked up in the whole page whenever any event tells of itself.
    assert {len(event["show_progress_on"] or event["outputs"]) for event in events if event not in hidden} <= {0, 1}


def test_what_benchmarks_say_of_models_is_told_in_the_order_it_is_asked_for(page: httpx.Client, monkeypatch):
    config = page.get("config").json()
    (place,) = (c["id"] for c in config["components"] if c["props"].get("elem_id") == "audit-diagnoses")
    first, *_, last = (event["id"] for event in config["dependencies"] if event["outputs"] == [place])
    one, two = [*MODELS[:1]], [*MODELS[:2]]
    overtaken, told = threading.Event(), queue.Queue[list[str]]()

    def diagnoses(_pages: object, _view: object, references: list[str], *_: object) -> str:
        if references == one:
            overtaken.wait(0.5)  # Long enough for the other one, if that does not wait its turn.
        else:
            overtaken.set()
        told.put(references)
        return ""

    monkeypatch.setattr(AuditPages, "diagnoses", diagnoses)
    for event, references in ((first, one), (last, two)):
        asked = {"data": [None, references, []], "fn_index": event, "session_hash": "one-page"}
        assert page.post("gradio_api/queue/join", json=asked).is_success
    assert [told.get(timeout=20) for _ in range(2)] == [one, two]


def test_the_page_looks_as_it_is_meant_to(page: httpx.Client):
    config = page.get("config").json()
    assert ".portrait" in config["css"]
    assert 'name="description"' in config["head"]
    assert page.get("favicon.ico").headers["content-type"] == "image/svg+xml"
    assert "--primary-700" in page.get("theme.css").text
