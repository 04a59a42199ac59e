"""A room for each tab."""
