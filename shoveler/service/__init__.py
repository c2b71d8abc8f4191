"""What all daemons of Tally have in common as a *service*: settings, log, metrics and health, notifications, back-off.

This is the lowest layer. It imports no other module of Tally, opens no connection by itself and keeps no global state:
the ``cli.py`` of each daemon composes the parts and passes them in.

Terms:

- A *setting* is declared once (`Setting`): name, kind, default, one sentence. A `Schema` is all settings of a program.
  Command-line options, environment variables, the checks of the file, ``--help`` and the sample file come from it.
- A *problem* is one thing wrong in one place (``tally.toml:12``), with what was expected. `ConfigError` carries all of
  them at once; its text goes to standard error and the program ends with exit code 2.
- *Health* is a table of named parts, each ok or with one sentence saying what is wrong.
- The *monitor server* serves ``/metrics`` and ``/healthz`` on one address, and nothing else.

How a daemon is composed::

    class ExampleSettings(Settings):                        # what mypy knows of them
        log_format = Value("log.format", Settings.text)
        metrics = Value("metrics", Settings.optional_address)

    SCHEMA = Schema("tally-example", [
        Setting("listen", "address", "0.0.0.0:9993", "Where datagrams arrive."),
        Setting("spool.max_bytes", "size", "10GiB", "The largest the spool may grow."),
        Setting("log.format", "choice", "text", "Log lines as text or JSON.", choices=("text", "json")),
        Setting("metrics", "address", "", "Where /metrics is served.", optional=True),
    ], kind=ExampleSettings)

    def main(argv=None):
        parser = argparse.ArgumentParser("tally-example")
        SCHEMA.add_arguments(parser)                        # -c FILE, --check-config and one option per setting
        arguments = parser.parse_args(argv)
        try:
            settings = SCHEMA.load(arguments)
        except ConfigError as error:
            print(error, file=sys.stderr)
            return 2
        setup_logging(settings.log_format)
        signals = Signals.install()
        registry, health, notifier = new_registry(), Health(), Notifier()
        with MonitorServer(settings.metrics, registry, health):
            notifier.ready()
            while not signals.stopping.is_set():
                ...
                if signals.take_reload():
                    settings = reload(SCHEMA, arguments, settings)
            notifier.stopping()
        return 0
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shoveler.service.backoff import delays
from shoveler.service.log import RateLimited, redact, setup_logging
from shoveler.service.notify import STORED, Notifier, Signals, listen_fds, named_sockets, with_sockets
from shoveler.service.settings import (
    Address,
    ConfigError,
    Mistake,
    Schema,
    Setting,
    Settings,
    Tombstone,
    Value,
    parse_address,
)
from shoveler.service.status import (
    ASK,
    CollectorSender,
    CollectorStatus,
    Drop,
    Gap,
    Position,
    Progress,
    Refusal,
    ServerProcess,
    ShovelerSender,
    ShovelerStatus,
    StatusError,
    StatusMessage,
    decode_status,
    encode_status,
    routing_key,
)

if TYPE_CHECKING:
    from shoveler.service.metrics import (
        Capped,
        Counts,
        Gauges,
        Health,
        MonitorServer,
        exposition,
        new_registry,
        show_build,
    )

# Imported on first use: Prometheus' client and an HTTP server cost 100 ms and 9 MiB, which programs without metrics
# (the shoveler's receiver, command-line tools) do not need.
_LATE = {"Capped", "Counts", "Gauges", "Health", "MonitorServer", "exposition", "new_registry", "show_build"}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        from shoveler.service import metrics

        return getattr(metrics, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "ASK",
    "STORED",
    "Address",
    "Capped",
    "CollectorSender",
    "CollectorStatus",
    "ConfigError",
    "Counts",
    "Drop",
    "Gap",
    "Gauges",
    "Health",
    "Mistake",
    "MonitorServer",
    "Notifier",
    "Position",
    "Progress",
    "RateLimited",
    "Refusal",
    "Schema",
    "ServerProcess",
    "Setting",
    "Settings",
    "ShovelerSender",
    "ShovelerStatus",
    "Signals",
    "StatusError",
    "StatusMessage",
    "Tombstone",
    "Value",
    "decode_status",
    "delays",
    "encode_status",
    "exposition",
    "listen_fds",
    "named_sockets",
    "new_registry",
    "parse_address",
    "redact",
    "routing_key",
    "setup_logging",
    "show_build",
    "with_sockets",
]
