"""The unlearning methods, one module each; a module put here is registered by itself."""

from importlib import import_module
from pkgutil import iter_modules

from salmu_demo.unlearning.methods.base import (
    Form,
    GenerativeMethod,
    Losses,
    Method,
    MethodSpec,
    Need,
    OneShotMethod,
    SteppedMethod,
    TrainedMethod,
    all_methods,
    find_method,
)

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = [
    "Form",
    "GenerativeMethod",
    "Losses",
    "Method",
    "MethodSpec",
    "Need",
    "OneShotMethod",
    "SteppedMethod",
    "TrainedMethod",
    "all_methods",
    "find_method",
]
