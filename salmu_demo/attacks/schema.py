"""The format of `attacks.json`: what is written, what is read, and what `docs/attacks-schema.md` lists."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from salmu_demo.core.documents import misfit
from salmu_demo.core.errors import quoted
from salmu_demo.data.record import DataRecord
from salmu_demo.models.source import ModelSource

SCHEMA: Final = "salmu-demo/attacks"
VERSION: Final = 1
FILE: Final = "attacks.json"

CANNOT_TELL: Final = "Cannot tell here: "
"""What a reason begins with where the controls do not separate."""

MEMBERSHIP_ATTACK: Final = "membership"
"""The attack whose rates a diagnosis reads."""
HOLDOUTS: Final = "kept pairs"
"""Its gallery of pairs of the same people that were to be kept. Compromised was trained on both, Clean on neither."""
TPR: Final = "TPR at 1% FPR"
TPR_BELOW: Final = "TPR at 1% FPR, from below"
"""Of an attacker who takes the pairs that match worst: what was pushed away is as conspicuous as what is known."""

ControlName = Literal["copy", "hidden", "erased"]
Finite = Annotated[float, Field(allow_inf_nan=False)]


def _version(value: Any) -> Any:
    if value != VERSION:
        raise misfit(f"is {quoted(value)}; this program reads version {VERSION}")
    return value


class AttackFacts(BaseModel):
    """An attack that was run.

    Attributes:
        name: its name, as in `records`.
        title: the attack in plain words.
        attacker: what the attacker has and does.
        needs: what the attacker needs besides the features of any image and text.
        counts: whether what it recovers counts in the diagnosis; others are reported only.
    """

    name: str
    title: str
    attacker: str
    needs: list[str]
    counts: bool


class AttackedModel(BaseModel):
    """A model that was attacked, or that attacks were compared with.

    Attributes:
        name: short name for tables, as in `records`.
        reference: what the user typed.
        fingerprint: SHA-256 over configuration, tokenizer merges and weights.
    """

    name: str
    reference: str
    fingerprint: str

    @classmethod
    def of(cls, model: ModelSource) -> "AttackedModel":
        """What is said about a model."""
        return cls(name=model.name, reference=model.reference, fingerprint=model.fingerprint)


class ReferenceModels(BaseModel):
    """The models that attacks were compared with, and had.

    Attributes:
        clean: Clean, the control; null without one.
        compromised: Compromised, the ceiling and the attacker's original; null without one.
        gold: the model that was retrained without the pairs to be forgotten; null without one.
    """

    clean: AttackedModel | None
    compromised: AttackedModel | None
    gold: AttackedModel | None


class RecoveredShare(BaseModel):
    """What an attack brings back of what Compromised knows and Clean does not, beyond what is left as is.

    Attributes:
        value: the share; 1 would be all of it.
        low: lower end of its interval over personas; null if there are too few.
        high: upper end of its interval over personas; null if there are too few.
    """

    model_config = ConfigDict(frozen=True)

    value: Finite
    low: Finite | None = None
    high: Finite | None = None


class AttackRecord(BaseModel):
    """One measure of one attack on one model.

    Attributes:
        model: name of the model.
        attack: name of the attack.
        variant: which form of the attack; empty if it has one only.
        gallery: what each caption was ranked among, `mixed` or `same-kind`, or what else was read.
        measure: unit of the values, such as `MRR` or `bits`.
        value: mean over the pairs under the attack.
        low: lower end of its interval over personas; null if there are too few, or in files of earlier versions.
        high: upper end of its interval over personas; null as for `low`.
        as_is: the same before the attack; null if the attack only looks.
        clean: the same of Clean under the attack; null without Clean.
        compromised: the same of Compromised under the attack; null without Compromised.
        share: (value − clean) / (compromised − clean); null if the controls do not tell.
        left: the share of the model as it is, at least 0; null as for `share`.
        recovered: `share` − `left`; null as for `share`.
        reason: why the controls do not tell; null if they do.
        counts: whether it counts in the diagnosis.
        pairs: number of pairs it was read on.
        personas: number of people they belong to, whom the attack did not see.
        seed: seed of everything random.
        seconds: time that the attack took on this model, all its records together.
    """

    model: str
    attack: str
    variant: str
    gallery: str
    measure: str
    value: Finite
    low: Finite | None = None
    high: Finite | None = None
    as_is: Finite | None
    clean: Finite | None
    compromised: Finite | None
    share: Finite | None
    left: Finite | None
    recovered: RecoveredShare | None
    reason: str | None
    counts: bool
    pairs: int
    personas: int
    seed: int
    seconds: Finite

    @property
    def line(self) -> tuple[str, str]:
        """What its records of several galleries and measures have in common, besides the model."""
        return self.attack, self.variant


class SkippedAttack(BaseModel):
    """An attack that was not run, or not in all of its forms.

    Attributes:
        model: name of the model.
        attack: name of the attack.
        reason: what is missing, as a sentence.
    """

    model: str
    attack: str
    reason: str


class ControlRecord(BaseModel):
    """An attack on a case whose answer is known, in the mixed gallery, in MRR.

    Attributes:
        attack: name of the attack.
        variant: which form of the attack; empty if it has one only.
        control: `copy`, Compromised once more; `hidden`, a copy of Compromised whose text features are rotated;
            `erased`, a copy without what tells people to be forgotten apart.
        expected: the share that a working attack finds.
        share: the share that it found; null if the controls do not tell.
    """

    attack: str
    variant: str
    control: ControlName
    expected: Finite
    share: Finite | None


class AttacksDocument(BaseModel):
    """A whole `attacks.json`.

    Attributes:
        schema_name: `salmu-demo/attacks`.
        version: version of this schema; it is raised whenever a field changes its meaning or goes away.
        data: the data set.
        models: the attacked models.
        references: the models that attacks were compared with, and had.
        attacks: the attacks that were run.
        seed: seed of everything random.
        thorough: whether more than the defaults was tried.
        records: what was found.
        skipped: what was not run, and why.
        controls: the attacks on cases whose answer is known.
        date: when it was written, UTC, ISO 8601.
        attacked_by: digest of the code and libraries that attacked and measured.
    """

    model_config = ConfigDict(populate_by_name=True)

    schema_name: Annotated[Literal["salmu-demo/attacks"], Field(alias="schema")] = SCHEMA
    version: Annotated[Literal[1], BeforeValidator(_version)] = VERSION
    data: DataRecord
    models: list[AttackedModel]
    references: ReferenceModels
    attacks: list[AttackFacts]
    seed: int
    thorough: bool
    records: list[AttackRecord]
    skipped: list[SkippedAttack]
    controls: list[ControlRecord]
    date: str
    attacked_by: str
