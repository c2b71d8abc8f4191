"""Converts settings of the OSG shoveler (YAML file, ``SHOVELER_…`` environment) to ours.

`translate` is pure: their settings in, our TOML and remarks out. Remarks name settings without a counterpart and
differences in behaviour; they are also written into the file, above the settings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import yaml

from shoveler.config import SCHEMA
from shoveler.service import redact
from shoveler.values.addresses import host_port

_PREFIX = "SHOVELER_"
_KNOWN = {
    "": ("mq", "verify", "debug", "queue_directory"),
    "amqp.": ("url", "exchange", "topic", "token_location"),
    "stomp.": ("url", "user", "password", "topic", "cert", "certkey", "host", "tls"),
    "listen.": ("ip", "port"),
    "outputs.": ("destinations",),
    "input.": ("type", "path", "follow", "base64_encoded"),
    "metrics.": ("enable", "port"),
    "map.": ("all",),
}
"""What they read from the environment."""
_DEFAULT_TOKEN = "/etc/xrootd-monitoring-shoveler/token"  # noqa: S105 - a path


class OsgImportError(Exception):
    """The file is not a configuration of the OSG shoveler; the text is one sentence."""


@dataclass(slots=True)
class Translation:
    """Our settings, as tables of name → value, and remarks for the operator."""

    tables: dict[str, dict[str, object]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def set(self, name: str, value: object, theirs: str) -> None:
        """Set our setting `name` from `theirs`. Raises OsgImportError for a value that we cannot use."""
        try:
            SCHEMA.setting(name).parse(value)
        except ValueError as error:
            raise OsgImportError(f"{theirs}: {error}") from None
        table, _, key = name.rpartition(".")
        self.tables.setdefault(table, {})[key] = value

    def toml(self, source: str) -> str:
        """The settings file."""
        out = [f"# Made from {source} by tally-shoveler import-config."]
        out += [f"# NOTE: {redact(remark)}" for remark in self.remarks]
        out = [" ".join(line.splitlines()) for line in out]  # a remark stays on one line, whatever their names are
        for table in sorted(self.tables):
            out.append("")
            if table:
                out.append(f"[{table}]")
            for key, value in self.tables[table].items():
                name = key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _quoted(key)
                out.append(f"{name} = {_value(value)}")
        return "\n".join(out) + "\n"


def read(text: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """Their settings by dotted name, the environment first as with them. Raises OsgImportError."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise OsgImportError(f"not YAML{where}: {getattr(error, 'problem', None) or error}") from None
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise OsgImportError("not a configuration: the file has no settings by name")
    found = dict(_flat(document))
    for name in [table + key for table, keys in _KNOWN.items() for key in keys]:
        value = environ.get(_PREFIX + name.upper().replace(".", "_"))
        if value:
            found[name] = value.split() if name == "outputs.destinations" else value
    return found


def translate(theirs: Mapping[str, Any]) -> Translation:
    """Our settings for theirs. Raises OsgImportError for values that cannot be read."""
    ours = Translation()
    left = dict(theirs)

    def take(name: str) -> Any:
        value = left.pop(name, None)
        return None if value == "" else value

    ip, port = take("listen.ip"), take("listen.port")
    if ip is not None or port is not None:
        # Theirs takes IPv6 as well when it is told 0.0.0.0, as Go does.
        host = "::" if str(ip or "0.0.0.0") == "0.0.0.0" else str(ip)  # noqa: S104 - compared with
        ours.set("listen", [host_port(host, _number("listen.port", port, 9993))], "listen")
    if (verify := take("verify")) is not None:
        ours.set("verify", _flag("verify", verify), "verify")
    targets = take("outputs.destinations")
    if targets:
        addresses = [str(target) for target in (targets if isinstance(targets, list) else [targets])]
        ours.set("forward", addresses, "outputs.destinations")
        ours.set("forward_as", "envelope", "outputs.destinations")
    _input(ours, take)
    enabled, metrics_port = take("metrics.enable"), take("metrics.port")
    if enabled is None or _flag("metrics.enable", enabled):
        ours.set("metrics", f"0.0.0.0:{_number('metrics.port', metrics_port, 8000)}", "metrics.port")
    else:
        ours.set("metrics", "", "metrics.enable")
    if (debug := take("debug")) is not None and _flag("debug", debug):
        ours.set("log.level", "debug", "debug")
    if (directory := take("queue_directory")) is not None:
        ours.remarks.append(
            f"queue_directory {directory} was left out: the spool is in {SCHEMA.setting('spool.dir').default}, where "
            "the service may write; what the old shoveler has not sent is read from there by "
            f"`tally-shoveler import-queue {directory}`"
        )
    _bus(ours, take)
    _map(ours, left)
    for name in sorted(left):
        if left[name] not in (None, "", [], {}):
            ours.remarks.append(f"{name} has no counterpart and was left out")
    return ours


