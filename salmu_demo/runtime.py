"""Settings of a whole process, made once when it starts."""

import os

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
