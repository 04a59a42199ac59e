"""Data that somebody made to do harm: refused in one sentence, or shown as the text it is."""

import io
import json
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from salmu_demo.cli.main import run
from salmu_demo.core.errors import DataError, ImageError, SalmuError
from salmu_demo.data import dataset, layout
from salmu_demo.data.dataset import load_folder
from salmu_demo.data.images import decode_image
from salmu_demo.data.source import load_data
from salmu_demo.ui.shell.bar import header
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.tabs.audit.tab import AuditPages, Search
from salmu_demo.ui.tabs.probe.view import answer_html
from salmu_demo.ui.widgets.images import Thumbnails
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.search import Query, answer_csv, answer_json, search, settings_of
from salmu_demo.workbench.warmup import WarmUp
from tests.fixtures.hub import run_hub, speak_to

EVIL = '=HYPERLINK("http://evil.example")<img src=x onerror=alert(1)></td><script>alert(1)</script>\x1b]0;owned\x07{0}'
PERSON = "00000001"


@pytest.fixture
def folder(tmp_path: Path, tiny_assets: Path) -> Path:
    return Path(shutil.copytree(tiny_assets / "salmu-mini", tmp_path / "data set"))


def change_json(path: Path, change: Callable[[Any], Any]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text("utf-8")))), "utf-8")


def change_column(folder: Path, split: str, column: str, change: Callable[[list[Any]], list[Any]]) -> None:
    for path in sorted((folder / "data").glob(f"{split}-*")):
        table = pq.read_table(path)
        number = table.column_names.index(column)
        values = pa.array(change(table.column(column).to_pylist()), table.schema.field(column).type)
        pq.write_table(table.set_column(number, column, values), path)


