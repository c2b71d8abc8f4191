"""Preflight: the checklist before a big run."""
