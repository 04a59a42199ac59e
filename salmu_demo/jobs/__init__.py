"""Long-running work that outlives the page and the process that started it.

A job is one folder on disk. `manager.py` runs a bounded queue of jobs in its own threads, `execution.py` runs one job,
`store.py` reads and writes its folder, and `job.py` defines what a job is. None of them knows what a job does: that is
its `JobKind`, one file each in `kinds/`.

`docs/jobs.md` describes the states, the files, and what survives which event.
"""