def everything_below(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(pattern: str, work: Callable[[], object], kind: type[SalmuError] = DataError) -> None:
    with pytest.raises(kind, match=pattern) as error:
        work()
    assert "\n" not in str(error.value)


# Links


@pytest.mark.parametrize("name", ["identities_metadata.json", "data/forget-00000-of-00001.parquet", "data"])
def test_a_link_that_leads_out_of_a_folder_is_not_followed(folder: Path, tmp_path: Path, name: str):
    inside, outside = folder / name, tmp_path / "outside"
    if not inside.exists():
        inside = next((folder / "data").glob("forget-*"))
    inside.rename(outside)
    inside.symlink_to(outside)
    refused("is a link that leads out of the data set", lambda: load_folder(folder))


def test_links_within_a_snapshot_of_the_hub_are_followed(folder: Path, tmp_path: Path):
    repository = tmp_path / "datasets--org--name"
    (repository / "blobs").mkdir(parents=True)
    snapshot = Path(shutil.copytree(folder, repository / "snapshots" / "c0ffee"))
    shard = next((snapshot / "data").glob("forget-*"))
    shard.rename(repository / "blobs" / "abc")
    shard.symlink_to("../../../blobs/abc")
    assert load_folder(snapshot).fingerprint == load_folder(folder).fingerprint
    shard.unlink()
    shard.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_bytes((repository / "blobs" / "abc").read_bytes())
    refused("is a link that leads out of the data set", lambda: load_folder(snapshot))


@pytest.mark.parametrize("path", ["data/../../../../escape.parquet", "../escape.json", "/tmp/escape.json"])
def test_a_hub_that_names_paths_outside_its_repository_writes_nothing_there(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, path: str
):
    with run_hub() as (hub, address):
        speak_to(address, tmp_path / "cache" / "hub", monkeypatch)
        hub.add("datasets/org/data", folder).files[path] = b"{}"
        before = everything_below(folder)
        refused("org/data", lambda: load_data("org/data"))
    assert everything_below(folder) == before
    assert not list(tmp_path.rglob("escape*"))
    assert not Path("/tmp/escape.json").exists()


# Names and captions


@pytest.fixture
def evil(folder: Path) -> Path:
    """Every text the data set holds tries to be markup, a formula, a terminal command and a path at once."""
    change_json(
        folder / layout.IDENTITIES_FILE,
        lambda people: {
            person: {**facts, "name": f"{EVIL} {facts['name']}", "city": EVIL, "emails": [EVIL]}
            for person, facts in people.items()
        },
    )
    for split in ("forget", "holdout_association", "holdout_identity", "retain_synth"):
        change_column(folder, split, "text", lambda texts: [f"{EVIL} {text}" for text in texts])
        change_column(folder, split, "file_name", lambda names: [f"../../../tmp/{EVIL}/{name}" for name in names])

    def captions(found: dict[str, Any]) -> dict[str, Any]:
        renamed = {f"../../../tmp/{EVIL}/{name}": value for name, value in found.items()}
        first = next(name for name in renamed if PERSON in name)
        return {**renamed, first: {"caption": EVIL, "data_field": EVIL}}

    change_json(folder / layout.CAPTIONS_FILE, captions)
    change_json(folder / layout.IDENTITIES_FILE, lambda people: {p: {**f, EVIL: EVIL} for p, f in people.items()})
    return folder


def test_hostile_texts_reach_no_terminal_and_no_file_by_their_own_path(
    evil: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    before = set(tmp_path.rglob("*"))
    output = tmp_path / "out"
    for command in (
        ["data", "describe", str(evil)],
        ["probe", "mini-clean", "mini-compromised", "--persona", PERSON, "--data", str(evil)],
        ["probe", "mini-clean", "--text", "a person", "--data", str(evil)],
        ["evaluate", "mini-clean", "--data", str(evil), "--output", str(output), "--metrics", "AssocStr,CoreAssoc"],
    ):
        assert run(command) == 0
        printed = capfd.readouterr()
        assert "\x1b" not in printed.out + printed.err
        assert "\x07" not in printed.out + printed.err
    assert {path.parent for path in set(tmp_path.rglob("*")) - before} <= {output, tmp_path}


def test_hostile_texts_are_shown_as_text_on_the_page_and_in_its_files(evil: Path):
    bench = Workbench(str(evil))
    models = ["mini-compromised", "mini-clean"]
    bench.warm(bench.models(models))
    pages = AuditPages(bench, WarmUp(bench))
    opened = View(PERSON, "city")
    page, detail = pages.page(opened, models), pages.detail(opened, models, Search("all", 20, differs_only=False))
    everybody = pages.page(View(), models)
    assert detail is not None
    assert everybody.overview is not None
    answer = search(bench, models, Query(EVIL), settings_of("captions", "all", 20))
    shown = [value for value in (*vars(page).values(), *vars(detail).values()) if isinstance(value, str)]
    shown += [everybody.persona, everybody.overview.head, everybody.overview.table]
    shown += [answer_html(answer, False, Thumbnails(bench.data).address), header(bench.data, EVIL)]
    for markup in shown:
        assert "<script" not in markup
        assert "<img src=x" not in markup
        assert "onerror=alert(1)>" not in markup.replace("onerror=alert(1)&gt;", "")
    assert any("&lt;script&gt;" in markup for markup in shown)
    for line in answer_csv(answer).splitlines():
        for cell in line.split(","):
            assert not cell.strip('"').startswith(("=", "@"))
    assert json.loads(answer_json(answer))


# Images


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(stream, "JPEG")
    return stream.getvalue()


IMAGES = {
    "bomb": (png_that_claims(100_000, 100_000), "has more than the 50,000,000 pixels"),
    "claims more than it holds": (png_that_claims(5000, 5000), "is not an image that can be read"),
    "cut off": (jpeg()[:400], "is not an image that can be read"),
    "page": (b"<html><script>alert(1)</script></html>", "is not an image that can be read"),
    "drawing": (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "is not an image"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) print\n", "is not an image"),
    "archive": (b"PK\x03\x04" + bytes(100), "is not an image that can be read"),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_an_image_that_is_none_is_refused_where_it_is_used(folder: Path, kind: str, tmp_path: Path):
    content, pattern = IMAGES[kind]
    refused(pattern, lambda: decode_image(content, "The image"), ImageError)
    change_column(folder, "holdout_identity", "image", lambda rows: [{"bytes": content, "path": "../../x"}] * len(rows))
    data = load_folder(folder)
    refused(rf"Row 0 of holdout_identity in .*{pattern}", lambda: data.image("holdout_identity", 0), ImageError)
    assert data.image("forget", 0).mode == "RGB"  # The other splits are not affected.


# Metadata and tables


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        (b"[" * 200_000 + b"]" * 200_000, "is not readable JSON"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "is not readable JSON"),
        (b"\xff\xfe" + b"{}", "is not readable JSON"),
        (b"[1" + b"0" * 10_000 + b"]", "is not readable JSON|it must be an object"),
        (b'"text"', "it must be an object"),
        (b'{"00000001": []}', "00000001 is .*; it must be an object"),
    ],
)
def test_metadata_that_is_a_bomb_or_of_another_shape_is_refused(folder: Path, content: bytes, pattern: str):
    (folder / layout.IDENTITIES_FILE).write_bytes(content)
    refused(pattern, lambda: load_folder(folder))


def test_metadata_too_large_to_read_is_refused_before_it_is_read(folder: Path):
    with (folder / layout.CAPTIONS_FILE).open("wb") as stream:
        stream.truncate(300_000_000)  # A hole: it takes no disk.
    refused("has 300,000,000 bytes; at most 200,000,000 are read", lambda: load_folder(folder))


def test_a_table_that_unpacks_to_far_more_than_it_takes_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dataset, "MAX_TEXT_BYTES", 3_000_000)
    change_column(folder, "forget", "text", lambda texts: ["a" * 1_000_000] * len(texts))
    shard = next((folder / "data").glob("forget-*"))
    assert shard.stat().st_size < 1_000_000
    refused("unpacks to more than 3,000,000 bytes of text", lambda: load_folder(folder))


