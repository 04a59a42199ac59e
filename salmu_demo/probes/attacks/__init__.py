"""The attacks of the audit, one module each; a module put here is registered by itself."""

from importlib import import_module
from pkgutil import iter_modules

from salmu_demo.probes.attacks.base import (
    HEADLINE,
    Candidates,
    PersonaAttack,
    PersonaReading,
    Place,
    Placebo,
    Setting,
    Skipped,
    Variant,
    all_attacks,
    find_attack,
    variants_of,
)

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = [
    "HEADLINE",
    "Candidates",
    "PersonaAttack",
    "PersonaReading",
    "Place",
    "Placebo",
    "Setting",
    "Skipped",
    "Variant",
    "all_attacks",
    "find_attack",
    "variants_of",
]
