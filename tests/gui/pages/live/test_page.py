"""Live: empty, at work with 4 and 50 servers, paused, flags, what was not measured, names that mean harm."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPixmap, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from gui.models import figures
from gui.models.events import Event
from gui.pages.live.page import BESIDE_WIDTH, TABLE_WIDTH, LivePage
from gui.pages.live.presenter import LastRun
from gui.runner.progress import Marker, RunProgress, SamplePoint, Step
from gui.widgets.parts import Readout
from gui.widgets.plots import DENSE
from gui.widgets.scale import BAR, FACTS, ROW
from gui.widgets.table import ROW_HEIGHT
from gui.widgets.theme import theme
from tests.gui.parts import wear

STARTED = 1_795_000_000.0


@pytest.fixture
def page(show) -> LivePage:
    called: list[str] = []
    made = LivePage(
        (("Try it on this machine", "play", lambda: called.append("try")),), lambda: called.append("cancel")
    )
    made.called = called  # type: ignore[attr-defined]
    return show(made)


def paint(page: LivePage, snapshot) -> None:
    page.show_progress(snapshot)
    page.paint_latest()
    page.paint_table()


def test_nothing_runs_says_so_and_offers_what_to_do(page, texts) -> None:
    assert "Nothing runs" in texts(page)
    next(b for b in page.findChildren(type(page.pause_button)) if b.text().startswith("Try it")).click()
    assert page.called == ["try"]


def test_getting_ready_shows_steps_and_can_be_cancelled(page, texts) -> None:
    page.show_stage("Getting a federation ready")
    page.show_stage("starting 4 servers")
    page.show_stage("bus: <b>private</b>")
    assert page.stages.steps() == ("starting 4 servers", "bus: <b>private</b>")
    assert {"Getting a federation ready", "starting 4 servers", "bus: <b>private</b>"} <= set(texts(page))
    page.stages.cancel_button.click()
    assert page.called == ["cancel"]
    page.show_stage("")
    assert "Nothing runs" in texts(page)


def test_a_run_fills_read_outs_plots_legends_and_table(page, progress) -> None:
    paint(page, progress())
    assert page.title.text() == "Run 37"
    assert page.readouts.requested.figure.text() == "300"
    assert (page.readouts.gap.figure.text(), page.readouts.gap.remark.text()) == ("10", "oldest 2.1 s")
    assert (page.readouts.rate.figure.text(), page.readouts.rate.remark.text()) == ("97.5", "/ 160 per s")
    assert page.readouts.progress_bar.value() == 300
    assert page.graphs.throughput.currentWidget() is page.graphs.lines
    assert [row.now for row in page.graphs.legend._rows] == ["1.0", "2.0", "3.0", "4.0"]
    assert page.graphs.legend._sum == ("", "10.0")
    assert page.table.model.rowCount() == 4


@pytest.mark.parametrize(("servers", "mode"), [(1, "lines"), (12, "lines"), (13, "heat"), (50, "heat"), (200, "heat")])
def test_lines_up_to_twelve_servers_and_the_heat_map_beyond(page, progress, servers: int, mode: str) -> None:
    paint(page, progress(servers))
    shown = page.graphs.lines if mode == "lines" else page.graphs.heat
    assert page.graphs.throughput.currentWidget() is shown
    assert page.table.model.rowCount() == servers


def test_the_switch_between_lines_and_heat_map_stays_during_the_run(page, progress) -> None:
    paint(page, progress(50))
    page.graphs.lines_button.click()
    assert page.graphs.throughput.currentWidget() is page.graphs.lines
    paint(page, progress(50, seconds=31))
    assert page.graphs.throughput.currentWidget() is page.graphs.lines
    page.graphs.heat_button.click()
    assert page.graphs.heat_button.isChecked()
    assert not page.graphs.lines_button.isChecked()
    assert page.graphs.heat.top == 64  # above 50 MiB/s: 1, 2, 4 … 64


def test_two_hundred_rows_scroll_and_a_chosen_server_comes_into_view(page, progress) -> None:
    paint(page, progress(200))
    assert page.graphs.heat._bar.maximum() > 0
    page.table.select_key("s190")
    first, last = page.graphs.heat.item.getViewBox().viewRange()[1]
    assert first <= 189 < last
    assert page.graphs.heat._selected == "s190"


def test_pause_keeps_the_picture_and_space_resumes(page, progress) -> None:
    paint(page, progress(requested=300))
    page.pause_button.click()
    paint(page, progress(requested=350))
    assert page.readouts.requested.figure.text() == "300"
    assert page.pause_button.text() == "Resume view"
    page.setFocus()
    QTest.keyClick(page, Qt.Key.Key_Space)
    page.paint_latest()
    assert page.readouts.requested.figure.text() == "350"


def test_the_gap_is_one_figure_wherever_it_stands(page, progress) -> None:
    """Records may be ahead of a client's report at one server and behind it at another."""
    paint(page, progress(gap=9))
    assert page.readouts.gap.figure.text() == "9"
    assert page.graphs.counts_legend._rows[-1].now == "9"


