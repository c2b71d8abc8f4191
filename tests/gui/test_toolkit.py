"""The traps of the toolkit: what must never stand in the window's code, and what must stay as it is.

Ends and pending tasks are tested in `app/test_loop.py` and `app/test_closing.py`, the agent's heartbeat beside busy
workers in `tests/agent/test_connection.py`.
"""

from __future__ import annotations

import ast
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gui.models.rows import Column, Rows
from gui.models.table import TableModel
from gui.widgets.plots import LinesPlot

ROOT = Path(__file__).resolve().parents[2] / "gui"
FORBIDDEN = {
    "exec": "runs the loop inside itself; use open() and finished",
    "exec_": "runs the loop inside itself; use open() and finished",
    "processEvents": "runs callbacks of the loop inside a task, which asyncio then never wakes",
}


def calls() -> Iterator[tuple[str, str, str]]:
    """Every call of an attribute in the window's code: (file and line, what it is called on, its name)."""
    for folder in ("app", "pages", "widgets", "models"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    place = f"{file.relative_to(ROOT.parent)}:{node.lineno}"
                    yield place, ast.unparse(node.func.value), node.func.attr


def test_nothing_runs_the_loop_inside_itself() -> None:
    found = [f"{place}: {on}.{name}() {FORBIDDEN[name]}" for place, on, name in calls() if name in FORBIDDEN]
    assert found == []


def test_static_dialogs_that_block_are_not_used() -> None:
    """`QMessageBox.question(…)` and `QFileDialog.getOpenFileName(…)` call exec themselves."""
    blocking = {
        "QMessageBox": {"question", "information", "warning", "critical", "about"},
        "QFileDialog": {"getOpenFileName", "getOpenFileNames", "getSaveFileName", "getExistingDirectory"},
        "QInputDialog": {"getText", "getInt", "getDouble", "getItem", "getMultiLineText"},
        "QColorDialog": {"getColor"},
        "QFontDialog": {"getFont"},
    }
    found = [f"{place}: {on}.{name}" for place, on, name in calls() if name in blocking.get(on, ())]
    assert found == []


def test_plots_are_not_drawn_by_opengl_which_leaks() -> None:
    found = [file for file in ROOT.rglob("*.py") if "useOpenGL" in file.read_text()]
    assert found == []


def test_a_model_is_changed_by_the_thread_of_the_window_only(qapp) -> None:
    model = TableModel(Rows([Column[str]("name", "Name", lambda r: r)], key=lambda r: r))
    caught: list[BaseException] = []

    def work() -> None:
        try:
            model.replace(["from another thread"])
        except AssertionError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert len(caught) == 1
    assert model.rowCount() == 0
    model.replace(["from here"])
    assert model.rowCount() == 1


def test_a_plot_keeps_its_items_however_often_it_is_fed(qtbot) -> None:
    """clear() and plot() leak, and items made anew leave their lines behind (pyqtgraph #2348, #3141)."""
    plot = LinesPlot("Throughput", "MiB/s")
    qtbot.addWidget(plot)
    plot.resize(600, 300)
    plot.show()
    plot.set_servers([(f"s{number}", number) for number in range(8)])
    counts, kept = set(), set()
    for seconds in range(2, 60):
        plot.update_data(np.arange(float(seconds)), np.full((8, seconds), 3.0))
        counts.add(len(plot.item.items))
        kept.add(tuple(id(curve) for curve in plot._curves))
    assert len(counts) == 1
    assert len(kept) == 1
    plot.set_servers([(f"s{number}", number) for number in range(8)])  # the next run
    plot.update_data(np.arange(2.0), np.full((8, 2), 3.0))
    assert {len(plot.item.items)} == counts
