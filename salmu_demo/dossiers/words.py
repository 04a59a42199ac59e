"""The sentences of a dossier: the question and the answers, who a test stands for, what was tried, and the limits."""

from collections.abc import Collection, Sequence
from typing import Final

from salmu_demo.attacks.base import AttackerNeed
from salmu_demo.attacks.schema import AttackFacts
from salmu_demo.core.notices import SCORES_NOTICE
from salmu_demo.data.layout import kind_title
from salmu_demo.dossiers.schema import Coverage, DossierCell, Threat
from salmu_demo.probes.attacks import PersonaAttack
from salmu_demo.probes.findings import ALPHA, CANNOT_TELL

NO_EVIDENCE: Final = "not run: no evidence"
RUN: Final = "run"

NO_CLEAN: Final = (
    "No model here is Clean, so that nothing shows whether a model that never saw {person} has the same values at the "
    "same end, and what looks like a leak may be an accident of the data; name Clean among the models."
)
NO_COMPROMISED: Final = (
    "No model here is Compromised, so that nothing shows what there was to forget, and no evidence may also mean that "
    "the value was never known; name Compromised among the models."
)
NO_CONTROLS: Final = "The data has nobody whom no model was taught: there are no such controls, and no residual risk."

TOO_FEW_CONTROLS: Final = "{count} people whom no model was taught are too few: at least {least} are needed."
ALL_CONTROLS_FOUND: Final = (
    "With everybody whom no model was taught the truth is first too: nothing is left to compare."
)
NO_RECORD: Final = "No record beside {model} says what it was unlearned from."
BASE_ABSENT: Final = (
    "The record of {model} says that it was unlearned from {base} (SHA-256 {fingerprint}), which is not among the "
    "models here; name it with them."
)
OTHERS_ASKED: Final = "Its record has requests of others only: of this person all is to be kept as of anybody else."
NO_ATTACKS: Final = f"{NO_EVIDENCE}; `salmu-demo attack` makes a file that --attacks attaches."
NOTHING_KEPT: Final = "The data has nothing of other people that was to be kept."
TOO_MANY_ROWS: Final = (
    "not run: the data has {rows:,} images of people, more than the {most:,} that a dossier encodes for it; "
    "`salmu-demo probe --everybody` looks at everybody."
)

LIMITS: Final = (
    "A dossier is evidence and no proof. What a model withstands here says something about the attacks that were tried "
    "and nothing about others: so also, in our words, the European Data Protection Board (Opinion 28/2024), for which "
    "tests that go well are evidence of resistance to the attacks that were tested only.",
    "It is about one person, these models and this data, at the versions whose SHA-256 it gives.",
    f"By chance alone, at most {ALPHA:.0%} of all people have a false alarm on any of their attributes.",
    "What attacks bring back, and what became of others, is measured over many people and not for this person alone.",
    "What the auditor declares was not checked.",
    "A digest tells whether a file was changed by accident. Whoever changes a number can also make a new digest: only "
    "`salmu-demo verify`, with the models and the data at hand, tells whether the numbers are right.",
    SCORES_NOTICE,
)

_MEMBERSHIP: Final = frozenset({"membership", "update-leak"})
"""Attacks that tell who was in the data, or was taken out of it."""

_OUT_OF_SCOPE: Final = (
    ("regurgitation", "A CLIP model puts out neither text nor images; captions can only be recognised by who has "
                      "them."),
    ("inversion", "Images or texts that stand for somebody, optimised until the model knows them; this program does "
                  "not make any."),
    ("reconstruction", "Training rows got back from the weights; this program does not try."),
)  # fmt: skip


def question(person: str) -> str:
    """What the dossier answers."""
    return f"What do these models still know about {person}, and is what was to be forgotten gone?"


def answer(model: str, cells: Sequence[DossierCell]) -> str:
    """What a model still knows, in one sentence, from the cells that decide."""
    forget = [cell for cell in cells if cell.side == "forget"]
    kept = [cell for cell in cells if cell.side == "kept"]
    parts = _forgotten(model, forget) if forget else []
    if kept:
        still = sum(cell.verdict == "leaks" for cell in kept)
        parts.append(f"{'it' if forget else model} still has {_of(still, len(kept), 'to be kept')}")
    return f"{'; '.join(parts)}."


