"""Models: find a checkpoint, load it, encode with it."""
