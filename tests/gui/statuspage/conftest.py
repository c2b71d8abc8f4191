"""A workspace's store, and a small world that acts on it."""

from __future__ import annotations

import pytest

from tests.gui.workspaces import store, world

__all__ = ["store", "world"]


@pytest.fixture(autouse=True)
def own_settings() -> None:
    """Instead of the window's fixture of this name: no Qt and no X server here."""
