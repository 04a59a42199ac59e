"""The exceptions a user can cause.

Each carries one sentence that names the thing, says what is wrong and what to do. The command line prints it and
exits with code 2; the page shows it as a message. Anything that is not a `SalmuError` is a fault of ours.
"""

import reprlib
from typing import Final

_QUOTED: Final = 60


class SalmuError(Exception):
    """Base of every error with a sentence meant for the user."""


class DataError(SalmuError):
    """A data set folder, file or Hub data set that cannot be used."""


class ImageError(SalmuError):
    """An image that cannot be decoded safely."""


class UploadError(SalmuError):
    """Something in place of a file that was not uploaded, or that is gone."""


class ModelError(SalmuError):
    """A model reference or checkpoint that cannot be loaded."""


class ArchitectureError(ModelError):
    """An architecture that was named for a model whose own configuration says otherwise."""


class PushError(SalmuError):
    """A model that cannot be pushed to the Hub."""


class MetricError(SalmuError):
    """Features or options a metric is not defined for."""


class EvaluationError(SalmuError):
    """Models that could not be measured, while others were."""


class QueryError(SalmuError):
    """A probe that asks for something that does not exist: a persona, a kind, an empty text, a k out of range."""


class StorageError(SalmuError):
    """A cache, result or output folder that cannot be written or read."""


class ResultError(SalmuError):
    """A result file that cannot be read, or results that do not belong together."""


class TrainingError(SalmuError):
    """An unlearning run that cannot go on, or a protocol it must not break."""


class SweepError(SalmuError):
    """A sweep that cannot be read or run."""


class PluginError(SalmuError):
    """A plug-in that cannot be loaded or registered."""


class JobError(SalmuError):
    """A job that cannot be started, found, resumed or finished."""


def quoted(value: object) -> str:
    """The start of what somebody gave, for a sentence about it.

    >>> quoted("x" * 100) == '"' + "x" * 60 + '…"', quoted(2.5), quoted("\\ud800")
    (True, '2.5', '"?"')
    """
    if not isinstance(value, str):
        return reprlib.repr(value)[:_QUOTED]
    start = value[:_QUOTED].encode("utf-8", "replace").decode("utf-8")
    return f'"{start}{"…" if len(value) > _QUOTED else ""}"'
