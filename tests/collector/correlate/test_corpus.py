"""The inputs that fuzzing has found worth keeping, played the quick and the plain way, with every option, each time."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SOAK = Path(__file__).resolve().parents[2] / "soak"


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SOAK / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


guided, fuzz_core = _load("guided"), _load("fuzz_core")
INPUTS = fuzz_core.kept_inputs()


@pytest.mark.parametrize("number", range(len(INPUTS)))
def test_an_input_of_the_corpus(number: int) -> None:
    fuzz_core.play(INPUTS[number])


@pytest.mark.parametrize("names", range(4))
def test_the_corpus_has_what_once_ended_the_collector(names: int) -> None:
    """A session whose user id has an empty host, and closes of it, where names are looked up."""
    kept = [data for data in INPUTS if b"alice.1:5@\n" in data and int.from_bytes(data[:2]) % 4 == names]
    assert kept
