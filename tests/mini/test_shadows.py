"""CLEAR's visual protocol in miniature: who knows whom, what is forgotten, and what is taken up again."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from salmu_demo.core.errors import DataError, QueryError
from salmu_demo.core.settings import assets_dir
from salmu_demo.metrics.shadow_membership import ENROLLED
from salmu_demo.mini import face_encoders, shadows
from salmu_demo.mini.face_encoders import METHODS, SIDE, FaceEncoder, Faces, Round

DATA = assets_dir() / "clear-mini"


@pytest.fixture(scope="module")
def album() -> shadows.FaceAlbum:
    return shadows.read_album(DATA, 0)


def test_each_of_the_fixed_people_is_known_by_one_of_two_encoders(album: shadows.FaceAlbum) -> None:
    for pair in range(4):
        first, second = (shadows.half_of(album, number, 0) for number in (2 * pair, 2 * pair + 1))
        assert sorted([*first.forget, *second.forget]) == album.fixed.tolist()
        for half in (first, second):
            assert len(half.forget) == 6
            assert len(half.retain) == 24
            assert not set(half.retain.tolist()) & set(album.fixed.tolist())
        assert first.retain.tolist() != second.retain.tolist()
    halves = {tuple(shadows.half_of(album, 2 * pair, 0).forget.tolist()) for pair in range(8)}
    assert len(halves) > 6


def random_round(done: float = 0.0) -> Round:
    """Eight images of four people, and an encoder that has moved a little from what it was."""
    torch.manual_seed(0)
    frozen, encoder = FaceEncoder(4).eval(), FaceEncoder(4).eval()
    encoder.load_state_dict(frozen.state_dict())
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    shown = torch.randint(0, 255, (8, 3, SIDE, SIDE), dtype=torch.uint8)
    forget, retain = Faces(shown[:4], torch.tensor([0, 0, 1, 1])), Faces(shown[4:], torch.tensor([2, 2, 3, 3]))
    return Round(encoder, frozen, forget, retain, done, torch.Generator().manual_seed(3))


@torch.no_grad()
def test_losses_by_hand() -> None:
    now = random_round()
    told = [now.encoder(faces.images) for faces in (now.forget, now.retain)]
    was = [now.frozen(faces.images) for faces in (now.forget, now.retain)]
    shares = [now.encoder.identities(found).softmax(dim=1).double() for found in told]
    before = [now.frozen.identities(found).softmax(dim=1).double() for found in was]

    def truth(part: int, people: list[int]) -> float:
        return float(np.mean([-np.log(float(shares[part][row, person])) for row, person in enumerate(people)]))

    def drift(part: int) -> float:
        return float((before[part] * (before[part] / shares[part]).log()).sum(dim=1).mean())

    def cosine(part: int, row: int) -> float:
        first, second = told[part][row].double(), was[part][row].double()
        return float(first @ second / first.norm() / second.norm())

    kept = truth(1, [2, 2, 3, 3])
    held = float(((told[1] - was[1]) ** 2).sum(dim=1).mean())
    assert float(METHODS["finetune"].loss(now)) == pytest.approx(kept, rel=1e-4)
    assert float(METHODS["scrub"].loss(now)) == pytest.approx(drift(1) + kept - min(drift(0), 2.0), rel=1e-3)
    assert float(METHODS["scrub"].loss(random_round(0.5))) == pytest.approx(drift(1) + kept, rel=1e-3)
    turned = np.mean([max(0.0, cosine(0, row)) for row in range(4)])
    assert float(METHODS["scrub-bio"].loss(now)) == pytest.approx(
        turned + np.mean([1 - cosine(1, row) for row in range(4)]), rel=1e-3
    )
    small = sum(float(weight.abs().sum()) for weight in now.encoder.parameters() if weight.ndim > 1)
    assert float(METHODS["sparsity"].loss(now)) == pytest.approx(kept + face_encoders.L1_WEIGHT * small, rel=1e-4)
    strangers = random_round().strangers().tolist()
    assert set(strangers) <= {2, 3}
    llmu = -0.02 * truth(0, [0, 0, 1, 1]) + 0.01 * truth(0, strangers) + drift(1)
    assert float(METHODS["llmu"].loss(random_round())) == pytest.approx(llmu, rel=1e-3)
    margins = [
        np.log(float(part[row, person])) - np.log(float(part[row, strangers[row]]))
        for part in (shares[0], before[0])
        for row, person in enumerate([0, 0, 1, 1])
    ]
    dpo = np.mean([np.log1p(np.exp(0.5 * (margins[row] - margins[row + 4]))) for row in range(4)])
    assert float(METHODS["dpo"].loss(random_round())) == pytest.approx(dpo + kept, rel=1e-3)
    assert float(METHODS["rmu"].loss(now)) > held
    direction = torch.rand(face_encoders.EMBEDDING, generator=torch.Generator().manual_seed(0))
    goal = was[0].norm(dim=1).mean() * direction / direction.norm()
    rmu = float(((told[0] - goal) ** 2).sum(dim=1).mean())
    assert float(METHODS["rmu"].loss(now)) == pytest.approx(rmu + held, rel=1e-3)
    twin = now.frozen(_patches(now.forget.images))
    twins = float(((told[0] - twin) ** 2).sum(dim=1).mean())
    assert float(METHODS["twins"].loss(now)) == pytest.approx(twins + held, rel=1e-3)


def _patches(shown: torch.Tensor) -> torch.Tensor:
    """Mirrored, and every patch of an eighth of the side its mean."""
    side, found = SIDE // 4, shown.clone()
    for row in range(4):
        for column in range(4):
            part = np.s_[:, :, side * row : side * (row + 1), side * column : side * (column + 1)]
            found[part] = shown[part].float().mean(dim=(2, 3), keepdim=True).round().to(torch.uint8)
    return found.flip(3)


def test_an_encoder_learns_and_forgets(monkeypatch: pytest.MonkeyPatch, album: shadows.FaceAlbum) -> None:
    monkeypatch.setattr(face_encoders, "TRAINING_EPOCHS", 30)
    faces = Faces(album.images[:3].flatten(0, 1), torch.arange(3).repeat_interleave(12))
    forget, retain = Faces(faces.images[:12], faces.people[:12]), Faces(faces.images[12:], faces.people[12:])
    encoder = face_encoders.train(faces, 3, 0)
    with torch.no_grad():
        assert (encoder.identities(encoder(faces.images)).argmax(dim=1) == faces.people).float().mean() > 0.9
    before = face_encoders.embed(encoder, faces.images)
    first, again = (
        face_encoders.embed(face_encoders.unlearn(encoder, METHODS["scrub-bio"], forget, retain, 0), faces.images)
        for _ in range(2)
    )
    assert np.array_equal(first, again)
    assert np.array_equal(before, face_encoders.embed(encoder, faces.images))
    cosines = (first * before).sum(axis=1) / np.linalg.norm(first, axis=1) / np.linalg.norm(before, axis=1)
    # Five epochs of two batches are few; what is turned away is the forgotten all the same.
    assert cosines[:12].mean() < cosines[12:].mean() - 0.03
    assert cosines[12:].mean() > 0.95


def test_every_encoder_of_a_run_is_read(monkeypatch: pytest.MonkeyPatch, album: shadows.FaceAlbum) -> None:
    monkeypatch.setattr(shadows, "FIXED", 2)
    monkeypatch.setattr(shadows, "METHODS", {"finetune": METHODS["finetune"]})
    monkeypatch.setattr(shadows, "common_start", lambda seed: None)
    monkeypatch.setattr(face_encoders, "TRAINING_EPOCHS", 1)
    monkeypatch.setattr(face_encoders, "UNLEARNING_EPOCHS", 1)
    found = shadows.run_encoder(shadows.FaceAlbum(album.images[:6], np.array([1, 4]), ""), 0, 0)
    assert sum(found.knew) == 1
    for values in (found.logits, found.recognised, found.retained):
        assert list(values) == ["original", "gold", "finetune"]
    assert np.array(found.logits["gold"]).shape == (2, 12 - ENROLLED)
    assert found.logits["gold"] != found.logits["original"] != found.logits["finetune"]


def result(knew: list[bool], shift: float, seed: int) -> shadows.EncoderResult:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(12, 3)) + shift * np.array(knew)[:, None]
    names = list(shadows.TITLES)
    return shadows.EncoderResult(
        knew,
        {name: logits.tolist() for name in names},
        {name: [float(person) for person in knew] for name in names},
        dict.fromkeys(names, 0.75),
    )


def test_the_table_says_shares_beside_the_papers() -> None:
    rng = np.random.default_rng(5)
    halves = [rng.permutation([True] * 6 + [False] * 6).tolist() for _ in range(8)]
    results = [result([known ^ bool(odd) for known in half], 9.0, 2 * number + odd)
               for number, half in enumerate(halves) for odd in (0, 1)]  # fmt: skip
    found = shadows.measure(results, "twins")
    assert {name: share.value for name, share in found.items()} == pytest.approx({
        "Forget accuracy": 1.0, "Holdout accuracy": 0.0, "Retain accuracy": 0.75, "U-LIRA": 1.0, "U-MIA": 1.0,
        "U-MIA (tree)": 1.0,
    }, abs=0.03)  # fmt: skip
    table = shadows.shadows_table(results)
    assert "| Twins | 1.00 [1.00, 1.00] *0.50* | 0.00 [0.00, 0.00] *0.20* | 0.75 *1.00* |" in table
    assert "8 shadows and 8 targets" in table


def test_what_is_kept_is_not_computed_again(tmp_path: Path) -> None:
    album = shadows.read_album(DATA, 0)
    for number in range(4):
        one = result(shadows_knew(album, number), 1.0, number)
        shadows.write_checked(
            tmp_path / f"encoder-{number:03d}.json", {"key": album.key, **dataclasses.asdict(one)}, "It"
        )
    assert len(shadows.run_shadows(DATA, tmp_path, 4, 0, 1, pytest.fail)) == 4


def shadows_knew(album: shadows.FaceAlbum, number: int) -> list[bool]:
    half = shadows.half_of(album, number, 0)
    return [person in half.forget for person in album.fixed.tolist()]


def test_what_cannot_be_done_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(QueryError, match="6 encoders cannot be shared out; choose 4, 8, 12 or more"):
        shadows.run_shadows(DATA, tmp_path / "out", 6, 0, 1, pytest.fail)
    rows = [{"name": "Ana", "image": b""}, {"name": "Bo", "image": b""}]
    monkeypatch.setattr(shadows, "read_configuration", lambda data, name: rows)
    with pytest.raises(DataError, match="has 2 authors and at least 2 images of each; the visual protocol needs 24"):
        shadows.read_album(DATA, 0)
