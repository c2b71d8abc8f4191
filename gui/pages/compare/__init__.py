"""Compare: two runs side by side, and every run of their plan over time.

The presenter reads both runs and the trend of their plan in a thread; the page shows the sentence about them, the
figures and facts that differ, and three plots. It gives the same figures as `tally compare`.
"""