def test_the_legend_counts_what_the_head_of_the_page_counts(page, progress) -> None:
    """The last point of the plot is older than the newest count."""
    paint(page, progress(requested=351, read=350, recorded=349))
    shown = [
        page.readouts.requested.figure.text(),
        page.readouts.read.figure.text(),
        page.readouts.recorded.figure.text(),
    ]
    assert shown == ["351", "350", "349"]
    assert [row.now for row in page.graphs.counts_legend._rows[:3]] == shown


def test_before_the_first_sample_there_are_rows_and_no_trouble(page, progress) -> None:
    paint(page, progress(seconds=0))
    assert page.table.model.rowCount() == 4
    page.graphs.lines.canvas.grab()


NOTHING = {"requested": 0, "read": 0, "recorded": 0, "gap": 0, "gap_oldest": 0.0, "achieved_rate": None}


@pytest.mark.parametrize(
    ("phase", "says"),
    [
        ("preparing", "The run is being prepared"),
        ("waiting_clients", "Waiting for clients"),
        ("starting", "The clients are starting"),
    ],
)
def test_before_the_first_request_a_text_stands_for_axes_and_dashes_for_figures(
    page, progress, texts, qtbot, phase: str, says: str
) -> None:
    if phase == "starting":
        before = progress(rates=lambda _second: (math.nan,) * 4, phase=phase, **NOTHING)
    else:
        before = progress(0, 0, phase=phase, repeat=0, repeats=0, total=0, offered_rate=None, **NOTHING)
    paint(page, before)
    places = 1 if phase == "starting" else 2  # in place of the plots, and of rows
    qtbot.waitUntil(lambda: texts(page).count(says) == places)
    assert not page.graphs.lines.isVisible()
    assert not page.export_button.isEnabled()
    figures_shown = {readout.figure.text() for readout in page.readouts.bar.findChildren(Readout)}
    assert figures_shown == {"–"}
    cells = [page.table.model.index(n, c).data() for n in range(page.table.model.rowCount()) for c in (11,)]
    assert set(cells) <= {"–"}
    paint(page, progress())
    assert page.graphs.lines.isVisible()
    assert says not in texts(page)
    assert page.export_button.isEnabled()


def test_a_server_without_measurements_is_a_dash_and_no_zero(page, progress) -> None:
    paint(page, progress(3, rates=lambda second: (2.0**20, math.nan, 3.0 * 2**20)))
    assert [row.now for row in page.graphs.legend._rows] == ["1.0", "–", "3.0"]
    assert page.graphs.legend._sum == ("", "4.0")
    page.graphs.heat_button.click()
    assert dict(page.graphs.scale._facts)["Slowest"].startswith("s01")
    assert page.grab().width() == page.width()


def test_all_unknown_is_drawn_without_a_warning(page, progress) -> None:
    paint(page, progress(3, rates=lambda second: (math.nan,) * 3))
    page.graphs.heat_button.click()
    page.grab()
    assert page.graphs.scale._facts == ()


def test_faults_are_flags_with_a_band_and_a_tooltip(page, progress) -> None:
    markers = (
        Marker(STARTED, "phase", "test 1, repeat 1"),
        Marker(STARTED + 5, "fault", "broker-down for 10 s"),
        Marker(STARTED + 5.1, "fault", "the broker was killed and stays down for 10 s"),
        Marker(STARTED + 20, "agent", "c1 <b>is</b> missing"),
        *(Marker(STARTED + second, "round", f"round {second}") for second in range(20)),
    )
    paint(page, progress(markers=markers))
    page.graphs.lines.canvas.grab()
    shown = [(event.short, event.at, event.until) for _, event in page.graphs.lines._flags]
    assert shown == [("broker down", 5.0, 15.0), ("c1 <b>is</b> missing", 20.0, None)]
    page.graphs.converging.canvas.grab()
    assert page.graphs.converging._flags == []
    assert len(page.graphs.converging._events) == 2


def test_the_cross_hair_goes_through_both_plots_and_fills_the_legend(page, progress) -> None:
    paint(page, progress())
    area = page.graphs.lines.area()
    at = page.graphs.lines.canvas.mapFromScene(QPointF(area.center()))
    QTest.mouseMove(page.graphs.lines.canvas.viewport(), QPoint(at))
    page.graphs.lines._moved(QPointF(area.center()))
    assert not math.isnan(page.graphs.converging._cross)
    assert page.graphs.legend._at
    assert page.graphs.legend._rows[1].at == "2.0"
    page.grab()
    page.graphs.lines.hovered.emit(math.nan)
    assert page.graphs.legend._at == ""


