"""Dossiers as the command line, the library and the app ask for them, and whether one still holds."""

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final, Literal

from salmu_demo.attacks.schema import FILE as ATTACKS_FILE
from salmu_demo.attacks.schema import AttacksDocument
from salmu_demo.core.documents import MismatchError, parse_model
from salmu_demo.core.errors import DataError, QueryError, ResultError, SalmuError
from salmu_demo.core.files import code_digest
from salmu_demo.core.progress import ProgressCallback, ignore_progress
from salmu_demo.data.dataset import BenchmarkData, load_folder
from salmu_demo.data.record import DataRecord
from salmu_demo.data.source import CLEAR_MINI, MINI, existing_path, is_clear, load_data
from salmu_demo.dossiers.agreement import count_values, disagreements
from salmu_demo.dossiers.contents import Attached, Subject, make_dossier
from salmu_demo.dossiers.document import digest_of, read_dossier
from salmu_demo.dossiers.schema import AuditedModel, Declared, DossierDocument, Made
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.store import encoding_key
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.models.references import find_model
from salmu_demo.models.roles import NOTHING_TOLD, REFERENCES, Told
from salmu_demo.models.said import split_said
from salmu_demo.models.source import LOCAL_DIR, ModelSource
from salmu_demo.results.evaluation import measured_data
from salmu_demo.results.expectations import is_official_data
from salmu_demo.results.records import Provenance
from salmu_demo.workbench.bench import Workbench

AUDITING_CODE: Final = (
    "data/*.py", "dossiers/*.py", "features/embedder.py", "features/view.py", "metrics/*.py", "models/lineage.py",
    "models/roles.py", "probes/*.py", "probes/attacks/*.py",
)  # fmt: skip
"""Our code that decides what a dossier says of given features."""

AUDITING_PACKAGES: Final = ("numpy", "pyarrow")
"""Libraries that decide it, besides those that encode."""

LEFT_OUT: Final = "They were left out when the dossier was made."
NOT_INVENTED: Final = "They are left out because nothing says that the people of this data are invented."

MOST_DECLARED: Final = 4000
"""Characters of each text that an auditor declares."""

_NEVER: Final = ("certificate", "anonymous")
"""What a dossier is not, and what it does not make of anything."""

_THUMBNAIL: Final = 160
"""Pixels of the longer side of an image that a dossier shows."""

_MOST_BYTES: Final = 200_000_000
"""Largest file of attacks that is read."""

State = Literal["agrees", "differs", "not checked", "another version"]


def declare(auditor: str = "", release: str = "", notes: str = "") -> Declared:
    """What an auditor says; raises `QueryError` if it says what no dossier says, or is too long."""
    for title, text in (("auditor", auditor), ("release context", release), ("notes", notes)):
        if len(text) > MOST_DECLARED:
            raise QueryError(f"The {title} has {len(text):,} characters; a dossier takes {MOST_DECLARED:,} at most.")
        for word in _NEVER:
            if word in text.lower():
                raise QueryError(f'The {title} says "{word}", which no dossier shows; say what was tested instead.')
    return Declared(auditor=auditor.strip(), release=release.strip(), notes=notes.strip())


def attach(path: Path) -> Attached:
    """Read a file of attacks, or that of a folder, to go with a dossier; raises `ResultError`."""
    file = path / ATTACKS_FILE if path.is_dir() else path
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ResultError(f"The file of attacks {file} is larger than {_MOST_BYTES:,} bytes; give another file.")
        content = file.read_bytes()
        return Attached(content, parse_model(content, AttacksDocument))
    except OSError as error:
        raise ResultError(f"The file of attacks {file} cannot be read: {error.strerror or error}.") from error
    except MismatchError as error:
        raise ResultError(f"The file of attacks {file} cannot be used: {error}.") from error


def dossier(
    bench: Workbench,
    identity_id: str,
    models: Sequence[ModelSource],
    names: Sequence[str],
    told: Told = NOTHING_TOLD,
    declared: Declared | None = None,
    attached: Sequence[Attached] = (),
    with_images: bool = True,
    progress: ProgressCallback = ignore_progress,
) -> DossierDocument:
    """Everything about one person with several models.

    Args:
        bench: the data and the models found so far.
        identity_id: the person.
        models: the models; Clean and Compromised among them are controls of the others.
        names: what the document calls them, see `display_names`.
        told: which models the user says are the references.
        declared: what the auditor says, from `declare`.
        attached: files of attacks, from `attach`.
        with_images: whether the documents may show images; those of people who may be real are never shown.
        progress: called often with a `Progress`.

    Raises:
        QueryError: if there is no such persona, or nothing about it can be asked.
        ResultError: if attacks were run on other data, or on none of the models.
        SalmuError: if the data or a model is unusable.
    """
    data = DataRecord.of(bench.data)
    return _made(bench, identity_id, models, names, told, declared or Declared(), attached, with_images, data, progress)


