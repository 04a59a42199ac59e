"""The format of results.json as a JSON schema and as a page, both made from its models and their docstrings."""
