"""Runs: the list, results, evidence."""
