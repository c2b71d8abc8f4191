"""Live: the progress of a run, its converging figures, throughput per server, and a table with a row per server.

The owner passes `RunProgress` snapshots to the page (`show_progress`), which paints the latest one on its own beat, at
most ten times a second. While the view is paused it keeps the last picture; the run continues.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

import numpy as np
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from gui.models import figures
from gui.models.events import events
from gui.models.rows import Column
from gui.models.series import Array, Curves
from gui.models.states import outcome_state
from gui.runner.progress import RunProgress, ServerRow
from gui.widgets.icons import pixmap
from gui.widgets.legend import Legend, LegendLine, LegendRow, scrolling
from gui.widgets.parts import Badge, Elided, Page, Readout, ReadoutBar, button, label, line, segments
from gui.widgets.plots import LINES_LIMIT, ConvergingPlot, HeatMap, LinesPlot, clock, line_pen
from gui.widgets.scale import ScaleKey, ScalePane
from gui.widgets.steps import StepStrip
from gui.widgets.table import Empty, Table, empty_widget
from gui.widgets.theme import theme

BESIDE_WIDTH = 1208
"""Width of the page (of a window of 1280) from which the heat map and the table stand side by side."""
TABLE_WIDTH = 664
UNIT, NARROW_UNIT = "MiB/s, 1 s mean, measured by clients", "MiB/s, 1 s mean"
BEAT_MS = 200
"""The page's own beat; snapshots may come more often, but nobody could see more."""

PHASES = {
    "idle": "waiting",
    "preparing": "preparing",
    "waiting_clients": "waiting for clients",
    "starting": "starting clients",
    "round": "running",
    "pause": "running",
    "ending": "ending",
    "settling": "settling",
    "reconciling": "comparing",
    "done": "done",
}


def _zero(value: int, bad: str) -> str:
    return bad if value else "text3"


def server_columns(number_of: Callable[[str], int]) -> list[Column[ServerRow]]:
    """The columns of the table under the plots; `number_of` gives a server's number, which fixes its colour."""
    return [
        Column(
            "server",
            "Server",
            lambda r: r.name,
            kind="swatch",
            colour=lambda r: theme().series(number_of(r.name)).name(),
            width=112,
            tip=lambda r: r.url,
        ),
        Column("address", "Address", lambda r: r.url, colour=lambda _r: "text2", width=176, stretch=True, fold=1),
        Column("req", "Req.", lambda r: r.requested, lambda r: figures.count(r.requested), "right", 68),
        Column("read", "Read", lambda r: r.read, lambda r: figures.count(r.read), "right", 68),
        Column("rec", "Rec.", lambda r: r.recorded, lambda r: figures.count(r.recorded), "right", 68),
        Column(
            "gap",
            "Gap",
            lambda r: r.gap,
            lambda r: figures.count(r.gap),
            "right",
            64,
            colour=lambda r: _zero(r.gap, "text"),
            bold=lambda r: r.gap > 0,
        ),
        Column(
            "oldest",
            "Oldest",
            lambda r: r.gap_oldest,
            lambda r: (
                figures.UNKNOWN if r.gap_oldest is None else figures.duration(max(0.0, time.time() - r.gap_oldest))
            ),
            "right",
            76,
            colour=lambda _r: "text2",
        ),
        Column(
            "wrong",
            "Wrong",
            lambda r: r.wrong,
            lambda r: figures.count(r.wrong),
            "right",
            72,
            colour=lambda r: _zero(r.wrong, "bad"),
            fold=4,
        ),
        Column(
            "dup",
            "Dup.",
            lambda r: r.duplicate,
            lambda r: figures.count(r.duplicate),
            "right",
            64,
            colour=lambda r: _zero(r.duplicate, "dup"),
            fold=3,
        ),
        Column(
            "failed",
            "Client failed",
            lambda r: r.failed,
            lambda r: figures.count(r.failed),
            "right",
            96,
            colour=lambda r: _zero(r.failed, "mute"),
            fold=2,
        ),
        Column(
            "mib",
            "MiB/s",
            lambda r: None if r.rate is None else r.rate / 2**20,
            lambda r: figures.UNKNOWN if r.rate is None else figures.mib(r.rate),
            "right",
            72,
        ),
        Column(
            "last",
            "Last record",
            lambda r: r.last_record,
            lambda r: figures.UNKNOWN if r.last_record is None else figures.age(time.time() - r.last_record),
            "right",
            104,
            colour=lambda _r: "text2",
        ),
    ]