def _forgotten(model: str, cells: Sequence[DossierCell]) -> list[str]:
    """What of that which was to be forgotten is found, what stands out, and what nobody can tell."""
    untold = [cell for cell in cells if cell.reason == CANNOT_TELL.format(candidates=cell.of)]
    leaks, marked, unknown = (
        [cell for cell in cells if cell.verdict == verdict] for verdict in ("leaks", "marked", "not known")
    )
    total = _of(len(leaks), len(cells), "to be forgotten")
    if len(untold) == len(cells):
        return [f"Of {model} the test cannot tell: there are too few candidates for all that was to be forgotten"]
    if leaks:
        parts = [f"{model} still gives away {total} ({_kinds(leaks)})"]
    else:
        parts = [f"In {model}, the test finds {total}"]
    if marked:
        parts.append(f"{len(marked)} {'stands' if len(marked) == 1 else 'stand'} out as pushed away ({_kinds(marked)})")
    if unknown:
        parts.append(f"{len(unknown)} {'was' if len(unknown) == 1 else 'were'} never known ({_kinds(unknown)})")
    if untold:
        parts.append(f"of {len(untold)} the test cannot tell ({_kinds(untold)})")
    return parts


def _kinds(cells: Sequence[DossierCell]) -> str:
    return ", ".join(kind_title(cell.kind) for cell in cells)


def _of(found: int, count: int, asked: str) -> str:
    if count == 1:
        return f"{'the' if found else 'nothing of the'} one attribute that was {asked}"
    return f"{found or 'none'} of the {count} attributes that were {asked}"


def persona_threat(attack: PersonaAttack) -> Threat:
    """Whom an attack on a person stands for."""
    return Threat(
        test=attack.name,
        title=attack.title,
        objective="privacy compromise: attribute inference about one person",
        access=f"query access: {attack.access}",
        knowledge=f"black-box: of the model its outputs alone; besides, {attack.knowledge}",
        method=f"{attack.gives}, by ranking the truth among others of its kind; {attack.cost}",
    )


def model_threat(facts: AttackFacts) -> Threat:
    """Whom an attack on a model stands for."""
    if AttackerNeed.GRADIENTS in facts.needs:
        access, knowledge = "model control: a copy that can be trained further", "white-box"
    elif AttackerNeed.WEIGHTS in facts.needs:
        access, knowledge = "query access to a copy whose weights can be read", "white-box"
    else:
        access = "query access: features of any image and text"
        knowledge = "gray-box" if facts.needs else "black-box"
    inferred = "membership inference" if facts.name in _MEMBERSHIP else "attribute inference after unlearning"
    needs = f"; besides, {', '.join(facts.needs)}" if facts.needs else ""
    return Threat(
        test=facts.name,
        title=facts.title,
        objective=f"privacy compromise: {inferred}",
        access=access,
        knowledge=f"{knowledge}{needs}",
        method=facts.attacker,
    )


def coverage(tests: Sequence[str], attacks: Collection[str]) -> list[Coverage]:
    """Which classes of attacks were tried.

    Args:
        tests: names of the attacks on the person.
        attacks: names of the attacks on the models.
    """
    inferring = [*tests, *sorted(set(attacks) - _MEMBERSHIP)]
    telling = sorted(set(attacks) & _MEMBERSHIP)
    asked = (
        ("attribute inference", "Whether a value, or the person's name, is found among others of its kind.", inferring),
        ("membership", "Whether the person's rows can be told from rows that no model was taught.", telling),
    )
    return [
        *(
            Coverage(attack_class=name, in_scope=True, why=why, tests=run, state=RUN if run else NO_EVIDENCE)
            for name, why, run in asked
        ),
        *(
            Coverage(attack_class=name, in_scope=False, why=why, tests=[], state=NO_EVIDENCE)
            for name, why in _OUT_OF_SCOPE
        ),
    ]
