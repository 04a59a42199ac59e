"""What attacks do to networks; torch, which takes seconds to import, is imported here alone."""
