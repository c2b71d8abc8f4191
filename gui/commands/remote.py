"""`tally run --hub URL`: a plan carried out by a hub somewhere else, with its progress and result shown here."""

from __future__ import annotations

import argparse
import getpass
import os
from pathlib import Path

from gui.campaign.planfile import parse_plan
from gui.commands import CommandError, reason, tell
from gui.commands.loop import StoppedError, run_until_done
from gui.commands.progress import TerminalProgress
from gui.report import numbers
from gui.runner.remote import Credentials, RemoteHub, RunLostError


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `tally run` needs for a hub elsewhere."""
    group = parser.add_argument_group("a hub somewhere else")
    group.add_argument("--hub", metavar="URL", help="wss://HOST:PORT of the hub that is to run the plan")
    group.add_argument(
        "--kid", metavar="KEY", help="name of the key to sign with (tally key create --scope operator, there)"
    )
    group.add_argument("--key-file", type=Path, metavar="FILE", help="its secret (TALLY_KEY wins)")
    group.add_argument(
        "--name", metavar="NAME", default="", help="name to sign with, as in `tally key create --sub` (this account's)"
    )
    group.add_argument("--pin", default="", metavar="sha256:…", help="the hub's certificate pin")


def run_remote(options: argparse.Namespace, text: str, directory: Path) -> int:
    """Have the plan run there. Exit code as for a run here."""
    credentials = _credentials(options)
    files = _file_lists(text, directory)
    try:
        return run_until_done(_run(options.hub, credentials, text, files, insecure=options.insecure))
    except StoppedError:
        raise CommandError(
            f"Stopped looking on; what the hub at {options.hub} has begun goes on there, and `tally results` shows it.",
            1,
        ) from None


async def _run(url: str, credentials: Credentials, text: str, files: str, *, insecure: bool) -> int:
    progress = TerminalProgress()
    async with RemoteHub.open(url, credentials, insecure=insecure) as hub:
        try:
            result = await hub.run(text, files=files, on_progress=progress)
        except RunLostError as error:
            raise CommandError(str(error), 1) from error
        finally:
            progress.close()
    for test in result.tests:
        name = f" {test.spec.name}" if test.spec.name else ""
        tell(
            f"{test.spec.servers} servers × {test.spec.files_per_server} files{name}: "
            f"{numbers.success(test.good, test.counted)} of {test.counted:,} requests, {test.conclusion}"
        )
    tell(f"Run {result.run} at {url}: {result.outcome}. {result.message}".rstrip())
    return result.exit_code


def _credentials(options: argparse.Namespace) -> Credentials:
    secret = os.environ.get("TALLY_KEY", "")
    if not secret and options.key_file is not None:
        try:
            secret = options.key_file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"The key file {options.key_file} cannot be read: {reason(error)}.") from error
    if not secret.strip() or not options.kid:
        raise CommandError(
            "A hub somewhere else wants a key: give --kid and --key-file (or TALLY_KEY); "
            "`tally key create --scope operator` makes one there."
        )
    return Credentials(secret.strip(), kid=options.kid, name=options.name or _account(), pin=options.pin)


def _account() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in some containers
        return "operator"


def _file_lists(text: str, directory: Path) -> str:
    """The text of the plan's file list, which the hub cannot read; empty when it has none."""
    lists = {test.files.list for test in parse_plan(text).tests if test.files.list}
    if len(lists) > 1:
        raise CommandError(
            "A plan for a hub elsewhere can bring one file list; put the tests with others into plans of their own."
        )
    for name in lists:
        try:
            return (directory / name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"The file list {directory / name} cannot be read: {reason(error)}.") from error
    return ""
