"""The tab Environment of a result: what was there when the run began."""

from __future__ import annotations

from collections.abc import Sequence

from gui.models.environment import Fact
from gui.models.rows import Column
from gui.widgets.table import Empty, Table

COLUMNS: list[Column[Fact]] = [
    Column("group", "Group", lambda f: f.group, width=176, colour=lambda _f: "text2"),
    Column("of", "Of", lambda f: f.of, lambda f: f.of, width=160),
    Column("name", "Name", lambda f: f.name, width=232),
    Column("value", "Value", lambda f: f.value, width=400, stretch=True),
]


class EnvironmentTab(Table):
    """Versions, settings, kernel values, sites, and who reported, one a row."""

    def __init__(self) -> None:
        super().__init__(
            "run-environment",
            "Environment",
            COLUMNS,
            key=lambda fact: (fact.group, fact.of, fact.name),
            hint="group:kernel",
            empty=Empty("info", "Not recorded", "An older version made this run, or its bundle leaves it out."),
        )

    def show_facts(self, facts: Sequence[Fact]) -> None:
        """Show what was recorded when a run began."""
        self.set_rows(facts)
        self.set_counts("as recorded when the run began" if facts else "")
        if facts:
            self.suggest_width("of", max((fact.of for fact in facts), key=len))
