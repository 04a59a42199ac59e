"""Every way to name a model: one table, from what a user typed to the checkpoint it means."""

import os
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from salmu_demo.core.errors import ArchitectureError, ModelError
from salmu_demo.hub.reference import HF_HUB, OFFICIAL_MODELS, model_on_hub
from salmu_demo.models.card import card_role
from salmu_demo.models.checkpoint import (
    bare,
    builtin,
    builtin_models,
    check_inside,
    configuration_of,
    decided,
    from_file,
    from_folder,
    from_hub,
    keeping_its_own,
)
from salmu_demo.models.delta import ADAPTER_FILE, find_delta
from salmu_demo.models.json_file import read_object
from salmu_demo.models.lineage import base_in
from salmu_demo.models.made import MADE, made_folder
from salmu_demo.models.said import Said, Wanted, split_said
from salmu_demo.models.source import DELTA, LOCAL_DIR, WEIGHTS_FILES, ModelSource, split_delta
from salmu_demo.models.uploads import UPLOAD, uploaded_file

_FOLLOWED: ContextVar[tuple[Path, ...]] = ContextVar("followed", default=())
"""Folders of the adapters whose bases are being found."""

FindModel = Callable[[str, str | None], ModelSource]


class ReferenceKind(NamedTuple):
    """One way to name a model: where such models come from in words, whether a reference is one, and finding it."""

    origin: str
    is_one: Callable[[str], bool]
    find: Callable[[str, Wanted], ModelSource]


def find_model(reference: str, architecture: str | None = None, trust_pickle: bool = False) -> ModelSource:
    """Find the checkpoint a user named.

    Args:
        reference: a built-in name, `official-clean`, `official-compromised`, `local-dir:FOLDER` (also of an adapter of
            PEFT that names its base),
            `hf-hub:ORG/NAME[@REVISION]`, a weight file, an upload, a model that a job made, or `delta:BASE+PATH`, where
            BASE is one of these and PATH a PEFT folder or a safetensors file to merge onto it; what is decided instead
            of its files may follow, see `salmu_demo.models.said`.
        architecture: open_clip architecture or built-in model, for weights without a configuration; None to tell it
            from the tensors. A model with a configuration of its own must have the one that is named.
        trust_pickle: whether the user has said that pickles of this machine may be read.

    Raises:
        ArchitectureError: if it has a configuration of its own, and another architecture is named.
        ModelError: if there is none, it lacks its weights, or its architecture cannot be told.
    """
    if architecture is not None:
        configuration_of(architecture)  # A misspelt name is refused whatever it is named for.
    place, said = split_said(reference)
    kind = _kind_of(place)
    if kind is not None:
        # How precisely it is computed makes it no other model: of its base, say, its files still decide.
        found = kind.find(place, Wanted(architecture, trust_pickle, replace(said, precision=None)))
        return replace(found, reference=f"{found.reference}{said}", precision=said.precision)
    path = _path(place)
    if path.is_dir() and place:
        raise ModelError(f"{reference} is a folder; write {LOCAL_DIR}{reference} to load it.")
    if path.suffix or os.sep in place:
        raise ModelError(f"There is no weight file {reference:.200}; check the path.")
    known = ", ".join(builtin_models()) or "none"
    raise ModelError(
        f"There is no model {reference!r:.200}. Built in: {known}. Others: {', '.join(OFFICIAL_MODELS)}, "
        f"{LOCAL_DIR}FOLDER, {HF_HUB}ORG/NAME, {DELTA}BASE+PATH, or a safetensors file."
    )


def find_models(
    references: Sequence[str], architecture: str | None = None, find: FindModel = find_model
) -> list[ModelSource]:
    """Find several checkpoints; a reference given twice is found once.

    Of several models, those with a configuration of their own keep it, and the architecture is that of the others.

    Args:
        references: what the user typed.
        architecture: as for `find_model`.
        find: finds one of them.

    Raises:
        ArchitectureError: if all have configurations of their own that say otherwise.
        ModelError: as `find_model` does.
    """
    found: list[ModelSource] = []
    refusals: list[ArchitectureError] = []
    for reference in dict.fromkeys(references):
        try:
            found.append(find(reference, architecture))
        except ArchitectureError as error:
            refusals.append(error)
            found.append(find(reference, None))
    if refusals and len(refusals) == len(found):
        raise refusals[0]
    return found


def origin_of(reference: str) -> str:
    """Where the model of a reference comes from, in words."""
    kind = _kind_of(split_said(reference)[0])
    return "this machine" if kind is None else kind.origin


def _kind_of(reference: str) -> ReferenceKind | None:
    return next((kind for kind in REFERENCE_KINDS if kind.is_one(reference)), None)


