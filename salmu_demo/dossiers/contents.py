"""What a dossier says about one person with several models: the one place that fills its fields."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Final

from salmu_demo.attacks.schema import AttackRecord, AttacksDocument
from salmu_demo.attacks.summary import attackers_choice
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Persona
from salmu_demo.data.forget_requests import are_covered, find_requests
from salmu_demo.data.personas import requests
from salmu_demo.data.record import DataRecord
from salmu_demo.dossiers import words
from salmu_demo.dossiers.document import sealed
from salmu_demo.dossiers.residual import LEAST_CONTROLS, Residual, residual_risk
from salmu_demo.dossiers.schema import (
    Affected,
    AskedAttribute,
    AttackFile,
    AuditedModel,
    BeforeAfter,
    Change,
    Collateral,
    Declared,
    DossierCell,
    DossierDocument,
    DossierPerson,
    DossierRecovery,
    Followed,
    Loss,
    Made,
    ModelAnswer,
    NeverTaught,
    NotCarriedOut,
    NotCompared,
    PersonImages,
    Recoverability,
    ReferenceStanding,
    Requests,
    Risk,
    UsedImage,
)
from salmu_demo.dossiers.scores import control_shares, exposure_change, person_scores
from salmu_demo.features.view import FeatureView
from salmu_demo.models.lineage import base_of, rounds_of
from salmu_demo.models.roles import CLEAN, COMPROMISED, GOLD, REFERENCES, Assignment, Told, assign_roles
from salmu_demo.probes.attacks import HEADLINE, Place, all_attacks, find_attack
from salmu_demo.probes.findings import AuditCell, Auditor, Control, Finding

MOST_ROWS: Final = 20_000
"""Images of people up to which collateral is measured: of more, encoding takes hours."""

_WORST: Final = 5
"""People who lost most and are named."""


@dataclass(frozen=True)
class Attached:
    """A file of attacks that goes with the dossier.

    Attributes:
        content: the file.
        document: what it holds.
    """

    content: bytes
    document: AttacksDocument

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def file_name(self) -> str:
        """Its name beside the dossier."""
        return f"attacks-{self.digest[:8]}.json"


@dataclass(frozen=True)
class Subject:
    """A model of the dossier: its features, and the name it has here."""

    view: FeatureView
    name: str


def make_dossier(
    auditor: Auditor,
    subjects: Sequence[Subject],
    persona: Persona,
    told: Told,
    declared: Declared,
    attached: Sequence[Attached],
    images_hidden: str | None,
    data: DataRecord,
    made: Made,
) -> DossierDocument:
    """Everything about one person.

    Args:
        auditor: carries the attacks out.
        subjects: the models.
        persona: the person.
        told: which models are said to be the references.
        declared: what the auditor says.
        attached: files of attacks on the models.
        images_hidden: why images are not shown; None shows them.
        data: facts about the data.
        made: how and when.

    Raises:
        SalmuError: if the data or a model is unusable.
    """
    views = [subject.view for subject in subjects]
    names = [subject.name for subject in subjects]
    roles = assign_roles([view.model for view in views], told)
    found = auditor.audit(views, persona, auditor.kinds(persona), all_attacks(), told)
    by_model = {name: found[number :: len(names)] for number, name in enumerate(names)}
    cells = [
        _cell(cell.kind, name, finding, finding is cell.headline)
        for cell, name in zip(found, cycle(names))
        for finding in cell.findings
    ]
    bases = _bases(subjects, roles)
    tests = list(dict.fromkeys(cell.test for cell in cells))
    recovered = _recoverability(subjects, attached)
    attacks = {facts.name: facts for each in attached for facts in each.document.attacks}
    run = {record.attack for record in recovered.found}
    return sealed(
        DossierDocument(
            question=words.question(persona.name),
            answers=[
                ModelAnswer(
                    model=name,
                    sentence=words.answer(name, [cell for cell in cells if cell.decides and cell.model == name]),
                )
                for name in names
            ],
            remarks=_remarks(auditor.data, persona, views, roles),
            person=_person(auditor.data, persona),
            pictures=_images(auditor.data, found, images_hidden),
            cells=cells,
            not_carried_out=_not_carried_out(found),
            risks=[_risk(auditor, subject, persona, cell) for subject in subjects for cell in by_model[subject.name]],
            before_after=_before_after(auditor, subjects, persona, by_model, bases),
            requests=_requests(auditor.data, subjects, persona, by_model),
            recoverability=recovered,
            collateral=_collateral(auditor, subjects, persona, bases),
            coverage=words.coverage(tests, run),
            threats=[
                *(words.persona_threat(find_attack(test)) for test in tests),
                *(words.model_threat(facts) for name, facts in attacks.items() if name in run),
            ],
            declared=declared,
            limits=list(words.LIMITS),
            models=[_model(subject, roles, number) for number, subject in enumerate(subjects)],
            data=data,
            made=made,
            digest="",
        )
    )


def _cell(kind: str, model: str, finding: Finding, decides: bool) -> DossierCell:
    reading, place = finding.reading, finding.reading.place
    low, high = reading.interval or (None, None)
    standings = {role: _standing(found.place) for role, found in finding.references.items()}
    return DossierCell(
        kind=kind, model=model, test=reading.attack, variant=reading.variant, side=reading.side,
        decides=decides, verdict=finding.verdict, reason=finding.reason, rank=place.rank, of=place.candidates,
        p=place.p, corrected=finding.adjusted, exposure=place.exposure, low=low, high=high,
        chance_exposure=place.chance_exposure, pictures=len(reading.shown), truth=list(reading.true_values),
        clean=standings.get(CLEAN), compromised=standings.get(COMPROMISED), gold=standings.get(GOLD),
        never_taught=_controls(finding.control),
    )  # fmt: skip


def _standing(place: Place) -> ReferenceStanding:
    return ReferenceStanding(rank=place.rank, of=place.candidates, p=place.p, exposure=place.exposure)


def _controls(control: Control | None) -> NeverTaught | None:
    return None if control is None else NeverTaught(**vars(control))


def _not_carried_out(cells: Sequence[AuditCell]) -> list[NotCarriedOut]:
    """What was skipped, which is the same for all models."""
    found = {
        (cell.kind, each.attack, each.variant, each.side): NotCarriedOut(
            kind=cell.kind, test=each.attack, variant=each.variant, side=each.side, reason=each.reason
        )
        for cell in cells
        for each in cell.skipped
    }
    return list(found.values())


def _risk(auditor: Auditor, subject: Subject, persona: Persona, cell: AuditCell) -> Risk:
    """The residual risk of the headline, or why it is not given."""
    own = person_scores(auditor, subject.view, persona, cell.kind, cell.side)
    shares = control_shares(auditor, subject.view, cell.kind)
    control = sum(shares) / len(shares) if shares else None
    refused: str | None = None
    found: Residual | None = None
    if control is None or len(shares) < LEAST_CONTROLS:
        refused = words.TOO_FEW_CONTROLS.format(count=len(shares), least=LEAST_CONTROLS)
    elif control == 1:
        refused = words.ALL_CONTROLS_FOUND
    else:
        found = residual_risk(own.first, len(own.scores), control, len(shares))
    return Risk(
        kind=cell.kind,
        model=subject.name,
        attack=own.first,
        pictures=len(own.scores),
        control=control,
        controls=len(shares),
        value=found.value if found else None,
        low=found.interval.low if found else None,
        high=found.interval.high if found else None,
        refused=refused,
    )


def _bases(subjects: Sequence[Subject], roles: Assignment) -> dict[str, Subject | str]:
    """For each model that is not a reference, the one it was unlearned from, or why that is not known."""
    found: dict[str, Subject | str] = {}
    for subject, role in zip(subjects, roles.roles, strict=True):
        if role.name in REFERENCES:
            continue
        base = base_of(subject.view.model)
        if base is None:
            found[subject.name] = words.NO_RECORD.format(model=subject.name)
            continue
        here = (each for each in subjects if each.view.model.fingerprint == base.fingerprint)
        absent = words.BASE_ABSENT.format(model=subject.name, base=base.name, fingerprint=base.fingerprint)
        found[subject.name] = next(here, absent)
    return found


def _missing(bases: Mapping[str, Subject | str]) -> list[NotCompared]:
    return [NotCompared(model=model, reason=reason) for model, reason in bases.items() if isinstance(reason, str)]


def _pairs(subjects: Sequence[Subject], bases: Mapping[str, Subject | str]) -> list[tuple[Subject, Subject]]:
    """Models before and after unlearning."""
    pairs = ((bases.get(after.name), after) for after in subjects)
    return [(before, after) for before, after in pairs if isinstance(before, Subject)]


def _before_after(
    auditor: Auditor,
    subjects: Sequence[Subject],
    persona: Persona,
    by_model: Mapping[str, Sequence[AuditCell]],
    bases: Mapping[str, Subject | str],
) -> BeforeAfter:
    changes = [
        _change(auditor, persona, before, after, was, now)
        for before, after in _pairs(subjects, bases)
        for was, now in zip(by_model[before.name], by_model[after.name], strict=True)
    ]
    return BeforeAfter(changes=changes, missing=_missing(bases))


def _change(
    auditor: Auditor, persona: Persona, before: Subject, after: Subject, was: AuditCell, now: AuditCell
) -> Change:
    scores = [person_scores(auditor, each.view, persona, now.kind, now.side) for each in (before, after)]
    change, interval = exposure_change(*scores)
    low, high = interval or (None, None)
    places = [cell.headline.reading.place for cell in (was, now)]
    return Change(
        kind=now.kind, model=after.name, before=before.name, side=now.side, rank_before=places[0].rank,
        rank_after=places[1].rank, of=places[1].candidates, verdict_before=was.verdict, verdict_after=now.verdict,
        exposure_change=change, low=low, high=high,
    )  # fmt: skip


def _requests(
    data: BenchmarkData, subjects: Sequence[Subject], persona: Persona, by_model: Mapping[str, Sequence[AuditCell]]
) -> Requests:
    """Each attribute that the person asked for: before the run that was asked, and with every model after it."""
    followed: list[Followed] = []
    missing: list[NotCompared] = []
    for subject in subjects:
        rounds = rounds_of(subject.view.model, data.fingerprint) or ()
        asked = [find_requests(data, each) for each in rounds]
        if not any(asked):
            continue
        if not any(request.persona == persona.identity_id for each in asked for request in each):
            missing.append(NotCompared(model=subject.name, reason=words.OTHERS_ASKED))
        starts = _starts(subject, subjects, len(rounds))
        for run, (each, before) in enumerate(zip(asked, starts, strict=True), 1):
            was = {cell.kind: cell for cell in by_model[before.name]} if before else {}
            for cell in by_model[subject.name]:
                if are_covered(each, persona.identity_id, cell.kind):
                    followed.append(_followed(subject, run, len(rounds), before, was.get(cell.kind), cell))
    return Requests(followed=followed, missing=missing)


def _starts(subject: Subject, subjects: Sequence[Subject], runs: int) -> list[Subject | None]:
    """The model that each of the runs started from that a model is the product of, if it is here."""
    here = {each.view.model.fingerprint: each for each in subjects}
    found: list[Subject | None] = []
    current: Subject | None = subject
    for _ in range(runs):
        base = base_of(current.view.model) if current else None
        current = here.get(base.fingerprint) if base else None
        found.insert(0, current)
    return found


def _followed(
    subject: Subject, run: int, runs: int, before: Subject | None, was: AuditCell | None, now: AuditCell
) -> Followed:
    place = now.headline.reading.place
    return Followed(
        model=subject.name, run=run, runs=runs, kind=now.kind, before=before.name if before else None,
        verdict_before=was.verdict if was else None, verdict_after=now.verdict,
        rank_before=was.headline.reading.place.rank if was else None, rank_after=place.rank, of=place.candidates,
    )  # fmt: skip


def _recoverability(subjects: Sequence[Subject], attached: Sequence[Attached]) -> Recoverability:
    """What the attached files say of the models here, by their fingerprints."""
    names = {subject.view.model.fingerprint: subject.name for subject in subjects}
    found = []
    for each in attached:
        here = {model.name: names[model.fingerprint] for model in each.document.models if model.fingerprint in names}
        for own, name in here.items():
            records = attackers_choice([record for record in each.document.records if record.model == own])
            found += [_recovery(name, record) for record in records]
    attacked = {record.model for record in found}
    return Recoverability(
        files=[
            AttackFile(
                file=each.file_name, sha256=each.digest, date=each.document.date, seed=each.document.seed,
                attacked_by=each.document.attacked_by,
            )
            for each in attached
        ],
        found=found,
        missing=[NotCompared(model=n, reason=words.NO_ATTACKS) for n in names.values() if n not in attacked],
    )  # fmt: skip


def _recovery(model: str, record: AttackRecord) -> DossierRecovery:
    share = record.recovered
    return DossierRecovery(
        model=model, attack=record.attack, variant=record.variant, gallery=record.gallery, measure=record.measure,
        as_is=record.as_is, value=record.value, clean=record.clean, compromised=record.compromised,
        recovered=share.value if share else None, low=share.low if share else None, high=share.high if share else None,
        reason=record.reason, counts=record.counts,
    )  # fmt: skip


def _collateral(
    auditor: Auditor, subjects: Sequence[Subject], persona: Persona, bases: Mapping[str, Subject | str]
) -> Collateral:
    missing = _missing(bases)
    pairs = _pairs(subjects, bases)
    rows = sum(len(auditor.data.split(name)) for name in layout.SENSITIVE_SPLITS)
    if rows > MOST_ROWS:
        reason = words.TOO_MANY_ROWS.format(rows=rows, most=MOST_ROWS)
        missing += [NotCompared(model=after.name, reason=reason) for _, after in pairs]
        return Collateral(losses=[], missing=missing)
    losses = []
    for before, after in pairs:
        others = _affected(auditor, before, after, persona)
        if others:
            mean = sum(each.change for each in others) / len(others)
            worst = sorted(others, key=lambda each: each.change)[:_WORST]
            loss = Loss(model=after.name, before=before.name, people=len(others), mean_change=mean, worst=worst)
            losses.append(loss)
        else:
            missing.append(NotCompared(model=after.name, reason=words.NOTHING_KEPT))
    return Collateral(losses=losses, missing=missing)


def _affected(auditor: Auditor, before: Subject, after: Subject, persona: Persona) -> list[Affected]:
    """Everybody else of whom something was to be kept, by id."""
    was, now = (_kept(auditor, each.view) for each in (before, after))
    found = []
    for identity in sorted({identity for identity, _ in was} - {persona.identity_id}):
        facts = [fact for fact in was if fact[0] == identity]
        old, new = (sum(bits[fact] for fact in facts) / len(facts) for bits in (was, now))
        name = auditor.people.personas[identity].name
        found.append(
            Affected(identity_id=identity, name=name, facts=len(facts), before=old, after=new, change=new - old)
        )
    return found


def _kept(auditor: Auditor, view: FeatureView) -> dict[tuple[str, str], float]:
    """Exposure of everything that was to be kept, by persona and kind."""
    variant = find_attack(HEADLINE).variants[0]
    return {
        (identity, kind): place.exposure
        for kind in auditor.data.kinds
        if auditor.with_images(kind, "kept")
        for identity, place in auditor.places(view, kind, variant, "kept").items()
    }


def _remarks(data: BenchmarkData, persona: Persona, views: Sequence[FeatureView], roles: Assignment) -> list[str]:
    """What is missing, and what was assumed."""
    found = []
    if roles.number(CLEAN) is None:
        found.append(words.NO_CLEAN.format(person=persona.name))
    if roles.number(COMPROMISED) is None:
        found.append(words.NO_COMPROMISED)
    if not data.never_taught:
        found.append(words.NO_CONTROLS)
    assumed = (remark for view in views for remark in view.model.remarks)
    return list(dict.fromkeys((*found, *roles.remarks, *data.remarks, *assumed)))


def _person(data: BenchmarkData, persona: Persona) -> DossierPerson:
    asked = [
        AskedAttribute(kind=kind, forget=request.forget, keep=request.keep, words=request.words)
        for kind, request in requests(data, persona).items()
    ]
    return DossierPerson(identity_id=persona.identity_id, name=persona.name, asked=asked)


def _images(data: BenchmarkData, cells: Sequence[AuditCell], hidden: str | None) -> PersonImages:
    shown = {image for cell in cells for finding in cell.findings for image in finding.reading.shown}
    used = [
        UsedImage(
            split=each.split,
            row=each.row,
            file_name=data.split(each.split).file_names[each.row],
            sha256=hashlib.sha256(data.encoded_image(each.split, each.row)).hexdigest(),
        )
        for each in sorted(shown, key=lambda each: (each.split, each.row))
    ]
    return PersonImages(shown=hidden is None, reason=hidden, used=used)


def _model(subject: Subject, roles: Assignment, number: int) -> AuditedModel:
    source, role = subject.view.model, roles.roles[number]
    return AuditedModel(
        name=subject.name, reference=source.reference, fingerprint=source.fingerprint, revision=source.revision,
        role=role.name, role_from=role.origin, base=base_of(source),
    )  # fmt: skip
