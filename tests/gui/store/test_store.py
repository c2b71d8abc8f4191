from __future__ import annotations

import subprocess
import sys


def test_store_reconcile_and_report_load_no_qt() -> None:
    program = "import gui.store, gui.reconcile, gui.report, sys; print([m for m in sys.modules if 'PySide' in m])"
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "[]"
