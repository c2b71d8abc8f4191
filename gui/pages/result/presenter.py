"""Result: one run, one test; scoring again, the baseline, notes, reports and bundles."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from gui import report
from gui.models.environment import Fact, read_environment
from gui.models.requests import TestDetail, read_test
from gui.models.runs import RunView, TestRow, read_run
from gui.models.timeline import Timeline, read_timeline
from gui.pages.desk import Desk
from gui.report.preview import Preview, preview_page, preview_text
from gui.runner.bundles import save_bundle
from gui.runner.errors import EXPECTED
from gui.runner.notes import NoteError, change_note, delete_note, restore_note, write_note
from gui.runner.rechecking import changes, recheck
from gui.store import NoteRow, RecordEntry, Store


class ResultView(Protocol):
    """The page."""

    def show_run(self, view: RunView, test: int | None = None) -> None: ...
    def show_test(self, detail: TestDetail) -> None: ...
    def show_environment(self, run: int, facts: Sequence[Fact]) -> None: ...
    def set_busy(self, text: str) -> None: ...
    def say(
        self, text: str, colour: str = "ok", actions: Sequence[tuple[str, str, Callable[[], object]]] = ()
    ) -> None: ...
    def note_refused(self, text: str) -> None: ...
    def show_timeline(self, timeline: Timeline) -> None: ...
    def clear(self) -> None: ...


class ReportView(Protocol):
    """The sheet of a report."""

    def show_preview(self, wanted: str, redact: bool, preview: Preview) -> None: ...
    def show_error(self, text: str) -> None: ...


class ResultPresenter:
    """What is shown of a run. `opener` opens a file, or the folder that it is in, with the desktop's own program;
    `copy` puts text on the clipboard."""

    def __init__(
        self,
        desk: Desk,
        page: ResultView,
        keys: Path,
        opener: Callable[[Path], object],
        copy: Callable[[str], object],
    ) -> None:
        self._desk = desk
        self._page = page
        self._keys = keys
        self._open = opener
        self._copy = copy
        self.run: int | None = None
        """The run that is open."""
        self._without_injected: set[int] = set()
        """Runs of whose figures what their plans injected is left out."""

    def detach(self) -> None:
        """Show that no workspace is open."""
        self.run = None
        self._without_injected.clear()
        self._page.clear()

    def read(self) -> None:
        """Read the open run again, in the background."""
        if self.run is not None:
            self._desk.background(self.show_run(self.run), "read a run")

    async def show_run(self, run: int, test: int | None = None) -> None:
        """Open a run."""
        workspace = self._desk.workspace
        if workspace is not None:
            self.run = run
            await workspace.have(run)
            if self._desk.workspace is not workspace:
                return
            read = partial(read_run, without_injected=True) if run in self._without_injected else read_run
            view = await workspace.blocking(read, workspace.store, run)
            if self._desk.workspace is workspace and self.run == run:
                self._page.show_run(view, test)
            facts = await workspace.blocking(read_environment, workspace.store, run)
            if self._desk.workspace is workspace and self.run == run:
                self._page.show_environment(run, facts)

    async def leave_out(self, run: int, on: bool, test: int | None = None) -> None:
        """Leave what the plan injected out of the figures of a run, or count it again."""
        if on:
            self._without_injected.add(run)
        else:
            self._without_injected.discard(run)
        await self.show_run(run, test)

    async def show_test(self, test: TestRow) -> None:
        """Open a test of the run that is open."""
        workspace = self._desk.workspace
        if workspace is not None:
            detail = await workspace.blocking(read_test, workspace.store, test)
            if self._desk.workspace is workspace and self.run == test.entry.run_id:
                self._page.show_test(detail)

    async def show_record(self, record: int) -> None:
        """Say what a record says that nobody requested; it has no evidence of a request."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        entry: RecordEntry | None = await workspace.blocking(workspace.store.record, record)
        if entry is None:
            self._page.say("This record is no longer in the workspace.", "bad")
            return
        words = f"Record of {entry.server} for {entry.path}: tag {entry.tag} never asked for that path."
        copy = ("Copy record", "copy", lambda: self._copy(entry.body.decode("utf-8", "replace")))
        self._page.say(words, "warn", (copy,))

    async def show_timeline(self, run: int, test: int, repeat: int) -> None:
        """Read what happened when in a repeat of a test (0: in all of them, -1: in the one that says most)."""
        workspace = self._desk.workspace
        if workspace is not None:
            first = repeat < 0
            timeline = await workspace.blocking(read_timeline, workspace.store, run, test, max(0, repeat), first)
            if self._desk.workspace is workspace and self.run == run:
                self._page.show_timeline(timeline)

    async def recheck(self, run: int) -> None:
        """Score a run again, show it, and say what changed."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        loop = asyncio.get_running_loop()

        def told(done: int, count: int) -> None:
            text = f"Scoring run {run} again: repeat {done + 1:,} of {count:,}"
            loop.call_soon_threadsafe(lambda: self._page.set_busy(text) if self.run == run else None)

        self._page.set_busy(f"Scoring run {run} again")
        try:
            rescored = await workspace.blocking(recheck, workspace.store, run, time.time(), told)
        except EXPECTED as error:
            self._page.set_busy("")
            self._page.say(str(error), "bad")
            return
        if self._desk.workspace is workspace:
            await self.show_run(run)
            self._page.set_busy("")
            self._page.say(changes(rescored))

    async def set_baseline(self, run: int, on: bool) -> None:
        """Make this run the baseline, or have none."""
        workspace = self._desk.workspace
        if workspace is not None:
            await workspace.blocking(workspace.store.set_baseline, run if on else None)
            await self.show_run(run)
            undo = ("Undo", "undo", lambda: self._desk.background(self.set_baseline(run, not on), "set the baseline"))
            words = f"Run {run} is now the baseline." if on else "There is no baseline any more."
            self._page.say(words, actions=(undo,))

    async def add_note(self, run: int, text: str) -> None:
        """Keep a note of this account on a run."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        try:
            await workspace.blocking(write_note, workspace.store, run, text, time.time())
        except NoteError as error:
            self._page.note_refused(str(error))
            return
        await self.show_run(run)

    async def change_note(self, run: int, number: int, text: str) -> None:
        """Give a note another text, which can be undone."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        try:
            before = await workspace.blocking(change_note, workspace.store, run, number, text)
        except NoteError as error:
            self._page.note_refused(str(error))
            return
        await self.show_run(run)
        self._page.say(f"The note of {before.author} is changed.", actions=(self._undo_note(run, before),))

    async def delete_note(self, run: int, number: int) -> None:
        """Delete a note; the message names it, and can bring it back."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        try:
            gone = await workspace.blocking(delete_note, workspace.store, run, number)
        except NoteError as error:
            self._page.note_refused(str(error))
            return
        await self.show_run(run)
        words = f"The note of {gone.author} is deleted: “{short(gone.text)}”"
        self._page.say(words, actions=(self._undo_note(run, gone),))

    def _undo_note(self, run: int, note: NoteRow) -> tuple[str, str, Callable[[], object]]:
        return "Undo", "undo", lambda: self._desk.background(self.restore_note(run, note), "bring a note back")

    async def restore_note(self, run: int, note: NoteRow) -> None:
        """Have a note as it was."""
        workspace = self._desk.workspace
        if workspace is not None:
            await workspace.blocking(restore_note, workspace.store, run, note)
            await self.show_run(run)
            self._page.say(f"The note of {note.author} is as it was.")

    # ---- files

    async def preview(self, run: int, wanted: str, redact: bool, sheet: ReportView) -> None:
        """Show in the sheet what the report would say."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        try:
            without = run in self._without_injected
            made = await workspace.blocking(make_preview, workspace.store, run, wanted, redact, without)
        except EXPECTED as error:
            sheet.show_error(str(error))
        else:
            sheet.show_preview(wanted, redact, made)

    async def write_report(self, run: int, path: Path, wanted: str = "", redact: bool = False) -> None:
        """Write the report of a run to a file, and offer to open it."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        self._page.say(f"Writing {path.name}…", "info")
        try:
            without = run in self._without_injected
            await workspace.blocking(write_report, workspace.store, run, path, wanted, redact, without)
        except OSError as error:
            self._failed(f"The report cannot be written to {path}: {error.strerror or type(error).__name__}.")
        except ValueError as error:
            self._failed(f"The report cannot be written to {path}: {error}")
        except EXPECTED as error:
            self._failed(f"The report cannot be written to {path}: {error}")
        else:
            self._saved(path)

    async def save_bundle(self, run: int, path: Path) -> None:
        """Write a run as a bundle, signed by this hub."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        self._page.say(f"Writing {path.name}…", "info")
        try:
            await workspace.blocking(save_bundle, workspace.store, run, path, self._keys)
        except OSError as error:
            self._failed(f"The bundle cannot be written to {path}: {error.strerror or type(error).__name__}.")
        except EXPECTED as error:
            self._failed(f"The bundle cannot be written to {path}: {error}")
        else:
            self._saved(path)

    def _failed(self, text: str) -> None:
        self._page.say(text, "bad")
        self._desk.complain("report", text, "Choose another place.")

    def _saved(self, path: Path) -> None:
        actions = (
            ("Open", "eye", lambda: self._open(path)),
            ("Open folder", "folder", lambda: self._open(path.parent)),
        )
        self._page.say(f"Written: {path}", actions=actions)


def short(text: str, most: int = 60) -> str:
    """The beginning of a text, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def write_report(
    store: Store, run: int, path: Path, wanted: str = "", redact: bool = False, without_injected: bool = False
) -> None:
    """Write the report of a run, by default in the format of the file name's ending. Blocking.

    Raises OSError, ValueError, PdfUnavailableError, StoreError."""
    wanted = wanted or report.format_of(path.name)
    made = report.build(store, run, redact=redact, without_injected=without_injected, **report.wants((wanted,)))
    path.write_bytes(report.render(made, wanted))


def make_preview(store: Store, run: int, wanted: str, redact: bool, without_injected: bool = False) -> Preview:
    """What the report would say. Blocking. Raises StoreError."""
    made = report.build(store, run, redact=redact, without_injected=without_injected, **report.wants((wanted,)))
    return preview_page(made) if wanted in ("html", "pdf") else preview_text(report.render(made, wanted))
