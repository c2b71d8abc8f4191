"""`make screenshots`: pictures of each page from a real window on a real X server, light and dark.

    python -m tests.gui.screenshots build/screenshots

Two walks through the pages, each in a window of its own. `typical` lets the window do its demonstration, with a real
federation behind it (8 XRootD servers, 1,200 files each), and takes every page, empty and at work. `extreme` opens what
`extremes` makes: 100,000 requests, 50 and 500 servers, names of 200 characters; once in 1440×900, once in 1280×720
(`-small`), and once on a screen of 150 % (`-150`).
"""

from __future__ import annotations

import asyncio
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gui.app.window import Window

LOOKS = {"typical": (1440, 900, 1.0), "extreme": (1440, 900, 1.0), "small": (1280, 720, 1.0), "150": (1440, 900, 1.5)}
"""What is walked through, and on what: width and height of the window, and the screen's scale."""


def part(window: Window, name: str) -> Any:
    """The part of this page, as its own type."""
    return window.parts[name]


def page(window: Window, name: str) -> Any:
    """The page of this name, as its own type."""
    return part(window, name).page


def start_screen(width: int, height: int) -> subprocess.Popen[bytes]:
    """An Xvfb with room for a window of that size; DISPLAY points to it."""
    program = shutil.which("Xvfb")
    if program is None:
        raise SystemExit("Xvfb is missing; install it with: apt-get install xvfb")
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [program, "-displayfd", str(writer), "-screen", "0", f"{width + 40}x{height + 60}x24", "-nolisten", "tcp"],
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


