"""Loaded models stay within the budget, are shared, and are never dropped while somebody uses them."""

import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from salmu_demo.core import memory as memory_module
from salmu_demo.core.errors import ModelError
from salmu_demo.core.memory import BUDGET_VARIABLE, Memory, memory_budget
from salmu_demo.models import encoder as encoder_module
from salmu_demo.models.registry import EncoderRegistry
from salmu_demo.models.source import ModelSource
from tests.fixtures.checkpoints import write_tensors

PARAMETERS = 250
SIZE = 4 * PARAMETERS


class FakeEncoder:
    """Takes a moment to load, and fails if the name says so."""

    loads: list[str] = []  # noqa: RUF012 - reset by the fixture
    alive: weakref.WeakSet["FakeEncoder"] = weakref.WeakSet()  # noqa: RUF012 - as above

    def __init__(self, source: ModelSource) -> None:
        FakeEncoder.loads.append(source.name)
        time.sleep(0.02)
        if source.name == "broken" and FakeEncoder.loads.count("broken") < 2:
            raise ModelError("broken does not load.")
        self.source = source
        FakeEncoder.alive.add(self)


@pytest.fixture(autouse=True)
def _fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_module, "Encoder", FakeEncoder)
    FakeEncoder.loads, FakeEncoder.alive = [], weakref.WeakSet()


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, ModelSource]:
    """Four models of equal size, of which one does not load at first."""
    found = {}
    for number, name in enumerate(("a", "b", "c", "broken")):
        path = write_tensors(tmp_path / name, {"x": np.full(PARAMETERS, number, np.float16)})
        found[name] = ModelSource(name, path, {"model_cfg": {}})
    return found


def in_memory() -> list[str]:
    """The models that something still holds, which is only the registry once nobody uses them."""
    return sorted(encoder.source.name for encoder in FakeEncoder.alive)


def use(registry: EncoderRegistry, source: ModelSource) -> None:
    with registry.lend(source) as encoder:
        assert encoder.source is source


def test_the_model_unused_for_longest_goes_first(sources: dict[str, ModelSource]):
    registry = EncoderRegistry(2 * SIZE)
    for name in ("a", "b", "a", "c", "a", "b"):
        use(registry, sources[name])
    assert FakeEncoder.loads == ["a", "b", "c", "b"]
    assert in_memory() == ["a", "b"]


def test_one_large_model_takes_the_place_of_several_small_ones(sources: dict[str, ModelSource], tmp_path: Path):
    registry = EncoderRegistry(3 * SIZE)
    for name in ("a", "b", "c"):
        use(registry, sources[name])
    path = write_tensors(tmp_path / "large", {"x": np.zeros(2 * PARAMETERS, np.float32)})
    use(registry, ModelSource("large", path, {"model_cfg": {}}))
    assert in_memory() == ["c", "large"]


def test_a_model_in_use_is_never_dropped_and_others_wait_for_its_memory(sources: dict[str, ModelSource]):
    registry, waiting = EncoderRegistry(SIZE), threading.Event()

    def other() -> None:
        waiting.set()
        use(registry, sources["b"])

    with ThreadPoolExecutor(1) as pool:
        with registry.lend(sources["a"]):
            later = pool.submit(other)
            waiting.wait(timeout=10)
            time.sleep(0.05)
            assert not later.done()
            assert in_memory() == ["a"]
            use(registry, sources["a"])
        later.result(timeout=10)
    assert FakeEncoder.loads == ["a", "b"]
    assert in_memory() == ["b"]


def test_whoever_waits_too_long_is_told(sources: dict[str, ModelSource], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory_module, "PATIENCE_SECONDS", 0.05)
    registry = EncoderRegistry(SIZE)
    with (
        registry.lend(sources["a"]),
        pytest.raises(ModelError, match=f"b has to wait too long for memory .* raise {BUDGET_VARIABLE}"),
        registry.lend(sources["b"]),
    ):
        pass
    use(registry, sources["b"])


def test_a_model_larger_than_the_budget_is_refused_before_it_is_loaded(sources: dict[str, ModelSource]):
    with pytest.raises(ModelError, match=r"a takes 0\.00 GB, more than .* raise SALMU_MODEL_MEMORY_GB"):
        use(EncoderRegistry(SIZE - 1), sources["a"])
    assert FakeEncoder.loads == []


def test_callers_that_ask_at_once_share_one_loading(sources: dict[str, ModelSource]):
    registry, start = EncoderRegistry(SIZE), threading.Barrier(4)

    def ask(_: int) -> int:
        start.wait(timeout=10)
        with registry.lend(sources["a"]) as encoder:
            return id(encoder)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1
    assert FakeEncoder.loads == ["a"]


def test_a_model_that_fails_takes_no_other_down_and_is_tried_again(sources: dict[str, ModelSource]):
    registry = EncoderRegistry(2 * SIZE)
    use(registry, sources["a"])
    with pytest.raises(ModelError, match="does not load"):
        use(registry, sources["broken"])
    assert in_memory() == ["a"]
    use(registry, sources["broken"])
    use(registry, sources["a"])
    assert FakeEncoder.loads == ["a", "broken", "broken"]


