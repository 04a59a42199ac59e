"""Results: a whole evaluation, its official file, and its comparison with the references."""
