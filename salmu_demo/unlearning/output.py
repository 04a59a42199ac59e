"""The result of a run: a model that loads like any other, with a card, a record and a curve."""

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.figure import Figure

from salmu_demo.core.documents import document_of
from salmu_demo.core.errors import StorageError
from salmu_demo.core.files import atomic_path, write_text
from salmu_demo.models.card import CARD_KEY
from salmu_demo.models.delta import ADAPTER_FILE
from salmu_demo.models.export import save_local_dir
from salmu_demo.models.lineage import RECORD_FILE
from salmu_demo.models.roles import UNLEARNED
from salmu_demo.models.source import WEIGHTS_FILES, ModelSource
from salmu_demo.unlearning import UNRELATED
from salmu_demo.unlearning.adapter import save_adapter
from salmu_demo.unlearning.checkpoint import STATE_FILE
from salmu_demo.unlearning.methods import Form, MethodSpec
from salmu_demo.unlearning.plan import UnlearningPlan
from salmu_demo.unlearning.rows import UnlearningRows
from salmu_demo.unlearning.towers import State, TrainedModel
from salmu_demo.unlearning.training_metrics import BEST, AnyReading

CURVE_FILE: Final = "unlearning_curve.svg"
CHECKPOINTS_FOLDER: Final = "checkpoints"

_CARD: Final = """---
library_name: {library}
license: mit
tags: [clip, machine-unlearning, privacy]
{key}: {role}
---

# {name}

{base}, after unlearning {what} of {data} with **{title}** ({citation}). {idea}

* Steps: {steps}, {pairs:,} forget {units} forward; {ended}. {modality}Towers: {towers}. Seed: {seed}.
* Hyperparameters: {hyperparameters}.
* Base model: `{base_fingerprint}`. Data: `{data_fingerprint}`.
* Read: {rows}. {nothing_else}, and no other model.
{asked}* Oracle information: {oracle}.
{kept}* {which} reading: {reading}. The whole curve: `unlearning.json`, `unlearning_curve.svg`.

{loading} Rebuild: `{command}`.
"""


@dataclass(frozen=True)
class Record:
    """Facts about a finished run.

    Attributes:
        plan: see `UnlearningPlan.describe`.
        base: reference, name and fingerprint of the base model.
        data: name and fingerprint of the data set.
        rows: description of the rows that were read.
        ended: why it ended, in words.
        curve: all readings.
        requests: what this run was asked to forget, and before it the runs that the base model is the product of, as
            requests are written; nothing stands for the whole split. None if all were asked for the whole split.
        kept_step: the checkpoint that was chosen as the best; None if the model is that of the last reading.
    """

    plan: dict[str, Any]
    base: dict[str, str]
    data: dict[str, str]
    rows: str
    ended: str
    curve: list[AnyReading]
    requests: list[list[str]] | None = None
    kept_step: int | None = None

    @property
    def reading(self) -> AnyReading:
        """The reading of the written model."""
        return next((reading for reading in self.curve if reading.step == self.kept_step), self.curve[-1])

    @classmethod
    def of(
        cls,
        plan: UnlearningPlan,
        source: ModelSource,
        rows: UnlearningRows,
        ended: str,
        curve: list[AnyReading],
        kept_step: int | None,
    ) -> "Record":
        """The record of a run."""
        forgotten, retained = (
            ", ".join(f"{len(part.split):,} of {part.split.name}" for part in side)
            for side in (rows.forget, rows.retain)
        )
        if not rows.asked.requests:
            forgotten = f"{rows.forget_count:,} rows of forget"
        if rows.modality is not None:
            forgotten, retained = _described(rows)
        return cls(
            plan.describe(),
            {"reference": source.reference, "name": source.name, "fingerprint": source.fingerprint},
            {"name": rows.data, "fingerprint": rows.fingerprint},
            f"{forgotten} to forget; {retained} to retain",
            ended,
            curve,
            rows.asked.rounds,
            kept_step,
        )


def _described(rows: UnlearningRows) -> Iterator[str]:
    """What a run on CLEAR read of each side, in words."""
    for parts, questions in zip((rows.forget, rows.retain), rows.questions or (None, None), strict=True):
        found = [f"{len(part.split):,} captioned images of {part.split.name}" for part in parts]
        found += [f"{len(questions):,} questions of {questions.configuration}"] if questions else []
        yield " and ".join(found)


def write_model(
    folder: Path, model: TrainedModel, state: State, source: ModelSource, spec: MethodSpec, record: Record
) -> None:
    """Write a model with the given trained tensors, its record, curve and card; raises `StorageError`.

    Unchanged tensors keep the base model's type; changed ones are single precision where that type would lose bits.
    Of a model with low-rank changes these alone are written.
    """
    # Runs that were asked for the whole split, and those that keep their last model, say nothing of either.
    document = {key: value for key, value in document_of(record).items() if value is not None}
    write_text(folder / RECORD_FILE, json.dumps(document, indent=1) + "\n", "The record")
    entries = [asdict(reading) for reading in record.curve]
    draw_curve(entries, "step", record.reading.curves, folder / CURVE_FILE)
    card = _card(folder.name, spec, record)
    with model.holding(state):
        if model.lora is not None:
            save_adapter(folder, model.module, model.adapted, source, model.lora, card)
        else:
            save_local_dir(folder, model.module, source.config, source.merges, card, source.reader().dtypes)