def test_the_budget_comes_from_the_environment_or_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv(BUDGET_VARIABLE, "1.5")
    assert memory_budget() == 1_500_000_000
    for value in ("0", "-1", "much", "nan", "inf"):
        monkeypatch.setenv(BUDGET_VARIABLE, value)
        with pytest.raises(ModelError, match=f"{BUDGET_VARIABLE} is '{value}'; it must be a positive number"):
            memory_budget()
    monkeypatch.delenv(BUDGET_VARIABLE)
    limit = tmp_path / "memory.max"
    limit.write_text("1000000\n")
    monkeypatch.setattr(memory_module, "CONTAINER_LIMIT", limit)
    assert memory_budget() == 400_000
    limit.write_text("max\n")
    assert memory_budget() > 100_000_000


# Everything else that is made once and shared


class Thing:
    """Something that takes memory."""

    def __init__(self, name: str) -> None:
        self.name = name


TAKES = 100 + memory_module.OVERHEAD_BYTES


def ask(memory: Memory, name: str) -> Thing:
    thing = memory.once(name, lambda: Thing(name), lambda made: 100)
    assert thing.name == name
    return thing


def test_whoever_asks_while_a_thing_is_made_gets_the_same_one():
    memory, start, made = Memory(10 * TAKES), threading.Barrier(4), []

    def make() -> Thing:
        made.append(Thing("a"))
        # Long enough for the others to ask meanwhile.
        time.sleep(0.1)
        return made[-1]

    def ask_for_it(_: int) -> Thing:
        start.wait(timeout=10)
        return memory.once("a", make, lambda thing: 100)

    with ThreadPoolExecutor(4) as pool:
        things = set(pool.map(ask_for_it, range(4)))
    assert things == set(made)
    assert len(made) == 1
    assert memory.once("a", make, lambda thing: 100) in things
    assert memory.taken() == TAKES


def test_two_who_ask_at_the_same_instant_do_not_both_make_it(monkeypatch: pytest.MonkeyPatch):
    """The second is let in between the first's look and its claim, which only the lock prevents."""
    made: list[Thing] = []
    looked, inside = threading.Event(), threading.Semaphore(2)

    class Slow(memory_module.OrderedDict):  # type: ignore[name-defined,misc]
        def __contains__(self, key: object) -> bool:
            found = super().__contains__(key)
            if inside.acquire(blocking=False):
                looked.set()
                time.sleep(0.1)
            return found

    monkeypatch.setattr(memory_module, "OrderedDict", Slow)
    memory = Memory(10 * TAKES)

    def make() -> Thing:
        made.append(Thing("a"))
        return made[-1]

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(memory.once, "a", make, lambda thing: 100)
        assert looked.wait(timeout=10)
        second = pool.submit(memory.once, "a", make, lambda thing: 100)
        assert first.result(timeout=10) is second.result(timeout=10)
    assert len(made) == 1


def test_a_thing_unused_for_longest_makes_room_and_is_let_go():
    memory = Memory(2 * TAKES)
    first = weakref.ref(ask(memory, "a"))
    ask(memory, "b")
    kept = ask(memory, "a")
    ask(memory, "c")
    assert ask(memory, "a") is kept
    assert memory.taken() == 2 * TAKES
    del kept
    for name in ("d", "e"):
        ask(memory, name)
    assert first() is None


def test_a_thing_that_does_not_fit_is_given_and_not_kept():
    memory = Memory(2 * TAKES)
    ask(memory, "a")
    assert memory.once("large", lambda: Thing("large"), lambda made: 3 * TAKES).name == "large"
    assert memory.taken() == TAKES
    kept = ask(memory, "a")
    assert ask(memory, "a") is kept


def test_models_and_other_things_share_one_budget(sources: dict[str, ModelSource]):
    registry = EncoderRegistry(SIZE + TAKES)
    ask(registry.memory, "gallery")
    use(registry, sources["a"])
    assert registry.memory.taken() == SIZE + TAKES
    use(registry, sources["b"])
    # The gallery was unused for longest.
    assert registry.memory.taken() == 2 * SIZE
    with registry.lend(sources["b"]):
        for name in ("gallery", "another"):
            ask(registry.memory, name)
            assert registry.memory.taken() == SIZE + TAKES
    assert FakeEncoder.loads == ["a", "b"]


def test_a_failure_is_told_to_all_who_wait_and_not_remembered():
    memory, asked, fail = Memory(10 * TAKES), threading.Barrier(2), threading.Event()

    def broken() -> Thing:
        fail.wait(timeout=10)
        raise ModelError("not now")

    def ask_for_it(_: int) -> str:
        asked.wait(timeout=10)
        with pytest.raises(ModelError, match="not now"):
            memory.once("a", broken, lambda thing: 100)
        return "told"

    with ThreadPoolExecutor(2) as pool:
        waiting = pool.map(ask_for_it, range(2))
        time.sleep(0.1)
        fail.set()
        assert list(waiting) == ["told", "told"]
    assert memory.taken() == 0
    assert ask(memory, "a").name == "a"


def test_a_maker_may_ask_for_other_things_while_others_ask_for_its_own():
    memory, inner = Memory(10 * TAKES), threading.Event()

    def outer() -> Thing:
        inner.set()
        return Thing(f"of {ask(memory, 'inner').name}")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(memory.once, "outer", outer, lambda made: 100)
        inner.wait(timeout=10)
        second = pool.submit(memory.once, "outer", outer, lambda made: 100)
        assert first.result(timeout=10) is second.result(timeout=10)
    assert ask(memory, "inner").name == "inner"
    assert memory.taken() == 2 * TAKES
