"""Two captures of the same connections."""
