"""Audit what CLIP models know about fictitious personas, before and after unlearning."""

__version__ = "0.1.0"
