"""The window on an Xvfb of its own: how soon it is painted, and whether 50 servers at work ever make it stall.

First paint: a fresh process each time, from its start to the first paint; the median of five after one that warms the
caches. Feed: the Live page gets a snapshot a second, as a run does, of 50 servers with ten minutes of samples; the
beats follow one another in 20 ms, and a timer of 1 ms tells how long the loop was ever held up. CPU figures do not
depend on what else the machine does. The garbage collector is tuned as the window tunes it.
"""

from __future__ import annotations

import gc
import json
import os
import random
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS = 5
SERVERS, MANY, SECONDS = 50, 500, 600
ROWS = 100_000
STARTED = 1_795_000_000.0

CHILD = """
import logging, os, signal, sys
class Painted(logging.Handler):
    def emit(self, record):
        if "painted" in record.getMessage():
            import time
            print(time.time(), flush=True)
            os.kill(os.getpid(), signal.SIGTERM)
logging.getLogger("tally.window").addHandler(Painted())
logging.getLogger("tally.window").setLevel(logging.DEBUG)
"""
WINDOW = (
    CHILD + "from gui.app import run_window\nfrom pathlib import Path\nsys.exit(run_window(data=Path(sys.argv[1])))\n"
)
COMMAND = CHILD + "from gui.cli import main\nsys.exit(main([]))\n"


def screen() -> subprocess.Popen[bytes]:
    """An Xvfb; DISPLAY points to it."""
    program = shutil.which("Xvfb")
    if program is None:
        raise SystemExit("Xvfb is missing; install it with: apt-get install xvfb")
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [program, "-displayfd", str(writer), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    if not select.select([reader], [], [], 20)[0]:
        process.kill()
        raise SystemExit("Xvfb did not start within 20 s")
    os.environ["DISPLAY"] = ":" + os.read(reader, 32).decode().strip()
    os.environ["QT_QPA_PLATFORM"] = "xcb"
    return process


def first_paint(code: str, data: Path) -> tuple[float, float]:
    """Seconds from the start of a process to its first paint, and its CPU seconds until it had ended."""
    before = os.times()
    began = time.time()
    process = subprocess.run(
        [sys.executable, "-c", code, str(data)], stdout=subprocess.PIPE, check=True, timeout=60, text=True
    )
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return float(process.stdout.split()[0]) - began, used


def report(name: str, value: float, unit: str, limit: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 3), "unit": unit, "limit_or_peer": limit}), flush=True)


class Turns:
    """The turns of the loop since `begin`, in ms: in wall time, and in processor time of the loop's thread."""

    def __init__(self) -> None:
        from PySide6.QtCore import Qt, QTimer

        self.wall: list[float] = []
        self.cpu: list[float] = []
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start(1)

    def begin(self) -> None:
        self.wall.clear()
        self.cpu.clear()
        self._last = (time.perf_counter(), time.thread_time())

    def _tick(self) -> None:
        before, self._last = self._last, (time.perf_counter(), time.thread_time())
        self.wall.append(1000 * (self._last[0] - before[0]))
        self.cpu.append(1000 * (self._last[1] - before[1]))


def feed(mode: str, servers: int) -> tuple[float, float, float, float]:
    """Longest stall and 99th percentile of the loop, the most CPU time between two turns of it, and CPU time of a beat
    with all its painting; in ms. `mode` is what is shown: lines or heat."""
    from PySide6.QtCore import Qt, QTimer
    from PySide6.QtWidgets import QApplication

    from gui.app import make_application
    from gui.pages.live.page import LivePage
    from gui.runner.progress import Marker, RunProgress, SamplePoint, ServerRow

    application = make_application()
    page = LivePage((), lambda: None)
    page.timer.stop()
    page.resize(1368, 796)
    page.show()
    page.graphs.show_mode(mode)
    noise = random.Random(7)  # a smooth curve is many times cheaper to draw than what is measured
    names = [f"s{number:02}" for number in range(1, servers + 1)]
    points = [
        SamplePoint(
            STARTED + second,
            tuple(max(0.2, noise.gauss(9, 0.8)) * 2**20 if second % 12 else 0.0 for _ in range(servers)),
            requested=second * 500,
            read=second * 499,
            recorded=second * 490,
        )
        for second in range(1, SECONDS + 1)
    ]
    markers = tuple(Marker(STARTED + second, "fault", "broker-down for 20 s") for second in range(30, SECONDS, 120))
    beats = [0]
    cpu = [0.0]
    gaps: list[float] = []
    worked: list[float] = []
    last, last_cpu = [time.perf_counter()], [time.thread_time()]

    def tick() -> None:
        now, used = time.perf_counter(), time.thread_time()
        gaps.append(1000 * (now - last[0]))
        worked.append(1000 * (used - last_cpu[0]))
        last[0], last_cpu[0] = now, used

    def beat() -> None:
        beats[0] = count = beats[0] + 1
        rows = tuple(
            ServerRow(name, f"root://{name}.example.org:1094", count * 10, count * 10, count * 9, count % 7, rate=8e6)
            for name in names
        )
        page.show_progress(
            RunProgress(
                t=STARTED + count, run=1, phase="round", started=STARTED, total=SECONDS * 500, requested=count * 500,
                read=count * 499, recorded=count * 490, servers=rows, samples=tuple(points[:count]), markers=markers,
                tests=1, repeats=1, repeat=1, round=count, rounds=SECONDS,
            )
        )  # fmt: skip
        page.paint_latest()
        QTimer.singleShot(10, page.paint_table)
        if count == SECONDS:
            application.quit()
        else:  # not a timer that repeats: when the machine is loaded, two beats would come in one turn of the loop
            QTimer.singleShot(20, beat)

    probe = QTimer()
    probe.setTimerType(Qt.TimerType.PreciseTimer)
    probe.timeout.connect(tick)

    gc.freeze()  # as the window does once all of it is loaded

    def begin() -> None:
        gaps.clear()
        worked.clear()
        last[0], cpu[0] = time.perf_counter(), time.thread_time()
        last_cpu[0] = cpu[0]
        beat()

    QTimer.singleShot(500, begin)
    probe.start(1)
    QApplication.exec()
    used = 1000 * (time.thread_time() - cpu[0]) / beats[0]
    page.close()
    gaps.sort()
    return gaps[-1], gaps[int(len(gaps) * 0.99)], max(worked), used


