"""An unlearning method of your own: push forget pairs below a fixed similarity, and go on training on the rest.

Registering a subclass of `TrainedMethod` is all it takes. Afterwards the method is listed, run, swept and offered in
the app like the built-in ones. Load it with `--plugin`, or import it; this script is such a module itself, makes a
model and measures it:

    salmu-demo unlearn capped --model mini-compromised --plugin examples/method_plugin.py --output my-model
    python examples/method_plugin.py my-model
"""

import argparse
from dataclasses import dataclass

import salmu_demo
from salmu_demo.unlearning.methods.base import Losses, Need, TrainedMethod, hyperparameter, learning_rate, register
from salmu_demo.unlearning.tensors import Step, losses


@register(
    "capped",
    "Capped similarity",
    "an example, published nowhere",
    "Push each forget pair below a fixed similarity, and go on training on retain pairs.",
    {Need.FORGET, Need.RETAIN},
)
@dataclass(frozen=True)
class Capped(TrainedMethod):
    """Mean max(0, cos - cap)(forget) + weighted NCE(retain); a pair below the cap is left alone."""

    learning_rate: float = learning_rate(3e-4)
    cap: float = hyperparameter(0.2, "cosine below which a forget pair is left alone", -1, 1)
    retain_weight: float = hyperparameter(1.0, "weight of the retain loss", 0, 100)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch; features are computed when they are first asked for."""
        excess = (step.forget.similarity - self.cap).clamp(min=0).mean()
        return Losses(forget=excess, retain=self.retain_weight * losses.info_nce(step.retain, step.scale))


def main(arguments: list[str] | None = None) -> salmu_demo.Results:
    """Make a model forget the personas of SALMU-Mini, and compare it with the references."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", help="folder of the new model")
    parser.add_argument("--budget", type=int, default=1920, help="forget pairs that go through the model")
    parser.add_argument("--cap", type=float, default=0.2)
    options = parser.parse_args(arguments)

    settings = {"cap": options.cap}
    made = salmu_demo.unlearn(
        "capped", "mini-compromised", "mini", options.output, settings=settings, budget=options.budget
    )
    print(made.to_frame())
    results = salmu_demo.evaluate(["mini-clean", "mini-compromised", made.model], "mini", ["RetFail", "GenKnow"])
    print(results)
    return results


if __name__ == "__main__":
    main()
