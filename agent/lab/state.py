"""The state file ``DIR/state.json``: written atomically, mode 0600, because it can have a broker's password."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

from agent.lab.errors import LabError, WishError
from agent.lab.layout import Layout
from agent.messages import LAB_SCHEMA, LabState, decode_lab_state


def write_state(state: LabState) -> None:
    """Readers see the old state or the new one, never a part. Raises OSError."""
    path = Layout(Path(state.directory)).state
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(msgspec.json.encode(state))
    new.replace(path)


def read_state(directory: Path) -> LabState | None:
    """The state of the lab in `directory`; None if there is no lab. Raises LabError if the directory or the file is
    another user's, unreadable, or of a newer Tally.
    """
    path = Layout(directory).state
    try:
        must_be_ours(directory)
        body = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise LabError(f"the lab's state file {path} cannot be read: {error.strerror}") from None
    try:
        schema = msgspec.json.decode(body, type=_Versioned).schema
        if schema > LAB_SCHEMA:
            raise LabError(
                f"the lab in {directory} was started by a newer Tally (state {schema}, this one knows {LAB_SCHEMA})"
            )
        return decode_lab_state(body)
    except msgspec.DecodeError as error:
        raise LabError(
            f"{path} is not the state file of a lab ({error}); remove {directory} by hand if you do not need it"
        ) from None


def must_be_ours(directory: Path) -> None:
    """A lab's directory tells `down` what to end and remove, so it must not have been written by another user.

    Raises FileNotFoundError if it is missing, WishError if it is a link, not a directory, or another user's.
    """
    status = directory.lstat()
    if stat.S_ISLNK(status.st_mode) or not stat.S_ISDIR(status.st_mode):
        raise WishError(f"{directory} is not a directory; choose another with --dir")
    if status.st_uid != os.getuid():
        raise WishError(f"{directory} belongs to another user; choose another with --dir")


class _Versioned(msgspec.Struct):
    schema: int
