"""Probes: what a model gives away about one persona."""
