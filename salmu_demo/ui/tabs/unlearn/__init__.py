"""The Unlearn tab."""
