"""Measurements: run each with `python -m benchmarks.NAME`; see README.md in this folder."""

MODELS = ("mini-clean", "mini-compromised", "mini-unlearned-finetune")
"""The models that are asked at once, whatever else is built in, so that readings compare."""
