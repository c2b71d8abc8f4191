"""The command ``tally-agent``.

    tally-agent --hub URL --role client|server      run, with the shared key
    tally-agent join STRING                         run, by invitation; later runs need only the same --state
    tally-agent check-config FILE                   report what is wrong with an XRootD server's monitoring
    tally-agent lab …                               a test federation on this machine (agent.lab)

Exit codes: 0 stopped on request, 1 the hub refuses the agent or it cannot continue, 2 wrong usage or settings.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.host import version
from agent.messages import CredentialError, decode_join_string
from agent.workloads.starting import WORDS
from shoveler.service import ConfigError, setup_logging
from shoveler.service.output import printing
from shoveler.service.streams import open_standard_streams


def _parser(*, lab: bool = False) -> argparse.ArgumentParser:
    """Without the options of `lab`, which is a program of its own, unless they are wanted."""
    from agent.daemon import SCHEMA

    parser = argparse.ArgumentParser(
        "tally-agent", description="Makes the requests of a test, or watches an XRootD server, for a Tally hub."
    )
    parser.add_argument("--version", action="version", version=f"tally-agent {version()}")
    SCHEMA.add_arguments(parser)
    commands = parser.add_subparsers(dest="command", metavar="join | check-config | lab")

    join = commands.add_parser("join", help="join a hub by invitation")
    join.add_argument("string", metavar="STRING", help="the join string from the hub, or - for standard input")
    SCHEMA.add_arguments(join)

    check = commands.add_parser("check-config", help="check the monitoring of an XRootD configuration file")
    check.add_argument("file", type=Path, metavar="FILE")
    check.add_argument("--json", action="store_true", help="findings as JSON")
    check.add_argument("--instance", metavar="NAME", help="check for this instance only (xrootd -n NAME)")
    check.add_argument("--xrootd", metavar="VERSION", type=_release, help="check for this release, such as 5.8.1")

    if lab:
        from agent.lab import cli

        cli.add_parser(commands)
    else:
        commands.add_parser("lab", help="a whole test federation on this machine", add_help=False)
    return parser


def parsers() -> list[argparse.ArgumentParser]:
    """The program's options and, below it, those of its commands, for manual pages and completion."""
    return [_parser(lab=True)]


def _release(text: str) -> tuple[int, ...]:
    """The numbers of a release: "v5.8.1" → (5, 8, 1)."""
    numbers = text.removeprefix("v").split(".")
    if not all(number.isascii() and number.isdigit() and len(number) < 9 for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is not an XRootD release; use a form like 5.8.1")
    return tuple(int(number) for number in numbers)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not _prints(arguments):
        open_standard_streams()
    if arguments == [WORDS["worker"]]:  # a frozen program, started as a worker
        from agent.workloads import worker

        return worker.main()
    if arguments == [WORDS["probe"]]:
        from agent.workloads import probe

        return probe.main()
    if arguments == [WORDS["inquiry"]]:
        from agent.workloads import inquiry

        return inquiry.main()
    try:
        return _carry_out(arguments)
    except KeyboardInterrupt:
        print("tally-agent: interrupted; run the same command to continue.", file=sys.stderr)
        return 1


def _carry_out(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["lab"]:
        # A lab is up or down whoever reads its output.
        return printing("tally-agent", lambda: _lab(arguments), decides=lambda: arguments[1:2] == ["status"])
    if _prints(arguments):
        return printing("tally-agent", lambda: _checked(_parser().parse_args(arguments)))
    return _daemon(_parser().parse_args(arguments))


def _prints(arguments: Sequence[str]) -> bool:
    """Whether this is a command that only prints something; `printing` opens its streams."""
    return arguments[:1] in (["lab"], ["check-config"]) or bool({"--help", "-h", "--version"} & set(arguments))


def _checked(parsed: argparse.Namespace) -> int:
    from agent.server.check import run

    return run(parsed.file, as_json=parsed.json, instance=parsed.instance, release=parsed.xrootd)


def _lab(arguments: Sequence[str]) -> int:
    """A program of its own, imported only when needed, and without the rest."""
    from agent.lab import cli

    parser = argparse.ArgumentParser("tally-agent")
    cli.add_parser(parser.add_subparsers(required=True))
    return cli.run(parser.parse_args(arguments))


def _daemon(parsed: argparse.Namespace) -> int:
    from agent.daemon import SCHEMA, CannotRunError, prepare, serve
    from agent.journal import JournalError

    try:
        settings = SCHEMA.load(parsed)
        setup_logging(settings.log_format, settings.log_level)
        invitation = None
        if parsed.command == "join":
            invitation = decode_join_string(sys.stdin.read() if parsed.string == "-" else parsed.string)
        elif settings.join_string:
            invitation = decode_join_string(settings.join_string)
        agent = prepare(settings, invitation)
        if parsed.check_config:
            print("\n".join(settings.describe()))
            return 0
        return asyncio.run(serve(agent, parsed))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except CredentialError as error:
        print(f"tally-agent: {error}", file=sys.stderr)
        return 2
    except (CannotRunError, JournalError) as error:
        print(f"tally-agent: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
