"""`tally run --hub URL`: run a plan on a remote hub and show its progress and result here."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

from gui.campaign.planfile import parse_plan
from gui.commands import CommandError, reason, tell
from gui.commands.loop import StoppedError, run_until_done
from gui.commands.places import data_directory
from gui.commands.progress import TerminalProgress
from gui.hub.account import account
from gui.report import numbers
from gui.report.words import printable
from gui.runner.hubs import kept_sign_in
from gui.runner.remote import Credentials, RemoteHub, RunLostError
from gui.runner.secrets import Secrets


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tally run` for a remote hub."""
    group = parser.add_argument_group("remote hub")
    group.add_argument("--hub", metavar="URL", help="run the plan on the hub at wss://HOST:PORT")
    group.add_argument(
        "--kid",
        metavar="KEY",
        help="name of the key to sign with (from tally key create --scope operator, on the remote hub)",
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


def run_remote(options: argparse.Namespace, text: str, directory: Path) -> int:
    """Run the plan on the remote hub. Exit codes as for a local run."""
    credentials = _credentials(options)
    files = _file_lists(text, directory)
    try:
        return run_until_done(_run(options.hub, credentials, text, files, insecure=options.insecure))
    except StoppedError:
        raise CommandError(
            f"Stopped watching; the run continues on the hub at {options.hub}, and `tally results` shows it there.",
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
            printable(
                f"{test.spec.servers} servers × {test.spec.files_per_server} files{name}: "
                f"{numbers.success(test.good, test.counted)} of {test.counted:,} requests, {test.conclusion}"
            )
        )
    tell(printable(f"Run {result.run} at {url}: {result.outcome}. {result.message}".rstrip()))
    return result.exit_code


def _credentials(options: argparse.Namespace) -> Credentials:
    secret = os.environ.get("TALLY_KEY", "")
    if not secret and options.key_file is not None:
        try:
            secret = options.key_file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"The key file {options.key_file} cannot be read: {reason(error)}.") from error
    if not secret.strip() and not options.kid:
        kept = kept_sign_in(Secrets(data_directory()), options.hub)
        if kept is not None:
            own = kept.credentials()
            return replace(own, pin=options.pin or own.pin)
    if not secret.strip() or not options.kid:
        raise CommandError(
            f"A remote hub needs to know you: sign in with `tally login {options.hub}`, or give --kid and --key-file "
            "(or TALLY_KEY); `tally key create --scope operator` creates a key there."
        )
    return Credentials(secret.strip(), kid=options.kid, name=options.name or account(), pin=options.pin)


def _file_lists(text: str, directory: Path) -> str:
    """The text of the plan's file list, which the remote hub cannot read; empty if there is none."""
    lists = {test.files.list for test in parse_plan(text).tests if test.files.list}
    if len(lists) > 1:
        raise CommandError(
            "A plan for a remote hub can have only one file list; put tests with other file lists into separate plans."
        )
    for name in lists:
        try:
            return (directory / name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"The file list {directory / name} cannot be read: {reason(error)}.") from error
    return ""
