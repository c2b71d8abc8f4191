"""Live: the run under way."""
