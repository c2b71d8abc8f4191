"""``tally-collector import-config``: converts the settings of an OSG collector (YAML) to ours (TOML).

`translate` is pure: their settings in, ours and remarks out. Remarks name what has no counterpart and what behaves
differently; they go into the file as comments, and to standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import yaml

from collector.config import PACKETS
from collector.sinks import STREAMS
from shoveler.service import redact


class MigrationError(Exception):
    """The file is not a configuration of an OSG collector. The text is one sentence."""


_EXCHANGES = {
    "exchange_cache": "cache",
    "exchange_tcp": "tcp",
    "exchange_tpc": "tpc",
    "exchange_wlcg": "wlcg",
    "exchange_wlcg_cache": "wlcg_cache",
    "exchange_wlcg_tpc": "wlcg_tpc",
}
_LESS_NEEDED = {
    "input.buffer_size": "datagrams of any size are read whole",
    "input.base64_encoded": "captures are base64, always",
    "input.subscription": "it is for STOMP",
    "state.max_entries": "memory is limited in bytes by state.max_bytes, and a file that is given up becomes a record",
    "state.dns_timeout": "no record waits for a look-up",
    "state.enrichment_queue_size": "no record waits for a look-up",
    "state.gstream_workers": "all streams of a server share one state; use --workers",
    "state.gstream_queue_size": "nothing is queued in memory",
    "state.disable_reverse_dns": "look-ups are off unless names.enabled",
    "amqp.publish_workers": "confirms are pipelined; use --workers",
    "amqp_publish_workers": "confirms are pipelined; use --workers",
    "amqp.topic": "the routing key of a record is KIND.VO",
    "profile.enable": "there is no profiler on a port",
    "profile.port": "there is no profiler on a port",
    "queue_directory": "it is a setting of the shoveler",
    "verify": "every datagram is decoded, and those that cannot be are counted",
    "mode": "this program is a collector only",
}


@dataclass
class Translation:
    """Our settings by dotted name, and remarks for the operator."""

    settings: dict[str, object] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def toml(self, source: str) -> str:
        """As a settings file."""
        lines = [f"# Made from {source} by tally-collector import-config."]
        lines += [f"# NOTE: {redact(remark)}" for remark in self.remarks]
        tables: dict[str, list[str]] = {}
        for name, value in self.settings.items():
            table, _, key = name.rpartition(".")
            # A JSON text, number, boolean or list of texts is also valid TOML.
            tables.setdefault(table, []).append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
        for table in sorted(tables):
            lines += ["", *([f"[{table}]"] if table else []), *tables[table]]
        return "\n".join(lines) + "\n"


def read(text: str) -> dict[str, Any]:
    """Their settings by dotted name. Raises MigrationError."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise MigrationError(f"it is not YAML{where}: {getattr(error, 'problem', None) or error}") from None
    if not isinstance(document, dict):
        raise MigrationError("it is not a mapping of settings")
    return dict(_flat(document, ""))


