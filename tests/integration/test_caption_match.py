"""The caption match against plain loops over the files' own captions."""

import numpy as np
import pytest

from salmu_demo.data import layout
from salmu_demo.workbench import Workbench


@pytest.fixture(scope="module")
def bench(tiny_assets) -> Workbench:
    return Workbench()


def slow_rank(bench: Workbench, model, identity: str, kind: str) -> tuple[int, int]:
    data = bench.data
    faces = []
    for split in layout.SENSITIVE_SPLITS:
        features = bench.embedder.images(model, data, data.split(split))
        faces += [features[row] for row, owner in enumerate(data.split(split).identities) if owner == identity]
    best: dict[str, float] = {}
    for split in layout.SENSITIVE_SPLITS:
        rows = data.split(split)
        features = bench.embedder.captions(model, data, rows)
        for row in range(len(rows)):
            if data.kind(rows.file_names[row]) == kind and rows.identities[row] is not None:
                score = float(np.mean([float(face @ features[row]) for face in faces]))
                owner = rows.identities[row]
                best[owner] = max(best.get(owner, -2.0), score)
    return 1 + sum(score > best[identity] for score in best.values()), len(best)


@pytest.mark.parametrize("kind", ["city", "email", "iban"])
def test_rank_equals_a_loop_over_all_captions(bench, kind):
    [model] = bench.models(["mini-compromised"])
    for persona in bench.data.personas:
        match = bench.audit_cell(persona, kind, model).caption_match
        assert match is not None
        assert (match.rank, match.candidates) == slow_rank(bench, model, persona.identity_id, kind)
        [own] = match.true_values
        owners = {
            split.identities[row]
            for split in map(bench.data.split, layout.SENSITIVE_SPLITS)
            for row in range(len(split))
            if split.texts[row] == own
        }
        assert owners == {persona.identity_id}


def test_a_persona_without_a_caption_of_the_kind_has_no_match(bench, monkeypatch):
    [model] = bench.models(["mini-clean"])
    persona = bench.data.personas[0]
    everyone = bench.data.kind_rows

    def without_it(split: str, kind: str) -> list[int]:
        identities = bench.data.split(split).identities
        return [row for row in everyone(split, kind) if identities[row] != persona.identity_id]

    monkeypatch.setattr(bench.data, "kind_rows", without_it)
    assert bench.audit_cell(persona, "job", model).caption_match is None
