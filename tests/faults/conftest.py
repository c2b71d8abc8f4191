"""Fixtures of the fault tests."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

_NUMBER = itertools.count(1)


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def collector_rig() -> ModuleType:
    """The module ``collector_rig.py`` of this directory, which is no package."""
    return _load("collector_rig")


@pytest.fixture
def make_collector_rig(collector_rig: ModuleType, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Makes rigs, and ends them."""
    made: list[Any] = []

    def make(url: str, **more: Any) -> Any:
        directory = tmp_path / f"rig{len(made)}"
        directory.mkdir()
        made.append(collector_rig.Rig(url, directory, f"fault{next(_NUMBER)}", **more))
        return made[-1]

    yield make
    for rig in made:
        rig.end()