def _path(reference: str) -> Path:
    """A path of this machine that was typed; raises `ModelError` if no path can be so."""
    try:
        path = Path(reference.removeprefix(LOCAL_DIR)).expanduser()
        path.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # too long, a home that does not exist, a zero byte
        raise ModelError(f"{reference!r} is not a usable path: {getattr(error, 'strerror', None) or error}.") from error
    return path


def _find_delta(reference: str, wanted: Wanted) -> ModelSource:
    base_reference, typed = split_delta(reference)
    if base_reference.startswith(DELTA):
        raise ModelError(f"{reference} names a delta as its base; merge that one first.")
    base = find_model(f"{base_reference}{wanted.said}", wanted.architecture, wanted.trust_pickle)
    path = _path(typed)
    delta = find_delta(path)
    for file in filter(None, (delta.weights, delta.config)):
        check_inside(file.parent, file)
    return replace(base, reference=reference, deltas=(*base.deltas, delta), card_role=card_role(path))


def _find_on_hub(reference: str, wanted: Wanted) -> ModelSource:
    target = model_on_hub(reference)
    assert target is not None
    return from_hub(target, wanted)


def _find_builtin(reference: str, wanted: Wanted) -> ModelSource:
    wanted.only_one_file(reference)
    return decided(keeping_its_own(builtin(reference), wanted), wanted)


def _find_made(reference: str, wanted: Wanted) -> ModelSource:
    return _find_folder(reference, made_folder(reference), replace(wanted, trust_pickle=False))


def _find_folder(reference: str, folder: Path, wanted: Wanted) -> ModelSource:
    if (folder / ADAPTER_FILE).is_file() and not any((folder / name).exists() for name in WEIGHTS_FILES):
        return _find_adapter(reference, folder, wanted)
    return from_folder(reference, folder, wanted)


def _find_adapter(reference: str, folder: Path, wanted: Wanted) -> ModelSource:
    """An adapter of PEFT on the base that its configuration names; raises `ModelError`."""
    delta, own = find_delta(folder), folder.resolve()
    for file in filter(None, (delta.weights, delta.config)):
        check_inside(folder, file)
    named = None if delta.config is None else read_object(delta.config)[0].get("base_model_name_or_path")
    if not isinstance(named, str) or not named:
        raise ModelError(f"{folder} is an adapter that names no base; give {DELTA}BASE+{folder}.")
    if own in _FOLLOWED.get():
        raise ModelError(f"{folder} is an adapter on itself, by the base that it names; give {DELTA}BASE+{folder}.")
    if "/" in named and _kind_of(named) is None:
        named = f"{HF_HUB}{named}"  # As PEFT names a model of the Hub.
    followed = _FOLLOWED.set((*_FOLLOWED.get(), own))
    try:
        base = find_model(f"{named}{wanted.said}", wanted.architecture, wanted.trust_pickle)
    except ModelError as error:
        raise ModelError(f"The base of the adapter {folder} cannot be used: {error}") from error
    finally:
        _FOLLOWED.reset(followed)
    trained_on = base_in(folder)
    if trained_on is not None and wanted.said == Said() and trained_on.fingerprint != base.fingerprint:
        raise ModelError(
            f"{folder} is an adapter on another {named} than the one that is there now (fingerprints "
            f"{trained_on.fingerprint[:16]} and {base.fingerprint[:16]}); to merge it all the same, give "
            f"{DELTA}BASE+{folder}."
        )
    return replace(base, reference=reference, deltas=(*base.deltas, delta), card_role=card_role(folder))


def _find_upload(reference: str, wanted: Wanted) -> ModelSource:
    wanted.only_one_file(reference)
    return bare(reference, uploaded_file(reference), wanted)


REFERENCE_KINDS: Final = (
    ReferenceKind("built in", lambda r: r in builtin_models(), _find_builtin),
    ReferenceKind("a change merged onto another model", lambda r: r.startswith(DELTA), _find_delta),
    ReferenceKind("unlearned here", lambda r: r.startswith(MADE), _find_made),
    ReferenceKind("Hugging Face Hub", lambda r: model_on_hub(r) is not None, _find_on_hub),
    ReferenceKind("uploaded", lambda r: r.startswith(UPLOAD), _find_upload),
    ReferenceKind("this machine", lambda r: r.startswith(LOCAL_DIR), lambda r, w: _find_folder(r, _path(r), w)),
    ReferenceKind("this machine", lambda r: _path(r).is_file(), lambda r, w: from_file(r, _path(r), w)),
)
"""Every way to name a model, in the order they are tried."""