def _bus(ours: Translation, take: Any) -> None:
    queue = str(take("mq") or "amqp")
    url, exchange, topic, token = (take(f"amqp.{name}") for name in ("url", "exchange", "topic", "token_location"))
    stomp = {name: take(f"stomp.{name}") for name in ("url", "user", "password", "topic", "cert", "certkey")}
    if queue == "stomp":
        _stomp(ours, stomp)
        return
    if queue != "amqp":
        raise OsgImportError(f"mq is {queue!r}, expected amqp or stomp")
    if url is None:
        ours.remarks.append("amqp.url is not set: set bus.url")
    else:
        bare, password = _without_password(str(url))
        if token is None and not password:
            token = _DEFAULT_TOKEN
        if token is not None and password:
            ours.remarks.append(
                f"amqp.token_location {token} was left out: amqp.url has a password, which a current OSG shoveler "
                "uses, too; to use the token, remove the password from bus.url and set bus.token_file"
            )
            token = None
        ours.set("bus.url", str(url) if token is None else bare, "amqp.url")
    if exchange is not None:
        ours.set("bus.exchange", str(exchange), "amqp.exchange")
    if topic is not None:
        ours.set("bus.routing_key", str(topic), "amqp.topic")
    if token is not None:
        ours.set("bus.token_file", str(token), "amqp.token_location")


def _stomp(ours: Translation, theirs: Mapping[str, Any]) -> None:
    if theirs["url"] is None:
        ours.remarks.append("stomp.url is not set: set bus.url to stomp://USER@HOST:PORT/topic/NAME")
        return
    host = str(theirs["url"]).rpartition("://")[2].rstrip("/")
    user, password = str(theirs["user"] or ""), str(theirs["password"] or "")
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    topic = str(theirs["topic"] or "xrootd.shoveler")
    topic = topic if topic.startswith("/topic/") else f"/topic/{topic}"
    certificate = theirs["cert"] is not None and theirs["certkey"] is not None
    ours.set("bus.url", f"{'stomps' if certificate else 'stomp'}://{login}{host}{quote(topic)}", "stomp.url")
    if certificate:
        ours.set("bus.cert_file", str(theirs["cert"]), "stomp.cert")
        ours.set("bus.key_file", str(theirs["certkey"]), "stomp.certkey")
    elif theirs["cert"] is not None or theirs["certkey"] is not None:
        ours.remarks.append("stomp.cert and stomp.certkey are used together only, as there: one of them was left out")


def _input(ours: Translation, take: Any) -> None:
    kind, path = str(take("input.type") or "udp"), take("input.path")
    follow, encoded = take("input.follow"), take("input.base64_encoded")
    if kind == "file":
        if path is None:
            raise OsgImportError("input.type is file, and input.path is not set")
        if encoded is not None and not _flag("input.base64_encoded", encoded):
            raise OsgImportError("input.base64_encoded is false: lines of a capture are base64 here")
        ours.set("from", f"file:{path}", "input.path")
        if follow is not None:
            ours.set("follow", _flag("input.follow", follow), "input.follow")
    elif kind != "udp":
        raise OsgImportError(f"input.type is {kind!r}; a shoveler reads udp or file")


def _map(ours: Translation, left: dict[str, Any]) -> None:
    table = {name[4:]: left.pop(name) for name in sorted(left) if name.startswith("map.")}
    table = {source: str(target) for source, target in table.items() if target not in (None, "")}
    if table:
        try:
            SCHEMA.setting("map").parse(table)
        except ValueError as error:
            raise OsgImportError(f"map: {error}") from None
        ours.tables["map"] = dict(table)
    if len(table) > 1 and "all" in table:
        ours.remarks.append("map.all and single addresses are both set: here the single address counts, there map.all")


def _flat(table: Mapping[Any, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        name = prefix + str(key).lower()  # their names do not tell capitals apart
        if name + "." in _KNOWN and not isinstance(value, dict) and value is not None:
            raise OsgImportError(f"{name} is {redact(repr(value))}, expected settings by name")
        if isinstance(value, dict):
            found += _flat(value, name + ".")
        else:
            found.append((name, value))
    return found


def _without_password(url: str) -> tuple[str, str]:
    """The URL for use with a token, and the password that it had. With a token, they log in as ``shoveler``."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise OsgImportError(f"amqp.url {redact(url)!r} cannot be read") from None
    host = parts.netloc.rpartition("@")[2]
    user = parts.username or "shoveler"
    return urlunsplit(parts._replace(netloc=f"{user}@{host}")), parts.password or ""


def _number(name: str, value: Any, default: int) -> int:
    if value is None:
        return default
    try:
        return int(value)
    except (TypeError, ValueError):
        raise OsgImportError(f"{name} is {value!r}, expected a number") from None


def _flag(name: str, value: Any) -> bool:
    text = str(value).lower()
    if text in ("true", "1", "t", "yes", "on"):
        return True
    if text in ("false", "0", "f", "no", "off"):
        return False
    raise OsgImportError(f"{name} is {value!r}, expected true or false")


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return _quoted(str(value))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML's texts are JSON's, but for this
