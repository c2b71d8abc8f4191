"""Texts that people and files write, and the values that they mean. No I/O, and nothing of ours is imported: everything
may use it, pure cores as well.

`addresses`: hosts and ports, secrets in URLs. `quantities`: durations and sizes.
"""
