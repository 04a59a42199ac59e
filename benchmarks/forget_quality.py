"""Which distance says how much of the forget data a model was trained on? CLEAR's Figure 5 in miniature.

    python -m benchmarks.forget_quality [--output FOLDER] [--seeds 1] [--figure forget-quality.png]

The paper (arXiv 2410.18057, appendix E) trains models on growing parts of its data, compares their truth ratios with
those of the model that was trained on all of it, and asks which distance falls with every part. Here the parts are
nested shares of `forget10` of CLEAR-Mini. A training from scratch takes more than half an hour of a core, so each model
goes on from `mini-clear-gold`, which never saw `forget10`, for the same number of epochs on its share and on as many
kept images and questions as `forget10` has, the same for all. A model that was trained on all of `forget10` with the
next seed says how far apart two models are that differ in nothing that counts. Results lie in the folder, one file a
model, and what is there is not computed again: without arguments the kept ones are printed.
"""

import argparse
import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from salmu_demo.cli.output import print_table
from salmu_demo.core.files import atomic_path, read_checked, write_checked
from salmu_demo.core.settings import assets_dir
from salmu_demo.data.source import CLEAR_MINI, load_data
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics.choices import log_truth_ratio_over_all
from salmu_demo.metrics.clear import TASKS
from salmu_demo.metrics.clear_protocol import FORGET_QUALITY_TASK
from salmu_demo.metrics.clear_writing import sheet_of
from salmu_demo.metrics.forget_quality import forget_quality_by_row, forget_quality_of_distributions, ks_p_value
from salmu_demo.mini.clear_train import (
    CLEAR_MODEL_CONFIG,
    GOLD,
    STATE,
    ClearRecipe,
    Lesson,
    Trainer,
    authors_album,
    joined,
    lesson_of,
)
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.export import save_local_dir
from salmu_demo.models.references import find_model
from salmu_demo.reports.figures.canvas import FAINT, MUTED, TEXT, FigureSheet, figure_png
from salmu_demo.results.inputs import MeasuredView, MetricInputs

KEPT: Final = Path(__file__).parent / "forget_quality"
SHARES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
EPOCHS: Final = 16
LEARNING_RATE: Final = 6e-4
BATCH: Final = 48

Ratios = NDArray[np.float64]


@dataclass(frozen=True)
class Distance:
    """A distance of a model's truth ratios from those of the model that was trained on all.

    Attributes:
        title: in the table and in the figure.
        measure: of logarithms of the ratios of both, each of shape (N,).
        falls: whether it is smaller the nearer the two are; a p-value rises.
    """

    title: str
    measure: Callable[[Ratios, Ratios], float]
    falls: bool = True


def wasserstein(ratios: Ratios, full: Ratios) -> float:
    """Wasserstein distance of the distributions of t / (1 + t), from 0 to 1."""
    return float(wasserstein_distance((1 + np.tanh(ratios / 2)) / 2, (1 + np.tanh(full / 2)) / 2))


DISTANCES: Final = (
    Distance("JS distance of distributions", lambda a, b: 1 - forget_quality_of_distributions(a, b)),
    Distance("JS distance over rows (official code)", lambda a, b: 1 - forget_quality_by_row(a, b)),
    Distance("Wasserstein distance", wasserstein),
    Distance("KS test, p-value", ks_p_value, falls=False),
)


@dataclass(frozen=True)
class Found:
    """What is kept of a model.

    Attributes:
        ratios: logarithms of its truth ratios of the captions to be forgotten, by the decoder.
        probability: its mean probability per token of the true captions.
    """

    ratios: list[float]
    probability: float


def part_of(lesson: Lesson, share: float, seed: int) -> Lesson:
    """A share of the images and of the questions of a lesson; that of a smaller share is part of it."""
    # What shows one image is one thing; each question without an image is one of its own.
    things = torch.where(lesson.shows > 0, lesson.shows, len(lesson.images) + torch.arange(len(lesson)))
    each = torch.unique(things)
    mixed = each[torch.randperm(len(each), generator=torch.Generator().manual_seed(seed))]
    rows = torch.isin(things, mixed[: round(share * len(mixed))])
    return Lesson(lesson.images, lesson.shows[rows], lesson.tokens[rows], lesson.given[rows], lesson.groups[rows])


def found_of(folder: Path, share: float, seed: int) -> Found:
    """What a share comes to, from the folder or by training."""
    path = folder / f"seed-{seed}-share-{share * 100:03.0f}.json"
    recipe = ClearRecipe(start=((EPOCHS, LEARNING_RATE),), batch_size=BATCH, seed=seed)
    gold = find_model(GOLD)
    key = json.dumps([gold.fingerprint, load_data(CLEAR_MINI).fingerprint, share, asdict(recipe)])
    kept = read_checked(path)
    if kept is None or kept["key"] != key:
        found = measured(trained(folder / "models" / path.stem, share, recipe, key))
        write_checked(path, {"key": key, **asdict(found)}, "The results")
        return found
    return Found(kept["ratios"], kept["probability"])


