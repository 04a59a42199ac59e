"""A metric of your own: do models still know what the personas to be forgotten are called?

Registering a subclass of `Metric` is all it takes. Afterwards the metric is measured, tabulated and reported like the
built-in ones. Load it with `--plugin`, or import it; this script is such a module itself, and prints a table:

    salmu-demo evaluate mini-clean mini-compromised --plugin examples/metric_plugin.py --output results
    python examples/metric_plugin.py
"""

import argparse

import salmu_demo
from salmu_demo.metrics.base import Metric, MetricData, MetricResult, MetricView, Needs, Texts, register
from salmu_demo.metrics.pair_similarity import pair_similarity


@register
class NameSim(Metric):
    """Mean cosine between the images to be forgotten and the bare names of their personas."""

    name = "NameSim"
    pillar = "efficacy"  # The target is Clean's value.
    title = "Face and name"
    explanation = "How similar, on average, an image to be forgotten still is to the bare name of its persona."
    split = "forget"
    grouped = True  # Also averaged by attribute kind and persona.

    def needs(self, data: MetricData) -> Needs | None:
        """What has to be encoded first: the images of the split, and a name for each; None skips the metric."""
        names = data.once(names_of_rows)
        return None if names is None else Needs(images=(self.split,), texts={"names": Texts(names)})

    def compute(self, view: MetricView) -> MetricResult:
        """Measure one model; the scores, one per row, give the value, its interval and the breakdowns."""
        names = view.data.once(names_of_rows) or []
        return self.result(pair_similarity(view.images(self.split), view.prompts(names)))


def names_of_rows(data: MetricData) -> list[str] | None:
    """The name of every measured row's persona, or None if a row has none."""
    known = {persona.identity_id: persona.name for persona in data.personas}
    names = [known.get(identity or "", "") for identity in data.rows("forget").identities]
    return names if all(names) else None


def main(arguments: list[str] | None = None) -> salmu_demo.Results:
    """Measure models on SALMU-Mini, print the table and return the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["mini-clean", "mini-compromised", "mini-unlearned-pinpoint"])
    results = salmu_demo.evaluate(parser.parse_args(arguments).models, "mini", ["AssocStr", "NameSim"])
    print(results)
    return results


if __name__ == "__main__":
    main()
