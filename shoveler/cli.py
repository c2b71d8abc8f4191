"""``tally-shoveler``: the command line, nothing more."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from shoveler import config, receiver
from shoveler.service import ConfigError
from shoveler.service.output import printing
from shoveler.service.streams import open_standard_streams

PRINTS = {"--check-config", "--help", "-h", "--version"}
"""Options with which the daemon only prints something."""


def main(argv: Sequence[str] | None = None) -> int:
    """0 done, 1 failed (for `status`: a check failed), 2 bad usage or settings."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    commands = {"status": _status, "import-config": _import}
    if arguments and arguments[0] in commands:
        return printing(config.PROGRAM, lambda: commands[arguments[0]](arguments[1:]))
    if PRINTS & set(arguments):
        return printing(config.PROGRAM, lambda: _run(arguments))
    open_standard_streams()
    if arguments[:1] == [receiver.RECEIVE]:
        return receiver.main(arguments[1:])
    if arguments and not arguments[0].startswith("-"):
        return _unknown(arguments[0])
    return _run(arguments)


def _unknown(command: str) -> int:
    near = difflib.get_close_matches(command, ("status", "import-config"), n=1)
    hint = f"did you mean {near[0]!r}?" if near else "see --help"
    print(f"{config.PROGRAM}: there is no command {command!r}; {hint}", file=sys.stderr)
    return 2


def parsers() -> list[argparse.ArgumentParser]:
    """The program's options and those of its commands, for manual pages and completion."""
    return [_parser(), _status_parser(), _import_parser()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        config.PROGRAM,
        description="Takes XRootD monitoring datagrams, keeps them in a spool on disk, and publishes them to a message "
        "bus until it has confirmed them.",
        epilog="Other commands: `tally-shoveler status`, `tally-shoveler import-config FILE`; each has --help.",
    )
    config.SCHEMA.add_arguments(parser)
    parser.add_argument("--version", action="version", version=f"{config.PROGRAM} {config.version()}")
    return parser


def _run(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)

    def load() -> config.ShovelerSettings:
        settings = config.SCHEMA.load(arguments)
        problems = config.problems(settings, checking=arguments.check_config)
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
    parser.add_argument("file", metavar="FILE", help="its config.yaml")
    parser.add_argument("--out", metavar="FILE", help="write the settings to this file instead of to standard output")
    return parser


def _import(argv: Sequence[str]) -> int:
    arguments = _import_parser().parse_args(argv)
    from shoveler import osg

    try:
        translation = osg.translate(osg.read(Path(arguments.file).read_text("utf-8"), os.environ))
    except OSError as error:
        print(f"{arguments.file}: cannot be read: {error.strerror}", file=sys.stderr)
        return 2
    except (osg.OsgImportError, UnicodeDecodeError) as error:
        print(f"{arguments.file}: {error}", file=sys.stderr)
        return 2
    text = translation.toml(arguments.file)
    for remark in translation.remarks:
        print(f"note: {remark}", file=sys.stderr)
    if arguments.out is None:
        print(text, end="")
        return 0
    try:
        # It may contain the broker's password.
        fd = os.open(arguments.out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        print(f"{arguments.out}: cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