def test_names_that_mean_harm_are_plain_text(page, progress, hostile) -> None:
    markers = tuple(Marker(STARTED + n, "agent", name) for n, name in enumerate(hostile))
    paint(page, progress(list(hostile), markers=markers, plan=hostile[0], message=hostile[1]))
    page.graphs.heat_button.click()
    page.table.select_key(hostile[3])
    page.grab()
    assert page.remark.textFormat() == Qt.TextFormat.PlainText
    assert page.remark.text().startswith("<b>bold</b>")
    page.graphs.lines_button.click()
    page.grab()


def test_another_run_with_other_servers_begins_anew(page, progress) -> None:
    paint(page, progress(50))
    paint(page, progress(2, run=38, seconds=3))
    assert page.title.text() == "Run 38"
    assert page.graphs.throughput.currentWidget() is page.graphs.lines
    assert len(page.graphs.lines._curves) == 2


@pytest.mark.parametrize(
    ("outcome", "word"), [("passed", "pass"), ("failed", "FAIL"), ("aborted", "aborted"), ("later", "later")]
)
def test_the_end_is_said_in_a_word(page, progress, texts, outcome: str, word: str) -> None:
    paint(page, progress(outcome=outcome, phase="done"))
    assert word in texts(page.badge)


def test_the_legends_take_the_colours_of_the_theme_also_when_nothing_new_comes(page, progress) -> None:
    paint(page, progress())
    for mode in ("dark", "light"):
        wear(mode, page)
        assert [row.pen.color() for row in page.graphs.legend._rows] == [theme().series(n) for n in range(4)]
        assert page.graphs.counts_legend._rows[2].pen.color() == theme().colour("accent_text")


@pytest.mark.parametrize(("width", "rate"), [(1368, True), (1048, False)])
def test_read_outs_with_large_numbers_do_not_overlap(page, progress, qtbot, width: int, rate: bool) -> None:
    page.resize(width, 600)
    counts = {"total": 12_345_678, "requested": 1_234_567, "read": 1_234_560, "recorded": 1_234_000}
    paint(page, progress(tests=8, test=3, **counts))
    qtbot.waitUntil(lambda: page.width() == width and page.readouts.rate.isVisible() is rate)
    page.grab()
    assert page.readouts.faults.isVisible()
    assert page.readouts.recorded.isVisible()
    row = [
        w
        for w in (
            page.readouts.requested,
            page.readouts.read,
            page.readouts.recorded,
            page.readouts.gap,
            page.readouts.faults,
            page.readouts.rate,
        )
        if w.isVisible()
    ]
    qtbot.waitUntil(lambda: all(readout.width() >= readout.minimumSizeHint().width() for readout in row))
    for left, right in itertools.pairwise(row):
        assert left.geometry().right() < right.geometry().left()
    assert page.readouts.bar.childrenRect().right() <= page.width()


def test_the_scale_of_the_heat_map_has_room_for_all_its_facts(page, progress) -> None:
    paint(page, progress(50))
    assert len(page.graphs.scale._facts) == FACTS
    assert page.graphs.scale.minimumHeight() >= BAR.bottom() + 48 + FACTS * ROW


def test_what_was_not_measured_is_hatched_and_what_nobody_asked_for_is_blank(page, progress) -> None:
    snapshot = progress(20, seconds=3)
    points = list(snapshot.samples)
    points[1] = SamplePoint(points[1].t, (None,) * 20, missing=tuple(range(20)))
    points[2] = SamplePoint(points[2].t, (None,) * 20)
    paint(page, replace(snapshot, samples=tuple(points)))
    assert page.graphs.heat._image.image[0, :, 3].tolist() == [255, 0, 255], (
        "the hatch is behind what can be seen through"
    )
    surface = theme().colour("surface")
    assert page.graphs.heat._image.image[0, 2, :3].tolist() == [surface.red(), surface.green(), surface.blue()]
    wear("dark", page)
    assert page.graphs.heat._image.image[0, 2, :3].tolist() != [surface.red(), surface.green(), surface.blue()]
    wear("light", page)


def test_a_line_has_a_gap_where_nothing_was_measured(page, progress) -> None:
    paint(page, progress(3, seconds=5, rates=lambda second: (None,) * 3 if second == 3 else (2.0**20,) * 3))
    _, drawn = page.graphs.lines._curves[0].getData()
    assert [math.isnan(value) for value in drawn] == [False, False, True, False, False]


def test_seconds_in_which_nobody_counted_are_passed_over(page, progress) -> None:
    snapshot = progress(3, seconds=4)
    points = list(snapshot.samples)
    points[1] = replace(points[1], requested=None, read=None, recorded=None)
    paint(page, replace(snapshot, samples=tuple(points)))
    times, read = page.graphs.converging._read.getData()
    assert (times.tolist(), read.tolist()) == ([1, 3, 4], [9, 27, 36])


