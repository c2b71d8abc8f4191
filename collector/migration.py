"""``tally-collector import-config``: converts the settings of an OSG collector to ours (TOML).

That of the one in Go is YAML, with ``COLLECTOR_…`` variables; that of the older one in Python is an INI file.
`translate` and `translate_ini` are pure: their settings in, ours and remarks out. Remarks name what has no
counterpart and what behaves differently; they go into the file as comments, and to standard error.
"""

from __future__ import annotations

import argparse
import configparser
import json
import os
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
from shoveler.service.importing import SERVICE_USER, WriteError, cannot_read, environment_file, write_settings


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
_LISTS = ("wlcg.vos", "wlcg.path_prefixes", "filter.drop_vos", "filter.drop_path_prefixes")
_VARIABLES = (
    "input.type", "input.host", "input.port", "input.broker_url", "input.topic", "input.queue", "input.path",
    "input.follow", "state.entry_ttl", "state.max_entries", "state.enable_dns_enrichment", "state.dns_cache_ttl",
    "state.enrichment_workers", "output.type", "output.path", "mq", "amqp.url", "amqp.exchange",
    "amqp.exchange_cache", "amqp.exchange_tcp", "amqp.exchange_tpc", "amqp.exchange_wlcg",
    "amqp.exchange_wlcg_cache", "amqp.exchange_wlcg_tpc", "amqp.token_location", "listen.port", "listen.ip",
    "debug", "metrics.enable", "metrics.port", *_LISTS,
)  # fmt: skip
"""What the collector in Go reads from its environment."""
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


def is_ini(text: str) -> bool:
    """Whether this is the file of the collector in Python, which begins with a section."""
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and not line.startswith(("#", ";"))), "")
    return first.startswith("[") and first.endswith("]")


_INI_EXCHANGES = {
    "exchange_cache": "cache",
    "tcp_exchange": "tcp",
    "exchange_tpc": "tpc",
    "wlcg_exchange": "wlcg",
    "wlcg_exchange_cache": "wlcg_cache",
    "wlcg_exchange_tpc": "wlcg_tpc",
}


def translate_ini(text: str) -> Translation:
    """Converts the settings of the collector in Python. Raises MigrationError."""
    file = configparser.ConfigParser(interpolation=None)
    try:
        file.read_string(text)
    except configparser.Error as error:
        raise MigrationError(f"it is not an INI file: {' '.join(str(error).split())}") from None
    left = {(section, name): value for section in file.sections() for name, value in file.items(section)}

    def take(section: str, name: str) -> str:
        return left.pop((section, name), "").strip()

    ours = Translation()
    url = take("AMQP", "url")
    if not urlsplit(url).hostname:
        raise MigrationError("there is no url in [AMQP] to send records to")
    pushed, queue = take("Pushed", "enable").lower(), take("Pushed", "push_queue")
    if pushed in ("true", "yes", "on", "1"):
        if not queue:
            raise MigrationError("[Pushed] is enabled, but there is no push_queue")
        ours.settings["from"] = f"{url.partition('?')[0]}?queue={quote(queue, safe='')}"
        ours.remarks.append(
            "the queue is consumed exclusively; without ?queue= the shards are used, which several processes can share"
        )
    else:
        ours.settings["from"] = "udp://0.0.0.0:9930"
        ours.remarks.append(
            "UDP input loses what arrives while the collector is down: consider tally-shoveler in front"
        )
    ours.settings["to"] = [url]
    exchange = take("AMQP", "exchange")
    if exchange:
        ours.settings["exchanges.records"] = exchange
    for name, stream in _INI_EXCHANGES.items():
        if found := take("AMQP", name):
            ours.settings[f"exchanges.{stream}"] = found
    prefetch = take("Pushed", "prefetch_count")
    if prefetch:
        ours.settings["bus.prefetch"] = min(65535, _number("prefetch_count", prefetch))
    ours.settings["wlcg.only"] = True  # as theirs
    ours.settings["metrics.listen"] = "0.0.0.0:8000"
    ours.settings["metrics.peer_names"] = True
    for section, name in sorted(left):
        why = "nothing is queued in memory" if section == "Worker" else "has no counterpart"
        ours.remarks.append(f"{name} in [{section}] was left out: {why}")
    return ours


def from_environment(theirs: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Their settings with the variables of the collector in Go, which come first: COLLECTOR_STATE_ENTRY_TTL is
    state.entry_ttl."""
    found = dict(theirs)
    known = {name.upper().replace(".", "_"): name for name in (*_VARIABLES, *theirs)}
    for variable, value in environ.items():
        name = known.get(variable.removeprefix("COLLECTOR_")) if variable.startswith("COLLECTOR_") else None
        if name is not None and value:
            flag = {"true": True, "false": False}.get(value.lower(), value)
            found[name] = value.split() if name in _LISTS else flag
    return found


def read(text: str) -> dict[str, Any]:
    """Their settings by dotted name. Raises MigrationError."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise MigrationError(f"it is not YAML{where}: {getattr(error, 'problem', None) or error}") from None
    if document is None:
        return {}
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
    made = argparse.ArgumentParser(
        "tally-collector import-config", description="Converts the settings of an OSG collector (YAML) to ours (TOML)."
    )
    made.add_argument("file", metavar="FILE", help="config.yaml of the collector in Go, or connection.conf of the "
                      "one in Python")  # fmt: skip
    made.add_argument("--environment", metavar="FILE", help="file with variables of its service, such as "
                      "/etc/sysconfig/xrootd-monitoring-collector")  # fmt: skip
    made.add_argument("--out", metavar="FILE", help="write the settings to this file instead of to standard output")
    made.add_argument("--force", action="store_true", help="replace a file that is there; it keeps its owner and mode")
    return made


def main(argv: list[str]) -> int:
    """``tally-collector import-config FILE``: our settings on standard output, remarks on standard error."""
    options = parser().parse_args(argv)
    try:
        text = Path(options.file).read_text("utf-8")
        more = environment_file(Path(options.environment).read_text("utf-8")) if options.environment else {}
        if is_ini(text):
            translation = translate_ini(text)
        else:
            translation = translate(from_environment(read(text), dict(os.environ) | more))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        name = error.filename if isinstance(error, OSError) else options.file
        print(f"cannot read {name}: {reason}", file=sys.stderr)
        return 2
    except MigrationError as fault:
        print(f"{options.file} cannot be converted: {fault}", file=sys.stderr)
        return 2
    token = translation.settings.get("bus.token_file")
    if token is not None and cannot_read(Path(str(token))):
        translation.remarks.append(
            f"bus.token_file {token}: the user {SERVICE_USER}, as which the service runs, cannot read it: add that "
            f"user to the group of the file, or run `setfacl -m u:{SERVICE_USER}:r {token}`"
        )
    if options.out is None:
        sys.stdout.write(translation.toml(options.file))
    else:
        try:
            write_settings(Path(options.out), translation.toml(options.file), force=options.force)
        except WriteError as error:
            print(error, file=sys.stderr)
            return 1
    for remark in translation.remarks:
        print(f"note: {redact(remark)}", file=sys.stderr)
    return 0


__all__ = [
    "MigrationError",
    "Translation",
    "from_environment",
    "is_ini",
    "main",
    "parser",
    "read",
    "translate",
    "translate_ini",
]
