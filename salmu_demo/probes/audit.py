"""The audit of one (persona, kind) with one model: two attacks, one verdict."""

from dataclasses import dataclass

from salmu_demo.models.source import ModelSource
from salmu_demo.probes.lineup import LineUp, Verdict


@dataclass(frozen=True)
class AuditCell:
    """One (kind, model) of a persona's audit.

    Attributes:
        kind: the attribute kind.
        model: the model.
        line_up: the bare value against the values of all personas.
        caption_match: the persona's caption against those of all personas; None if the data set has none.
    """

    kind: str
    model: ModelSource
    line_up: LineUp
    caption_match: LineUp | None = None

    @property
    def verdict(self) -> Verdict:
        """The worse verdict of the two attacks: an attacker needs only one that works."""
        found = [attack.verdict for attack in (self.line_up, self.caption_match) if attack is not None]
        return "leaks" if "leaks" in found else "partly" if "partly" in found else "forgotten"
