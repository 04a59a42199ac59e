"""What a user decides about a model: its activation, preprocessing and weights instead of its files, its precision.

It stands behind the reference, `local-dir:FOLDER#quickgelu=yes#weights=last.safetensors`, so that whoever passes a
reference on passes it too: jobs, result files, dossiers, links.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from salmu_demo.core.errors import ModelError
from salmu_demo.models.preprocessing import AGREED, DEFAULTS
from salmu_demo.models.settings import HALVES, USER, Origins

OPENAI: Final = "openai"
"""The preprocessing of OpenAI's models; others are named by the architecture that open_clip publishes them for."""

_QUICKGELU, _PREPROCESS, _WEIGHTS, _PRECISION = "quickgelu", "preprocess", "weights", "precision"
_DECISION: Final = re.compile(rf"#({_QUICKGELU}|{_PREPROCESS}|{_WEIGHTS}|{_PRECISION})=([^#]*)$")
_ANSWERS: Final = {"yes": True, "no": False}
_FILE_NAME: Final = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class Said:
    """What was decided; None for what is left to the model's files.

    Attributes:
        quickgelu: whether both towers compute QuickGELU.
        preprocess: `openai`, or an architecture of open_clip.
        weights: name of a file in the model's folder.
        precision: `bf16` or `fp16`, which matrices are multiplied in; by default in single precision.
    """

    quickgelu: bool | None = None
    preprocess: str | None = None
    weights: str | None = None
    precision: str | None = None

    def __str__(self) -> str:
        """As it stands behind a reference."""
        answer = None if self.quickgelu is None else "yes" if self.quickgelu else "no"
        decided = (
            (_QUICKGELU, answer),
            (_PREPROCESS, self.preprocess),
            (_WEIGHTS, self.weights),
            (_PRECISION, self.precision),
        )
        return "".join(f"#{name}={value}" for name, value in decided if value is not None)

    def applied(self, config: dict[str, Any]) -> dict[str, Any]:
        """A configuration with what was decided about it.

        Args:
            config: content of an `open_clip_config.json`, which stays as it is.

        Raises:
            ModelError: if `preprocess` names none.
        """
        if self.quickgelu is not None and bool(config["model_cfg"].get("quick_gelu")) is not self.quickgelu:
            config = {**config, "model_cfg": {**config["model_cfg"], "quick_gelu": self.quickgelu}}
        if self.preprocess is not None:
            parts = {
                part: list(value) if isinstance(value, tuple) else value
                for part, value in _preprocessing(self.preprocess).items()
            }
            config = {**config, "preprocess_cfg": {**(config.get("preprocess_cfg") or {}), **parts}}
        return config

    def origins(self, origins: Origins) -> Origins:
        """Who says which activation and preprocessing the model has, once this was decided."""
        return Origins(
            origins.activation if self.quickgelu is None else USER,
            origins.preprocessing if self.preprocess is None else USER,
        )


@dataclass(frozen=True)
class Wanted:
    """What was said beside and behind a reference.

    Attributes:
        architecture: that of weights without a configuration.
        trust_pickle: whether pickles of this machine may be read.
        said: what was decided instead of the model's files.
    """

    architecture: str | None = None
    trust_pickle: bool = False
    said: Said = Said()

    def only_one_file(self, reference: str) -> None:
        """Refuse a choice of weights for a model that is not a folder; raises `ModelError`."""
        if self.said.weights is not None:
            raise ModelError(
                f"{reference} is not a folder to choose {self.said.weights} from; leave the weights out (--weights)."
            )


NOTHING_WANTED: Final = Wanted()


def split_said(reference: str) -> tuple[str, Said]:
    """A reference without what stands behind it, and that.

    Raises:
        ModelError: if it is not one of the answers that there are.

    >>> split_said("local-dir:a#quickgelu=no#weights=b.safetensors")
    ('local-dir:a', Said(quickgelu=False, preprocess=None, weights='b.safetensors', precision=None))
    >>> split_said("local-dir:no#1")
    ('local-dir:no#1', Said(quickgelu=None, preprocess=None, weights=None, precision=None))
    """
    place, found = reference, dict[str, Any]()
    while decision := _DECISION.search(place):
        name, value = decision.groups()
        place = place[: decision.start()]
        if name in found:
            raise ModelError(f"{reference} decides {name} twice.")
        found[name] = _checked(name, value, reference)
    return place, Said(**found)


def without_precision(reference: str) -> str:
    """A reference without the precision that stands behind it: the same model, however it is computed.

    >>> without_precision("local-dir:a#precision=bf16#weights=b.safetensors")
    'local-dir:a#weights=b.safetensors'
    """
    return re.sub(rf"#{_PRECISION}=({'|'.join(HALVES)})(?=#|$)", "", reference)


def _checked(name: str, value: str, reference: str) -> str | bool:
    if name == _QUICKGELU:
        if value not in _ANSWERS:
            raise ModelError(f"{reference}: {_QUICKGELU} is yes or no, not {value!r:.60}.")
        return _ANSWERS[value]
    if name == _PREPROCESS:
        _preprocessing(value)
    elif name == _PRECISION:
        if value not in HALVES:
            raise ModelError(f"{reference}: {_PRECISION} is {' or '.join(HALVES)}, not {value!r:.60}.")
    elif not _FILE_NAME.fullmatch(value):
        raise ModelError(f"{reference}: {_WEIGHTS} is the name of a file in the model's folder, not {value!r:.60}.")
    return value


def _preprocessing(name: str) -> Mapping[str, Any]:
    """All parts of a preprocessing; raises `ModelError` if the name is none, or does not tell all of them."""
    known = DEFAULTS if name == OPENAI else AGREED.get(name)
    if known is None:
        raise ModelError(
            f"There is no preprocessing {name!r:.60}; give {OPENAI}, or an architecture of open_clip such as "
            "ViT-B-16-SigLIP."
        )
    open_parts = [part for part in DEFAULTS if part not in known]
    if open_parts:
        raise ModelError(
            f"open_clip's checkpoints of {name} differ in how images are prepared ({', '.join(open_parts)}); give "
            f"{OPENAI}, or another architecture."
        )
    return known
