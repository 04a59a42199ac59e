"""Attacks on an unlearned model: is what it was to forget gone, or only hidden?

One attack per module; a module put here registers its attack by itself. An attack reads the pairs of people that it
did not see, and says for each pair how well the model still matches it; `runner` runs all of them on the model, on
Clean and on Compromised, and `recovery` says what share of the leak came back.
"""

from importlib import import_module
from pkgutil import iter_modules

from salmu_demo.attacks.base import Attack, AttackerNeed, AttackReading, all_attacks, find_attack, register

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["Attack", "AttackReading", "AttackerNeed", "all_attacks", "find_attack", "register"]
