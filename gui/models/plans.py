"""The plans in the window, and the one being edited. No toolkit.

A plan in the window *is* its TOML text: every change of the form rewrites the text (comments and order stay) and every
state of the text can be undone. Presets are read-only; saving a changed one creates your own copy.
"""

from __future__ import annotations

import dataclasses
import os
import re
import secrets
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gui.campaign.plan import FaultKind, Files, Plan, Test
from gui.campaign.planfile import (
    MAX_PLAN_BYTES,
    PlanError,
    format_plan,
    move_test,
    parse_plan,
    plan_problems,
    update_plan,
)
from gui.campaign.presets import Preset, presets

NEW_PLAN = Plan(
    name="new plan",
    tests=(Test(servers=4, files_per_server=50, per_round=10, repeats=1, seed=42),),
)
UNDO_STEPS = 200


class PlanFileError(Exception):
    """A plan file that cannot be read or written; one sentence says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class ChosenPlan:
    """The plan that Run starts. `text` is its TOML, `directory` what its file lists are relative to; `command` checks
    it without the window."""

    plan: Plan
    text: str
    directory: Path | None = None
    command: str = ""


@dataclass(frozen=True)
class FaultPlace:
    """Where faults would be injected. `reason`: why none can be, a sentence; `refused`: why some cannot, by kind."""

    reason: str = ""
    refused: Mapping[FaultKind, str] = field(default_factory=dict)
    servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """A plan in the list. `path` is None for a preset."""

    title: str
    text: str
    path: Path | None = None
    preset: Preset | None = None
    broken: str = ""
    """Why the file is not a valid plan; it is listed anyway and can be corrected in the editor."""

    def same_as(self, other: PlanEntry) -> bool:
        """Whether both are the same file or the same preset, whatever its text is."""
        return (self.path, self.preset and self.preset.id) == (other.path, other.preset and other.preset.id)


class PlanLibrary:
    """Presets, and the plan files of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def presets(self) -> list[PlanEntry]:
        return [PlanEntry(preset.title, preset.text, preset=preset) for preset in presets()]

    def mine(self) -> list[PlanEntry]:
        """The plan files of the folder, by name."""
        if not self.folder.is_dir():
            return []
        return [self.read(path) for path in sorted(self.folder.glob("*.toml"))]

    def read(self, path: Path) -> PlanEntry:
        """One plan file. Raises PlanFileError when it cannot be read at all."""
        try:
            if path.stat().st_size > MAX_PLAN_BYTES:
                raise PlanFileError(f"{path} is larger than a plan can be ({MAX_PLAN_BYTES:,} bytes).")
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PlanFileError(f"The plan {path} cannot be read: {error}.") from error
        try:
            return PlanEntry(parse_plan(text, name=path.name).name, text, path)
        except PlanError as error:
            return PlanEntry(path.stem, text, path, broken=str(error.problems[0]))

    def save(self, text: str, path: Path) -> None:
        """Replace the file whole, so that a crash leaves the old or the new text. Raises PlanFileError.

        A new file has the rights that the user's umask gives; one that is there keeps its own."""
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")  # no *.toml: the list does not show it
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("x", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                if path.exists():
                    shutil.copymode(path, temporary)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise PlanFileError(f"The plan cannot be saved to {path}: {error.strerror or error}.") from error

    def delete(self, path: Path) -> None:
        """Take the file away; `save` brings it back. Raises PlanFileError."""
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise PlanFileError(f"The plan {path} cannot be deleted: {error.strerror or error}.") from error

    def path_for(self, path: Path, before: str, name: str) -> Path:
        """The file of a plan that was saved as `path` with the name `before` and is now called `name`: a file that is
        called as its plan follows it, to a name that is not used; one that somebody has called otherwise stays."""
        own = path.parent == self.folder and re.fullmatch(rf"{re.escape(_stem(before))}(-\d+)?", path.stem) is not None
        return self.new_path(name) if own and _stem(before) != _stem(name) else path

    def move(self, text: str, path: Path, to: Path) -> None:
        """Save the text under its new name, and take the old file away. Raises PlanFileError."""
        self.save(text, to)
        if to != path:
            self.delete(path)

    def new_path(self, name: str) -> Path:
        """An unused file name in the folder for a plan of that name."""
        stem = _stem(name)
        for number in range(1, 10_000):
            path = self.folder / (f"{stem}.toml" if number == 1 else f"{stem}-{number}.toml")
            if not path.exists():
                return path
        raise PlanFileError(f"There is no free file name for {name!r} in {self.folder}.")


def _stem(name: str) -> str:
    """The file of a plan of this name, without its ending."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "plan"


class PlanEditor:
    """A plan being edited: its text, what it declares, its errors, and the undo history."""

    def __init__(self, entry: PlanEntry) -> None:
        self.entry = entry
        self.text = entry.text
        self._undo: list[str] = []
        self._redo: list[str] = []
        self.error: PlanError | None = None
        self.plan: Plan | None = None
        self.last: Plan | None = None
        """The newest plan that the text declared: while it is broken, what it was before."""
        self._read()

    @property
    def changed(self) -> bool:
        """Whether the text differs from what is saved."""
        return self.text != self.entry.text

    @property
    def can_undo(self) -> bool:
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        return bool(self._redo)

    def set_text(self, text: str) -> None:
        """Set this text; if it is not a valid plan yet, `error` says what is wrong."""
        if text == self.text:
            return
        self._undo = [*self._undo[-UNDO_STEPS + 1 :], self.text]
        self._redo.clear()
        self.text = text
        self._read()

    def set_plan(self, plan: Plan) -> None:
        """Rewrite the text so that it declares this plan; comments and order stay."""
        if plan == self.plan:
            return
        self.set_text(update_plan(self.text, plan, self.plan) if self.plan is not None else format_plan(plan))

    def objection(self, plan: Plan) -> PlanError | None:
        """Why a plan file could not contain this plan; None if it can."""
        problems = plan_problems(plan)
        return PlanError(problems) if problems else None

    def add_test(self, after: int) -> None:
        """Append a copy of test `after` (counted from 0)."""
        assert self.plan is not None
        self.set_plan(dataclasses.replace(self.plan, tests=(*self.plan.tests, self.plan.tests[after])))

    def remove_test(self, number: int) -> None:
        """Remove test `number`; a plan keeps at least one."""
        assert self.plan is not None
        if len(self.plan.tests) > 1:
            tests = tuple(test for place, test in enumerate(self.plan.tests) if place != number)
            self.set_plan(dataclasses.replace(self.plan, tests=tests))

    def move_test(self, number: int, by: int) -> int:
        """Move test `number` by so many places; its place now, the same where it cannot move so far."""
        assert self.plan is not None
        to = number + by
        if not 0 <= to < len(self.plan.tests):
            return number
        self.set_text(move_test(self.text, self.plan, number, to))
        return to

    def undo(self) -> None:
        if self._undo:
            self._redo.append(self.text)
            self.text = self._undo.pop()
            self._read()

    def redo(self) -> None:
        if self._redo:
            self._undo.append(self.text)
            self.text = self._redo.pop()
            self._read()

    def saved(self, path: Path) -> None:
        """Note that the text was saved at this path."""
        title = self.plan.name if self.plan else path.stem
        self.entry = PlanEntry(title, self.text, path)

    def command(self, what: str = "run") -> str:
        """The command line that runs (or does something else with) this plan without the window."""
        name = str(self.entry.path) if self.entry.path else self.entry.preset.id if self.entry.preset else "PLAN.toml"
        return f"tally {what} {shlex.quote(name)}" + (" --headless" if what == "run" else "")

    def _read(self) -> None:
        try:
            self.plan, self.error = (
                parse_plan(self.text, name=self.entry.path.name if self.entry.path else "plan"),
                None,
            )
            self.last = self.plan
        except PlanError as error:
            self.plan, self.error = None, error


def plan_in_words(plan: Plan) -> str:
    """Which plan a run does: its name, and how many tests and repeats, or the name of its only test."""
    repeats = sum(test.repeats for test in plan.tests)
    times = f"{repeats} repeat{'s' if repeats != 1 else ''}"
    if len(plan.tests) > 1:
        return f"“{plan.name}”: {len(plan.tests)} tests, {times}"
    test = plan.tests[0].name
    return f"“{plan.name}”: " + (f"test “{test}”, {times}" if test and test != plan.name else times)


def with_lists_at(text: str, folder: Path) -> str:
    """The text of a plan that is moved away from `folder`: file lists that are there keep their place."""
    try:
        plan = parse_plan(text)
    except PlanError:
        return text
    tests = [
        dataclasses.replace(test, files=Files(list=str((folder / test.files.list).resolve())))
        if test.files.list is not None and (folder / test.files.list).is_file()
        else test
        for test in plan.tests
    ]
    return update_plan(text, dataclasses.replace(plan, tests=tuple(tests)))
