"""Live: a run under way. `readouts` has its figures, `graphs` its plots, `columns` a row per server, `stages` what is
set up before there is a run.

The owner passes `RunProgress` snapshots to the page (`show_progress`), which paints the latest one on its own beat, at
most ten times a second. While the view is paused it keeps the last picture; the run continues.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QFileDialog, QStackedWidget, QVBoxLayout, QWidget

from gui.models import figures
from gui.models.live_servers import WAITING, summary
from gui.models.states import outcome_state
from gui.pages.live.columns import LEAST_COUNT, LEAST_NAME, server_columns
from gui.pages.live.export import EXPORTS, save
from gui.pages.live.graphs import Graphs, before_first
from gui.pages.live.presenter import LastRun
from gui.pages.live.readouts import Readouts
from gui.pages.live.stages import StagesPanel
from gui.runner.progress import RunProgress
from gui.widgets.message import MessageBar
from gui.widgets.parts import Badge, Page, Splitter, button, line
from gui.widgets.table import Empty, Table, empty_widget

LEAST_ROWS = 6
"""Rows of the table for which the plots make room while both stand one above the other."""
BESIDE_WIDTH = 1208
"""Width of the page (of a window of 1280) from which the heat map and the table stand side by side."""
TABLE_WIDTH = 664
GAP_POINTS = 44
"""As many as the column has pixels."""
TICK_SECONDS = 1.0
BEAT_MS = 200
"""The page's own beat; snapshots may come more often, but nobody could see more."""

PHASES = {
    "idle": "waiting",
    "preparing": "preparing",
    "waiting_clients": "waiting for clients",
    "starting": "starting clients",
    "round": "running",
    "pause": "running",
    "paused": "paused",
    "ending": "ending",
    "settling": "settling",
    "reconciling": "comparing",
    "done": "done",
}


