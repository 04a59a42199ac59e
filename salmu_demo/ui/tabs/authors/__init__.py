"""The Audit tab of data of CLEAR."""
