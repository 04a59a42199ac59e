"""Unlearning: methods, the trainer they share, and sweeps over them."""