def draw_curve(entries: Sequence[dict[str, Any]], unit: str, readings: Sequence[str], path: Path) -> None:
    """Plot readings over `unit` as SVG; the same entries give the same file. Raises `StorageError`."""
    # Fixed margins: a layout that is computed draws everything twice, and every run ends with a curve.
    figure = Figure(figsize=(6, 3.2))
    axes = figure.add_axes((0.09, 0.15, 0.89, 0.81))
    for reading, marker in zip(readings, "so^D"[: len(readings)], strict=True):
        points = [(entry[unit], entry[reading]) for entry in entries]
        axes.plot(*zip(*points, strict=True), marker=marker, markersize=4, label=reading.replace("_", " "))
    axes.set_xlabel(unit)
    axes.set_ylim(min(-0.1, *(entry[reading] for entry in entries for reading in readings)) - 0.02, 1)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    # No date and no random ids, so that the same readings give the same file.
    with atomic_path(path, "The curve") as temporary, rc_context({"svg.hashsalt": "salmu-demo"}):
        figure.savefig(temporary, metadata={"Date": None})


def is_finished(folder: Path) -> bool:
    """Whether a folder holds the model of a finished run."""
    return (
        any((folder / name).exists() for name in (*WEIGHTS_FILES, ADAPTER_FILE)) and not (folder / STATE_FILE).exists()
    )


def check_output(folder: Path) -> None:
    """Reject a folder that holds a finished model; raises `StorageError`."""
    if is_finished(folder):
        raise StorageError(f"{folder} already holds a model; choose another folder or remove it.")


def _asked(requests: Sequence[str], earlier: Sequence[Sequence[str]]) -> str:
    """The lines of a card about what a run and those before it were asked for; empty if that was the whole split."""
    if not requests and not any(earlier):
        return ""
    rounds = [", ".join(f"`{request}`" for request in each) or "the whole split" for each in (*earlier, requests)]
    lines = [f"* Asked for, run {number}: {words}." for number, words in enumerate(rounds, 1)]
    return "\n".join([*lines, ""])


_WHOLE: Final = "Load it with open_clip as `local-dir:` plus this folder."
_ADAPTER: Final = (
    "This folder holds a LoRA adapter, to be read by PEFT on the base model in open_clip, or here as `local-dir:` plus "
    "this folder."
)


def _kept(record: Record) -> str:
    """The line of a card about which checkpoint was chosen; empty for the last."""
    if record.kept_step is None:
        return ""
    return f"* Kept: the model of step {record.kept_step}, chosen by the readings of the run alone: {BEST}.\n"


def _card(name: str, spec: MethodSpec, record: Record) -> str:
    plan, last, made = record.plan, record.curve[-1], record.reading
    changed = {key: value for key, value in plan["hyperparameters"].items() if value != spec.hyperparameters[key][0]}
    modality = plan.get("modality")
    command = ["salmu-demo unlearn", spec.name, f"--model {record.base['reference']}", f"--data {record.data['name']}"]
    command += [] if modality is None else [f"--modality {modality}"]
    command += [f"--towers {plan['towers']}", f"--budget {plan['budget']}", f"--seed {plan['seed']}"]
    command += [f"--set {key}={value}" for key, value in changed.items()]
    oracle, stop = plan["oracle_level"], plan["stop"]
    *earlier, requests = record.requests or [[]]
    command += [f"--forget {shlex.quote(request)}" for request in requests]
    command += ["--stop-at-unrelated"] if stop["forget_level"] == UNRELATED else []
    command += [] if oracle is None else [f"--oracle-stop {oracle}"]
    command += [] if stop["retain_drop"] is None else [f"--stop-retain-drop {stop['retain_drop']}"]
    command += ["--keep-best"] if plan["keep_best"] else []
    return _CARD.format(
        key=CARD_KEY,
        library="peft" if plan["hyperparameters"].get("lora_rank") else "open_clip",
        loading=_ADAPTER if plan["hyperparameters"].get("lora_rank") else _WHOLE,
        role=UNLEARNED,
        name=name,
        base=record.base["name"],
        data=record.data["name"],
        title=spec.title,
        citation=spec.citation,
        idea=spec.idea,
        steps=last.step,
        pairs=last.forget_pairs,
        units="texts" if spec.form is Form.GENERATIVE else "pairs",
        modality="" if modality is None else f"Modality: {modality}. ",
        ended=record.ended,
        towers=plan["towers"],
        seed=plan["seed"],
        hyperparameters=", ".join(f"{key} {value}" for key, value in plan["hyperparameters"].items()),
        base_fingerprint=record.base["fingerprint"],
        data_fingerprint=record.data["fingerprint"],
        rows=record.rows,
        what="what was asked for" if requests else "the `forget` split",
        nothing_else=f"No {'other ' if requests else ''}holdout row"
        if modality is None
        else "Nothing else of the data",
        asked=_asked(requests, earlier),
        oracle="none" if oracle is None else f"told to stop at a forget {last.quantity} of {oracle}",
        kept=_kept(record),
        which="Last" if record.kept_step is None else "Its",
        reading=", ".join(f"{name.replace('_', ' ')} {getattr(made, name):.3f}" for name in made.curves[:3]),
        command=" ".join([*command, "--output DIR"]),
    )
