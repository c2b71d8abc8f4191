"""Claims a directory for a lab: one lab at a time, no other user's directory, nothing of value in it."""

from __future__ import annotations

from pathlib import Path

from agent.lab import remains
from agent.lab.errors import LabError, WishError
from agent.lab.layout import Layout, command
from agent.lab.state import must_be_ours, read_state
from shoveler.locks import FileLock


def claim(directory: Path) -> tuple[FileLock, bool]:
    """Create the directory (not those above it: they would stay behind), or use one that is empty or that a dead lab
    left, and lock it. Returns the lock, and whether remains of a lab were removed. If it raises LabError, nothing has
    changed.
    """
    lock: FileLock | None = None
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        must_be_ours(directory)
        if _strangers(directory):
            raise WishError(f"{directory} is not empty (it has {_strangers(directory)[0]}); choose another --dir")
        lock = _lock(directory)
        directory.chmod(0o700)
        old = read_state(directory)
        if old is not None and (problems := remains.remove(old, keep=Layout(directory).lock.name)):
            raise LabError(f"a lab died in {directory} and cannot be cleaned up: {'; '.join(problems)}")
    except OSError as error:
        _release(lock)
        raise WishError(f"the directory {directory} cannot be used ({error.strerror}); choose another --dir") from None
    except LabError:
        _release(lock)
        raise
    return lock, old is not None


def _strangers(directory: Path) -> list[str]:
    """The content of a directory that does not belong to a lab; a lab always has its state file, or at first only its
    lock."""
    layout = Layout(directory)
    if layout.state.exists():
        return []
    return sorted(p.name for p in directory.iterdir() if p.name != layout.lock.name)


def _lock(directory: Path) -> FileLock:
    lock = FileLock(Layout(directory).lock)
    if not lock.acquire():
        raise LabError(
            f"a lab is already up in {directory}; {command('down', directory)} ends it, or choose another --dir"
        )
    return lock


def _release(lock: FileLock | None) -> None:
    if lock is not None:
        lock.release()
