"""Starting the app: ports, and settings that keep visitors apart from the machine."""

import socket

import pytest

from salmu_demo.config import runs_dir
from salmu_demo.errors import SalmuError
from salmu_demo.ui import app


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in ("PORT", "GRADIO_SERVER_PORT", "SPACE_ID"):
        monkeypatch.delenv(name, raising=False)


def test_port_comes_from_the_environment(monkeypatch):
    assert app.chosen_port() is None
    monkeypatch.setenv("GRADIO_SERVER_PORT", "8001")
    assert app.chosen_port() == 8001
    monkeypatch.setenv("PORT", "8000")
    assert app.chosen_port() == 8000


@pytest.mark.parametrize("value", ["0", "65536", "-1", "eighty", "80.5"])
def test_a_port_that_is_none_is_refused(monkeypatch, value):
    monkeypatch.setenv("PORT", value)
    with pytest.raises(SalmuError, match="number from 1 to 65535"):
        app.chosen_port()


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


def test_a_missing_data_set_gives_one_sentence(capsys):
    with pytest.raises(SystemExit) as stopped:
        app.main("/no/such/folder")
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("salmu-demo: /no/such/folder is no folder")


def test_nothing_of_visitors_is_kept_or_published():
    options = app.launch_options()
    assert options["run_history"] is False
    assert options["show_error"] is False
    assert options["enable_monitoring"] is False
    assert "share" not in options
    assert "allowed_paths" not in options
    assert str(runs_dir()) in options["blocked_paths"]
