"""Runs: the list."""
