"""A checkpoint on disk: its files, its fingerprint, and how to build the model it belongs to, without loading it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from salmu_demo.core.errors import ModelError
from salmu_demo.core.files import code_digest, file_digest
from salmu_demo.hub.reference import HF_HUB
from salmu_demo.models.delta import Delta, MergedReader
from salmu_demo.models.made import MADE, WEIGHTS_FILE
from salmu_demo.models.roles import ModelRole, RoleName, role_by_name
from salmu_demo.models.said import split_said
from salmu_demo.models.settings import FROM_FOLDER, ModelSetting, Origins, settings_of
from salmu_demo.models.transformers_tensors import Family, from_transformers, named_by_transformers
from salmu_demo.models.uploads import UPLOAD
from salmu_demo.models.vocabulary import MERGES_TEXT, TOKENIZER_FILE, VOCABULARY_FILE
from salmu_demo.models.weights import SafetensorsReader, ShardedReader, TensorReader

if TYPE_CHECKING:
    from salmu_demo.models.encoder import Encoder

LOCAL_DIR: Final = "local-dir:"
MEMORY: Final = "memory:"
"""How the reference of a model that was given in memory begins; it cannot be found by it."""
DELTA: Final = "delta:"
WEIGHTS_FILES: Final = (WEIGHTS_FILE, "model.safetensors")
PICKLE_FILE: Final = "open_clip_pytorch_model.bin"
INDEX_FILE: Final = "model.safetensors.index.json"
"""Says which of several files holds each tensor."""
PICKLES: Final = (".pt", ".pth", ".bin")
MERGES_FILE: Final = "bpe_merges.txt.gz"
"""Byte-pair merges of a model with a vocabulary of its own; the loader hands its path to open_clip's tokenizer."""
DEFAULT_CONTEXT: Final = 77
"""Tokens that a CLIP model reads of a text, start and end included, if its configuration does not say."""
_HALF_CODE: Final = ("models/half.py",)
"""What decides a feature in half precision beside the code of all features, whose key it is therefore no part of."""
TOKENIZER_CONFIG: Final = "tokenizer_config.json"
TOKENIZER_COMPANIONS: Final[Mapping[str, tuple[str, ...]]] = {
    TOKENIZER_FILE: (TOKENIZER_CONFIG, "special_tokens_map.json", "added_tokens.json"),
    MERGES_TEXT: (VOCABULARY_FILE,),
}
"""Files that belong to a tokenizer's file of transformers, if they are there."""