def _flat(document: Mapping[Any, Any], prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in document.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", value))
    return found


def translate(theirs: Mapping[str, Any]) -> Translation:
    """Converts their settings to ours. Raises MigrationError for values that cannot be read."""
    ours = Translation()
    left = dict(theirs)

    def take(*names: str) -> Any:
        """The first of these that is set; marks all of them as handled."""
        values = [left.pop(name, None) for name in names]
        return next((value for value in values if value not in (None, "", [])), None)

    _input(ours, take)
    _output(ours, take)
    _state(ours, take)
    _metrics(ours, take)
    for kind, ours_name in (("drop_vos", "filter.drop_vos"), ("drop_path_prefixes", "filter.drop_path_prefixes")):
        values = take(f"filter.{kind}")
        if values is not None:
            ours.settings[ours_name] = [str(value) for value in (values if isinstance(values, list) else [values])]
    if take("debug"):
        ours.settings["log.level"] = "debug"
    for name in sorted(left):
        if not left[name]:  # absent, 0 (their "no limit") or off: nothing is lost
            continue
        why = _LESS_NEEDED.get(name)
        ours.remarks.append(f"{name} was left out: {why}" if why else f"{name} has no counterpart and was left out")
    return ours


_Take = Callable[..., Any]


def _input(ours: Translation, take: _Take) -> None:
    kind = str(take("input.type") or "udp")
    queue = take("input.queue", "input.topic")
    url = take("input.broker_url")
    host, port = take("input.host"), take("input.port")
    address = take("input.address")
    listen_ip, listen_port = take("listen.ip"), take("listen.port")
    path, follow = take("input.path"), take("input.follow")
    if kind == "udp":
        where = address or f"{host or listen_ip or '0.0.0.0'}:{_number('input.port', port or listen_port or 9993)}"  # noqa: S104
        ours.settings["from"] = f"udp://{where}"
        ours.remarks.append(
            "UDP input loses what arrives while the collector is down: consider tally-shoveler in front"
        )
    elif kind == "file":
        if path is None:
            raise MigrationError("input.type is file, but there is no input.path")
        ours.settings["from"] = f"file:{path}"
        if follow:
            ours.settings["follow"] = True
        ours.remarks.append(
            "a line of a file is {t, remote, data} here: lines of the OSG collector have no t, the time of "
            "arrival; add it"
        )
    elif kind in ("rabbitmq", "amqp", "message_bus"):
        if url is None or queue is None:
            raise MigrationError(f"input.type is {kind}, but input.broker_url or input.queue is missing")
        ours.settings["from"] = f"{str(url).partition('?')[0]}?queue={quote(str(queue), safe='')}"
        token = take("input.token_path")
        if token is not None:
            ours.settings["bus.token_file"] = str(token)
        ours.remarks.append(
            "the queue is consumed exclusively; without ?queue= the shards are used, which several processes can share"
        )
    else:
        raise MigrationError(f"input.type is {kind!r}, expected udp, file or rabbitmq")


def _output(ours: Translation, take: _Take) -> None:
    kind, path = str(take("output.type") or "mq"), take("output.path")
    mq = str(take("mq") or "amqp")
    url = take("amqp.url", "amqp_url")
    exchange = take("amqp.exchange", "amqp_exchange")
    token = take("amqp.token_location", "amqp_token")
    if kind not in ("mq", "file", "both"):
        raise MigrationError(f"output.type is {kind!r}, expected mq, file or both")
    outputs = []
    if kind in ("mq", "both"):
        if mq != "amqp":
            raise MigrationError(f"mq is {mq!r}: records go to AMQP or to files here; RabbitMQ also speaks AMQP")
        if url is None or not urlsplit(str(url)).hostname:
            raise MigrationError("there is no amqp.url to send records to")
        outputs.append(str(url))
    if kind in ("file", "both"):
        if path is None:
            raise MigrationError(f"output.type is {kind}, but there is no output.path")
        outputs.append(f"file:{path}")
    ours.settings["to"] = outputs
    for theirs_name, stream in _EXCHANGES.items():
        name = take(f"amqp.{theirs_name}")
        if name is not None and name != STREAMS[stream.replace("_", "-")]:
            ours.settings[f"exchanges.{stream}"] = str(name)
    if kind in ("mq", "both"):
        if exchange in (None, PACKETS):
            ours.remarks.append(
                f"amqp.exchange: its default for records in the OSG collector is {PACKETS!r}, the exchange of "
                f"the datagrams; here records go to {STREAMS['records']!r}: bind your consumers there"
            )
        else:
            ours.settings["exchanges.records"] = str(exchange)
        if token is not None and ours.settings.setdefault("bus.token_file", str(token)) != str(token):
            ours.remarks.append("input and output have different token files; here there is only one, bus.token_file")
        ours.remarks.append(
            "a matching record is sent in both forms, normal and WLCG; wlcg.only = true sends it as the OSG "
            "collector does"
        )


def _state(ours: Translation, take: _Take) -> None:
    ttl = take("state.entry_ttl")
    if ttl is not None:
        _number("state.entry_ttl", ttl)
        ours.remarks.append(
            f"state.entry_ttl {ttl} s was left out: it counts from the open and loses the name of longer "
            f"transfers; state.ttl (24 h) counts from the last sign of life of the server"
        )
    if take("state.enable_dns_enrichment"):
        ours.settings["names.enabled"] = True
    keep = take("state.dns_cache_ttl")
    if keep is not None:
        ours.settings["names.keep"] = f"{_number('state.dns_cache_ttl', keep)}s"
    workers = take("state.dns_workers", "state.enrichment_workers")
    if workers is not None:
        ours.settings["names.workers"] = max(1, min(64, _number("state.dns_workers", workers)))


def _metrics(ours: Translation, take: _Take) -> None:
    enabled = take("metrics.enable", "metrics")
    port = take("metrics.port", "metrics_port")
    if enabled is not False:
        ours.settings["metrics.listen"] = f"0.0.0.0:{_number('metrics.port', port or 8000)}"
        ours.settings["metrics.peer_names"] = True


def _number(name: str, value: object) -> int:
    try:
        number = int(str(value))
    except ValueError:
        raise MigrationError(f"{name} is {value!r}, not a whole number") from None
    if number < 0:
        raise MigrationError(f"{name} is {number}, but it cannot be negative")
    return number


def parser() -> argparse.ArgumentParser:
    """The options of ``tally-collector import-config``."""
    made = argparse.ArgumentParser("tally-collector import-config", description=__doc__.partition("\n\n")[0])
    made.add_argument("file", metavar="FILE", help="the YAML file of an OSG collector")
    return made


def main(argv: list[str]) -> int:
    """``tally-collector import-config FILE``: our settings on standard output, remarks on standard error."""
    options = parser().parse_args(argv)
    try:
        translation = translate(read(Path(options.file).read_text("utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        print(f"cannot read {options.file}: {reason}", file=sys.stderr)
        return 2
    except MigrationError as fault:
        print(f"{options.file} cannot be converted: {fault}", file=sys.stderr)
        return 2
    sys.stdout.write(translation.toml(options.file))
    for remark in translation.remarks:
        print(f"note: {redact(remark)}", file=sys.stderr)
    return 0


__all__ = ["MigrationError", "Translation", "main", "parser", "read", "translate"]
