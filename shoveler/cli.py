"""``tally-shoveler``: the command line, nothing more."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from shoveler import config, daemon, receiver
from shoveler.service import ConfigError, Settings


def main(argv: Sequence[str] | None = None) -> int:
    """0 done, 1 the work failed, 2 bad usage or settings."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == [receiver.RECEIVE]:
        return receiver.main(arguments[1:])
    return _run(arguments)


def _run(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        config.PROGRAM,
        description="Takes XRootD monitoring datagrams, keeps them in a spool on disk, and publishes them to a message "
        "bus until it has confirmed them.",
        epilog="Other commands: `tally-shoveler status`, `tally-shoveler import-config FILE`; each has --help.",
    )
    config.SCHEMA.add_arguments(parser)
    parser.add_argument("--version", action="version", version=f"{config.PROGRAM} {config.version()}")
    arguments = parser.parse_args(argv)

    def load() -> Settings:
        settings = config.SCHEMA.load(arguments)
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
    return daemon.run(settings, load)


if __name__ == "__main__":
    sys.exit(main())