@dataclass(frozen=True)
class ModelSource:
    """A checkpoint that was found, and how to build the model it belongs to.

    Attributes:
        reference: what the user typed.
        weights: safetensors file, or a pickle that was allowed; the first of several that hold the weights together.
        config: content of `open_clip_config.json`: `model_cfg` and `preprocess_cfg`.
        merges: the tokenizer's file, for models with a tokenizer of their own.
        architecture: name of the architecture, for weights without a configuration of their own.
        revision: Hub revision, or None.
        deltas: what is merged onto the weights, one after another.
        remarks: sentences the user should read, for example how the architecture was chosen.
        config_files: where the configuration was read, and the SHA-256 of what was read.
        more_weights: the other files that hold the weights together with the first.
        family: which model of transformers its tensors are named as; None for open_clip's names.
        origins: who says which activation and preprocessing it has.
        card_role: the role that its card names, or None.
        precision: what its matrices are multiplied in where that is not single precision, see `HALVES`.
    """

    reference: str
    weights: Path
    config: dict[str, Any]
    merges: Path | None = None
    architecture: str | None = None
    revision: str | None = None
    deltas: tuple[Delta, ...] = ()
    remarks: tuple[str, ...] = ()
    config_files: tuple[tuple[Path, str], ...] = ()
    more_weights: tuple[Path, ...] = ()
    family: Family | None = None
    origins: Origins = FROM_FOLDER
    card_role: RoleName | None = None
    precision: str | None = None

    @property
    def name(self) -> str:
        """Short name for tables, see `name_of`."""
        return name_of(self.reference)

    @property
    def own_role(self) -> ModelRole:
        """Its role by its card, or else by its name; see `salmu_demo.models.roles`."""
        named = role_by_name(self.reference)
        return named if self.card_role in (None, named.name) else ModelRole(self.card_role, "card")

    @property
    def slug(self) -> str:
        """Name in result files, see `slug_of`."""
        return slug_of(self.reference)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files the model is made of; the last holds the tensors that are its own."""
        return tuple(path for path in self._parts if path is not None)

    @property
    def context_length(self) -> int:
        """Tokens it reads of a text, start and end included."""
        return int(self.config["model_cfg"]["text_cfg"].get("context_length", DEFAULT_CONTEXT))

    @property
    def has_decoder(self) -> bool:
        """Whether it is a CoCa, which can write about images."""
        own = self.own_encoder()
        return hasattr(own.model, "text_decoder") if own else "multimodal_cfg" in self.config["model_cfg"]

    @property
    def settings(self) -> tuple[ModelSetting, ...]:
        """How it computes its inputs, and who says so."""
        return settings_of(self.config, self.merges, self.origins, self.precision)

    @property
    def _parts(self) -> tuple[Path | None, ...]:
        added = (part for delta in self.deltas for part in (delta.config, delta.weights))
        return (self.merges, *self.beside_tokenizer, self.weights, *self.more_weights, *added)

    @property
    def beside_tokenizer(self) -> tuple[Path, ...]:
        """Files that belong to a tokenizer of transformers."""
        if self.merges is None:
            return ()
        names = TOKENIZER_COMPANIONS.get(self.merges.name, ())
        return tuple(path for name in names if (path := self.merges.with_name(name)).is_file())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over configuration, tokenizer, weights and precision; it keys everything computed from the model.

        What is read to compute something is compared with it, see `unchanged`.
        """
        return self._hash()

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """A block that reads the model's files: they hold what the fingerprint was taken of before, until it ends.

        The content is hashed after it was read, because whoever saves a checkpoint may be at it meanwhile.

        Raises:
            ModelError: if a file was saved again; what was read must not be used.
        """
        wanted = self.fingerprint
        yield
        if self._hash() != wanted or any(_digest(config) != read for config, read in self.config_files):
            raise ModelError(
                f"{self.reference} was saved again while it was in use: what was read is not what its fingerprint was "
                "taken of, so nothing was computed from it; wait until it is written and start again."
            )

    def _hash(self) -> str:
        digest = hashlib.sha256(json.dumps(self.config, sort_keys=True).encode())
        for path in self._parts:
            digest.update(_digest(path).encode() if path else b"none")
        if self.precision is not None:
            digest.update(f"{self.precision} {code_digest(_HALF_CODE, ())}".encode())
        return digest.hexdigest()

    def own_encoder(self) -> "Encoder | None":
        """The loaded model of a source that is not a checkpoint, see `salmu_demo.models.in_memory`; else None."""
        return None

    def reader(self) -> TensorReader:
        """The tensors, one by one; raises `ModelError` if a header does not hold what it should."""
        reader = ShardedReader((self.weights, *self.more_weights)) if self.more_weights else open_weights(self.weights)
        after = list(self.deltas)
        if self.family is not None:
            # What was trained on a model of transformers names its tensors and layers as they are there.
            while after and named_by_transformers(SafetensorsReader(after[0].weights).shapes):
                reader = MergedReader(reader, after.pop(0))
            reader = from_transformers(reader, self.family, str(self.weights))
        for delta in after:
            reader = MergedReader(reader, delta)
        return reader


def _digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error


def name_of(reference: str) -> str:
    """A model's short name: a built-in name, the last part of a path or the Hub id.

    >>> name_of("local-dir:out/mine"), name_of("hf-hub:org/name@v1"), name_of("delta:mini-clean+my/adapter")
    ('mine', 'org/name@v1', 'adapter')
    """
    if reference.startswith(HF_HUB):
        return reference.removeprefix(HF_HUB)
    if reference.startswith(DELTA):
        return Path(split_delta(reference)[1]).name
    return Path(reference.removeprefix(LOCAL_DIR).removeprefix(UPLOAD).removeprefix(MADE).removeprefix(MEMORY)).name


def slug_of(reference: str) -> str:
    """A model's name in result files, by the official rule: `/` and `:` become `_`, then the stem.

    What was decided about the model follows, so that its files are told from those of the model as it is.

    >>> slug_of("local-dir:out/model.v2"), slug_of("local-dir:out/model.v2#quickgelu=yes")
    ('local-dir_out_model', 'local-dir_out_model_quickgelu-yes')
    """
    place, said = split_said(reference)
    return Path(place.replace("/", "_").replace(":", "_")).stem + str(said).replace("#", "_").replace("=", "-")


def split_delta(reference: str) -> tuple[str, str]:
    """Base and path of a reference `delta:BASE+PATH`; raises `ModelError`."""
    base, plus, path = reference.removeprefix(DELTA).partition("+")
    if not (base and plus and path):
        raise ModelError(f"{reference} is not a delta; it looks like {DELTA}BASE+PATH, for example "
                         f"{DELTA}mini-compromised+my-adapter.")  # fmt: skip
    return base, path


def open_weights(path: Path) -> TensorReader:
    """The tensors of a weight file; raises `ModelError`."""
    if path.suffix not in PICKLES:
        return SafetensorsReader(path)
    # torch takes seconds to import, and only a pickle needs it here.
    from salmu_demo.models.pickled import PickleReader  # noqa: PLC0415

    return PickleReader(path)
