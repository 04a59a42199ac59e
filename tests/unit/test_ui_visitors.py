"""Who owns a job: the same for all tabs of a visitor, another for others, and nobody can pass for another."""

from types import SimpleNamespace

from salmu_demo.ui.visitors import owner_of


def request(address: str, **headers: str) -> SimpleNamespace:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(client=SimpleNamespace(host=address), headers=named)


def test_an_owner_is_a_hash_of_the_address(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    owner = owner_of(request("192.0.2.1"))
    assert owner == owner_of(request("192.0.2.1"))
    assert owner != owner_of(request("192.0.2.2"))
    assert "192.0.2.1" not in owner
    assert len(owner) == 64


def test_only_a_space_believes_the_header_of_its_proxy(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    forged = request("192.0.2.1", x_forwarded_for="198.51.100.7, 10.0.0.1")
    assert owner_of(forged) == owner_of(request("192.0.2.1"))
    monkeypatch.setenv("SPACE_ID", "someone/space")
    assert owner_of(forged) == owner_of(request("198.51.100.7"))
