"""These tests need no window."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def own_settings() -> None:
    """Instead of the window's fixture of this name: no Qt and no X server here."""