class LivePage(Page):
    """The page. `actions` are offered while it is empty; `cancel` stops what is being set up."""

    result_wanted = Signal(int, int)
    """Run and test (0: all) whose result is to be shown."""
    table_wanted = Signal(Path, object)
    """A file, and the `PlotTable` that is to be written to it."""
    again_wanted = Signal(int)
    """The run that is to be run again."""

    def __init__(
        self, actions: tuple[tuple[str, str, Callable[[], object]], ...], cancel: Callable[[], object]
    ) -> None:
        super().__init__("Live")
        self._actions = actions
        self._gaps: dict[str, deque[int]] = {}
        """The gap of each server, about once a second."""
        self._gaps_at = 0.0
        self._latest: RunProgress | None = None
        self._painted: RunProgress | None = None
        self.paused = False
        self._ticked = 0.0
        self._fitted: tuple[str, str, bool] | None = None
        """For what the column of names has its width."""
        self.badge = Badge()
        self.head.insertWidget(2, self.badge)
        self.pause_button = button("Pause view", "pause", self.toggle_pause, tip="Space")
        self.export_button = button("Export plot…", "export", self.export_plot)
        for widget in (self.pause_button, self.export_button):
            self.add_action(widget)
        self.readouts = Readouts()
        self.graphs = Graphs()
        self.graphs.chosen.connect(self._choose_server)
        self.graphs.switched.connect(self._switched)
        self.table = self._make_table()
        self._beside = False
        self._split = self._make_split()
        self.stages = StagesPanel(cancel)
        self.message = MessageBar()
        self.body.addWidget(self.message)
        self.stack = QStackedWidget()
        self._nothing = QStackedWidget()
        for part in (self._nothing, self._make_running(), self.stages):
            self.stack.addWidget(part)
        self.body.addWidget(self.stack)
        self.readouts.steps.chosen.connect(self._test_chosen)
        self.show_last(None)
        self._show_head(visible=False)
        self.timer = QTimer(self)
        self.timer.setInterval(BEAT_MS)
        self.timer.timeout.connect(self.paint_latest)
        self.timer.start()
        self._table_timer = QTimer(self)
        self._table_timer.setSingleShot(True)
        self._table_timer.setInterval(BEAT_MS // 2)
        self._table_timer.timeout.connect(self.paint_table)

    def _make_table(self) -> Table:
        table = Table(
            "live-servers",
            "Servers",
            server_columns(
                lambda name: self.graphs.numbers.get(name, 0),
                lambda name: self.graphs.news.get(name, WAITING),
                lambda name: self._gaps.get(name, ()),
            ),
            key=lambda row: row.name,
            hint="gap:>5",
        )
        table.selected.connect(lambda row: self.graphs.select(None if row is None else row.name))
        if table.view.horizontalHeader().sortIndicatorSection() < 0:
            table.sort_by("gap", descending=True)
        return table

    def _make_split(self) -> Splitter:
        split = Splitter(Qt.Orientation.Vertical)
        split.setObjectName("live")
        split.addWidget(self.graphs)
        split.addWidget(self.table)
        split.setChildrenCollapsible(False)
        _place(split, (2, 1), (470, 210))
        return split

    def _make_running(self) -> QWidget:
        running = QWidget()
        inside = QVBoxLayout(running)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(0)
        inside.addWidget(self.readouts)
        inside.addWidget(line())
        inside.addWidget(self._split, 1)
        return running

    # ---- called by the owner

    def show_progress(self, progress: RunProgress) -> None:
        """Keep this snapshot; it is painted at the next beat unless a newer one arrives first."""
        self._latest = progress

    def show_stage(self, text: str) -> None:
        """Show what is being set up before there is a run; an empty text ends that."""
        if not text:
            self.stages.clear()
            if self.stack.currentIndex() == 2:
                self.stack.setCurrentIndex(0)
            return
        if self.stack.currentIndex() != 2:
            self.stages.begin(text)
            self._latest = self._painted = None
            self._show_head(visible=False)
            self.title.setText("Live")
            self.remark.clear()
            self.stack.setCurrentIndex(2)
            return
        self.stages.add(text)

    def show_last(self, last: LastRun | None) -> None:
        """What is said and offered while nothing runs."""
        if last is None:
            words = "A run that is started in this workspace is shown here."
            empty = Empty("live", "Nothing runs", words, self._actions)
        else:
            words = f"Last: {last.sentence}."
            number = last.run
            empty = Empty(
                "live",
                "Nothing runs",
                words,
                (
                    ("Open it", "runs", lambda: self.result_wanted.emit(number, 0)),
                    ("Run again", "play", lambda: self.again_wanted.emit(number)),
                ),
            )
        old = self._nothing.currentWidget()
        self._nothing.addWidget(made := empty_widget(empty))
        self._nothing.setCurrentWidget(made)
        if old is not None:
            self._nothing.removeWidget(old)
            old.deleteLater()

    def show_nothing(self) -> None:
        """Show that there is no run."""
        self._latest = self._painted = None
        self._table_timer.stop()
        self.graphs.clear()
        self._gaps.clear()
        self.table.set_rows(())
        self._show_head(visible=False)
        self.title.setText("Live")
        self.remark.clear()
        self.stages.clear()
        self.stack.setCurrentIndex(0)

    def toggle_pause(self) -> None:
        """Freeze the picture, or continue with the newest one."""
        self.paused = not self.paused
        self.pause_button.setText("Resume view" if self.paused else "Pause view")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space freezes the picture, unless a field or a button of the page uses it."""
        if event.key() == Qt.Key.Key_Space and self.pause_button.isVisible():
            self.toggle_pause()
        else:
            super().keyPressEvent(event)

    def export_plot(self) -> None:
        """Save the plots as a picture, or what they show as a table."""
        dialog = QFileDialog(self, "Export plot", "tally-live.png", ";;".join(EXPORTS))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("png")
        dialog.filterSelected.connect(lambda chosen: dialog.setDefaultSuffix(EXPORTS[chosen]))
        dialog.fileSelected.connect(lambda name: self.save_plot(Path(name)))
        dialog.open()

    def save_plot(self, path: Path) -> None:
        """Save to this file, in the format of its name, and say so. A table is written by the owner, in a thread."""
        if path.suffix.lower() == ".csv":
            self.table_wanted.emit(path, self.graphs.table())
            return
        try:
            save(self.graphs, path)
        except OSError as error:
            self.show_saved(path, error.strerror or str(error))
        else:
            self.show_saved(path)

    def show_saved(self, path: Path, error: str = "") -> None:
        """Say that a file was written, or why not."""
        if error:
            self.message.say(f"{path} cannot be written: {error}.", colour="bad")
            return
        here = QUrl.fromLocalFile(str(path))
        actions = (("Open", "eye", lambda: QDesktopServices.openUrl(here)),)
        self.message.say(f"Saved: {path}", actions=actions)

    # ---- where plots and table stand

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _switched(self) -> None:
        self._arrange()
        if self.graphs.mode == "heat" and not self._beside:  # rows need height
            self._split.setSizes(self._heights(sum(self._split.sizes()) or 700, 0.22))

    def _arrange(self) -> None:
        """Fifty rows of the map and fifty of the table need the whole height: on a wide page, put them side by side."""
        beside = self.graphs.mode == "heat" and self.width() >= BESIDE_WIDTH
        wanted = Qt.Orientation.Horizontal if beside else Qt.Orientation.Vertical
        if beside == self._beside and self._split.orientation() == wanted:
            return
        self._beside = beside
        self.graphs.set_beside(beside)  # first: it then takes less room
        self._split.setOrientation(wanted)
        if beside:
            _place(self._split, (1, 0), (self.width() - TABLE_WIDTH, TABLE_WIDTH))
        else:
            above, below = self._heights(self._split.height() or 680, 0.31)
            _place(self._split, (2, 1), (above, below))

    def _heights(self, whole: int, share: float) -> tuple[int, int]:
        """The heights of plots and table, one above the other: the table has this share, and some rows at least."""
        table = max(round(whole * share), min(self.table.height_for(LEAST_ROWS), whole // 2))
        return whole - table, table

    # ---- painting

    def paint_latest(self) -> None:
        """One beat: paint the newest snapshot if it has not been painted yet."""
        if self.paused or self._latest is None or not self.isVisible():
            return
        if self._latest is self._painted:  # ages count on, whether or not there is news
            if self._painted.outcome == "running" and time.monotonic() - self._ticked >= TICK_SECONDS:
                self._tick()
            return
        if self._latest.phase == "idle":  # no run; one that could not start leaves nothing on the page
            if self.stack.currentIndex() == 1:
                self.show_nothing()
            return
        progress = self._painted = self._latest
        self.stack.setCurrentIndex(1)
        self._show_head(visible=True)
        self.export_button.setEnabled(progress.asked)
        self._paint_head(progress)
        self.readouts.show_progress(progress)
        self._keep_gaps(progress)
        self.graphs.show_progress(progress)
        self._table_timer.start()

    def paint_table(self) -> None:
        """The other half of a beat: plots and table in one turn of the loop are longer than a turn may be."""
        self._table_timer.stop()
        progress = self._painted
        if progress is None:
            return
        self.table.set_empty(Empty("live", before_first(progress), "Servers are listed when their clients start."))
        self.table.set_rows(progress.servers)
        self._fit_columns(progress)
        found = summary([self.graphs.news[row.name] for row in progress.servers if row.name in self.graphs.news])
        self.table.set_counts(f"{len(progress.servers)}; {found}" if found else str(len(progress.servers)))
        self._tick()

    def _tick(self) -> None:
        """Paint the cells anew: those of a row that is the same have ages, too."""
        self._ticked = time.monotonic()
        self.table.view.viewport().update()

    def _fit_columns(self, p: RunProgress) -> None:
        """Names and counts in full; beside the map, every pixel of the table is needed for figures."""
        longest = max((row.name for row in p.servers), key=len, default="")
        most = figures.count(10 ** len(str(max((row.requested for row in p.servers), default=0))) - 1)
        shown = (longest, most, self._beside)
        if shown != self._fitted:
            self._fitted = shown
            self.table.suggest_width("server", f"__{longest[:6] if self._beside else longest}", least=LEAST_NAME)
            for count in ("req", "read", "rec"):
                self.table.suggest_width(count, most, least=LEAST_COUNT)

    def _keep_gaps(self, p: RunProgress) -> None:
        if p.t - self._gaps_at < 1.0 and self._gaps:
            return
        self._gaps_at = p.t
        names = {row.name for row in p.servers}
        self._gaps = {name: gaps for name, gaps in self._gaps.items() if name in names}
        for row in p.servers:
            self._gaps.setdefault(row.name, deque(maxlen=GAP_POINTS)).append(row.gap)

    def _test_chosen(self, test: int) -> None:
        if self._painted is not None and self._painted.run is not None:
            self.result_wanted.emit(self._painted.run, test)

    def _show_head(self, *, visible: bool) -> None:
        for widget in (self.badge, self.pause_button, self.export_button):
            widget.setVisible(visible)

    def _paint_head(self, p: RunProgress) -> None:
        self.title.setText("Live" if p.run is None else f"Run {p.run}")
        self.remark.setText(" · ".join(part for part in (p.plan, _by(p.owner), p.message) if part))
        if p.outcome == "running" and p.paused:
            self.badge.set_state("pause", "paused" if p.phase == "paused" else "pausing", "warn")
        elif p.outcome == "running":
            self.badge.set_state("run", PHASES.get(p.phase, p.phase), "info")
        else:
            self.badge.set_state(*outcome_state(p.outcome))

    def _choose_server(self, name: str | None) -> None:
        if name is None:
            self.table.view.clearSelection()
        else:
            self.table.select_key(name)
        self.graphs.select(name)


def _by(owner: str) -> str:
    return f"carried out by {owner[0].lower()}{owner[1:]}" if owner else ""


def _place(split: Splitter, stretch: tuple[int, int], sizes: tuple[int, int]) -> None:
    for number, factor in enumerate(stretch):
        split.setStretchFactor(number, factor)
    split.setSizes(list(sizes))
