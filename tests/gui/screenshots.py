"""`make screenshots`: pictures of each page from a real window on a real X server, with a real federation behind it.

    python tests/gui/screenshots.py docs/screenshots

Starts an Xvfb of its own, opens the window, lets it do its demonstration (8 XRootD servers, 300 files each) and takes
every page, light and dark, empty and at work.
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
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gui.app.window import Window

SIZE = (1440, 900)


def part(window: Window, name: str) -> Any:
    """The part of this page, as its own type."""
    return window.parts[name]


def page(window: Window, name: str) -> Any:
    """The page of this name, as its own type."""
    return part(window, name).page


def start_screen() -> subprocess.Popen[bytes]:
    """An Xvfb; DISPLAY points to it."""
    program = shutil.which("Xvfb")
    if program is None:
        raise SystemExit("Xvfb is missing; install it with: apt-get install xvfb")
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [program, "-displayfd", str(writer), "-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24", "-nolisten", "tcp"],
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


async def take(directory: Path, data: Path) -> None:
    """Open the window, walk through its pages, save what is to be seen."""
    from gui.app import make_window
    from gui.runner.demo import DemoOptions
    from gui.widgets.theme import theme

    window = make_window(data, DemoOptions(database=data / "demo.db", servers=8, files=600, rate=30, repeats=1))
    frame = window.frame
    frame.resize(*SIZE)
    frame.show()
    taken: list[str] = []

    async def shoot(name: str, *modes: str) -> None:
        for mode in modes or ("light", "dark"):
            theme().set_mode(mode)  # type: ignore[arg-type]
            # Never processEvents here: it would run callbacks of the loop inside this task, which asyncio refuses; the
            # task whose turn it was would then sleep for ever.
            await asyncio.sleep(0.6)
            path = directory / f"{name}-{mode}.png"
            screen = frame.screen()
            assert screen.grabWindow(frame.winId()).save(str(path)), f"{path} cannot be written"
            taken.append(path.name)
        theme().set_mode("light")

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
    print(f"  {len(taken)} pictures in {directory}", flush=True)
    frame.close()
    await window.done.wait()


def main() -> int:
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/screenshots").resolve()
    directory.mkdir(parents=True, exist_ok=True)
    screen = start_screen()
    data = Path(tempfile.mkdtemp(prefix="tally-screenshots-"))
    os.environ["XDG_CONFIG_HOME"] = str(data / "config")
    try:
        import qasync

        from gui.app import make_application

        make_application()
        qasync.run(take(directory, data))
    finally:
        shutil.rmtree(data, ignore_errors=True)
        screen.terminate()
        screen.wait(10)
    return 0


if __name__ == "__main__":
    sys.exit(main())