def _made(
    bench: Workbench,
    identity_id: str,
    models: Sequence[ModelSource],
    names: Sequence[str],
    told: Told,
    declared: Declared,
    attached: Sequence[Attached],
    with_images: bool,
    data: DataRecord,
    progress: ProgressCallback,
) -> DossierDocument:
    persona = bench.data.persona(identity_id)
    if not bench.auditor.kinds(persona):
        raise QueryError(f"{persona.name} has no attribute with a value and an image in {bench.data.name}.")
    _check_attached(attached, models, data)
    subjects = [Subject(bench.view(model, progress), name) for model, name in zip(models, names, strict=True)]
    origin = Provenance.now(auditing_key())
    made = Made(date=origin.date, seed=origin.seed, code=origin.measured_by, versions=origin.versions)
    hidden = NOT_INVENTED if not _is_invented(bench.data) else None if with_images else LEFT_OUT
    distinct = list({each.digest: each for each in attached}.values())
    return make_dossier(bench.auditor, subjects, persona, told, declared, distinct, hidden, data, made)


def _check_attached(attached: Sequence[Attached], models: Sequence[ModelSource], data: DataRecord) -> None:
    here = {model.fingerprint for model in models}
    for each in attached:
        on = each.document.data
        if on.fingerprint != data.fingerprint:
            raise ResultError(f"The attacks of {on.name} were run on other data than {data.name}; run them on it.")
        if not here & {model.fingerprint for model in each.document.models}:
            attacked = ", ".join(model.name for model in each.document.models)
            raise ResultError(f"The attacks were run on {attacked:.200}, and on none of the models of the dossier.")


def _is_invented(data: BenchmarkData) -> bool:
    """Whether the people of a data set are known to be invented."""
    return data.is_mini or is_clear(data.name) or is_official_data(measured_data(data, None))


@cache
def auditing_key() -> str:
    """SHA-256 over the code and libraries that encode and audit."""
    return hashlib.sha256((encoding_key() + code_digest(AUDITING_CODE, AUDITING_PACKAGES)).encode()).hexdigest()


def thumbnails(data: BenchmarkData, document: DossierDocument) -> list[bytes]:
    """PNG of the images that a dossier shows, in their order; empty if it shows none. Raises `ImageError`."""
    if not document.pictures.shown:
        return []
    found = []
    for used in document.pictures.used:
        image = data.image(used.split, used.row)
        image.thumbnail((_THUMBNAIL, _THUMBNAIL))
        stream = io.BytesIO()
        image.save(stream, "PNG")
        found.append(stream.getvalue())
    return found


@dataclass(frozen=True)
class Check:
    """One thing that a dossier says, made again.

    Attributes:
        what: the thing.
        state: whether it agrees; `another version` of the code is told and does not count.
        detail: what is found, as a clause.
    """

    what: str
    state: State
    detail: str = ""


def verify(
    path: Path, models: Sequence[str] = (), data: str | None = None, progress: ProgressCallback = ignore_progress
) -> list[Check]:
    """Make everything again that a dossier says, as far as its models and data are at hand.

    Nothing is fetched because a dossier names it: what is not built in or on this machine has to be given.

    Args:
        path: a `dossier.json`, or its folder.
        models: references of models that the dossier is about; they are recognised by their fingerprints.
        data: reference of its data set; None takes what it names, if that is here.
        progress: called often with a `Progress`.

    Raises:
        ResultError: if it is not a dossier.
        SalmuError: if something that was given cannot be used.
    """
    given = read_dossier(path)
    folder = path if path.is_dir() else path.parent
    whole = digest_of(given)
    checks = [_compared("the digest of the file", given.digest, whole)]
    found = _find_data(given, data)
    if isinstance(found, str):
        checks.append(Check(f"the data {given.data.name}", "not checked", found))
    else:
        checks.append(_compared(f"the data {given.data.name}", given.data.fingerprint, found.fingerprint))
        checks.append(_images(given, found))
    offered = [find_model(reference) for reference in models]
    sources = [_find_model(each, offered) for each in given.models]
    for each, source in zip(given.models, sources, strict=True):
        if isinstance(source, str):
            checks.append(Check(f"the model {each.name}", "not checked", source))
        else:
            checks.append(_compared(f"the model {each.name}", each.fingerprint, source.fingerprint))
    attached = [_attached(folder / file.file) for file in given.recoverability.files]
    for file, attacks in zip(given.recoverability.files, attached, strict=True):
        what = f"the attacks in {file.file}"
        checks.append(
            Check(what, "not checked", attacks)
            if isinstance(attacks, str)
            else _compared(what, file.sha256, attacks.digest)
        )
    code = Check("the code", "agrees")
    if given.made.code != auditing_key():
        code = Check("the code", "another version", "the dossier was made by other code or libraries than these")
    checks.append(code)
    return [*checks, _numbers(given, checks, found, sources, attached, progress)]


