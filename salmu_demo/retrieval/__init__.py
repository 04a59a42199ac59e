"""Retrieval: exact search over galleries of captions or faces."""
