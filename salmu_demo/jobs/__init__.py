"""Long work that outlives the page and the process that started it.

A job is one folder on disk. `manager.py` keeps a bounded queue of jobs and runs them in threads of its own,
`execution.py` runs one of them, `store.py` keeps what is known about each, and `job.py` says what that is. None of
these knows what a job does: that is a `JobKind`, one file each in `kinds/`.

`docs/jobs.md` describes the states, the files, and what survives what.
"""