def trained(folder: Path, share: float, recipe: ClearRecipe, key: str) -> Path:
    """Folder of the model that goes on from Gold with a share of `forget10`."""
    torch.set_num_threads(1)
    gold = find_model(GOLD)
    encoder = Encoder(gold)
    model = copy.deepcopy(encoder.model).requires_grad_(True)
    data = assets_dir() / CLEAR_MINI
    forget, retain = (lesson_of(authors_album(data, [name]), encoder.tokenizer) for name in ("forget10", "retain90"))
    kept = part_of(retain, len(forget) / len(retain), recipe.seed)
    lesson = joined(kept, part_of(forget, share, recipe.seed))
    Trainer(model, lesson, None, recipe).run(folder / STATE, key, dict, lambda line: print(folder.name, line))
    save_local_dir(folder, model, CLEAR_MODEL_CONFIG, gold.merges, f"# {folder.name}\n", {})
    return folder


def measured(folder: Path) -> Found:
    """Truth ratios of a model, and its probability of the true captions."""
    data = load_data(CLEAR_MINI)
    inputs = MetricInputs(data)
    view = MeasuredView(FeatureView(find_model(f"local-dir:{folder}"), data), inputs)
    sheet = sheet_of(next(task for task in TASKS if task.code == FORGET_QUALITY_TASK), inputs)
    assert sheet is not None
    ratios = log_truth_ratio_over_all(view.log_likelihoods(sheet.prompted, sheet.candidates))
    truths = np.exp(view.log_likelihoods(sheet.prompted, [[truth] for truth in sheet.truths])[:, 0])
    return Found(ratios.round(6).tolist(), round(float(truths.mean()), 6))


@dataclass(frozen=True)
class Curve:
    """A distance of one seed.

    Attributes:
        values: of each share from all, in the order of `SHARES`.
        again: of all from all, trained with the next seed.
    """

    values: list[float]
    again: float


def curves(found: Mapping[float, Found], again: Found) -> dict[str, Curve]:
    """Each distance, by its title."""
    ratios, full = [np.array(found[share].ratios) for share in SHARES], np.array(found[1.0].ratios)
    return {
        each.title: Curve([each.measure(own, full) for own in ratios], each.measure(np.array(again.ratios), full))
        for each in DISTANCES
    }


def is_monotonic(values: Sequence[float], falls: bool) -> bool:
    """Whether every value is beyond the one before.

    >>> is_monotonic([0.9, 0.4, 0.0], falls=True), is_monotonic([0.0, 0.0, 1.0], falls=False)
    (True, False)
    """
    steps = np.diff(values)
    return bool((steps < 0).all() if falls else (steps > 0).all())


def draw(found: Sequence[Mapping[str, Curve]]) -> Any:
    """A panel for each distance, a line for each seed."""
    panel, gap = 1.25, 0.42
    shares = [100 * share for share in SHARES]
    note = (
        "Share of forget10 that was trained on, compared with all of it. A line for each seed; dashed: two models that "
        "were trained on all of it, with different seeds. Measured on CLEAR-Mini."
    )
    sheet = FigureSheet([], len(DISTANCES) * (panel + gap), note)
    for number, each in enumerate(DISTANCES):
        top = number * (panel + gap)
        sheet.heading(top + 0.14, each.title)
        axes = sheet.axes(top + 0.24, panel - 0.14, 0.5)
        axes.grid(axis="y", color=FAINT, linewidth=0.6)
        for of_seed in found:
            curve = of_seed[each.title]
            axes.plot(shares, curve.values, color=TEXT, marker="o", markersize=4, linewidth=1.2, clip_on=False)
            axes.axhline(curve.again, color=MUTED, linestyle="--", linewidth=0.9)
        axes.set_ylim(bottom=0)
        axes.set_xticks(shares, [f"{share:.0%}" for share in SHARES])
    return sheet.figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=KEPT, help="folder of the results")
    parser.add_argument("--seeds", type=int, default=1, help="how many; other parts and orders of the data")
    parser.add_argument("--figure", type=Path, help="file of the figure")
    options = parser.parse_args()
    found = []
    for seed in range(options.seeds):
        of_seed = {share: found_of(options.output, share, seed) for share in SHARES}
        again = found_of(options.output, 1.0, seed + 1)
        found.append(curves(of_seed, again))
        known = [f"{each.probability:.3f}" for each in (*of_seed.values(), again)]
        rows = [["probability per token", *known, ""]]
        for each in DISTANCES:
            curve = found[-1][each.title]
            cells = [f"{value:.3f}" if value >= 0.001 else f"{value:.2g}" for value in (*curve.values, curve.again)]
            rows.append([each.title, *cells, "yes" if is_monotonic(curve.values, each.falls) else "no"])
        print(f"Seed {seed}: share of forget10 that was trained on, compared with all of it\n")
        print_table(["", *(f"{share:.0%}" for share in SHARES), "all again", "monotonic"], rows)
        print()
    if options.figure is not None:
        with atomic_path(options.figure, "The figure") as temporary:
            temporary.write_bytes(figure_png(draw(found)))
        print(f"Written: {options.figure}")


if __name__ == "__main__":
    main()