@pytest.mark.parametrize(
    ("column", "values", "pattern"),
    [
        ("text", pa.array([b"\xff"], pa.binary()), "must hold strings"),
        ("text", pa.array([["a"]]), "must hold strings"),
        ("image", pa.array(["data/forget.parquet"]), "must be a struct with the field `bytes`"),
        ("image", pa.array([{"bytes": "/etc/passwd", "path": ""}]), "must be a struct with the field `bytes`"),
        ("image", pa.array([{"bytes": None, "path": "/etc/passwd"}]), "holds no image bytes"),
        ("image", pa.array([{"bytes": 10**12, "path": ""}]), "must be a struct with the field `bytes`"),
        ("identity_id", pa.array([{"a": 1}]), ""),
        ("file_name", pa.array([None], pa.string()), ""),
    ],
)
def test_columns_of_other_types_are_refused_or_harmless(folder: Path, column: str, values: pa.Array, pattern: str):
    for path in (folder / "data").glob("holdout_identity-*"):
        table = pq.read_table(path)
        repeated = pa.chunked_array([values] * len(table))
        pq.write_table(table.set_column(table.column_names.index(column), column, repeated), path)

    def use() -> None:
        load_folder(folder).image("holdout_identity", 0)

    if pattern:
        refused(pattern, use, SalmuError)
    else:
        use()


@pytest.mark.parametrize("template", ["{0.__class__.__mro__}", "{:>9999999999}", "{!r}", "{name}"])
def test_a_template_that_does_more_than_insert_the_class_is_refused(folder: Path, template: str):
    change_json(folder / layout.GENKNOW_FILE, lambda found: {**found, "templates": [template]})
    refused("write {} where the class goes", lambda: load_folder(folder))
