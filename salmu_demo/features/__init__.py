"""Embeddings: the one expensive step, computed once for each (model, data) and kept on disk."""