def _compared(what: str, given: str, again: str) -> Check:
    if given == again:
        return Check(what, "agrees")
    return Check(what, "differs", f"SHA-256 is {again[:12]}… here and {given[:12]}… in the dossier")


def _find_data(given: DossierDocument, told: str | None) -> BenchmarkData | str:
    """The data set of a dossier, or why it is not at hand."""
    name = given.data.name
    if told is None and name not in (MINI, CLEAR_MINI):
        try:
            here = not is_clear(name) and existing_path(name) is not None
        except DataError:
            here = False
        if not here:
            return "it is not on this machine; give it with --data"
    reference = told or name
    try:
        folder = None if reference == MINI or is_clear(reference) else existing_path(reference)
        # A folder at another place is the same data, and is to be called as in the dossier.
        return load_data(reference) if folder is None else load_folder(folder, name)
    except DataError as error:
        if told is not None:
            raise
        return str(error)


def _find_model(given: AuditedModel, offered: Sequence[ModelSource]) -> ModelSource | str:
    """A model of a dossier, called as it is there, or why it is not at hand."""
    source = next((model for model in offered if model.fingerprint == given.fingerprint), None)
    if source is None:
        try:
            place, _ = split_said(given.reference)
            if not (place in builtin_models() or place.startswith(LOCAL_DIR) or place.endswith(".safetensors")):
                return "it is not on this machine; give it with --model"
            source = find_model(given.reference)
        except SalmuError as error:
            return str(error)
    return replace(source, reference=given.reference, revision=given.revision)


def _attached(file: Path) -> Attached | str:
    try:
        return attach(file)
    except ResultError as error:
        return str(error)


def _images(given: DossierDocument, data: BenchmarkData) -> Check:
    """The digests of the images."""
    what = f"{len(given.pictures.used)} images"
    for image in given.pictures.used:
        where = f"row {image.row} of {image.split}"
        try:
            rows = len(data.split(image.split))
            if image.split not in data.stored_splits or not 0 <= image.row < rows:
                return Check(what, "differs", f"the data has no {where:.100}")
            digest = hashlib.sha256(data.encoded_image(image.split, image.row)).hexdigest()
        except SalmuError as error:
            return Check(what, "differs", str(error))
        if digest != image.sha256:
            return Check(what, "differs", f"{where} is another image here")
    return Check(what, "agrees")


def _numbers(
    given: DossierDocument,
    checks: Sequence[Check],
    data: BenchmarkData | str,
    sources: Sequence[ModelSource | str],
    attached: Sequence[Attached | str],
    progress: ProgressCallback,
) -> Check:
    """All that is computed, made again."""
    what = f"{count_values(given):,} values"
    models = [source for source in sources if isinstance(source, ModelSource)]
    attacks = [each for each in attached if isinstance(each, Attached)]
    # The first check is of the file itself, whose numbers are to be looked at all the more if it was changed.
    needed = [check for check in checks[1:] if check.state in ("differs", "not checked")]
    if needed or isinstance(data, str):
        return Check(what, "not checked", f"they need {', '.join(check.what for check in needed)} as in the dossier")
    by_role = {
        role: [m.reference for m in given.models if m.role == role and m.role_from == "told"] for role in REFERENCES
    }
    told = Told(*(by_role[role][0] if by_role[role] else None for role in REFERENCES))
    bench = Workbench(data, Embedder())
    try:
        again = _made(
            bench, given.person.identity_id, models, [model.name for model in given.models], told, given.declared,
            attacks, given.pictures.reason != LEFT_OUT, given.data, progress,
        )  # fmt: skip
    except SalmuError as error:
        return Check(what, "differs", f"they cannot be made again: {error}")
    differences = list(disagreements(given, again))
    if not differences:
        return Check(what, "agrees")
    more = f", and {len(differences) - 1:,} more" if len(differences) > 1 else ""
    return Check(what, "differs", f"{differences[0]}{more}")


def unmet(checks: Sequence[Check]) -> Iterator[str]:
    """A sentence on what differs and one on what could not be checked; nothing if a dossier holds."""
    for state, words in (("differs", "differ from what is found here"), ("not checked", "could not be checked")):
        found = [check.what for check in checks if check.state == state]
        if found:
            yield f"{len(found)} of {len(checks)} checks {words}: {', '.join(found)}."
