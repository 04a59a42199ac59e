"""Data: folders in the official SALMUBench layout."""
