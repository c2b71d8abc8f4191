"""Packages from ``dist`` on clean systems: `make package-test`. Needs root; what it makes stays in TALLY_MATRIX."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from machines import SUITES, System

ROOT = Path(__file__).resolve().parents[2]
DIST = Path(os.environ.get("TALLY_DIST", ROOT / "dist"))


@pytest.fixture(scope="session")
def deb() -> Callable[[str], Path]:
    def find(name: str) -> Path:
        (found,) = DIST.glob(f"{name}_*.deb")
        return found

    return find


@pytest.fixture(scope="session")
def rpm() -> Callable[[str], Path]:
    def find(name: str) -> Path:
        (found,) = DIST.glob(f"{name}-[0-9]*.rpm")
        return found

    return find


@pytest.fixture(params=sorted(SUITES))
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def system(release: str, tmp_path: Path) -> Iterator[System]:
    """A bare system of the release."""
    made = System(release, tmp_path / f"debian-{release}")
    try:
        yield made
    finally:
        made.close()
