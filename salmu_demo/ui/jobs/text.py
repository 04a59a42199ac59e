"""English sentences about jobs of any kind."""

from typing import Final

ESTIMATED: Final = "Estimated before the start: {time} on this machine."
WAITS: Final = "{before} before yours in the queue."
IS_NEXT: Final = "Yours is next: it starts when the running job is over."
QUEUE: Final = "{jobs} of other visitors {verb} running or waiting; a new one takes its turn."
LINK: Final = "Opens the job anywhere. Whoever has it can see, cancel and resume the job."
RESUME: Final = "What is finished is kept: Resume goes on from there."
NO_JOB_TITLE: Final = "This job is not here"
