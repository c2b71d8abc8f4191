"""The kinds of error that a lab reports to a person."""


class LabError(Exception):
    """The lab cannot do what was asked. The text is one sentence: what failed, and what to do."""


class WishError(LabError):
    """What was wished for cannot be, here and now: another directory, port or broker must be named. Exit code 2."""