def test_curves_of_earlier_repeats_and_tests_stay(page, progress) -> None:
    """The second test has another server, and counts from 0 again."""
    first = progress(["a", "b"], seconds=5)
    paint(page, first)
    later = tuple(
        SamplePoint(STARTED + 10 + second, (None, None, 3.0 * 2**20), requested=second, read=second, recorded=second)
        for second in range(4)
    )
    paint(
        page,
        replace(
            progress(["c"], seconds=1, rates=lambda _second: (3.0 * 2**20,)),
            series=("a", "b", "c"),
            samples=(*first.samples, *later),
            test=2,
            repeat=1,
        ),
    )
    assert page.graphs._rates[:, 0].tolist()[:2] == [1, 2]
    assert page.graphs._rates[2, -1] == 3
    assert [row.now for row in page.graphs.legend._rows] == ["–", "–", "3.0"]
    times, read = page.graphs.converging._read.getData()
    assert math.isnan(times[5]), "the new repeat begins a new line"
    assert read[:5].tolist() == [9, 18, 27, 36, 45]
    assert page.table.model.rowCount() == 1


def test_the_whole_run_is_seen_in_the_strip_of_tests(page, progress) -> None:
    steps = (
        Step("2 × 100", 200, ("passed", "failed")),
        Step("50 × 800", 40_000, ("running", "waiting")),
        Step("long", 10, ("waiting",)),
    )
    paint(page, progress(steps=steps, run_total=80_410, run_requested=700, run_eta=125.0))
    assert page.readouts.steps.isVisible()
    assert page.readouts.steps.accessibleName() == (
        "2 × 100: failed, 2 of 2 repeats done; 50 × 800: running, 0 of 2 repeats done; long: waiting, 0 of 1 repeats "
        f"done; all tests 700; of 80,410, ETA {figures.duration(125.0)}"
    )
    page.grab()
    paint(page, progress(steps=steps[2:]))
    assert not page.readouts.steps.isVisible(), "one repeat is told of by the bar above"


def test_a_run_that_cannot_begin_leaves_nothing_behind(page, progress, texts) -> None:
    paint(page, progress())
    assert page.graphs.lines._data[0].size
    paint(page, RunProgress(t=STARTED + 50, phase="preparing", plan="another", started=STARTED + 50))
    assert not page.graphs.lines._data[0].size, "the curves are those of a run that is over"
    assert not page.graphs.converging._data[0].size
    assert page.title.text() == "Live"
    paint(page, RunProgress(t=STARTED + 51))
    assert "Nothing runs" in texts(page)
    assert not page.badge.isVisible()
    assert page.table.model.rowCount() == 0


def at_flag(plot, number: int) -> float:
    """The time at the stem of a flag, from the pixels that were painted."""
    area, (low, high) = plot.area(), plot.item.getViewBox().viewRange()[0]
    x = plot.x_of(plot._events[number].at)
    return low + (x - area.left()) / area.width() * (high - low)


@pytest.mark.parametrize("servers", [4, 50])
def test_flags_and_bands_stand_at_their_time_in_every_range(page, progress, qtbot, servers: int) -> None:
    markers = (Marker(STARTED + 40, "fault", "broker-down for 10 s"), Marker(STARTED + 55, "agent", "c1 is missing"))
    paint(page, progress(servers, seconds=60, markers=markers))
    plot = page.graphs.lines if servers == 4 else page.graphs.heat
    for begin, end in [(0.0, 60.0), (35.0, 60.0), (50.0, 58.0), (0.0, 600.0)]:
        plot.item.setXRange(begin, end, padding=0)
        plot.canvas.grab()  # painted now, also where the window is not exposed yet
        stems = [event.at for _, event in plot._flags]
        assert stems == [at for at in (40.0, 55.0) if begin <= at <= end]
        for box, event in plot._flags:
            assert box.left() - 1 <= plot.x_of(event.at) <= box.right() + 1, "the flag is at its stem"
        assert at_flag(plot, 0) == pytest.approx(40)
        assert at_flag(plot, 1) == pytest.approx(55)


def test_every_range_change_paints_flags_anew_above_the_plot_too(page, progress, qtbot) -> None:
    """Qt paints only what an item says has changed; the flags stand outside of every item."""
    paint(page, progress(4, seconds=60, markers=(Marker(STARTED + 40, "agent", "c1 is missing"),)))
    painted: list[QRectF] = []
    original = page.graphs.lines.canvas.drawForeground
    page.graphs.lines.canvas.drawForeground = lambda painter, rect: (painted.append(rect), original(painter, rect))
    page.graphs.lines.canvas.viewport().repaint()
    painted.clear()
    page.graphs.lines.item.getViewBox().setXRange(30, 50, padding=0)
    qtbot.waitUntil(lambda: bool(painted))
    top = page.graphs.lines.canvas.mapToScene(0, 0).y()
    assert any(rect.top() <= top + 1 for rect in painted)


