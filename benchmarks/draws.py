"""How much RetFail depends on its one draw of distractors: the same model with other draws.

    python -m benchmarks.draws [mini-compromised] [--data mini] [--draws 20]

Features come from the cache, or are computed once.
"""

import argparse

import numpy as np

from salmu_demo.core.runtime import use_one_blas_thread
from salmu_demo.data import layout
from salmu_demo.data.source import load_data
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics import draw_distractors, retrieval_failure
from salmu_demo.metrics.protocol import SEED
from salmu_demo.models.references import find_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="mini-compromised")
    parser.add_argument("--data", default="mini")
    parser.add_argument("--draws", type=int, default=20)
    options = parser.parse_args()
    use_one_blas_thread()
    data = load_data(options.data)
    view = FeatureView(find_model(options.model), data)
    forget, retain = data.split(layout.FORGET), data.split(layout.RETAIN_DISJOINT)
    images, own = np.asarray(view.images(forget)), np.asarray(view.captions(forget))
    others = np.asarray(view.captions(retain))
    found = []
    for seed in range(SEED, SEED + options.draws):
        drawn = draw_distractors(forget.texts, retain.texts, seed=seed)
        rivals = np.concatenate([own[drawn.forget_rows], others[drawn.retain_rows]])
        ranks, _ = retrieval_failure(images, own, forget.texts, rivals, drawn.texts)
        found.append(float((1 / ranks).mean()))
    print(
        f"RetFail of {options.model} on {data.name}: {found[0]:.4f} with the seed of the protocol; over "
        f"{options.draws} draws mean {np.mean(found):.4f}, standard deviation {np.std(found, ddof=1):.4f}, "
        f"{min(found):.4f} to {max(found):.4f}"
    )


if __name__ == "__main__":
    main()