async def until(window: Window, condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Wait for something to be so; what the window calls a problem ends the wait."""
    async with asyncio.timeout(seconds):
        while not condition():
            for problem in window.problems.table.model.rows.all:
                if problem.severity == "error":
                    raise SystemExit(f"{problem.where}: {problem.text}")
            await asyncio.sleep(0.1)
    print(f"  {what}", flush=True)


class Camera:
    """Takes pictures of a window into a directory; each name ends with `suffix` and the mode."""

    def __init__(self, window: Window, directory: Path, suffix: str) -> None:
        self.window, self.directory, self.suffix = window, directory, suffix
        self.taken = 0

    async def shoot(self, name: str, *modes: str) -> None:
        from gui.widgets.theme import theme

        for mode in modes or ("light", "dark"):
            theme().set_mode(mode)  # type: ignore[arg-type]
            while not self.window.frame.updatesEnabled():  # noqa: ASYNC110 - it keeps its picture until all is changed
                await asyncio.sleep(0)
            # Never processEvents here: it would run callbacks of the loop inside this task, which asyncio refuses; the
            # task whose turn it was would then sleep for ever.
            await asyncio.sleep(0.8)
            path = self.directory / f"{name}{self.suffix}-{mode}.png"
            frame = self.window.frame
            assert frame.screen().grabWindow(frame.winId()).save(str(path)), f"{path} cannot be written"
            self.taken += 1
        theme().set_mode("light")


async def take(look: str, directory: Path, data: Path) -> None:
    """Open a window, walk through its pages, save what is to be seen."""
    from gui.app import make_window
    from gui.runner.demo import DemoOptions

    width, height, _ = LOOKS[look]
    window = make_window(data, DemoOptions(database=data / "demo.db", servers=8, files=1200, rate=30, repeats=1))
    window.frame.resize(width, height)
    window.frame.show()
    window.frame.move(0, 0)
    camera = Camera(window, directory, "" if look in ("typical", "extreme") else f"-{look}")
    await (typical(camera) if look == "typical" else extreme(camera, data))
    print(f"  {camera.taken} pictures in {directory}", flush=True)
    window.frame.close()
    await window.done.wait()


async def typical(camera: Camera) -> None:
    """The demonstration, from the first start to the evidence."""
    window, frame, shoot = camera.window, camera.window.frame, camera.shoot
    await shoot("welcome", "light")
    frame.go("settings")
    await shoot("settings")
    frame.go("fleet")
    await shoot("fleet-empty", "light")
    frame.go("plans")
    await shoot("plans")
    window.try_here()
    await asyncio.sleep(6)
    await shoot("getting-ready", "light")

    def progress() -> object:
        return window.workspace.progress.latest if window.workspace else None

    await until(window, lambda: getattr(progress(), "recorded", 0) > 1800, "the run is well under way")
    await shoot("live")
    frame.go("fleet")
    page(window, "fleet").servers.select_key(window.workspace.servers()[2].url if window.workspace else "")
    await until(window, lambda: bool(part(window, "fleet").presenter.sender_of), "senders are known")
    await asyncio.sleep(6)
    await shoot("fleet")
    frame.go("pipeline")
    await asyncio.sleep(6)  # another status message of each
    await shoot("pipeline")
    window.go("inspector", live=True)
    await until(
        window, lambda: any(row.files for row in part(window, "inspector").presenter.rows), "datagrams are seen"
    )
    rows = page(window, "inspector").table.model.rows.visible
    page(window, "inspector").table.select_key(next(row.number for row in rows if row.files))
    await asyncio.sleep(4)
    await shoot("inspector")
    part(window, "inspector").presenter.pause()
    frame.go("live")
    await until(
        window,
        lambda: getattr(progress(), "phase", "") == "done" or frame.current_page() == "result",
        "the run is done",
    )
    window.go("result", run=window.workspace.store.runs()[0].id if window.workspace else 0)
    await asyncio.sleep(2)
    await shoot("result")
    page(window, "result").show_tab("timeline")
    await until(window, lambda: page(window, "result").timeline.timeline is not None, "the timeline is read")
    await shoot("timeline")
    page(window, "result").tabs.setCurrentIndex(1)
    await asyncio.sleep(1)
    await shoot("requests", "light")
    result = page(window, "result")
    part(window, "result")._open_evidence(result.visible_requests()[0])
    await until(window, lambda: page(window, "evidence").view is not None, "the evidence is read")
    await asyncio.sleep(1)
    await shoot("evidence")
    frame.go("runs")
    await shoot("runs", "light")
    frame.go("plans")
    plans = page(window, "plans")
    plans.new_plan()
    for fault, at in (("udp-loss", 1.0), ("kill-collector", 2.0), ("stop-server", 4.0), ("kill-agent", 3.0)):
        plans.faults.add(fault, at)
    plans.faults.choose(0)
    await shoot("plan-faults")
    plans.preflight_button.click()
    checked = page(window, "preflight")
    await until(window, lambda: checked.rows and checked.again_button.text() == "Check again", "preflight is done")
    await shoot("preflight")


async def extreme(camera: Camera, data: Path) -> None:
    """What is large, long or hostile."""
    from tests.gui.extremes import clients, fill, progress, servers

    window, shoot = camera.window, camera.shoot
    database = data / "extreme.db"
    run = await asyncio.to_thread(fill, database)
    window.open_workspace(str(database))
    await until(window, lambda: window.workspace is not None, "the workspace is open")
    live = page(window, "live")

    def listed(count: int) -> bool:
        return len(live.table.model.rows.all) == count

    for count in (50, 500):
        window.go("live")
        await asyncio.sleep(2)  # it reads what the last run was
        live.show_progress(progress(count))
        await until(window, partial(listed, count), f"{count} servers are shown")
        await shoot(f"live-{count}")
    window.go("fleet")
    window.beat.stop()  # it would show who is really there
    page(window, "fleet").set_clients(clients())
    page(window, "fleet").set_servers(servers())
    await shoot("fleet-500")
    page(window, "fleet").servers.select_key(servers()[6].url)
    await shoot("fleet-500-chosen")
    window.beat.start()
    window.go("runs")
    await shoot("runs-many")
    window.go("result", run=run)
    result = page(window, "result")
    await until(window, lambda: bool(result.visible_requests()), "the requests are read")
    result.show_tab("servers")
    await shoot("result-50")
    result.show_tab("timeline")
    await until(window, lambda: result.timeline.timeline is not None, "the timeline is read")
    await shoot("timeline-50")
    result.show_tab("requests")
    await shoot("requests-100000")
    part(window, "result")._open_evidence(result.visible_requests()[0])
    await until(window, lambda: page(window, "evidence").view is not None, "the evidence is read")
    await shoot("evidence-long")
    window.go("compare", run=run)
    compared = page(window, "compare")
    await until(window, lambda: compared.course_chart.unit.text().startswith("success, %, runs"), "both are compared")
    await shoot("compare")
    for name in ("fleet", "plans", "preflight", "settings", "pipeline"):
        window.go(name)
        await asyncio.sleep(1)
        await shoot(name if camera.suffix else f"{name}-idle")


def walk(look: str, directory: Path) -> int:
    """One walk, in this process."""
    width, height, scale = LOOKS[look]
    os.environ["QT_SCALE_FACTOR"] = str(scale)
    screen = start_screen(int(width * scale), int(height * scale))
    data = Path(tempfile.mkdtemp(prefix="tally-screenshots-"))
    os.environ["XDG_CONFIG_HOME"] = str(data / "config")
    (data / "settings.toml").write_text('[hub]\nhost = "127.0.0.1"\nport = 0\n')
    try:
        import qasync

        from gui.app import make_application

        make_application()
        qasync.run(take(look, directory, data))
    finally:
        shutil.rmtree(data, ignore_errors=True)
        screen.terminate()
        screen.wait(10)
    return 0


def main() -> int:
    """All walks, each in a process of its own; or the one that is named."""
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "build/screenshots").resolve()
    directory.mkdir(parents=True, exist_ok=True)
    if len(sys.argv) > 2:
        return walk(sys.argv[2], directory)
    for look in LOOKS:
        print(look, flush=True)
        subprocess.run([sys.executable, "-m", "tests.gui.screenshots", str(directory), look], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