def test_a_range_that_a_person_chose_stays_on_all_plots_until_a_double_click(page, progress, qtbot) -> None:
    paint(page, progress(4, seconds=60))
    box = page.graphs.lines.item.getViewBox()
    box.setXRange(10, 20, padding=0)
    box.sigRangeChangedManually.emit([True, False])
    paint(page, progress(4, seconds=61))
    for plot in (page.graphs.lines, page.graphs.converging):
        assert plot.item.getViewBox().viewRange()[0] == pytest.approx([10, 20])
    where = page.graphs.lines.area().center().toPoint()
    QTest.mouseDClick(page.graphs.lines.canvas.viewport(), Qt.MouseButton.LeftButton, pos=where)
    qtbot.waitUntil(lambda: page.graphs.lines.item.getViewBox().viewRange()[0] == pytest.approx([0, 70]))
    assert page.graphs.converging.item.getViewBox().viewRange()[0] == pytest.approx([0, 70])


# ---------------------------------------------------------------- how it is laid out


def labels(axis) -> list[str]:
    """What the axis draws."""
    picture = QPixmap(10, 10)
    painter = QPainter(picture)
    painter.setFont(axis.style["tickFont"])
    *_, texts = axis.generateDrawSpecs(painter)
    painter.end()
    return [text for _, _, text in texts]


@pytest.mark.parametrize(("seconds", "ends"), [(59, ("00:00", "01:00")), (3599, ("00:00", "1:00:00"))])
def test_the_time_axis_is_labelled_to_both_its_ends(page, progress, seconds: int, ends: tuple[str, str]) -> None:
    paint(page, progress(2, seconds=seconds))
    page.grab()
    for plot in (page.graphs.lines, page.graphs.converging):
        drawn = labels(plot.time_axis)
        assert (drawn[0], drawn[-1]) == ends


@pytest.mark.parametrize(("servers", "mode"), [(3, "lines"), (20, "heat")])
def test_all_plots_show_the_same_time_whatever_the_length(page, progress, servers: int, mode: str) -> None:
    plot = page.graphs.lines if mode == "lines" else page.graphs.heat
    for seconds in range(7, 44):
        paint(page, progress(servers, seconds=seconds))
        assert plot.item.getViewBox().viewRange()[0] == page.graphs.converging.item.getViewBox().viewRange()[0], seconds


def test_map_and_table_stand_side_by_side_where_the_page_is_wide(page, progress, qtbot) -> None:
    page.resize(1368, 796)
    paint(page, progress(50))
    assert page._split.orientation() == Qt.Orientation.Horizontal
    assert abs(page.table.width() - TABLE_WIDTH) < 8
    shown = [page.table.model.rows.columns[n].key for n in page.table._visible_columns()]
    assert shown == ["server", "req", "read", "rec", "gap", "time", "oldest", "mib", "last", "state"]
    qtbot.waitUntil(lambda: not page.table.view.horizontalScrollBar().isVisible())
    assert page.graphs.scale_key.accessibleName() == "Scale 0 to 64; hatched: no measurement"
    assert page.graphs.counts_line.accessibleName().startswith(
        "read 290, recorded 280, gap 10, Sum 1,275 MiB/s, median 25.5"
    )
    assert not page.graphs._side.isVisible()


