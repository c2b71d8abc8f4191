"""The plots of a run: throughput as lines or as a heat map, and requested and recorded, on one time axis, with legends.

`show_progress` paints a snapshot; `clear` removes everything of an earlier run. The owner says whether the table stands
beside the plots (`set_beside`): there is then no room for the legends at the right, and the title lines have them.
"""

from __future__ import annotations

import math
import statistics

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from gui.models import figures
from gui.models.events import events
from gui.models.series import Array, Curves
from gui.runner.progress import RunProgress
from gui.widgets.legend import Legend, LegendLine, LegendRow, scrolling
from gui.widgets.parts import Elided, button, label, line, segments
from gui.widgets.plots import LINES_LIMIT, ConvergingPlot, HeatMap, LinesPlot, clock, line_pen
from gui.widgets.scale import ScaleKey, ScalePane
from gui.widgets.theme import theme

UNIT, NARROW_UNIT = "MiB/s, 1 s mean, measured by clients", "MiB/s, 1 s mean"


class Graphs(QWidget):
    """See the module. `chosen` carries the name of a server, or None; `switched` that another plot is shown."""

    chosen = Signal(object)
    switched = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._painted: RunProgress | None = None
        self._names: tuple[str, ...] = ()
        self.numbers: dict[str, int] = {}
        """The number of each server, which fixes its colour."""
        self._mode: str | None = None
        """The mode that the user has chosen for this run."""
        self.mode = "lines"
        """What is shown: ``lines`` or ``heat``."""
        self._beside = False
        self._cross = math.nan
        self._run: tuple[int | None, float] | None = None
        """The run that the plots show: its number and start."""
        self._curves = Curves()
        self._times: Array = np.empty(0)
        """Start of each second of the curves, relative to the start of the run."""
        self._rates: Array = np.empty((0, 0))
        self._counts: Array = np.empty((3, 0))
        self._make_plots()
        self._make_side()
        beside = QHBoxLayout(self)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.setSpacing(0)
        beside.addLayout(self._left, 1)
        beside.addWidget(self._side_line)
        beside.addWidget(self._side)
        self.scale_key.hide()
        self.counts_line.hide()
        self._switch("lines")
        theme().changed.connect(self._paint_legends)  # swatches are drawn with the theme's pens

    def _make_plots(self) -> None:
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

    def _make_side(self) -> None:
        self.legend = Legend("Server", "MiB/s now")
        self.counts_legend = Legend("Count", "now")
        self.legend.chosen.connect(self.chosen)
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
        self._side = QWidget()
        self._side.setFixedWidth(272)
        self._side.setLayout(right)
        self._side_line = line("vertical")

    # ---- called by the owner

    def show_progress(self, p: RunProgress) -> None:
        """Paint this snapshot."""
        self._painted = p
        run = (p.run, p.started)
        known = self._run
        if known is None or run[1] != known[1] or known[0] not in (None, run[0]):
            self.clear()
            self._painted = p
        self._run = run  # it gets its number when it is stored
        names = p.series or tuple(server.name for server in p.servers)
        if names != self._names:
            self._name_servers(names)
        usual = "lines" if len(names) <= LINES_LIMIT else "heat"
        if self._mode is None and usual != self.mode:
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

    def clear(self) -> None:
        """Remove everything of an earlier run."""
        self._run = None
        self._painted = None
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

    def select(self, name: str | None) -> None:
        """Mark this server."""
        self.lines.select(name)
        self.heat.select(name)
        self.legend.select(name)

    def set_beside(self, beside: bool) -> None:
        """Whether the table stands beside the plots."""
        self._beside = beside
        for widget in (self._side, self._side_line, self.converging.unit):
            widget.setVisible(not beside)
        for widget in (self.scale_key, self.counts_line):
            widget.setVisible(beside)
        self._throughput_unit.setText(NARROW_UNIT if beside else UNIT)

    def show_mode(self, mode: str) -> None:
        """Show throughput as ``lines`` or as a ``heat`` map, for the whole of this run."""
        self._mode = mode
        self._switch(mode)

    def _switch(self, mode: str) -> None:
        changed = mode != self.mode
        self.mode = mode
        heat = mode == "heat"
        self.throughput.setCurrentWidget(self.heat if heat else self.lines)
        self.throughput_side.setCurrentIndex(1 if heat else 0)
        self._left.setStretchFactor(self.throughput, 7 if heat else 3)
        self._right.setStretchFactor(self.throughput_side, 7 if heat else 3)
        self.lines_button.setChecked(not heat)
        self.heat_button.setChecked(heat)
        if changed:
            self.switched.emit()
        if self._times.size:
            self._paint_throughput()
            self._paint_legends()

    # ---- painting

    def _name_servers(self, names: tuple[str, ...]) -> None:
        """Set the servers of the tests that have begun. Each keeps its number, and so its colour."""
        self._names = names
        self.numbers = {name: number for number, name in enumerate(names)}
        servers = list(self.numbers.items())
        self.lines.set_servers(servers)
        self.heat.set_servers(servers)

    def _take_curves(self, started: float) -> None:
        seconds = self._curves.rates.shape[1]
        self._times = np.arange(seconds, dtype=np.float64) + (self._curves.first - started if seconds else 0.0)
        self._rates = np.asarray(self._curves.rates / 2**20, dtype=np.float64)
        self._counts = self._curves.counts

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
        if self.throughput.currentWidget() is self.heat:  # a legend of fifty rows would help nobody
            self._paint_scale()
        else:
            self._paint_legend(near, at)
        self._paint_counts(near, at)

    def _paint_legend(self, near: int | None, at: str) -> None:
        def text(values: Array) -> tuple[str, str]:
            return "" if near is None else _rate(values[near]), _rate(values[-1])

        self.legend.set_rows(
            [
                LegendRow(name, line_pen(number, 3), *text(values))
                for (name, number), values in zip(self.numbers.items(), self._rates, strict=True)
            ],
            at,
            text(np.where(np.isnan(self._rates).all(axis=0), np.nan, np.nansum(self._rates, axis=0))),
        )

    def _paint_counts(self, near: int | None, at: str) -> None:
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


def _rate(value: float) -> str:
    return figures.UNKNOWN if math.isnan(value) else figures.rate(float(value))


def _count(value: float) -> str:
    return figures.UNKNOWN if math.isnan(value) else figures.count(value)
