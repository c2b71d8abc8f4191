"""The kinds of error that a lab reports to the user."""


class LabError(Exception):
    """The lab cannot do what was requested. The text is one sentence: what failed, and what to do."""


class WishError(LabError):
    """Invalid request: another directory, port or broker must be given. Exit code 2."""
