"""Bundles with the keys of this machine: a run written for others, and one of others taken in."""

from __future__ import annotations

import time
from pathlib import Path

from gui.hub.signing import known_signers, own_signer
from gui.report import Imported, check_bundle, export_bundle, import_bundle
from gui.store import Seal, Store

ENDING = ".tally.zip"


def save_bundle(store: Store, run: int, path: Path, keys: Path, *, signed: bool = True) -> None:
    """Write a run as a bundle, signed with the key in `keys` (the hub's directory).

    Raises SigningError, StoreError, OSError."""
    export_bundle(store, run, path, own_signer(keys) if signed else None)


def take_in_bundle(store: Store, path: Path, keys: Path) -> Imported:
    """Import the run of a bundle under a new number. Raises BundleError, SigningError, StoreError."""
    return import_bundle(store, path, time.time(), known_signers(keys))


def seal_of(path: Path, keys: Path) -> Seal:
    """Who made a bundle, and whether it was altered; nothing is stored. Raises BundleError, SigningError."""
    return check_bundle(path, known_signers(keys))
