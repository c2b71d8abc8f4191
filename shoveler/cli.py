"""``tally-shoveler``: the command line, nothing more."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from shoveler import config, receiver
from shoveler.service import ConfigError
from shoveler.service.importing import (
    SERVICE_USER,
    WriteError,
    as_service_user,
    cannot_read,
    environment_file,
    write_settings,
)
from shoveler.service.output import printing
from shoveler.service.streams import open_standard_streams

PRINTS = {"--check-config", "--help", "-h", "--version"}
"""Options with which the daemon only prints something."""
COMMANDS = ("drain", "status", "import-config", "import-queue")
OSG_CONFIG = Path("/etc/xrootd-monitoring-shoveler/config.yaml")
OSG_ENVIRONMENT = Path("/etc/sysconfig/xrootd-monitoring-shoveler")


def main(argv: Sequence[str] | None = None) -> int:
    """0 done, 1 failed (for `status`: a check failed), 2 bad usage or settings."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    commands = {"status": _status, "import-config": _import, "import-queue": _import_queue}
    if arguments and arguments[0] in commands:
        return printing(config.PROGRAM, lambda: commands[arguments[0]](arguments[1:]))
    if arguments[:1] == ["drain"] and not PRINTS & set(arguments):
        open_standard_streams()
        return _drain(arguments[1:])
    if arguments[:1] == ["drain"]:
        return printing(config.PROGRAM, lambda: _drain(arguments[1:]))
    if PRINTS & set(arguments):
        return printing(config.PROGRAM, lambda: _run(arguments))
    open_standard_streams()
    if arguments[:1] == [receiver.RECEIVE]:
        return receiver.main(arguments[1:])
    if arguments and not arguments[0].startswith("-"):
        return _unknown(arguments[0])
    return _run(arguments)


def _unknown(command: str) -> int:
    near = difflib.get_close_matches(command, COMMANDS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "see --help"
    print(f"{config.PROGRAM}: there is no command {command!r}; {hint}", file=sys.stderr)
    return 2


def parsers() -> list[argparse.ArgumentParser]:
    """The program's options and those of its commands, for manual pages and completion."""
    return [_parser(), _drain_parser(), _status_parser(), _import_parser(), _queue_parser()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        config.PROGRAM,
        description="Takes XRootD monitoring datagrams, keeps them in a spool on disk, and publishes them to a message "
        "bus until it has confirmed them.",
        epilog="Other commands: `tally-shoveler drain`, `status`, `import-config [FILE]` and `import-queue DIR`; each "
        "has --help.",
    )
    config.SCHEMA.add_arguments(parser)
    parser.add_argument("--version", action="version", version=f"{config.PROGRAM} {config.version()}")
    return parser


def _run(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)

    def load() -> config.ShovelerSettings:
        settings = config.SCHEMA.load(arguments)
        if arguments.check_config:
            problems, as_user = as_service_user(lambda: config.problems(settings, checking=True))
            if as_user:
                print(f"note: checked as the user {SERVICE_USER}, as which the service runs", file=sys.stderr)
        else:
            problems = config.problems(settings)
        if problems:
            raise ConfigError(problems)
        return settings

    try:
        settings = load()
        config.options(settings)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    if arguments.check_config:
        print("\n".join(settings.describe()))
        return 0
    from shoveler import daemon  # each command imports what it needs: a daemon should not keep YAML in memory for years

    return daemon.run(settings, load)


def _drain_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        f"{config.PROGRAM} drain",
        description="Sends what is in a spool to the bus, receives nothing, and ends when all of it is confirmed: to "
        "take a shoveler out of service, or to send a moved spool. No shoveler may run on the spool. Exit code 0 if it "
        "is empty, 1 if something was left.",
    )
    config.SCHEMA.add_arguments(parser, check=False)
    return parser


