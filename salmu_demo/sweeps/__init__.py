"""Sweeps: many unlearning runs, each measured with the official metrics, and one table of the results."""