@pytest.mark.parametrize(("width", "height", "least"), [(1368, 796, 20), (1208, 616, 12), (1048, 596, 5)])
def test_with_50_servers_many_rows_are_seen(page, progress, qtbot, width: int, height: int, least: int) -> None:
    """In a window of 1440×900, of 1280×720, and of the least size: not three rows and a half."""
    page.resize(width, height)
    paint(page, progress(50))
    qtbot.waitUntil(lambda: page.table.view.viewport().height() // ROW_HEIGHT >= least)


def test_they_stand_one_above_the_other_where_it_is_not_and_with_lines(page, progress, qtbot) -> None:
    page.resize(1368, 796)
    paint(page, progress(50))
    page.resize(BESIDE_WIDTH - 1, 796)
    qtbot.waitUntil(lambda: page._split.orientation() == Qt.Orientation.Vertical)
    assert page.graphs._side.isVisible()
    assert not page.graphs.scale_key.isVisible()
    page.resize(1368, 796)
    qtbot.waitUntil(lambda: page._split.orientation() == Qt.Orientation.Horizontal)
    page.graphs.lines_button.click()
    assert page._split.orientation() == Qt.Orientation.Vertical
    assert page.graphs._side.isVisible()


def test_servers_with_the_widest_gap_come_first(page, progress) -> None:
    paint(page, progress(4))
    snapshot = progress(4)
    rows = tuple(replace(row, gap=gap) for row, gap in zip(snapshot.servers, (1, 5, 0, 3), strict=True))
    paint(page, replace(snapshot, servers=rows))
    assert [row.gap for row in page.table.model.rows.visible] == [5, 3, 1, 0]


def test_a_fault_that_lasts_leaves_the_colours_of_the_map_as_they_are(page, progress) -> None:
    """Under a tint they would say another value."""
    page.resize(1368, 796)
    paint(page, progress(50, seconds=60))
    page.graphs.heat.set_events((Event(10.0, "far away"),))  # the same room for flags in both pictures
    before = page.graphs.heat.canvas.grab().toImage()
    page.graphs.heat.set_events((Event(10.0, "far away"), Event(30.0, "broker down", "zap", "warn", until=50.0)))
    after = page.graphs.heat.canvas.grab().toImage()
    x, y = int(page.graphs.heat.x_of(40.5)), int(page.graphs.heat.area().center().y())
    assert after.pixelColor(x, y) == before.pixelColor(x, y)
    top = int(page.graphs.heat.area().top()) - 2
    assert after.pixelColor(x, top) == theme().colour("warn"), "a bar above the cells tells how long it lasted"


def test_many_points_are_drawn_with_lines_of_one_pixel(page, progress) -> None:
    """Wider ones are many times as expensive (see `DENSE`); the chosen server stands out all the same."""
    paint(page, progress(8, seconds=60))
    assert {curve.opts["pen"].widthF() for curve in page.graphs.lines._curves} == {1.75}
    paint(page, progress(8, seconds=DENSE // 8 + 1))
    page.table.select_key("s02")
    assert [curve.opts["pen"].widthF() for curve in page.graphs.lines._curves] == [1, 2.5, 1, 1, 1, 1, 1, 1]


def test_no_curve_is_made_before_lines_are_shown(page, progress) -> None:
    paint(page, progress(50))
    assert page.graphs.lines._curves == []
    page.graphs.lines_button.click()
    assert len(page.graphs.lines._curves) == 50


def test_legend_and_table_have_one_current_rate(page, progress) -> None:
    """Also when the newest point of the axis is another one than the rate of the row."""
    snapshot = progress(3)
    rows = tuple(replace(row, rate=9.8 * 2**20) for row in snapshot.servers)
    paint(page, replace(snapshot, servers=rows))
    mib = next(c for c in page.table.model.rows.columns if c.key == "mib")
    assert [mib.shows(row) for row in page.table.model.rows.visible] == ["9.8"] * 3
    assert [row.now for row in page.graphs.legend._rows] == ["9.8"] * 3
    page.graphs.heat_button.click()
    assert dict(page.graphs.scale.facts)["Fastest"].endswith("9.8 MiB/s")


def test_the_age_of_the_last_record_counts_on_without_news(page, progress, monkeypatch) -> None:
    now = 1_795_000_100.0
    monkeypatch.setattr("gui.pages.live.columns.time.time", lambda: now)
    snapshot = progress(1)
    snapshot = replace(snapshot, servers=(replace(snapshot.servers[0], last_record=now - 5),))
    paint(page, snapshot)
    index = page.table.model.index(0, [c.key for c in page.table.model.rows.columns].index("last"))
    assert index.data() == "5.0 s"
    painted: list[str] = []
    monkeypatch.setattr(page.table.view.viewport(), "update", lambda: painted.append(index.data()))
    now += 30
    page._ticked = 0.0
    page.paint_latest()
    assert painted == ["35 s"]
    page.toggle_pause()
    page._ticked = 0.0
    page.paint_latest()
    assert len(painted) == 1, "a view that is paused stands still"


def test_servers_say_and_both(page, progress) -> None:
    snapshot = progress(3, seconds=20)
    buttons = page.graphs.source_buttons
    paint(page, snapshot)
    assert not buttons["servers"].isEnabled()
    assert "No record" in buttons["servers"].toolTip()
    said = tuple(replace(point, said=(2.0 * 2**20,) * 3) for point in snapshot.samples)
    rows = tuple(replace(row, recorded_rate=2.0 * 2**20) for row in snapshot.servers)
    paint(page, replace(snapshot, samples=said, servers=rows))
    assert buttons["servers"].isEnabled()
    QTest.mouseClick(buttons["servers"], Qt.MouseButton.LeftButton)
    assert [row.now for row in page.graphs.legend._rows] == ["2.0"] * 3
    assert "records" in page.graphs._throughput_unit.text()
    QTest.mouseClick(buttons["both"], Qt.MouseButton.LeftButton)
    assert len(page.graphs.lines._curves) == 6
    assert page.graphs.lines._curves[0].getData()[1][-1] == 1.0
    assert page.graphs.lines._curves[3].getData()[1][-1] == 2.0
    page.graphs.heat_button.click()
    assert page.graphs.source == "clients", "a cell has one colour"
    paint(page, progress(50, run=38))
    assert not buttons["both"].isEnabled()


def test_the_order_of_rows(page, progress) -> None:
    paint(page, progress(20))
    heat, box = page.graphs.heat, page.graphs.order_box
    assert heat._names[0] == "s01"
    page.graphs.show_order("rate")
    assert box.currentText() == "by rate"
    assert heat._names[0] == "s20"
    assert heat._shown[1][0, -1] == 20.0, "the data are those of the row"
    page.graphs.show_order("slowest")
    assert (heat._names[0], heat._shown[1][0, -1]) == ("s01", 1.0)
    page.graphs.lines_button.click()
    assert [row.name for row in page.graphs.legend._rows][:2] == ["s01", "s02"]


def test_slow_and_silent_servers_are_named_in_words(page, progress) -> None:
    snapshot = progress(20, rates=lambda _second: (2.0**20, *(9.0 * 2**20,) * 19))
    rows = list(snapshot.servers)
    rows[4] = replace(rows[4], silent_since=snapshot.t - 12)
    paint(page, replace(snapshot, servers=tuple(rows)))
    state = next(c for c in page.table.model.rows.columns if c.key == "state")
    words = {row.name: state.shows(row) for row in page.table.model.rows.visible}
    assert words["s01"].startswith("slow for ")
    assert words["s05"] == "silent for 12 s"
    assert words["s02"] == "up"
    assert page.table.counts.text() == "20; 1 silent, 1 slow"
    assert page.graphs.heat._rows.own == [0, 4], "their labels are always shown"
    page.table.filter_box.setText("state:silent")
    assert [row.name for row in page.table.model.rows.visible] == ["s05"]


def test_a_label_in_the_news_pushes_its_neighbour_out(page, progress) -> None:
    paint(page, progress(50, rates=lambda _second: (9.0 * 2**20,) * 50))
    heat = page.graphs.heat
    heat.canvas.grab()
    size = heat.area().height()
    (_, usual), *_ = heat._rows.tickValues(0, 50, size)
    assert usual[:3] == [0.5, 4.5, 9.5], "the first, then every fifth"
    page.table.select_key("s06")
    (_, pushed), *_ = heat._rows.tickValues(0, 50, size)
    assert pushed[:2] == [0.5, 9.5]


def test_the_box_beside_the_pointer_has_value_median_and_news(page, progress) -> None:
    paint(page, progress(20, rates=lambda _second: (2.0**20, *(9.0 * 2**20,) * 19)))
    heat = page.graphs.heat
    heat.canvas.grab()
    area = heat.area()
    heat._moved(QPointF(area.left() + 0.4 * area.width(), area.top() + 2))
    name, figure, remark = heat.pointed_at()
    assert name.startswith("s01")
    assert figure == "1.0 MiB/s   median 9.0"
    assert remark.startswith("slow for")
    heat._moved(QPointF(area.left() - 5, area.top() + 2))
    assert heat.pointed_at() == []


def test_the_wheel_zooms_all_plots_alike(page, progress, qtbot) -> None:
    paint(page, progress(4, seconds=60))
    lines, below = page.graphs.lines, page.graphs.converging
    lines.canvas.grab()
    middle = lines.canvas.mapFromScene(lines.area().center())
    for plot in (lines, below):
        middle = plot.canvas.mapFromScene(plot.area().center())
        before = plot.item.getViewBox().viewRange()[0]
        wheel = QWheelEvent(
            QPointF(middle), plot.canvas.viewport().mapToGlobal(QPointF(middle)), QPoint(), QPoint(0, 240),
            Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False
        )  # fmt: skip
        QApplication.sendEvent(plot.canvas.viewport(), wheel)
        qtbot.waitUntil(lambda plot=plot, before=before: plot.item.getViewBox().viewRange()[0] != before)
        assert lines.item.getViewBox().viewRange()[0] == pytest.approx(below.item.getViewBox().viewRange()[0])
    paint(page, progress(4, seconds=61))
    assert lines.item.getViewBox().viewRange()[0] == pytest.approx(below.item.getViewBox().viewRange()[0])
    lines.show_all()
    assert below.item.getViewBox().viewRange()[0] == pytest.approx(lines.item.getViewBox().viewRange()[0])


def test_a_click_on_a_test_that_is_done_leads_to_its_result(page, progress) -> None:
    steps = (Step("a", 10, ("passed",)), Step("b", 10, ("running", "waiting")), Step("c", 10, ("waiting",)))
    wanted: list[tuple[int, int]] = []
    page.result_wanted.connect(lambda run, test: wanted.append((run, test)))
    paint(page, progress(steps=steps))
    strip = page.readouts.steps
    strip.grab()
    (box, number), *others = strip._boxes
    assert (number, others) == (1, [])
    QTest.mouseClick(strip, Qt.MouseButton.LeftButton, pos=box.center().toPoint())
    QTest.mouseClick(strip, Qt.MouseButton.LeftButton, pos=QPoint(round(box.right()) + 60, 20))
    assert wanted == [(37, 1)]
    QTest.keyClick(strip, Qt.Key.Key_Right)
    QTest.keyClick(strip, Qt.Key.Key_Return)
    assert wanted == [(37, 1)] * 2


def test_while_nothing_runs_the_last_run_is_offered(page, texts) -> None:
    page.show_last(LastRun(35, "run 35, pass: <b>osdf</b>"))
    opened: list[object] = []
    page.result_wanted.connect(lambda run, test: opened.append((run, test)))
    page.again_wanted.connect(opened.append)
    assert {"Nothing runs", "Last: run 35, pass: <b>osdf</b>."} <= set(texts(page))
    for words in ("Open it", "Run again"):
        found = next(b for b in page.findChildren(type(page.pause_button)) if b.text() == words and b.isVisible())
        QTest.mouseClick(found, Qt.MouseButton.LeftButton)
    assert opened == [(35, 0), 35]


def test_who_carries_the_run_out_is_said(page, progress) -> None:
    paint(page, progress(owner="Another Tally (process 7 on here)"))
    assert "carried out by another Tally (process 7 on here)" in page.remark.text()


def test_plots_and_table_are_painted_in_two_turns_of_the_loop(page, progress, qtbot) -> None:
    page.show_progress(progress(50))
    page.paint_latest()
    assert page.graphs._times.size
    assert page.table.model.rowCount() == 0
    qtbot.waitUntil(lambda: page.table.model.rowCount() == 50)


def test_the_plots_are_saved_as_picture_drawing_and_table(page, progress, tmp_path) -> None:
    paint(page, progress(["=s1", "s2"], seconds=3, rates=lambda second: (None if second == 2 else 2.0**20, 2.0**21)))
    page.save_plot(tmp_path / "p.png")
    assert QPixmap(str(tmp_path / "p.png")).width() == 2 * page.graphs.width()
    assert page.message.isVisible()
    assert page.message.text.text() == f"Saved: {tmp_path / 'p.png'}"
    page.save_plot(tmp_path / "p.svg")
    assert "<svg" in (tmp_path / "p.svg").read_text()
    page.table_wanted.connect(lambda path, table: table.write(path))
    page.save_plot(tmp_path / "p.csv")
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[0] == "second,server,mib_per_second_clients,mib_per_second_records"
    assert lines[1:5] == ["1,'=s1,1.0,", "1,s2,2.0,", "2,'=s1,,", "2,s2,2.0,"]


def test_a_file_that_cannot_be_written_is_said(page, progress, tmp_path) -> None:
    paint(page, progress())
    for name in ("p.png", "p.svg"):
        path = tmp_path / "nowhere" / name
        page.save_plot(path)
        assert page.message.text.text() == f"{path} cannot be written: No such file or directory."
        assert not page.message.buttons


def test_the_widest_gap_is_named_where_it_was(page, progress) -> None:
    snapshot = progress(4, seconds=40)
    points = [
        replace(p, read=n * 10, recorded=50 if 5 <= n < 30 else n * 10) for n, p in enumerate(snapshot.samples, start=1)
    ]
    paint(page, replace(snapshot, samples=tuple(points)))
    assert page.graphs.converging.widest_gap() == (29.0, 290.0, 50.0)
    page.graphs.converging.canvas.grab()
    even = [replace(p, read=n * 10, recorded=n * 10 - 1) for n, p in enumerate(snapshot.samples, start=1)]
    paint(page, replace(snapshot, samples=tuple(even)))
    assert page.graphs.converging.widest_gap() is None, "a gap that nobody can see has no name"


def test_a_beat_paints_nothing_before_all_of_it_is_known(page, progress, qtbot) -> None:
    """Qt's progress bar paints at once when its value is set, and with it whatever else of the window is due."""
    paint(page, progress())
    painted: list[str] = []

    class Watch(QObject):
        def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
            if event.type() == QEvent.Type.Paint:
                painted.append("painted")
            return super().eventFilter(watched, event)

    watch = Watch()
    QApplication.processEvents()  # what is due from before is painted
    page.readouts.progress_bar.installEventFilter(watch)
    page.readouts.show_progress(progress(requested=90))
    assert painted == []
    qtbot.waitUntil(lambda: bool(painted))
    assert page.readouts.progress_bar.value() == 90
