"""Welcome: what is painted first."""