def table() -> list[tuple[str, float]]:
    """What each click or key at a table of 100,000 requests costs, with all its painting: CPU time in ms."""
    from gui.app import make_application
    from gui.models.rows import Column
    from gui.widgets.table import Table

    application = make_application()
    chance = random.Random(3)
    verdicts = ("matched", "matched", "matched", "missing", "late")
    rows = [
        (f"{n:08x}", f"/store/run{n % 977}/file{n:06}", f"s{n % 50:02}", chance.choice(verdicts), chance.random() * 1e9)
        for n in range(ROWS)
    ]
    columns: list[Column[tuple[str, str, str, str, float]]] = [
        Column("tag", "Tag", lambda r: r[0], kind="fixed"),
        Column("path", "Path", lambda r: r[1], stretch=True, cut="left"),
        Column("server", "Server", lambda r: r[2]),
        Column("verdict", "Verdict", lambda r: r[3]),
        Column("asked", "Asked B", lambda r: r[4], lambda r: f"{r[4]:,.0f}", "right"),
    ]
    made = Table("bench", "Requests", columns, key=lambda r: r[0])
    made.resize(1300, 700)
    made.show()
    application.processEvents()
    gc.freeze()
    found: list[tuple[str, float]] = []

    def measure(what: str, act: Callable[[], object]) -> None:
        began = time.thread_time()
        act()
        application.processEvents()
        found.append((what, 1000 * (time.thread_time() - began)))

    measure("shown", lambda: made.set_rows(rows))
    measure("sorted by a number", lambda: made.sort_by("asked", descending=True))
    measure("filtered by a verdict", lambda: made.filter_box.setText("verdict:missing"))
    measure("filtered by a number", lambda: made.filter_box.setText("asked:>5e8"))
    measure("sorted by a name, filtered", lambda: made.sort_by("server"))
    while not made.model.rows.prepare(1_000):  # in the turns of the loop before one types
        pass
    measure("filtered by a word", lambda: made.filter_box.setText("file0001"))
    measure("all again", lambda: made.filter_box.clear())
    made.close()
    return found


def theme_switch(data: Path) -> tuple[float, int]:
    """The whole window changes its theme, on the page Plans: the most CPU time of one turn of the loop until all pages
    are done, in ms; its widgets."""
    import asyncio

    import qasync

    from gui.app import make_application, make_window
    from gui.widgets.theme import theme

    application = make_application()
    loop = qasync.QEventLoop(application)
    asyncio.set_event_loop(loop)
    found: list[float] = []

    async def story() -> int:
        window = make_window(data)
        window.frame.show()
        window.frame.go("plans")
        await asyncio.sleep(1)
        turns = Turns()
        for mode in ("dark", "light", "dark", "light", "dark"):
            turns.begin()
            theme().set_mode(mode)
            await asyncio.sleep(2)
            found.append(max(turns.cpu))
        widgets = len(application.allWidgets())
        window.frame.close()
        await window.done.wait()
        return widgets

    with loop:
        widgets = loop.run_until_complete(story())
    asyncio.set_event_loop(None)
    return max(found), widgets


def main() -> None:
    server = screen()
    data = Path(tempfile.mkdtemp(prefix="tally-bench-window-"))
    os.environ["XDG_CONFIG_HOME"] = str(data / "config")
    os.environ["TALLY_DATA"] = str(data)
    try:
        for name, code, limit in (
            ("window: first paint, warm", WINDOW, "1.5"),
            ("tally: first paint of the command, warm", COMMAND, "1.5"),
        ):
            first_paint(code, data)
            found = [first_paint(code, data) for _ in range(ROUNDS)]
            report(name, statistics.median(seconds for seconds, _ in found), "s", limit)
            report(f"{name}, CPU of the whole process", statistics.median(used for _, used in found), "s", "")
        for mode, servers in (("heat", SERVERS), ("lines", SERVERS), ("heat", MANY)):
            longest, p99, most, used = feed(mode, servers)
            what = f"live page, {mode}, {servers} servers × {SECONDS} s"
            report(f"{what}: longest stall of the loop", longest, "ms", "50")
            report(f"{what}: p99 of the loop", p99, "ms", "50")
            report(f"{what}: most CPU between two turns of the loop", most, "ms", "50")
            report(f"{what}: CPU of a beat with all its painting", used, "ms", "50")
        for what, spent in table():
            report(f"table of {ROWS:,} requests, {what}", spent, "ms", "100")
        spent, widgets = theme_switch(data / "theme")
        report(f"theme of the whole window ({widgets:,} widgets), most CPU of a turn, five switches", spent, "ms", "50")
    finally:
        shutil.rmtree(data, ignore_errors=True)
        server.send_signal(signal.SIGTERM)
        server.wait(10)


if __name__ == "__main__":
    main()
