"""Pipeline: five boxes, details and lines of the chosen one, and beside them connection, records and drills."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QLabel, QStackedWidget, QVBoxLayout, QWidget

from gui.models import figures
from gui.models.fleet import AGENT_STATES, FleetServer
from gui.models.lost import AT_STAGE, LostRequests
from gui.models.pipeline import (
    STATES,
    CollectorRow,
    DatabaseRow,
    Pipeline,
    PipelineWatch,
    QueueRow,
    ShovelerRow,
    StageName,
)
from gui.models.rows import Column
from gui.pages.pipeline.boxes import StageRow
from gui.pages.pipeline.lost import LostButton
from gui.pages.pipeline.presenter import DrillState
from gui.pages.pipeline.side import Side
from gui.pages.pipeline.trend import Trend
from gui.report import numbers
from gui.runner.drills import Drill
from gui.widgets.dress import give_sheet
from gui.widgets.icons import pixmap
from gui.widgets.parts import Elided, Ground, Page, Splitter, button, line, segments
from gui.widgets.table import Empty, Table
from gui.widgets.theme import theme

SPANS = (("10 min", 600.0), ("1 h", 3600.0), ("24 h", 86_400.0))


def _heard(row: ShovelerRow | CollectorRow) -> float:
    return max(0.0, time.time() - row.heard)


def _state_column() -> Column[Any]:
    return Column(
        "state",
        "State",
        lambda r: r.state,
        kind="status",
        icon=lambda r: STATES[r.state][0],
        colour=lambda r: STATES[r.state][1],
        width=128,
        tip=lambda r: r.reason,
    )


def _rate_column(key: str, title: str, value: Callable[[Any], float | None], fold: int = 0) -> Column[Any]:
    return Column(key, title, value, lambda r: figures.rate(value(r)), "right", 92, fold=fold)


def _count_column(
    key: str, title: str, value: Callable[[Any], float | None], loud: str = "", fold: int = 0, width: int = 92
) -> Column[Any]:
    return Column(
        key,
        title,
        value,
        lambda r: figures.count(value(r)),
        "right",
        width,
        colour=lambda r: (loud if loud and value(r) else "text") if value(r) else "text3",
        fold=fold,
    )


SERVER_COLUMNS: list[Column[FleetServer]] = [
    Column(
        "state",
        "State",
        lambda r: r.state,
        kind="status",
        icon=lambda r: AGENT_STATES[r.state][0],
        colour=lambda r: AGENT_STATES[r.state][1],
        width=108,
    ),
    Column("name", "Name", lambda r: r.name, width=120, bold=True),
    Column("address", "Address", lambda r: r.url, width=200, stretch=True),
    _rate_column("datagrams", "Datagrams/s", lambda r: r.figures.rate),
    Column("minute", "Last minute", lambda r: r.figures.last_minute, lambda _r: "", kind="spark", width=104, fold=3),
    _count_column("gaps", "Gaps", lambda r: r.figures.gaps, "bad"),
    Column("shoveler", "Shoveler", lambda r: r.figures.shoveler, kind="fixed", width=104, fold=1),
    Column("config", "Monitoring config", lambda r: r.config, width=180, tip=lambda r: r.config, fold=2),
]
SHOVELER_COLUMNS: list[Column[ShovelerRow]] = [
    _state_column(),
    Column("name", "Name", lambda r: r.name, width=200, stretch=True, bold=True),
    _rate_column("read", "Read/s", lambda r: r.read),
    _rate_column("confirmed", "Confirmed/s", lambda r: r.confirmed),
    _count_column("spool", "Spool", lambda r: r.spool),
    Column("oldest", "Oldest", lambda r: r.oldest, lambda r: numbers.duration(r.oldest), "right", 88),
    _count_column("drops", "Kernel drops", lambda r: r.drops, "warn", width=104),
    _count_column("refused", "Refused", lambda r: r.refused, "warn", fold=3),
    _count_column("senders", "Senders", lambda r: r.senders, fold=2),
    Column("heard", "Last status", _heard, lambda r: figures.age(_heard(r)), "right", 124, fold=4),
    Column("version", "Version", lambda r: r.version, width=80, colour=lambda _r: "text2", fold=1),
    Column("id", "Spool id", lambda r: r.id, kind="fixed", width=120, shown=False),
]
QUEUE_COLUMNS: list[Column[QueueRow]] = [
    _state_column(),
    Column("queue", "Queue", lambda r: r.id, width=220, stretch=True, bold=True),
    Column("what", "What", lambda r: r.what, width=190),
    _rate_column("in", "In/s", lambda r: r.incoming),
    _rate_column("out", "Out/s", lambda r: r.outgoing),
    _count_column("waiting", "Waiting", lambda r: r.waiting),
    Column("oldest", "Oldest", lambda r: r.oldest, lambda r: numbers.duration(r.oldest), "right", 88),
    Column("how", "Known", lambda r: r.reason, width=200, colour=lambda _r: "text2", fold=1),
]
COLLECTOR_COLUMNS: list[Column[CollectorRow]] = [
    _state_column(),
    Column("name", "Name", lambda r: r.name, width=200, stretch=True, bold=True),
    _rate_column("packets", "Packets/s", lambda r: r.seen),
    _rate_column("records", "Records/s", lambda r: r.records),
    _count_column("held", "Held back", lambda r: r.held),
    _count_column("aside", "Set aside", lambda r: r.set_aside, "bad"),
    _count_column("rejected", "Rejected", lambda r: r.rejected, "warn", fold=3),
    _count_column("gaps", "Gaps", lambda r: r.gaps, "bad", fold=4),
    _count_column("servers", "Servers", lambda r: r.servers, fold=2),
    Column("heard", "Last status", _heard, lambda r: figures.age(_heard(r)), "right", 124, fold=5),
    Column("version", "Version", lambda r: r.version, width=80, colour=lambda _r: "text2", fold=1),
    Column("id", "Id", lambda r: r.id, kind="fixed", width=120, shown=False),
]
DATABASE_COLUMNS: list[Column[DatabaseRow]] = [
    Column("what", "What", lambda r: r.id, width=240),
    Column("value", "Value", lambda r: r.value, width=240, stretch=True),
]


def _by_id(row: Any) -> object:
    return row.id


def _by_url(row: Any) -> object:
    return row.url


_BY_ID: Callable[[Any], object] = _by_id
_TABLES: dict[str, tuple[str, list[Column[Any]], Callable[[Any], object]]] = {
    "servers": ("Servers", SERVER_COLUMNS, _by_url),
    "shovelers": ("Shovelers", SHOVELER_COLUMNS, _BY_ID),
    "broker": ("Queues", QUEUE_COLUMNS, _BY_ID),
    "collectors": ("Collectors", COLLECTOR_COLUMNS, _BY_ID),
    "database": ("Database", DATABASE_COLUMNS, _BY_ID),
}


class PipelinePage(Page):
    """See the module."""

    refresh_wanted = Signal()
    settings_wanted = Signal()
    fleet_wanted = Signal()
    inspector_wanted = Signal()
    lost_wanted = Signal(object)
    """What was lost at a stage, a `LostThere`."""
    load_wanted = Signal(Path)
    stop_loading_wanted = Signal()
    drill_wanted = Signal(object, float)
    drill_stop_wanted = Signal(object)

    def __init__(self, try_here: Callable[[], object]) -> None:
        super().__init__("Pipeline")
        self._pipeline: Pipeline | None = None
        self._watch: PipelineWatch | None = None
        self._lost: LostRequests | None = None
        self._span = SPANS[0][1]
        self._chosen: StageName = "shovelers"
        self.inspect = button("Inspect datagrams", "search", self.inspector_wanted.emit)
        self.refresh = button("Refresh", "refresh", self.refresh_wanted.emit)
        self.refresh.setToolTip("Ask all shovelers and collectors for their status now  F5")
        self.add_action(self.inspect)
        self.add_action(self.refresh)
        self.stages = StageRow()
        self.stages.chosen.connect(self.choose)
        self.body.addWidget(self._make_waiting())
        self.body.addWidget(self.stages)
        self.body.addWidget(line())
        self.side = Side()
        self.side.settings_wanted.connect(self.settings_wanted)
        self.side.lost_wanted.connect(self.lost_wanted)
        self.side.load_wanted.connect(self.load_wanted)
        self.side.stop_loading_wanted.connect(self.stop_loading_wanted)
        self.side.drill_wanted.connect(self.drill_wanted)
        self.side.drill_stop_wanted.connect(self.drill_stop_wanted)
        self.side.try_wanted.connect(lambda: try_here())
        split = Splitter(Qt.Orientation.Horizontal)
        split.setObjectName("pipeline")
        split.setChildrenCollapsible(False)
        split.addWidget(self._make_details(try_here))
        split.addWidget(self.side)
        split.setStretchFactor(0, 1)
        split.setSizes([968, 400])
        self.body.addWidget(split, 1)
        theme().follow(self._restyle)
        self.choose("shovelers")
        self.show_nothing()

    @property
    def pipeline(self) -> Pipeline | None:
        """What is shown; None while no workspace is open."""
        return self._pipeline

    @property
    def warning_of(self) -> Callable[[Drill, float], str]:
        """What a drill will do, in sentences."""
        return self.side.warning_of

    @warning_of.setter
    def warning_of(self, words: Callable[[Drill, float], str]) -> None:
        self.side.warning_of = words

    # ---- parts

    def _make_waiting(self) -> QWidget:
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(16, 0, 16, 10)
        row.setSpacing(8)
        self._waiting_icon = QLabel()
        self.waiting = Elided("", least=200)
        self.waiting.setAccessibleName("Where records are waiting")
        row.addWidget(self._waiting_icon)
        row.addWidget(self.waiting, 1)
        return holder

    def _make_details(self, try_here: Callable[[], object]) -> QWidget:
        holder = Ground()
        column = QVBoxLayout(holder)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        self.tables: dict[str, Table] = {}
        self._tables = QStackedWidget()
        for name, (title, columns, key) in _TABLES.items():
            table = Table(f"pipeline-{name}", title, columns, key=key)
            table.setMinimumHeight(88)
            table.selected.connect(lambda _row: self._show_lines())
            self.tables[name] = table
            self._tables.addWidget(table)
        self._try_here = try_here
        self.trend = Trend()
        self._legend = Elided("", "secondary", least=120)
        self._legend.setTextFormat(Qt.TextFormat.PlainText)
        self._swatches = [(QLabel(), Elided("", "caption", least=24)) for _ in range(3)]
        self._spans = [button(text, kind="segment") for text, _ in SPANS]
        for (text, seconds), choice in zip(SPANS, self._spans, strict=True):
            choice.setAccessibleName(f"Show the last {text}")
            choice.setProperty("kind", "segment")
            choice.clicked.connect(lambda _on=False, seconds=seconds: self._set_span(seconds))
        bar = QHBoxLayout()
        bar.setContentsMargins(16, 4, 16, 0)
        bar.setSpacing(6)
        self._whose = Elided("", "section", least=80)
        bar.addWidget(self._whose)
        for swatch, words in self._swatches:
            bar.addWidget(swatch)
            bar.addWidget(words)
        bar.addStretch(1)
        choices = segments(*self._spans)
        self._spans[0].setChecked(True)
        bar.addWidget(choices)
        self._lower = lower = QWidget()
        inner = QVBoxLayout(lower)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(0)
        inner.addLayout(bar)
        inner.addWidget(self.trend, 1)
        inner.addWidget(self._make_news())
        split = Splitter(Qt.Orientation.Vertical)
        split.setObjectName("pipeline-details")
        split.setChildrenCollapsible(False)
        split.addWidget(self._tables)
        split.addWidget(lower)
        split.setStretchFactor(1, 1)
        split.setSizes([112, 320])
        column.addWidget(split, 1)
        return holder

    def _make_news(self) -> QWidget:
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(16, 4, 16, 10)
        row.setSpacing(8)
        self._news_icon = QLabel()
        self.news = Elided("", "section", least=120)
        self.remedy = Elided("", "secondary", least=80)
        self.copy_button = button("Copy remedy", "copy", self._copy)
        self.fleet_button = button("Open Fleet", "fleet", self.fleet_wanted.emit)
        self.setup_button = button("Set up the bus…", "settings", self.settings_wanted.emit)
        row.addWidget(self._news_icon)
        row.addWidget(self.news)
        row.addWidget(self.remedy, 1)
        self.lost_button = LostButton()
        self.lost_button.wanted.connect(self.lost_wanted)
        for widget in (self.copy_button, self.fleet_button, self.setup_button, self.lost_button):
            row.addWidget(widget)
        return holder

    # ---- showing

    def show_pipeline(self, pipeline: Pipeline, watch: PipelineWatch) -> None:
        """Show this moment."""
        self._pipeline, self._watch = pipeline, watch
        self.remark.setText(pipeline.summary)
        self.stages.show_pipeline(pipeline)
        self.side.show_pipeline(pipeline)
        self.waiting.setText(pipeline.waiting)
        rows: dict[str, Sequence[Any]] = {
            "servers": pipeline.servers,
            "shovelers": pipeline.shovelers,
            "broker": pipeline.queues,
            "collectors": pipeline.collectors,
            "database": pipeline.database,
        }
        table = self.tables[self._chosen]
        table.set_rows(rows[self._chosen])
        table.set_counts(f"{len(rows[self._chosen]):,}" if self._chosen != "database" else "")
        stage = pipeline.stage(self._chosen)
        if not rows[self._chosen]:
            table.set_empty(Empty("unreq", f"{stage.title}: {stage.reason}"))  # what to do stands below the lines
        self._show_lines()
        self._restyle()

    def show_nothing(self) -> None:
        """No workspace is open."""
        self._pipeline = self._watch = None
        self.remark.setText("")
        self.stages.show_pipeline(None)
        self.side.show_pipeline(None)
        self.waiting.setText("No workspace is open: nothing is watched.")
        for table in self.tables.values():
            table.set_rows(())
            table.set_empty(
                Empty(
                    "pipeline",
                    "Nothing is watched",
                    "The pipeline is shown as its parts report it, once a workspace is open.",
                    (("Try it on this machine", "play", self._try_here),),
                )
            )
        self._show_lines()
        self._restyle()

    def show_lost(self, lost: LostRequests | None) -> None:
        """Show what the latest run lost; None: nothing is known of any."""
        self._lost = lost
        self._show_lost_here()
        self.side.show_lost(lost)

    def _show_lost_here(self) -> None:
        self.lost_button.show_lost(self._lost, AT_STAGE[self._chosen])

    def show_drills(self, drills: tuple[DrillState, ...]) -> None:
        self.side.show_drills(drills)

    def show_loading(self, name: str, read: int, size: int, records: int) -> None:
        self.side.show_loading(name, read, size, records)

    def show_loaded(self, words: tuple[str, ...], *, bad: bool) -> None:
        self.side.show_loaded(words, bad=bad)

    def ask_for_file(self) -> None:
        """Choose a file of records."""
        self.side.ask_for_file()

    def choose(self, stage: str) -> None:
        """Show the details of this stage."""
        if stage not in self.tables:
            return
        self._chosen = cast("StageName", stage)
        self.stages.boxes[stage].setChecked(True)
        self._tables.setCurrentWidget(self.tables[stage])
        self._show_lost_here()
        if self._pipeline is not None and self._watch is not None:
            self.show_pipeline(self._pipeline, self._watch)

    def _set_span(self, seconds: float) -> None:
        self._span = seconds
        self._show_lines()

    def _chosen_row(self) -> Any | None:
        return self.tables[self._chosen].current()

    def _show_lines(self) -> None:
        pipeline, watch = self._pipeline, self._watch
        self._lower.setVisible(pipeline is not None)
        if pipeline is None or watch is None:
            self.trend.show_lines((), (), (), 0.0, self._span)
            self._whose.setText("")
            self._show_swatches(())
            self._show_news("", "", "mute", "ring")
            return
        row = self._chosen_row()
        of = row.id if self._chosen in ("shovelers", "collectors") and row is not None else ""
        series = watch.series(self._chosen, of)
        stage = pipeline.stage(self._chosen)
        events = [e for e in watch.events if not of or e.of in ("", of) or e.stage != self._chosen]
        self.trend.show_lines(
            series.names,
            series.since(pipeline.t - self._span),
            sorted(events, key=lambda e: e.t),
            pipeline.t,
            self._span,
        )
        more = ", highest of each minute" if self._span > 3600 else ""
        self._whose.setText((row.name if of and row is not None else stage.title) + more)
        self._show_swatches(series.names)
        state, reason, remedy = (row.state, row.reason, row.remedy) if of and row is not None else (
            stage.state, stage.reason, stage.remedy)  # fmt: skip
        symbol, colour = STATES[state]
        self._show_news(reason if state != "up" else "", remedy, colour, symbol)

    def _show_swatches(self, names: Sequence[str]) -> None:
        colours = self.trend.colours()
        for number, (swatch, words) in enumerate(self._swatches):
            there = number < len(names)
            swatch.setVisible(there)
            words.setVisible(there)
            if there:
                swatch.setFixedSize(20, 3)
                give_sheet(swatch, f"background: {colours[number].name()};")
                below = " (below)" if number == len(names) - 1 and number else ""
                words.setText(names[number] + below)

    def _show_news(self, reason: str, remedy: str, colour: str, symbol: str) -> None:
        there = bool(reason)
        self._news_icon.setPixmap(pixmap(symbol, colour, 14, 2.0))
        self.news.setText(f"{reason}." if reason and not reason.endswith(".") else reason)
        self.remedy.setText(remedy if there else "")
        bus = there and self._pipeline is not None and (not self._pipeline.bus or self._chosen == "broker")
        for widget, shown in (
            (self._news_icon, there),
            (self.news, there),
            (self.copy_button, there and bool(remedy)),
            (self.fleet_button, there and self._chosen == "servers"),
            (self.setup_button, bus and self._chosen != "servers"),
        ):
            widget.setVisible(shown)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(f"{self.news.text()} {self.remedy.text()}".strip())

    def _restyle(self) -> None:
        pipeline = self._pipeline
        waits = pipeline is not None and pipeline.waits
        unknown = pipeline is None or "not known" in pipeline.waiting or "Nobody" in pipeline.waiting
        symbol, colour = ("warn", "warn") if waits else ("unreq", "mute") if unknown else ("ok", "ok")
        self._waiting_icon.setPixmap(pixmap(symbol, colour, 16, 2.0))
        weight = 600 if waits else 400
        give_sheet(self.waiting, f"color: {theme().hex('text' if waits else 'text2')}; font-weight: {weight};")
        loud = pipeline is not None and any(s.state in ("check", "failed") for s in pipeline.stages)
        give_sheet(self.remark, f"color: {theme().hex('warn' if loud else 'text2')};")
