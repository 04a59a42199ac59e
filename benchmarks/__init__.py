"""Measurements: run each with `python -m benchmarks.NAME`; see README.md in this folder."""