def _drain(argv: Sequence[str]) -> int:
    arguments = _drain_parser().parse_args(argv)

    def load() -> config.ShovelerSettings:
        # An empty capture as the input: when it was read, the daemon ends as soon as everything is confirmed.
        settings = config.SCHEMA.load(arguments).replace(
            **{"from": f"file:{os.devnull}", "follow": False, "metrics": ""}
        )
        problems = config.problems(settings)
        if problems:
            raise ConfigError(problems)
        return settings

    from shoveler import daemon
    from shoveler.spool.errors import SpoolError
    from shoveler.spool.reader import SpoolReader

    try:
        settings = load()
        SpoolReader(settings.spool_dir).close()  # to drain a spool that is not there would make one
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except SpoolError as error:
        print(error, file=sys.stderr)
        return 1
    code = daemon.run(settings, load)
    if code:
        return code
    reader = SpoolReader(settings.spool_dir)
    left = reader.audit().spooled
    reader.close()
    if left:
        print(f"{left} datagrams are left in {settings.spool_dir}", file=sys.stderr)
    return 1 if left else 0


def _status_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        f"{config.PROGRAM} status",
        description="Shows the status of the shoveler and its spool. Exit code 0 only if all is well.",
    )
    config.SCHEMA.add_arguments(parser, check=False)
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser


def _status(argv: Sequence[str]) -> int:
    arguments = _status_parser().parse_args(argv)
    try:
        settings = config.SCHEMA.load(arguments)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    from shoveler import inspection

    found = list(inspection.checks(settings))
    print(inspection.as_json(found) if arguments.json else inspection.as_text(found))
    return 0 if all(check.ok for check in found) else 1


def _import_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        f"{config.PROGRAM} import-config",
        description="Converts the settings of the OSG shoveler: its YAML file, and SHOVELER_… variables, "
        "which take precedence, as they do there. Reports what has no counterpart.",
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help=f"its config.yaml [{OSG_CONFIG}]")
    parser.add_argument("--environment", metavar="FILE", help="file with variables of its service "
                        f"[{OSG_ENVIRONMENT}, if no FILE is given]")  # fmt: skip
    parser.add_argument("--out", metavar="FILE", help="write the settings to this file instead of to standard output")
    parser.add_argument(
        "--force", action="store_true", help="replace a file that is there; it keeps its owner and mode"
    )
    return parser


def _import(argv: Sequence[str]) -> int:
    arguments = _import_parser().parse_args(argv)
    from shoveler import osg

    path = Path(arguments.file or OSG_CONFIG)
    variables = Path(arguments.environment or OSG_ENVIRONMENT)
    wanted = bool(arguments.environment) or (arguments.file is None and variables.is_file())
    try:
        environment = dict(os.environ) | (environment_file(variables.read_text("utf-8")) if wanted else {})
        translation = osg.translate(osg.read(path.read_text("utf-8"), environment))
    except OSError as error:
        print(f"{error.filename}: cannot be read: {error.strerror}", file=sys.stderr)
        return 2
    except (osg.OsgImportError, UnicodeDecodeError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 2
    for table, name in (("bus", "token_file"), ("bus", "cert_file"), ("bus", "key_file")):
        file = translation.tables.get(table, {}).get(name)
        if file is not None and cannot_read(Path(str(file))):
            translation.remarks.append(
                f"{table}.{name} {file}: the user {SERVICE_USER}, as which the service runs, cannot read it: "
                f"add that user to the group of the file, or run `setfacl -m u:{SERVICE_USER}:r {file}`"
            )
    text = translation.toml(str(path))
    for remark in translation.remarks:
        print(f"note: {remark}", file=sys.stderr)
    if arguments.out is None:
        print(text, end="")
        return 0
    try:
        write_settings(Path(arguments.out), text, force=arguments.force)
    except WriteError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _queue_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        f"{config.PROGRAM} import-queue",
        description="Reads what an OSG shoveler has not sent from its queue directory, and writes it as a capture, "
        "which --from file:FILE sends. Stop the OSG shoveler first. Nothing in the directory is changed.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="its queue_directory")
    parser.add_argument("--out", metavar="FILE", help="write the capture to this file instead of to standard output")
    return parser


def _import_queue(argv: Sequence[str]) -> int:
    arguments = _queue_parser().parse_args(argv)
    from shoveler import osg_queue

    count = 0
    try:
        with Path(arguments.out).open("x") if arguments.out else contextlib.nullcontext(sys.stdout) as file:
            for envelope in osg_queue.envelopes(arguments.directory):
                print(osg_queue.capture_line(envelope), file=file)
                count += 1
    except FileExistsError:
        print(f"{arguments.out} is there already", file=sys.stderr)
        return 1
    except (osg_queue.OsgQueueError, ValueError, KeyError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{count} datagrams; send them with --from file:FILE and a --spool of their own", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
