"""Bundles on the command line: export a run, import one, and check who made a bundle."""

from __future__ import annotations

import sys
from pathlib import Path

from gui.commands import CommandError, tell
from gui.commands.places import hub_directory
from gui.report import seal_sentence
from gui.report.words import to_json
from gui.runner.bundles import ENDING, save_bundle, seal_of, take_in_bundle
from gui.store import Seal, Store

__all__ = ["ENDING", "look_at", "take_in", "write_bundle"]


def take_in(store: Store, path: Path) -> int:
    """Import the run of a bundle and say who made it. Exit code 1 when the bundle or its figures were altered."""
    imported = take_in_bundle(store, path, hub_directory())
    print(f"run {imported.run}: {imported.requests:,} requests and {imported.records:,} records imported from {path}")
    print(seal_sentence(imported.seal))
    _advise(imported.seal)
    for sentence in imported.seal.differs:
        print(f"Scored again on import; the bundle's figures differ: {sentence}.")
    return 0 if imported.sound else 1


def look_at(path: Path, *, as_json: bool = False) -> int:
    """Say who made a bundle; nothing is stored. Exit code 1 when it was altered."""
    seal = seal_of(path, hub_directory())
    if as_json:
        facts = {name: getattr(seal, name) for name in ("checksum", "by", "made", "key", "known", "changed")}
        tell(to_json({"file": str(path), "sentence": seal_sentence(seal), **facts}).decode().rstrip("\n"))
        return 1 if seal.changed else 0
    print(f"{path}: {seal_sentence(seal)}")
    if seal.checksum:
        print(seal.checksum)
    _advise(seal)
    return 1 if seal.changed else 0


def write_bundle(store: Store, run: int, path: Path, *, signed: bool = True) -> None:
    """Write a run as a bundle, signed by this hub by default. Raises CommandError when it cannot be written."""
    try:
        save_bundle(store, run, path, hub_directory(), signed=signed)
    except OSError as error:
        raise CommandError(f"The bundle cannot be written to {path}: {error.strerror}.", 1) from error


def _advise(seal: Seal) -> None:
    if seal.key and not seal.known:
        print(f"Find out whose key this is; to record its owner: tally key trust {seal.key} NAME", file=sys.stderr)
