"""Texts as people and files write them, and the values that they mean. No I/O, and no other module of Tally is
imported: everything may use it, including pure cores.

`addresses`: hosts and ports, secrets in URLs. `quantities`: durations and sizes.
"""
