"""Who asks: the same for all tabs of a visitor, another for others, and nobody can pass for another or for many."""

import gradio as gr
import pytest
from starlette.requests import Request

from salmu_demo.core.errors import SalmuError
from salmu_demo.ui.shell.visitors import PROXIES_VARIABLE, address_of, owner_of, trusted_proxies


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in ("SPACE_ID", PROXIES_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def request(address: str, *forwarded: str) -> gr.Request:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    return gr.Request(Request({"type": "http", "client": (address, 1), "headers": headers}))


def test_an_owner_is_a_hash_of_the_address():
    owner = owner_of(request("192.0.2.1"))
    assert owner == owner_of(request("192.0.2.1"))
    assert owner != owner_of(request("192.0.2.2"))
    assert "192.0.2.1" not in owner
    assert len(owner) == 64


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        ("0", ["198.51.100.7"], "192.0.2.1"),
        ("1", ["198.51.100.7"], "198.51.100.7"),
        ("1", ["invented", "203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        ("2", ["invented, 198.51.100.7, 10.0.0.1"], "198.51.100.7"),
        ("2", ["invented, 198.51.100.7", "10.0.0.1"], "198.51.100.7"),
        ("2", ["198.51.100.7"], "192.0.2.1"),
        ("1", [], "192.0.2.1"),
        ("1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("1", ["[2001:db8:1:2:3::4]:4711"], "2001:db8:1:2::/64"),
        ("1", ["2001:db8:1:2:ffff::1"], "2001:db8:1:2::/64"),
        ("1", ["::ffff:198.51.100.7"], "198.51.100.7"),
        ("1", ["unknown"], "unknown"),
    ],
)
def test_entries_count_from_the_right_over_the_trusted_proxies(monkeypatch, proxies, forwarded, address):
    monkeypatch.setenv(PROXIES_VARIABLE, proxies)
    assert address_of(request("192.0.2.1", *forwarded)) == address


def test_invented_entries_make_no_new_owner_on_a_space(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "someone/space")
    owners = {owner_of(request("10.0.0.1", f"203.0.113.{number}, 198.51.100.7")) for number in range(200)}
    assert owners == {owner_of(request("10.0.0.2", "198.51.100.7"))}


def test_one_proxy_is_trusted_on_a_space_and_none_elsewhere(monkeypatch):
    assert trusted_proxies() == 0
    monkeypatch.setenv("SPACE_ID", "someone/space")
    assert trusted_proxies() == 1


@pytest.mark.parametrize("value", ["-1", "one", "1.5", "11"])
def test_what_is_no_number_of_proxies_is_refused(monkeypatch, value):
    monkeypatch.setenv(PROXIES_VARIABLE, value)
    with pytest.raises(SalmuError, match="number of proxies from 0 to 10"):
        trusted_proxies()
