"""Texts that are longer than a model reads: what stands behind the cut is not measured, and has to be said."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from salmu_demo.features.view import FeatureView
from salmu_demo.metrics import Metric
from salmu_demo.results.inputs import MetricInputs, chosen_rows


@dataclass(frozen=True)
class Cut:
    """Texts of one kind that a model does not read to their end.

    Attributes:
        model: reference of the model.
        context_length: tokens it reads, start and end included.
        texts: which texts, in words, such as "captions of forget".
        count: how many there are.
        cut: how many of them are cut off.
        different: how many different ones these are.
        read: how many different ones the model reads of these.
    """

    model: str
    context_length: int
    texts: str
    count: int
    cut: int
    different: int
    read: int

    @property
    def sentence(self) -> str:
        """The same in words."""
        same = f" ({self.different:,} different ones read as {self.read:,})" if self.read < self.different else ""
        return (
            f"{self.model} reads {self.context_length} tokens: {self.cut:,} of {self.count:,} {self.texts} are longer "
            f"and cut off{same}, so what stands at their end is not measured."
        )


def measured_texts(inputs: MetricInputs, metrics: Iterable[Metric]) -> dict[str, Sequence[str]]:
    """The texts that metrics read, by what they are in words; raises `MetricError` if the data lack some."""
    found: dict[str, Sequence[str]] = {}
    for metric in metrics:
        needs = inputs.needs(metric)
        if needs is None:
            continue
        found |= {f"captions of {split}": inputs.split(split).texts for split in needs.captions}
        for words, texts in needs.texts.items():
            captions = [caption for rows in chosen_rows(inputs.data, texts) for caption in rows.texts]
            found[words] = [*captions, *texts.prompts]
    return found


def count_cuts(features: FeatureView, texts: Mapping[str, Sequence[str]]) -> list[Cut]:
    """Which of some texts, by what they are in words, a model reads in part only; raises `SalmuError`."""
    model = features.model
    found = []
    for words, group in texts.items():
        # Each group by itself: one that was counted for other metrics too needs no tokenizer.
        cut = features.embedder.cut_texts(model, group)
        over = [text for text in group if text in cut]
        if over:
            different, read = len(set(over)), len({cut[text] for text in over})
            found.append(Cut(model.reference, model.context_length, words, len(group), len(over), different, read))
    return found
