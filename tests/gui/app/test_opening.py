"""What is opened by its name: a plan, a bundle, or else a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gui.app.opening import Opening


class Frame:
    """Keeps which pages were asked for."""

    def __init__(self) -> None:
        self.pages: list[str] = []

    def go(self, name: str) -> None:
        self.pages.append(name)


def test_a_bundle_is_taken_in_a_plan_imported_and_all_else_is_a_workspace() -> None:
    told: list[Any] = []
    frame: Any = Frame()
    nothing: Any = None
    opening = Opening(
        frame,
        nothing,
        nothing,
        lambda what, call: told.append(what),
        lambda path: told.append(("plan", path)),
        lambda path: told.append(("bundle", path)),
    )
    for name in ("/a/run-7.tally.zip", "/a/mine.toml", "/a/scale.db"):
        opening.open_named(Path(name))
    assert told[:2] == [("bundle", Path("/a/run-7.tally.zip")), ("plan", Path("/a/mine.toml"))]
    assert "scale.db" in told[2]
