"""Commands on a remote hub: ``--hub URL`` of `tally run`, `stop`, `pause`, `resume`, `results`, `compare` and
`federation`, and who asks for it.

What is to be read is copied to this machine first, as far as it has changed (`gui.runner.replication`); so every option
of a command means the same for a remote hub.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gui.commands import CommandError, tell
from gui.commands.loop import StoppedError, run_until_done
from gui.commands.places import add_database_option, data_directory, open_to_read

if TYPE_CHECKING:  # these take half a second to import
    from gui.runner.hubs import HubKey
    from gui.runner.remote import Credentials, RemoteHub
    from gui.runner.session import RunResult
    from gui.store import Store
    from gui.store.replica import Kind

OWN = ("kid", "key_file", "name", "pin", "ca_file")
"""The options that only a remote hub has."""
HERE = ("db", "listen", "public", "certificate", "certificate_key", "bus", "lab", "local_clients", "queue_expires",
        "queue_max", "metrics", "max_waiting", "max_waiting_each", "shared_key_file", "handed_over")  # fmt: skip
"""The options of a hub on this machine."""


def _is_given(value: object) -> bool:
    return value is not None and value is not False and value != ""  # 0 is a number that was given


def add_remote_options(parser: argparse.ArgumentParser, help_text: str, *, insecure: bool = True) -> None:
    """``--hub`` and who asks. `insecure`: also that option, unless the command has it already."""
    group = parser.add_argument_group("remote hub")
    group.add_argument("--hub", metavar="URL", help=f"{help_text} on the hub at wss://HOST:PORT")
    group.add_argument(
        "--kid",
        metavar="KEY",
        help="name of the key to sign with (from tally key create --scope operator, on the remote hub); not needed "
        "after tally login",
    )
    group.add_argument(
        "--key-file", type=Path, metavar="FILE", help="file with the secret of the key (TALLY_KEY overrides it)"
    )
    group.add_argument(
        "--name",
        metavar="NAME",
        default="",
        help="operator name to sign with, as in `tally key create --sub` (default: this account's name)",
    )
    group.add_argument("--pin", default="", metavar="sha256:…", help="the hub's certificate pin")
    group.add_argument("--ca-file", type=Path, metavar="FILE", help="CA certificates to trust for the hub")
    if insecure:
        group.add_argument("--insecure", action="store_true", help="plain ws:// without TLS; loopback only")


def add_place_options(parser: argparse.ArgumentParser, help_text: str) -> None:
    """Where a command looks: ``--db`` or ``--hub``."""
    add_database_option(parser)
    add_remote_options(parser, help_text)


def refuse_senseless(options: argparse.Namespace) -> None:
    """Options that would have no effect. Raises CommandError."""
    given = [name for name in OWN if getattr(options, name, None)]
    if not options.hub and given:
        raise CommandError(f"{_option(given[0])} is for a remote hub: add --hub URL, or leave it out.")
    if options.hub:
        here = [name for name in HERE if _is_given(getattr(options, name, None))]
        if here:
            raise CommandError(f"{_option(here[0])} is of this machine, and --hub of another: give one of them.")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def hub_key(options: argparse.Namespace) -> HubKey:
    """Who asks, as the options say."""
    from gui.runner.hubs import HubKey

    return HubKey(options.hub, options.kid or "", options.key_file, options.name, options.pin, options.ca_file)


def credentials(options: argparse.Namespace) -> Credentials:
    """Who asks: a key that was given, or the sign-in that is kept. Raises CredentialError."""
    from gui.runner.hubs import credentials_for
    from gui.runner.secrets import Secrets

    return credentials_for(Secrets(data_directory()), hub_key(options), os.environ.get("TALLY_KEY", ""))


@contextlib.asynccontextmanager
async def opened_hub(options: argparse.Namespace) -> AsyncIterator[RemoteHub]:
    """A session with the hub that the options name. Raises CommandError and RemoteError."""
    from gui.runner.remote import RemoteHub

    insecure = options.insecure or os.environ.get("TALLY_INSECURE") == "1"
    async with RemoteHub.open(options.hub, credentials(options), insecure=insecure) as hub:
        hub.must_be_of_our_time()
        yield hub


# ---------------------------------------------------------------- reading results


def open_results(
    options: argparse.Namespace, runs: Callable[[Store], Iterable[int]] = lambda _: (), *, use: bool = False
) -> Store:
    """The results that the options name, to be read: a workspace here, or the copy of a remote hub's. Of that, the list
    of runs is brought up to date, the details of the `runs` that it leads to, or the `use` of the federation.

    Raises CommandError, RemoteError and StoreError."""
    refuse_senseless(options)
    if not options.hub:
        return open_to_read(options)
    from gui.store import Store

    file = _stoppable(_copied(options, runs, use=use), "Stopped; what was copied is kept.")
    return Store(file, read_only=True)


async def _copied(options: argparse.Namespace, runs: Callable[[Store], Iterable[int]], *, use: bool) -> Path:
    async with opened_hub(options) as hub:
        return await copied(hub, runs, kinds=("known", "day") if use else ("known", "run"))


async def copied(
    hub: RemoteHub, runs: Callable[[Store], Iterable[int]], *, kinds: Sequence[Kind] = ("known", "run")
) -> Path:
    """The file with a copy of these parts of a hub, and of the details of some runs."""
    from gui.runner.replication import HubCopy, of_runs
    from gui.store import Store

    copy = await HubCopy.open(hub, data_directory())
    try:
        await copy.renew(of_runs(*kinds))

        def chosen() -> list[int]:
            with Store(copy.file, read_only=True) as store:
                return list(runs(store))

        wanted = await asyncio.to_thread(chosen)
        if wanted:
            await copy.renew(lambda part: part.kind in kinds or (part.kind == "details" and part.number in wanted))
    finally:
        await copy.close()
    return copy.file


def _stoppable(work: Coroutine[Any, Any, Path], text: str) -> Path:
    found: list[Path] = []

    async def kept() -> int:
        found.append(await work)
        return 0

    try:
        run_until_done(kept())
    except StoppedError:
        raise CommandError(text, 1) from None
    return found[0]


# ---------------------------------------------------------------- running


def run_remote(options: argparse.Namespace, text: str, directory: Path) -> int:
    """Run the plan on the remote hub. Exit codes as for a local run."""
    from gui.runner.remote import file_lists

    files = file_lists(text, directory)
    try:
        return run_until_done(_run(options, text, files))
    except StoppedError:
        raise CommandError(
            f"Stopped watching; the run continues on the hub at {options.hub}, and `tally results --hub "
            f"{options.hub}` shows it. `tally stop --hub {options.hub}` ends it.",
            1,
        ) from None


async def _run(options: argparse.Namespace, text: str, files: str) -> int:
    from gui.commands.progress import TerminalProgress
    from gui.runner.remote import RunLostError

    progress = TerminalProgress()
    async with opened_hub(options) as hub:
        try:
            result = await hub.run(text, files=files, wait=options.wait, on_progress=progress)
        except RunLostError as error:
            raise CommandError(str(error), 1) from error
        finally:
            progress.close()
        return await _show(hub, result, options.out)


async def _show(hub: RemoteHub, result: RunResult, out: Path | None) -> int:
    """Print the table of a run that has ended, and write its reports."""
    from gui.commands.progress import table_width
    from gui.commands.results import write_reports
    from gui.report import FORMATS, build, text_table, wants
    from gui.report.words import printable
    from gui.store import Store

    file = await copied(hub, lambda _: [result.run])

    def report() -> int:
        with Store(file, read_only=True) as store:
            made = build(store, result.run, **wants(FORMATS if out is not None else ("table",)))
            tell(f"\n{text_table(made, table_width())}")
            if out is not None:  # not signed: it is not this machine's run
                for path in write_reports(store, made, out, signed=False):
                    tell(f"written: {path}", sys.stderr)
        return 0 if made.conclusion == "pass" else 1

    code = await asyncio.to_thread(report)
    tell(printable(f"Run {result.run} at {hub.url}: {result.outcome}. {result.message}".rstrip()))
    return code
