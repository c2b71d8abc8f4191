"""What a plan needs of the federation around it, and what stands in its way.

The sentences of the form, of preflight and of a run that is refused are the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gui.campaign.doors import not_over_http
from gui.campaign.plan import Fault, File, Test
from gui.campaign.selection import Client, SelectionError, Server, choose_clients, choose_servers, unknown_clients

NO_FILES = "The plan names no files, and there is no lab to take them from: give [test.files] a list or a directory."


@dataclass(frozen=True, slots=True)
class Listing:
    """What is known of a file list: its files, or why it cannot be used; neither while it is being read."""

    files: tuple[File, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Around:
    """The federation as far as it is known. `clients` are all that were ever here, `ready` or not."""

    servers: tuple[Server, ...] = ()
    clients: tuple[Client, ...] = ()
    lab_files: tuple[File, ...] | None = None
    """None: there is no lab."""
    lists: Mapping[str, Listing] = field(default_factory=dict)
    """File lists by the name that a plan gives them."""
    cannot: Callable[[Sequence[Fault]], list[str]] = lambda _faults: []
    """Why faults cannot be injected here, a sentence for each reason."""

    def files_of(self, test: Test) -> tuple[File, ...]:
        """The files that a test reads, as far as they are known; those of a directory are not."""
        if not test.reads or test.files.dir is not None:
            return ()
        if test.files.list is not None:
            return self.lists.get(test.files.list, Listing()).files
        return self.lab_files or ()


def mistakes(test: Test, around: Around) -> dict[str, str]:
    """Why a run of this test would be refused here, by the field that is to be changed; empty if it would begin."""
    found: dict[str, str] = {}
    try:
        if text := not_over_http(test, choose_servers(test.servers, around.servers)):
            found["kind"] = text
    except SelectionError as error:
        found["servers"] = str(error)
    if text := unknown_clients(test.who.clients, (client.name for client in around.clients)):
        found["clients"] = text
    if text := _files(test, around):
        found["files"] = text
    if reasons := around.cannot(test.faults):
        found["faults"] = " ".join(reasons)
    return found


def awaited(test: Test, around: Around) -> str:
    """Whom a run would wait for, as a sentence; empty if all clients are ready."""
    chosen = choose_clients(test.who.clients, around.clients)
    return f"A run is {chosen}." if isinstance(chosen, str) else ""


def _files(test: Test, around: Around) -> str:
    if not test.reads or test.files.dir is not None:
        return ""
    if test.files.list is not None:
        return around.lists.get(test.files.list, Listing()).error
    if around.lab_files is None:
        return NO_FILES
    return "" if around.lab_files else "The lab has no files."
