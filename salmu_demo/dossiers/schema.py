"""The format of `dossier.json`: what is written, what is read, and what `docs/dossier-schema.md` lists.

Of every number in it the same program makes the same one again from the same model and data; see `agreement`.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from salmu_demo.core.documents import Digest, misfit
from salmu_demo.core.errors import quoted
from salmu_demo.data.record import DataRecord
from salmu_demo.models.lineage import Base

SCHEMA: Final = "salmu-demo/dossier"
VERSION: Final = 1
FILE: Final = "dossier.json"

Finite = Annotated[float, Field(allow_inf_nan=False)]
FileName = Annotated[str, Field(pattern=r"^attacks-[0-9a-f]{8}\.json$")]
VerdictName = Literal["leaks", "marked", "no evidence", "not known"]
SideName = Literal["forget", "kept"]
RoleText = Literal["clean", "compromised", "gold", "unlearned", "other"]
OriginText = Literal["told", "name", "card"]


def _version(value: Any) -> Any:
    if value != VERSION:
        raise misfit(f"is {quoted(value)}; this program reads version {VERSION}")
    return value


class ModelAnswer(BaseModel):
    """What a model still knows, in one sentence.

    Attributes:
        model: name of the model.
        sentence: the answer to the question.
    """

    model: str
    sentence: str


class AskedAttribute(BaseModel):
    """What was asked about one attribute of the person.

    Attributes:
        kind: the attribute.
        forget: pairs of image and caption that were to be forgotten.
        keep: pairs that were to be kept.
        words: the request in words.
    """

    kind: str
    forget: int
    keep: int
    words: str


class DossierPerson(BaseModel):
    """Whom the dossier is about.

    Attributes:
        identity_id: id in the data set.
        name: full name.
        asked: what was asked, by attribute.
    """

    identity_id: str
    name: str
    asked: list[AskedAttribute]


class UsedImage(BaseModel):
    """An image that a test used.

    Attributes:
        split: stored split of the data set.
        row: its row there, from 0.
        file_name: its file name in the data set.
        sha256: SHA-256 of the encoded image.
    """

    split: str
    row: int
    file_name: str
    sha256: Digest


class PersonImages(BaseModel):
    """The images of the person.

    Attributes:
        shown: whether the documents show them; if not, they hold their digests alone.
        reason: why they are not shown; null if they are.
        used: every image that a test used.
    """

    shown: bool
    reason: str | None
    used: list[UsedImage]


class ReferenceStanding(BaseModel):
    """Where the truth stands with a reference model, in the same test.

    Attributes:
        rank: place of the truth, from 1; ties count half.
        of: how many candidates were ranked.
        p: how often a guess is as near to either end.
        exposure: log2(of) − log2(rank), in bits.
    """

    rank: Finite
    of: int
    p: Finite
    exposure: Finite


class NeverTaught(BaseModel):
    """What the same test finds of people whom no model was taught, with the same model.

    Attributes:
        people: how many were read.
        first: how many have the truth first.
        ahead: how many are near the top, by their p.
        behind: how many are near the bottom.
        expected: how many are near either end by chance.
        exposure: their mean exposure, in bits.
        chance_exposure: the same of a model that guesses.
    """

    people: int
    first: int
    ahead: int
    behind: int
    expected: Finite
    exposure: Finite
    chance_exposure: Finite


class DossierCell(BaseModel):
    """One test of one attribute with one model.

    Attributes:
        kind: the attribute.
        model: name of the model.
        test: name of the test, as in `threats`.
        variant: how it was carried out.
        side: whether the images were to be forgotten or to be kept.
        decides: whether its verdict is the one of the attribute.
        verdict: the verdict; null if the test says nothing about the value.
        reason: the verdict in words.
        rank: place of the truth, from 1; ties count half.
        of: how many candidates were ranked.
        p: how often a guess is as near to either end.
        corrected: how often chance stands as far from the others, corrected for the number of attributes.
        exposure: log2(of) − log2(rank), in bits.
        low: lower end of its interval over images; null for fewer than two.
        high: upper end of its interval over images; null for fewer than two.
        chance_exposure: mean exposure of a model that guesses.
        pictures: how many images were used.
        truth: the candidates that are true.
        clean: where the truth stands with Clean; null without one.
        compromised: where the truth stands with Compromised; null without one.
        gold: where the truth stands with Gold; null without one.
        never_taught: the same test of people whom no model was taught; null if the data has none.
    """

    kind: str
    model: str
    test: str
    variant: str
    side: SideName
    decides: bool
    verdict: VerdictName | None
    reason: str
    rank: Finite
    of: int
    p: Finite
    corrected: Finite
    exposure: Finite
    low: Finite | None
    high: Finite | None
    chance_exposure: Finite
    pictures: int
    truth: list[str]
    clean: ReferenceStanding | None
    compromised: ReferenceStanding | None
    gold: ReferenceStanding | None
    never_taught: NeverTaught | None


class NotCarriedOut(BaseModel):
    """A test of an attribute that could not be carried out.

    Attributes:
        kind: the attribute.
        test: name of the test.
        variant: which form of it.
        side: which of the images.
        reason: why not, as a sentence.
    """

    kind: str
    test: str
    variant: str
    side: SideName
    reason: str


class Risk(BaseModel):
    """What is left of an attack's success beyond what it has with people whom no model was taught.

    Attributes:
        kind: the attribute.
        model: name of the model.
        attack: share of the person's images that put the truth first.
        pictures: how many images.
        control: the same share, the mean of people whom no model was taught; null without any.
        controls: how many people.
        value: (attack − control) / (1 − control); null if refused.
        low: lower end of its interval; null if refused.
        high: upper end of its interval; null if refused.
        refused: why it is not given; null if it is.
    """

    kind: str
    model: str
    attack: Finite
    pictures: int
    control: Finite | None
    controls: int
    value: Finite | None
    low: Finite | None
    high: Finite | None
    refused: str | None


class Change(BaseModel):
    """An attribute before and after unlearning, on the same images.

    Attributes:
        kind: the attribute.
        model: name of the unlearned model.
        before: name of the model that it was unlearned from.
        side: whether the images were to be forgotten or to be kept.
        rank_before: place of the truth before.
        rank_after: place of the truth after.
        of: how many candidates were ranked.
        verdict_before: the verdict before.
        verdict_after: the verdict after.
        exposure_change: exposure after minus exposure before, in bits.
        low: lower end of its interval over images, drawn in pairs; null for fewer than two.
        high: upper end of its interval over images; null for fewer than two.
    """

    kind: str
    model: str
    before: str
    side: SideName
    rank_before: Finite
    rank_after: Finite
    of: int
    verdict_before: VerdictName
    verdict_after: VerdictName
    exposure_change: Finite
    low: Finite | None
    high: Finite | None


class NotCompared(BaseModel):
    """A model for which a part of the dossier is missing.

    Attributes:
        model: name of the model.
        reason: why, as a sentence.
    """

    model: str
    reason: str


class BeforeAfter(BaseModel):
    """Before and after unlearning.

    Attributes:
        changes: every attribute of every unlearned model whose base is here.
        missing: models that are not compared with a base, and why.
    """

    changes: list[Change]
    missing: list[NotCompared]


class Followed(BaseModel):
    """An attribute that the person asked to be forgotten, before the run that was asked and with a model after it.

    Attributes:
        model: name of the model.
        run: number of the run that was asked, from 1, of those that the model is the product of.
        runs: how many these are.
        kind: the attribute.
        before: name of the model that the run started from; null if it is not here.
        verdict_before: the verdict before the run; null without that model.
        verdict_after: the verdict of the model.
        rank_before: place of the truth before the run; null without that model.
        rank_after: place of the truth with the model.
        of: how many candidates were ranked.
    """

    model: str
    run: int
    runs: int
    kind: str
    before: str | None
    verdict_before: VerdictName | None
    verdict_after: VerdictName
    rank_before: Finite | None
    rank_after: Finite
    of: int


class Requests(BaseModel):
    """Requests of the person, as the records of the models tell them.

    Attributes:
        followed: every attribute that was asked for, of every model that is the product of requests.
        missing: models that are the product of requests, none of them of this person.
    """

    followed: list[Followed]
    missing: list[NotCompared]


class AttackFile(BaseModel):
    """A file of attacks that is attached.

    Attributes:
        file: its name beside the dossier.
        sha256: SHA-256 of the file.
        date: when the attacks were run, UTC, ISO 8601.
        seed: seed of everything random in them.
        attacked_by: digest of the code and libraries that attacked.
    """

    file: FileName
    sha256: Digest
    date: str
    seed: int
    attacked_by: str


class DossierRecovery(BaseModel):
    """What one attack brings back of everything a model was to forget.

    Attributes:
        model: name of the model.
        attack: name of the attack.
        variant: which form of the attack; empty if it has one only.
        gallery: what each caption was ranked among, or what else was read.
        measure: unit of the values.
        as_is: value before the attack; null if the attack only looks.
        value: value under the attack.
        clean: the same of Clean; null without Clean.
        compromised: the same of Compromised; null without Compromised.
        recovered: the recovered share; null if the controls do not tell.
        low: lower end of its interval over people, or null.
        high: upper end of its interval over people, or null.
        reason: why the controls do not tell; null if they do.
        counts: whether it counts in the diagnosis.
    """

    model: str
    attack: str
    variant: str
    gallery: str
    measure: str
    as_is: Finite | None
    value: Finite
    clean: Finite | None
    compromised: Finite | None
    recovered: Finite | None
    low: Finite | None
    high: Finite | None
    reason: str | None
    counts: bool


class Recoverability(BaseModel):
    """Whether what was to be forgotten is gone or only hidden.

    Attributes:
        files: the files of attacks that were given.
        found: what the attacks brought back, of several forms of one the most; the files have the others.
        missing: models that were not attacked, and why nothing is known.
    """

    files: list[AttackFile]
    found: list[DossierRecovery]
    missing: list[NotCompared]


class Affected(BaseModel):
    """Somebody else, and what became of what was to be kept about them.

    Attributes:
        identity_id: id in the data set.
        name: full name.
        facts: how many attributes were to be kept.
        before: their mean exposure before, in bits.
        after: their mean exposure after, in bits.
        change: after minus before, in bits.
    """

    identity_id: str
    name: str
    facts: int
    before: Finite
    after: Finite
    change: Finite


class Loss(BaseModel):
    """What unlearning did to other people, of whom something was to be kept.

    Attributes:
        model: name of the unlearned model.
        before: name of the model that it was unlearned from.
        people: how many other people were looked at.
        mean_change: their mean change of exposure, in bits.
        worst: those who lost most, the worst first.
    """

    model: str
    before: str
    people: int
    mean_change: Finite
    worst: list[Affected]


class Collateral(BaseModel):
    """Collateral damage.

    Attributes:
        losses: for every unlearned model whose base is here.
        missing: models of which it is not known, and why.
    """

    losses: list[Loss]
    missing: list[NotCompared]


class Coverage(BaseModel):
    """One class of attacks.

    Attributes:
        attack_class: the class.
        in_scope: whether it can be asked of such a model with this program.
        why: what it would be here.
        tests: names of the tests of it that were run.
        state: `run`, or that it was not and there is no evidence.
    """

    attack_class: str
    in_scope: bool
    why: str
    tests: list[str]
    state: str


class Threat(BaseModel):
    """Whom a test stands for, in the terms of NIST AI 100-2.

    Attributes:
        test: name of the test.
        title: the test in plain words.
        objective: what the attacker wants.
        access: the attacker's capabilities.
        knowledge: the attacker's knowledge.
        method: what the attacker does.
    """

    test: str
    title: str
    objective: str
    access: str
    knowledge: str
    method: str


class Declared(BaseModel):
    """What the auditor says; nothing of it was checked.

    Attributes:
        auditor: who made the dossier; empty if it was not said.
        release: how the models are released or used; empty if it was not said.
        notes: anything else; empty if there is nothing.
    """

    auditor: str = ""
    release: str = ""
    notes: str = ""


class AuditedModel(BaseModel):
    """A model of the dossier.

    Attributes:
        name: short name, as in `cells`.
        reference: what the user typed.
        fingerprint: SHA-256 over configuration, tokenizer merges and weights.
        revision: Hub revision, or null.
        role: `clean`, `compromised`, `gold`, `unlearned` or `other`.
        role_from: who says so: `told`, `name` or `card`; null if nobody does.
        base: what it was unlearned from; null if no record says so.
    """

    name: str
    reference: str
    fingerprint: Digest
    revision: str | None
    role: RoleText
    role_from: OriginText | None
    base: Base | None


class Made(BaseModel):
    """How and when the dossier was made.

    Attributes:
        date: UTC, ISO 8601.
        seed: seed of every draw.
        code: SHA-256 over the code and the versions of the libraries that encoded and audited.
        versions: of the packages that matter.
    """

    date: str
    seed: int
    code: str
    versions: dict[str, str]


class DossierDocument(BaseModel):
    """A whole `dossier.json`.

    Attributes:
        schema_name: `salmu-demo/dossier`.
        version: version of this schema; it is raised whenever a field changes its meaning or goes away.
        question: the question in plain words.
        answers: the answer for each model.
        remarks: what is missing or was assumed, in sentences that every view must show.
        person: whom it is about.
        pictures: the images that were used.
        cells: every test of every attribute with every model.
        not_carried_out: tests of attributes that could not be carried out.
        risks: residual risk by attribute and model.
        before_after: before and after unlearning.
        requests: what the person asked to be forgotten, before and after.
        recoverability: whether what was forgotten comes back.
        collateral: what became of other people.
        coverage: which classes of attacks were tried.
        threats: whom each test stands for.
        declared: what the auditor says.
        limits: what the dossier does not say.
        models: the models.
        data: the data set.
        made: how and when it was made.
        digest: SHA-256 over everything above, as JSON with sorted keys and no blanks.
    """

    model_config = ConfigDict(populate_by_name=True)

    schema_name: Annotated[Literal["salmu-demo/dossier"], Field(alias="schema")] = SCHEMA
    version: Annotated[Literal[1], BeforeValidator(_version)] = VERSION
    question: str
    answers: list[ModelAnswer]
    remarks: list[str]
    person: DossierPerson
    pictures: PersonImages
    cells: list[DossierCell]
    not_carried_out: list[NotCarriedOut]
    risks: list[Risk]
    before_after: BeforeAfter
    requests: Requests
    recoverability: Recoverability
    collateral: Collateral
    coverage: list[Coverage]
    threats: list[Threat]
    declared: Declared
    limits: list[str]
    models: list[AuditedModel]
    data: DataRecord
    made: Made
    digest: str
