"""The plots of a run: throughput as lines or as a heat map, and requested and recorded, on one time axis, with legends.

`show_progress` paints a snapshot; `clear` removes everything of an earlier run. Before a run's first request there is
nothing to plot: a text says what is waited for in place of empty axes. The owner says whether the table stands
beside the plots (`set_beside`): there is then no room for the legends at the right, and the title lines have them.

What is plotted (`SOURCES`) and the order of rows are chosen here; `news` has what is new about each server.
"""

from __future__ import annotations

import math
import statistics
from functools import partial

import numpy as np
from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QMenu, QStackedWidget, QVBoxLayout, QWidget

from gui.models import figures
from gui.models.events import events
from gui.models.live_servers import ORDERS, News, Order, news, ordered, slow_seconds
from gui.models.series import Array, Curves, PlotTable
from gui.runner.progress import RunProgress
from gui.widgets.fields import ChoiceField
from gui.widgets.legend import Legend, LegendLine, LegendRow, scrolling
from gui.widgets.parts import Elided, button, label, line, segments
from gui.widgets.plots import LINES_LIMIT, ConvergingPlot, HeatMap, LinesPlot, clock, line_pen
from gui.widgets.scale import ScaleKey, ScalePane
from gui.widgets.table import Empty, empty_widget
from gui.widgets.theme import theme

