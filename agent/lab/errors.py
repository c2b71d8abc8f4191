"""The one kind of error that a lab reports to a person."""


class LabError(Exception):
    """The lab cannot do what was asked. The text is one sentence: what failed, and what to do."""
