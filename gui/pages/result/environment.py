"""The tab Environment of a result: what was there when the run began."""

from __future__ import annotations

from gui.models.environment import Fact, facts_of
from gui.models.rows import Column
from gui.models.runs import RunView
from gui.widgets.table import Empty, Table

COLUMNS: list[Column[Fact]] = [
    Column("group", "Group", lambda f: f.group, width=176, colour=lambda _f: "text2"),
    Column("of", "Of", lambda f: f.of, width=160),
    Column("name", "Name", lambda f: f.name, width=240),
    Column("value", "Value", lambda f: f.value, width=400, stretch=True, bold=True),
]


class EnvironmentTab(Table):
    """Versions, settings, kernel values and sites, one a row."""

    def __init__(self) -> None:
        super().__init__(
            "run-environment",
            "Environment",
            COLUMNS,
            key=lambda fact: (fact.group, fact.of, fact.name),
            hint="group:version",
            empty=Empty("info", "Not recorded", "An older version ran this, or the bundle leaves it out."),
        )

    def show_run(self, view: RunView) -> None:
        """Show what was recorded when this run began."""
        facts = facts_of(view.run)
        self.set_rows(facts)
        self.set_counts("as recorded when the run began" if facts else "")

    def clear(self) -> None:
        """Show no run."""
        self.set_rows(())
        self.set_counts("")