SOURCES = (("clients", "Clients"), ("servers", "Servers say"), ("both", "Both"))
UNITS = {
    "clients": ("MiB/s, 1 s mean, measured by clients", "MiB/s, 1 s mean"),
    "servers": ("MiB/s, 10 s mean, by the servers' records", "MiB/s, by records"),
    "both": ("MiB/s, lines: clients, dashes: the servers' records", "MiB/s, dashes: records"),
}
BOTH_LIMIT = 6
"""Maximum number of servers whose two lines can be told apart."""
SLOW_WINDOW = 600
"""Seconds that are looked at to say for how long a server has been slow."""
BEFORE = {
    "preparing": "The run is being prepared",
    "waiting_clients": "Waiting for clients",
    "starting": "The clients are starting",
    "done": "Nothing was requested",
}
"""Why there is nothing to plot, by phase."""
ORDER_SECONDS = 10.0
"""How often rows are put in order again: more often, and they would jump."""


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
        self._said: Array = np.empty((0, 0))
        self._counts: Array = np.empty((3, 0))
        self.source = "clients"
        """What is plotted, see `SOURCES`."""
        self.order: Order = "name"
        self._places: list[int] = []
        """The rows of the heat map and the legend: places in `_names`."""
        self._placed = -math.inf
        self.news: dict[str, News] = {}
        """What is new about each server of the repeat under way."""
        self._make_choices()
        self._make_plots()
        self._make_side()
        for part in (self.scale_key, self.counts_line, self.more_button):
            part.hide()
        plots = QWidget()
        beside = QHBoxLayout(plots)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.setSpacing(0)
        beside.addLayout(self._left, 1)
        beside.addWidget(self._side_line)
        beside.addWidget(self._side)
        self._before: QWidget | None = None
        self._before_title = ""
        self.stack = QStackedWidget()
        self.stack.addWidget(plots)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.stack)
        self._switch("lines")
        theme().follow(self._paint_legends)  # swatches are drawn with the theme's pens

    def _make_choices(self) -> None:
        self.source_buttons = {key: button(word, kind="segment") for key, word in SOURCES}
        self.source_switch = segments(*self.source_buttons.values())
        for key, choice in self.source_buttons.items():
            choice.clicked.connect(lambda _checked=False, key=key: self.show_source(key))
        self.source_buttons["clients"].setChecked(True)
        self.order_box = ChoiceField()
        self.order_box.setAccessibleName("Order of rows")
        for key, word in ORDERS:
            self.order_box.addItem(word, key)
        self.order_box.activated.connect(lambda _place: self.show_order(self.order_box.currentData()))
        self.order_label = label("Order", "secondary")
        self.more_button = button("", "more", self._show_more, kind="icon", tip="What is plotted, and order of rows")

    def _show_more(self) -> None:
        """The same choices, where there is no room for them."""
        menu = QMenu(self)
        for key, word in SOURCES:
            action = menu.addAction(word, partial(self.show_source, key))
            action.setCheckable(True)
            action.setChecked(key == self.source)
            action.setEnabled(self.source_buttons[key].isEnabled())
        menu.addSeparator()
        for order, word in ORDERS:
            action = menu.addAction(f"Rows {word}", partial(self.show_order, order))
            action.setCheckable(True)
            action.setChecked(order == self.order)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.more_button.mapToGlobal(QPoint(0, self.more_button.height())))

    def _make_plots(self) -> None:
        title, unit = "Throughput per server", UNITS["clients"][0]
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
        self._title = label(title, "section")
        title_line.addWidget(self._title)
        title_line.addWidget(self._throughput_unit, 1)
        title_line.addWidget(self.scale_key)
        title_line.addWidget(self.order_label)
        title_line.addWidget(self.order_box)
        title_line.addWidget(switch)
        title_line.addWidget(self.more_button)
        self.heat.remark = self._remark
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
        right.addWidget(_padded(self.source_switch))
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
            self._offer_sources()
        usual = "lines" if len(names) <= LINES_LIMIT else "heat"
        if self._mode is None and usual != self.mode:
            self._switch(usual)
        self._curves.update(p.samples, len(names))
        self._show_before("" if p.asked else before_first(p))
        if not p.samples:
            return
        self._take_curves(p.started)
        self._offer_sources()
        self._tell(p)
        self._put_in_order(p)
        self._paint_throughput()
        self.converging.update_data(self._times, *self._counts)
        marked = events(p.markers, p.started)
        for plot in (self.lines, self.heat, self.converging):
            plot.set_events(marked)
        self._paint_legends()

    def _show_before(self, title: str) -> None:
        """Say why nothing is plotted; an empty title: plot."""
        if title == self._before_title:
            return
        self._before_title = title
        if self._before is not None:
            self.stack.removeWidget(self._before)
            self._before.deleteLater()
            self._before = None
        if title:
            self._before = empty_widget(
                Empty("live", title, "Throughput and counts are shown from the first request on.")
            )
            self.stack.addWidget(self._before)
            self.stack.setCurrentWidget(self._before)

    def clear(self) -> None:
        """Remove everything of an earlier run."""
        self._show_before("")
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

    def show_source(self, source: str) -> None:
        """Plot what ``clients`` measured, what ``servers`` say of themselves, or ``both``."""
        if source == self.source or not self.source_buttons[source].isEnabled():
            return
        self.source = source
        self.source_buttons[source].setChecked(True)
        self._name_lines()
        self._show_unit()
        if source == "both":
            self._switch("lines")
        self._repaint()

    def show_order(self, order: Order) -> None:
        """Put the rows in this order, now and every few seconds."""
        self.order = order
        self.order_box.setCurrentIndex([key for key, _ in ORDERS].index(order))
        self._placed = -math.inf
        if self._painted is not None:
            self._put_in_order(self._painted)
        self._repaint()

    def _offer_sources(self) -> None:
        """What cannot be plotted is disabled, with the reason."""
        said = bool(self._curves.said.size) and not bool(np.isnan(self._curves.said).all())
        reasons = {
            "clients": "",
            "servers": "" if said else "No record of this run has come yet: the servers have said nothing.",
            "both": ""
            if said and len(self._names) <= BOTH_LIMIT
            else f"Two lines each are readable for up to {BOTH_LIMIT} servers."
            if said
            else "No record of this run has come yet.",
        }
        for key, choice in self.source_buttons.items():
            choice.setEnabled(not reasons[key])
            choice.setToolTip(reasons[key])
        if reasons[self.source]:
            self.show_source("clients")

    def select(self, name: str | None) -> None:
        """Mark this server."""
        self.lines.select(name)
        self.heat.select(name)
        self.legend.select(name)

    def set_beside(self, beside: bool) -> None:
        """Whether the table stands beside the plots."""
        self._beside = beside
        for widget in (self._side, self._side_line, self.converging.unit, self.order_box, self.order_label):
            widget.setVisible(not beside)
        for widget in (self.scale_key, self.counts_line, self.more_button):
            widget.setVisible(beside)
        self._title.setText("Throughput" if beside else "Throughput per server")
        self._show_unit()

    def _show_unit(self) -> None:
        self._throughput_unit.setText(UNITS[self.source][1 if self._beside else 0])

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
        if heat and self.source == "both":
            self.show_source("clients")
        self._repaint()

    def _repaint(self) -> None:
        if self._times.size:
            self._paint_throughput()
            self._paint_legends()

    def table(self) -> PlotTable:
        """What is plotted, as figures."""
        return PlotTable(tuple(self._names), self._times.copy(), self._rates.copy(), self._said.copy())

    # ---- painting

    def _name_servers(self, names: tuple[str, ...]) -> None:
        """Set the servers of the tests that have begun. Each keeps its number, and so its colour."""
        self._names = names
        self.numbers = {name: number for number, name in enumerate(names)}
        self._placed = -math.inf
        self._places = list(range(len(names)))
        self._name_lines()
        self.heat.set_servers(list(self.numbers.items()))

    def _name_lines(self) -> None:
        servers = list(self.numbers.items())
        if self.source == "both":
            self.lines.set_servers(servers * 2, len(servers))
        else:
            self.lines.set_servers(servers)

    def _tell(self, p: RunProgress) -> None:
        """What is new about each server."""
        slow = slow_seconds(self._rates[:, -SLOW_WINDOW:])
        self.news = {
            row.name: news(row, slow[place], p.t)
            for row in p.servers
            if (place := self.numbers.get(row.name)) is not None and place < len(slow)
        }
        self.heat.set_news({name: one.colour for name, one in self.news.items() if one.rank})

    def _remark(self, name: str) -> str:
        one = self.news.get(name)
        return one.word if one is not None and one.rank else ""

    def _put_in_order(self, p: RunProgress) -> None:
        if p.t - self._placed >= ORDER_SECONDS or len(self._places) != len(self._names):
            self._placed = p.t
            rows = {row.name: row for row in p.servers}
            self._places = ordered(self.order, self._names, rows, self._values())
            self.heat.arrange([self._names[place] for place in self._places])

    def _values(self) -> Array:
        return self._said if self.source == "servers" else self._rates

    def _take_curves(self, started: float) -> None:
        seconds = self._curves.rates.shape[1]
        self._times = np.arange(seconds, dtype=np.float64) + (self._curves.first - started if seconds else 0.0)
        self._rates = np.asarray(self._curves.rates / 2**20, dtype=np.float64)
        self._said = np.asarray(self._curves.said / 2**20, dtype=np.float64)
        self._counts = self._curves.counts

    def _paint_throughput(self) -> None:
        if self.throughput.currentWidget() is self.lines:
            both = np.concatenate((self._rates, self._said)) if self.source == "both" else self._values()
            self.lines.update_data(self._times, both)
        elif len(self._places) == len(self._rates):
            missing = self._curves.missing if self.source == "clients" else np.zeros_like(self._curves.missing)
            self.heat.update_data(self._times, self._values()[self._places], missing[self._places])

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

    def _now(self) -> dict[str, float]:
        """The current rate of each server in MiB/s, as in the table; those of a repeat that is over have none."""
        if self._painted is None:
            return {}
        rates = {row.name: row.recorded_rate if self.source == "servers" else row.rate for row in self._painted.servers}
        return {name: rate / 2**20 for name, rate in rates.items() if rate is not None}

    def _paint_legend(self, near: int | None, at: str) -> None:
        now, values = self._now(), self._values()

        def then(rates: Array) -> str:
            return "" if near is None else _rate(rates[near])

        names = list(self.numbers)
        self.legend.set_rows(
            [
                LegendRow(names[place], line_pen(place, 3), then(values[place]), figures.rate(now.get(names[place])))
                for place in self._places
            ],
            at,
            (
                then(np.where(np.isnan(values).all(axis=0), np.nan, np.nansum(values, axis=0))),
                figures.rate(sum(now.values()) if now else None),
            ),
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
        now = self._now()
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


def before_first(p: RunProgress) -> str:
    """What a run that has asked for nothing yet is waiting for."""
    return BEFORE.get(p.phase, "The first requests are handed out")


def _padded(widget: QWidget) -> QWidget:
    holder = QWidget()
    row = QHBoxLayout(holder)
    row.setContentsMargins(12, 6, 12, 6)
    row.addWidget(widget)
    row.addStretch(1)
    return holder


def _rate(value: float) -> str:
    return figures.UNKNOWN if math.isnan(value) else figures.rate(float(value))


def _count(value: float) -> str:
    return figures.UNKNOWN if math.isnan(value) else figures.count(value)
