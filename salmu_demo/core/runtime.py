"""Settings of a whole process, made once when it starts."""

import logging
import os
import sys
import warnings

import numpy as np
from threadpoolctl import threadpool_limits


def use_one_blas_thread() -> None:
    """Let numpy multiply matrices on one thread.

    A probe multiplies many small matrices; with more threads they mostly wait for one another, and on a busy machine an
    audit takes five times as long. torch, which encodes, keeps all its threads.
    """
    # The limit holds for libraries that are loaded, and it is numpy's that matters. One that is loaded later,
    # as scipy's is with scikit-learn, reads the variable.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    np.linalg.norm(np.zeros(1))
    threadpool_limits(limits=1, user_api="blas")


def use_torch_threads(threads: int) -> None:
    """Let torch compute on a number of threads, now or as soon as something imports it, which takes seconds."""
    # torch reads the variable when it is imported.
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def quiet_libraries() -> None:
    """Let a command print its own sentences alone."""
    # open_clip reports through the root logger that a model is built without weights, which is how we build it.
    logging.getLogger().setLevel(logging.ERROR)
    logging.getLogger("salmu_demo").setLevel(logging.WARNING)
    # What Pillow says about a damaged image is said by our sentence.
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
    # Its warnings hold the signed addresses of downloads; what goes wrong is said by our sentence.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    # What it would like to see in a README that is pushed is not asked for here.
    warnings.filterwarnings("ignore", category=UserWarning, module="huggingface_hub")