class LivePage(Page):
    """The page. `actions` are offered while it is empty; `cancel` stops what is being set up."""

    def __init__(
        self, actions: tuple[tuple[str, str, Callable[[], object]], ...], cancel: Callable[[], object]
    ) -> None:
        super().__init__("Live")
        self._latest: RunProgress | None = None
        self._painted: RunProgress | None = None
        self._names: tuple[str, ...] = ()
        self._numbers: dict[str, int] = {}
        self._mode: str | None = None
        """The mode that the user has chosen for this run."""
        self._shown_mode = "lines"
        self._cross = math.nan
        self._run: tuple[int | None, float] | None = None
        """The run that the plots show: its number and start."""
        self._curves = Curves()
        self._times: Array = np.empty(0)
        """Start of each second of the curves, relative to the start of the run."""
        self._rates: Array = np.empty((0, 0))
        self._counts: Array = np.empty((3, 0))
        self.paused = False

        self.badge = Badge()
        self.head.insertWidget(2, self.badge)
        self.pause_button = button("Pause view", "pause", self.toggle_pause, tip="Space")
        self.export_button = button("Export plot…", "export", self.export_plot)
        for widget in (self.pause_button, self.export_button):
            self.add_action(widget)

        # ---- read-outs
        self.progress_text = Elided("", "caption", least=160)
        self.progress_count = label("", "caption")
        self.progress_eta = label("", "caption")
        self.progress_bar = QProgressBar()
        self.progress_bar.setTextVisible(False)
        self.progress_bar.setAccessibleName("Progress of this repeat")
        captions = QHBoxLayout()
        captions.addWidget(self.progress_text)
        captions.addStretch(1)
        captions.addWidget(self.progress_count)
        captions.addStretch(1)
        captions.addWidget(self.progress_eta)
        progress = QVBoxLayout()
        progress.setContentsMargins(16, 0, 16, 0)
        progress.setSpacing(8)
        progress.addLayout(captions)
        progress.addWidget(self.progress_bar)
        progress.addStretch(1)
        holder = QWidget()
        holder.setMaximumWidth(392)
        holder.setLayout(progress)
        self.requested = Readout("requested")
        self.read = Readout("read")
        self.recorded = Readout("recorded")
        self.gap = Readout("gap")
        self.faults = Readout("wrong · duplicate · failed")
        self.rate = Readout("rate achieved / offered")
        readouts = QHBoxLayout()
        readouts.setContentsMargins(0, 0, 0, 8)
        readouts.setSpacing(0)
        readouts.addWidget(holder, 1000)
        # What to hide when there is no room, in this order; the progress bar also counts `requested`.
        spare: list[tuple[QWidget, ...]] = [(self.progress_count,)]
        for readout in (self.requested, self.read, self.recorded, self.gap, self.faults, self.rate):
            divider = line("vertical")
            readouts.addWidget(divider)
            readouts.addWidget(readout)
            if readout in (self.rate, self.requested):
                spare.insert(1, (readout, divider))
        readouts.addStretch(1)
        self._bar = ReadoutBar(readouts, spare)

        # ---- plots
        title, unit = "Throughput per server", UNIT
        self.lines = LinesPlot(title, unit, heading=False)
        self.heat = HeatMap(title, unit, heading=False)
        self.converging = ConvergingPlot()
        self.throughput = QStackedWidget()
        self.throughput.addWidget(self.lines)
        self.throughput.addWidget(self.heat)
        self.lines_button = button("Lines", kind="segment")
        self.heat_button = button("Heat map", kind="segment")
        switch = segments(self.lines_button, self.heat_button)
        for widget, mode in ((self.lines_button, "lines"), (self.heat_button, "heat")):
            widget.clicked.connect(lambda _checked=False, mode=mode: self.show_mode(mode))
        for plot in (self.lines, self.heat, self.converging):
            plot.hovered.connect(self._hovered)
            plot.ranged.connect(self._ranged)
        title_line = QHBoxLayout()
        title_line.setContentsMargins(16, 4, 16, 2)
        title_line.setSpacing(8)
        self._throughput_unit = Elided(unit, "hint", least=40)
        self.scale_key = ScaleKey()
        title_line.addWidget(label(title, "section"))
        title_line.addWidget(self._throughput_unit, 1)
        title_line.addWidget(self.scale_key)
        title_line.addWidget(switch)
        self.counts_line = LegendLine()
        self.converging.head.insertWidget(2, self.counts_line, 100)
        self._left = left = QVBoxLayout()
        left.setContentsMargins(0, 0, 0, 0)
        left.setSpacing(0)
        left.addLayout(title_line)
        left.addWidget(self.throughput, 3)
        left.addWidget(line())
        left.addWidget(self.converging, 2)
        self.legend = Legend("Server", "MiB/s now")
        self.counts_legend = Legend("Count", "now")
        self.legend.chosen.connect(self._choose_server)
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        self.scale = ScalePane("MiB/s")
        self.throughput_side = QStackedWidget()
        self.throughput_side.addWidget(scrolling(self.legend))
        self.throughput_side.addWidget(scrolling(self.scale))
        right.addWidget(self.throughput_side, 3)
        right.addWidget(line())
        counts = scrolling(self.counts_legend)
        counts.setMinimumHeight(5 * 24)  # its header and four lines
        right.addWidget(counts, 2)
        self._right = right
        self._side = side = QWidget()
        side.setFixedWidth(272)
        side.setLayout(right)
        beside = QHBoxLayout()
        beside.setContentsMargins(0, 0, 0, 0)
        beside.setSpacing(0)
        beside.addLayout(left, 1)
        self._side_line = line("vertical")
        beside.addWidget(self._side_line)
        beside.addWidget(side)
        plots = QWidget()
        plots.setLayout(beside)

        self.table = Table(
            "live-servers",
            "Servers",
            server_columns(lambda name: self._numbers.get(name, 0)),
            key=lambda row: row.name,
            hint="gap:>5",
        )
        self.table.selected.connect(lambda row: self._mark_server(None if row is None else row.name))
        if self.table.view.horizontalHeader().sortIndicatorSection() < 0:
            self.table.sort_by("gap", descending=True)
        split = QSplitter(Qt.Orientation.Vertical)
        split.setObjectName("live")
        split.addWidget(plots)
        split.addWidget(self.table)
        split.setChildrenCollapsible(False)
        self._split = split
        self._beside = False
        self._place((2, 1), (470, 210))

        running = QWidget()
        inside = QVBoxLayout(running)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(0)
        self.steps = StepStrip()
        inside.addWidget(self._bar)
        inside.addWidget(self.steps)
        inside.addWidget(line())
        inside.addWidget(split, 1)
        nothing = empty_widget(
            Empty("live", "No run under way", "A run that is started in this workspace is shown here.", actions)
        )
        self.stages = StagesPanel(cancel)
        self.stack = QStackedWidget()
        for part in (nothing, running, self.stages):
            self.stack.addWidget(part)
        self.body.addWidget(self.stack)
        self._show_head(visible=False)
        self.scale_key.hide()
        self.counts_line.hide()
        self._switch("lines")

        theme().changed.connect(self._paint_legends)  # swatches are drawn with the theme's pens
        self.timer = QTimer(self)
        self.timer.setInterval(BEAT_MS)
        self.timer.timeout.connect(self.paint_latest)
        self.timer.start()

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

    def show_nothing(self) -> None:
        """Show that there is no run."""
        self._latest = self._painted = None
        self._begin_run(None)
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

    def show_mode(self, mode: str) -> None:
        """Show throughput as ``lines`` or as a ``heat`` map, for the whole of this run."""
        self._mode = mode
        self._switch(mode)

    def _switch(self, mode: str) -> None:
        changed = mode != self._shown_mode
        self._shown_mode = mode
        heat = mode == "heat"
        self._arrange()
        if heat and changed and not self._beside:  # rows need height; otherwise the user's setting stays
            whole = sum(self._split.sizes()) or 700
            self._split.setSizes([round(whole * 0.78), round(whole * 0.22)])
        self.throughput.setCurrentWidget(self.heat if heat else self.lines)
        self.throughput_side.setCurrentIndex(1 if heat else 0)
        self._left.setStretchFactor(self.throughput, 7 if heat else 3)
        self._right.setStretchFactor(self.throughput_side, 7 if heat else 3)
        self.lines_button.setChecked(not heat)
        self.heat_button.setChecked(heat)
        if self._times.size:
            self._paint_throughput()
            self._paint_legends()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        """Fifty rows of the map and fifty of the table need the whole height: on a wide page, put them side by side."""
        beside = self._shown_mode == "heat" and self.width() >= BESIDE_WIDTH
        wanted = Qt.Orientation.Horizontal if beside else Qt.Orientation.Vertical
        if beside == self._beside and self._split.orientation() == wanted:
            return
        self._beside = beside
        self._split.setOrientation(wanted)
        if beside:
            self._place((1, 0), (self.width() - TABLE_WIDTH, TABLE_WIDTH))
        else:
            whole = self._split.height() or 680
            self._place((2, 1), (round(whole * 0.69), round(whole * 0.31)))
        for widget in (self._side, self._side_line, self.converging.unit):
            widget.setVisible(not beside)
        for widget in (self.scale_key, self.counts_line):
            widget.setVisible(beside)
        self._throughput_unit.setText(NARROW_UNIT if beside else UNIT)

    def _place(self, stretch: tuple[int, int], sizes: tuple[int, int]) -> None:
        for number, factor in enumerate(stretch):
            self._split.setStretchFactor(number, factor)
        self._split.setSizes(list(sizes))

    def export_plot(self) -> None:
        """Save the plots as a picture, at twice the resolution of the screen."""
        dialog = QFileDialog(self, "Export plot", "tally-live.png", "PNG picture (*.png)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("png")
        dialog.fileSelected.connect(lambda path: self.throughput.grab().save(path))
        dialog.open()

    # ---- painting

    def paint_latest(self) -> None:
        """One beat: paint the newest snapshot if it has not been painted yet."""
        if self.paused or self._latest is None or self._latest is self._painted or not self.isVisible():
            return
        if self._latest.phase == "idle":  # no run; one that could not start leaves nothing on the page
            if self.stack.currentIndex() == 1:
                self.show_nothing()
            return
        progress = self._painted = self._latest
        self.stack.setCurrentIndex(1)
        self._show_head(visible=True)
        self._paint_head(progress)
        self._paint_readouts(progress)
        self._paint_plots(progress)
        self.table.set_rows(progress.servers)
        self.table.set_counts(str(len(progress.servers)))

    def _show_head(self, *, visible: bool) -> None:
        for widget in (self.badge, self.pause_button, self.export_button):
            widget.setVisible(visible)

    def _paint_head(self, p: RunProgress) -> None:
        self.title.setText("Live" if p.run is None else f"Run {p.run}")
        self.remark.setText(" · ".join(part for part in (p.plan, p.message) if part))
        if p.outcome == "running":
            self.badge.set_state("run", PHASES.get(p.phase, p.phase), "info")
        else:
            self.badge.set_state(*outcome_state(p.outcome))

    def _paint_readouts(self, p: RunProgress) -> None:
        test = f"test {p.test}/{p.tests} · " if p.tests > 1 else ""
        self.progress_text.setText(f"{test}repeat {p.repeat}/{p.repeats} · round {p.round}/{p.rounds}")
        self.progress_count.setText(f"{p.requested:,} / {p.total:,}")
        self.progress_eta.setText(f"ETA {figures.duration(p.eta)}" if p.eta else "")
        self.progress_bar.setMaximum(max(1, p.total))
        self.progress_bar.setValue(p.requested)
        self.requested.set(figures.count(p.requested))
        self.read.set(figures.count(p.read))
        self.recorded.set(figures.count(p.recorded))
        self.gap.set(figures.count(p.gap), f"oldest {figures.duration(p.gap_oldest)}" if p.gap_oldest else "")
        self.faults.set(f"{p.wrong:,} · {p.duplicate:,} · {p.failed:,}")
        several = sum(len(step.repeats) for step in p.steps) > 1
        self.steps.setVisible(several)
        if several:
            left = f", ETA {figures.duration(p.run_eta)}" if p.run_eta else ""
            self.steps.show_steps(
                p.steps,
                min(1.0, p.requested / p.total) if p.total else 0.0,
                (f"all tests {p.run_requested:,}", f"of {p.run_total:,}{left}"),
            )
        offered = figures.rate(p.offered_rate)
        self.rate.set(figures.rate(p.achieved_rate), f"/ {offered} per s")

    def _begin_run(self, run: tuple[int | None, float] | None) -> None:
        """Remove everything of an earlier run from the plots."""
        self._run = run
        self._names = ()
        self._mode = None
        self._curves.clear()
        self._name_servers(())
        self._take_curves(0.0)
        self.lines.update_data(self._times, self._rates)
        self.converging.update_data(self._times, *self._counts)
        for plot in (self.lines, self.heat, self.converging):
            plot.set_events(())
            plot.show_range(math.nan, math.nan)
        self.legend.set_rows([], "", ("", ""))
        self.counts_legend.set_rows([], "")
        self.counts_line.set_rows(())
        self.table.set_rows(())

    def _name_servers(self, names: tuple[str, ...]) -> None:
        """Set the servers of the tests that have begun. Each keeps its number, and so its colour."""
        self._names = names
        self._numbers = {name: number for number, name in enumerate(names)}
        servers = list(self._numbers.items())
        self.lines.set_servers(servers)
        self.heat.set_servers(servers)

    def _take_curves(self, started: float) -> None:
        seconds = self._curves.rates.shape[1]
        self._times = np.arange(seconds, dtype=np.float64) + (self._curves.first - started if seconds else 0.0)
        self._rates = np.asarray(self._curves.rates / 2**20, dtype=np.float64)
        self._counts = self._curves.counts

    def _paint_plots(self, p: RunProgress) -> None:
        run = (p.run, p.started)
        known = self._run
        if known is None or run[1] != known[1] or known[0] not in (None, run[0]):
            self._begin_run(run)
        self._run = run  # it gets its number when it is stored
        names = p.series or tuple(server.name for server in p.servers)
        if names != self._names:
            self._name_servers(names)
        usual = "lines" if len(names) <= LINES_LIMIT else "heat"
        if self._mode is None and usual != self._shown_mode:
            self._switch(usual)
        self._curves.update(p.samples, len(names))
        if not p.samples:
            return
        self._take_curves(p.started)
        self._paint_throughput()
        self.converging.update_data(self._times, *self._counts)
        marked = events(p.markers, p.started)
        for plot in (self.lines, self.heat, self.converging):
            plot.set_events(marked)
        self._paint_legends()

    def _paint_throughput(self) -> None:
        if self.throughput.currentWidget() is self.lines:
            self.lines.update_data(self._times, self._rates)
        else:
            self.heat.update_data(self._times, self._rates, self._curves.missing)

    def _ranged(self, begin: float, end: float) -> None:
        """Show the same time range in all plots."""
        for plot in (self.lines, self.heat, self.converging):
            if plot is not self.sender():
                plot.show_range(begin, end)

    def _paint_legends(self) -> None:
        """Show the values at the cross hair (if there is one) and the current ones."""
        if not self._times.size:
            return
        seconds = self._cross
        near = None if math.isnan(seconds) else int(np.clip(seconds - self._times[0], 0, self._times.size - 1))
        at = "" if near is None else clock(float(self._times[near]))

        def text(values: Array) -> tuple[str, str]:
            return "" if near is None else _rate(values[near]), _rate(values[-1])

        if (
            self.throughput.currentWidget() is self.heat
        ):  # the scale is beside it; a legend of fifty rows would help nobody
            self._paint_scale()
        else:
            self.legend.set_rows(
                [
                    LegendRow(name, line_pen(number, 3), *text(values))
                    for (name, number), values in zip(self._numbers.items(), self._rates, strict=True)
                ],
                at,
                text(np.where(np.isnan(self._rates).all(axis=0), np.nan, np.nansum(self._rates, axis=0))),
            )
        rows = []
        p = self._painted  # newer than the last point of the plot, and the same as in the head of the page
        counts_now = [float(values[-1]) for values in self._counts] if p is None else [p.requested, p.read, p.recorded]
        for (name, pen), values, count in zip(self.converging.pens().items(), self._counts, counts_now, strict=True):
            then = "" if near is None else _count(values[near])
            rows.append(LegendRow(name, pen, then, _count(count)))
        # A record may be in the database before the client has reported the request as done: that is not a gap.
        gap = np.maximum(self._counts[1] - self._counts[2], 0)
        then = "" if near is None else _count(gap[near])
        # The current gap is counted per server: a server that is ahead must not hide the gap of another one.
        now = float(gap[-1]) if p is None else p.gap
        rows.append(LegendRow("gap", self.converging.gap_pen(), then, _count(now)))
        self.counts_legend.set_rows(rows, at)
        if self._beside:
            facts = dict(self.scale.facts)
            remark = f"Sum {facts['Sum']}, median {facts['Median'].removesuffix(' MiB/s')}" if facts else ""
            self.counts_line.set_rows(rows[1:], remark)

    def _paint_scale(self) -> None:
        now = {name: value for name, value in zip(self._names, self._rates[:, -1], strict=True) if value == value}
        facts: list[tuple[str, str]] = []
        if now:
            order = sorted(now, key=lambda name: now[name])
            facts = [
                ("Sum", f"{figures.rate(sum(now.values()))} MiB/s"),
                ("Median", f"{figures.rate(statistics.median(now.values()))} MiB/s"),
                ("Slowest", f"{order[0]}  {figures.rate(now[order[0]])} MiB/s"),
                ("Fastest", f"{order[-1]}  {figures.rate(now[order[-1]])} MiB/s"),
            ]
        self.scale.set_scale(self.heat.top, list(now.values()), facts)
        self.scale_key.set_top(self.heat.top)

    def _hovered(self, seconds: float) -> None:
        self._cross = seconds
        for plot in (self.lines, self.heat, self.converging):
            plot.show_cross(seconds)
        self._paint_legends()

    def _choose_server(self, name: str | None) -> None:
        if name is None:
            self.table.view.clearSelection()
        else:
            self.table.select_key(name)
        self._mark_server(name)

    def _mark_server(self, name: str | None) -> None:
        self.lines.select(name)
        self.heat.select(name)
        self.legend.select(name)


def _rate(value: float) -> str:
    return figures.UNKNOWN if math.isnan(value) else figures.rate(float(value))


def _count(value: float) -> str:
    return figures.UNKNOWN if math.isnan(value) else figures.count(value)


class StagesPanel(QWidget):
    """What is being set up, step by step, with a button to cancel it."""

    SHOWN = 10

    def __init__(self, cancel: Callable[[], object]) -> None:
        super().__init__()
        self.title = label("", "section")
        self._steps: list[str] = []
        self._rows: list[tuple[QLabel, QLabel]] = []
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(1, 1)
        grid.addWidget(self.title, 0, 0, 1, 2)
        for number in range(self.SHOWN):
            picture, words = QLabel(), label("", "secondary")
            words.setWordWrap(True)
            grid.addWidget(picture, number + 1, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(words, number + 1, 1)
            self._rows.append((picture, words))
        self.cancel_button = button("Cancel", "x", cancel)
        foot = QHBoxLayout()
        foot.setContentsMargins(0, 12, 0, 0)
        foot.addWidget(self.cancel_button)
        foot.addStretch(1)
        grid.addLayout(foot, self.SHOWN + 1, 0, 1, 2)
        card = QWidget()
        card.setFixedWidth(520)
        card.setLayout(grid)
        column = QVBoxLayout(self)
        column.addStretch(2)
        column.addWidget(card, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(3)
        theme().changed.connect(self._show)

    def begin(self, title: str) -> None:
        """Clear the steps and show this title."""
        self.title.setText(title)
        self._steps.clear()
        self.cancel_button.setEnabled(True)
        self._show()

    def add(self, step: str) -> None:
        """Add the next step; those before it are done."""
        self._steps.append(step)
        self._show()

    def clear(self) -> None:
        self.begin("")

    def steps(self) -> tuple[str, ...]:
        """The steps so far, the newest last."""
        return tuple(self._steps)

    def _show(self) -> None:
        shown = self._steps[-self.SHOWN :]
        for number, (picture, words) in enumerate(self._rows):
            there = number < len(shown)
            picture.setVisible(there)
            words.setVisible(there)
            if there:
                current = number == len(shown) - 1
                picture.setPixmap(pixmap("run", "info", 14, 2.0) if current else pixmap("ok", "ok", 14, 2.0))
                words.setText(shown[number])
