"""The settings of this machine: where the bus, the hub and the database are. Kept in ``settings.toml`` of the data
directory; the window edits them, and `tally run`, `tally hub` and the window use them where no option says otherwise.

A setting is declared once in `SETTINGS`: name, kind, default, and the sentence that stands beside its field. Values are
kept as text, as a person writes them. Passwords are not here but in `gui.runner.secrets`. What the file holds beside
known settings stays in it.
"""

from __future__ import annotations

import os
import re
import secrets as random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import tomlkit
from tomlkit.exceptions import TOMLKitError

from gui.hub.certificate import CertificateError, given_identity
from gui.hub.server import DEFAULT_LISTEN, MAX_WAITING, MAX_WAITING_EACH
from gui.hub.signin.allow import MAX_ENTRY, parse_entry
from gui.hub.signin.fetch import check_address
from gui.hub.signin.provider import DEFAULT_SCOPES, GITHUB, GITHUB_ADDRESS, LONGEST_SIGN_IN
from gui.runner.queues import KEPT, QUEUE_BYTES
from gui.store import StoreError, parse_database
from shoveler.bus import BusError, parse_bus_address
from shoveler.service import Setting, parse_address
from shoveler.values.addresses import host_port
from shoveler.values.choices import nearest
from shoveler.values.quantities import format_duration, format_size

FILE = "settings.toml"
MAX_BYTES = 2**20
RABBITMQ, FOLDER, LAB = "rabbitmq", "folder", "lab"
MAX_NAME = 255
"""Bytes that AMQP allows in the name of an exchange or a queue."""


class SettingsError(Exception):
    """The settings cannot be read or written; one sentence for the user."""


def _broker(text: str) -> None:
    if text:
        broker_parts(text)


def _name(text: str) -> None:
    if len(text.encode()) > MAX_NAME:
        raise ValueError(f"expected at most {MAX_NAME} bytes, got {len(text.encode())}")


def _needed(text: str) -> None:
    if not text:
        raise ValueError("expected a name")
    _name(text)


def _public(text: str) -> None:
    if not text:
        return
    try:
        parts = urlsplit(f"//{text}")
        usable = parts.hostname and parts.port != 0 and parts.netloc == text and "@" not in text
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"expected HOST or HOST:PORT, got {text[:80]!r}")


def _listen(text: str) -> None:
    if text:
        parse_address(text)


def _database(text: str) -> None:
    if not text:
        return
    try:
        url = parse_database(text)
    except StoreError as error:
        raise ValueError(str(error)) from None
    if url.password:
        raise ValueError("leave the password out of the address; it has a field of its own")


def _web(text: str) -> None:
    parts = urlsplit(text)
    try:
        usable = not text or (parts.scheme in ("http", "https") and parts.hostname and parts.port != 0)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"expected http://HOST:PORT or https://HOST:PORT, got {text[:80]!r}")
    if "@" in parts.netloc:
        raise ValueError("leave user and password out; those of the broker are used")


def _provider(text: str) -> None:
    if text and text != GITHUB:
        if "://" not in text:
            raise ValueError(f"expected github, or the address of an OIDC issuer (https://…), got {text[:80]!r}")
        check_address(text, "the issuer")


def _github(text: str) -> None:
    check_address(text, "GitHub")


def _client(text: str) -> None:
    if len(text) > MAX_ENTRY or not text.isprintable():
        raise ValueError(f"expected at most {MAX_ENTRY} printable characters")


def _lasts(seconds: float) -> None:
    if seconds < 600:
        raise ValueError("a sign-in lasts at least 10 minutes")


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "bus.kind",
        "choice",
        RABBITMQ,
        "What carries datagrams and records.",
        choices=(RABBITMQ, FOLDER, LAB),
    ),
    Setting("bus.address", "text", "", "amqp://HOST:PORT/VHOST, or amqps:// for TLS.", check=_broker),
    Setting("bus.user", "text", "guest", "The user at the broker."),
    Setting("bus.ca_file", "path", "", "CA certificates to trust for the broker; none: the system's.", optional=True),
    Setting(
        "bus.token_file",
        "path",
        "",
        "A file with a token, or a password, that replaces the password; a new one is used without a restart.",
        optional=True,
    ),
    Setting("bus.folder", "path", "", "A folder on this machine; shoveler and collector use the same.", optional=True),
    Setting("bus.lab", "path", "", "The folder of the lab that is used.", optional=True),
    Setting("bus.records_exchange", "text", "xrd-records", "Where the collector publishes records.", check=_needed),
    Setting("bus.status_exchange", "text", "tally-status", "Where the daemons report their state.", check=_needed),
    Setting("bus.packets_exchange", "text", "shoveled-xrd", "Where the shovelers publish datagrams.", check=_needed),
    Setting(
        "bus.packets_queue",
        "text",
        "",
        "The queue that the collector takes datagrams from. A run waits until it is empty.",
        check=_name,
    ),
    Setting(
        "bus.queue_expires",
        "duration",
        format_duration(KEPT),
        "The bus removes a workspace's queue when nobody has taken from it for so long; 0: never.",
        minimum=0,
    ),
    Setting(
        "bus.queue_max",
        "size",
        format_size(QUEUE_BYTES),
        "When the queue is larger, its oldest records are dropped, and counted; 0: it may fill the broker's disk.",
        minimum=0,
    ),
    Setting(
        "bus.management",
        "text",
        "",
        "The broker's management address, for [Test]; none: the usual port of the broker's host.",
        check=_web,
    ),
    Setting("hub.host", "text", DEFAULT_LISTEN[0], "Where it listens; 0.0.0.0: on all addresses of this machine."),
    Setting(
        "hub.port", "integer", str(DEFAULT_LISTEN[1]), "The hub's port; 0: any free one.", minimum=0, maximum=65535
    ),
    Setting(
        "hub.public", "text", "", "HOST or HOST:PORT where agents reach the hub; none: this host's name.", check=_public
    ),
    Setting(
        "hub.max_waiting",
        "integer",
        str(MAX_WAITING),
        "Connections that may wait without having signed in; 0: any number.",
        minimum=0,
        maximum=100_000,
    ),
    Setting(
        "hub.max_waiting_each",
        "integer",
        str(MAX_WAITING_EACH),
        "The same, from one address; more where all agents come from behind one.",
        minimum=0,
        maximum=100_000,
    ),
    Setting(
        "hub.metrics",
        "text",
        "",
        "HOST:PORT where Prometheus metrics are served, without TLS; none: nowhere.",
        check=_listen,
    ),
    Setting("hub.certificate", "path", "", "Your own certificate (PEM); none: one that Tally makes.", optional=True),
    Setting("hub.key", "path", "", "The private key of your certificate (PEM).", optional=True),
    Setting(
        "signin.provider",
        "text",
        "",
        "Who says who somebody is: github, or an OIDC issuer such as https://cilogon.org; none: nobody signs in.",
        check=_provider,
    ),
    Setting(
        "signin.client_id", "text", "", "What the provider calls this hub, from registering it there.", check=_client
    ),
    Setting(
        "signin.secret_file",
        "path",
        "",
        "A file with the client's secret; none: the one that is kept, or TALLY_SIGNIN_SECRET.",
        optional=True,
    ),
    Setting(
        "signin.operators",
        "list",
        "",
        "Who may run tests: logins and ORG/TEAM of GitHub; subjects and groups of an issuer, or email:NAME.",
    ),
    Setting("signin.observers", "list", "", "Who may look on, on the page and in a remote window; written alike."),
    Setting(
        "signin.lasts", "duration", "7d", "After this time people sign in again.", maximum=LONGEST_SIGN_IN, check=_lasts
    ),
    Setting("signin.scopes", "text", DEFAULT_SCOPES, "What an OIDC issuer is asked to tell."),
    Setting("signin.github", "text", GITHUB_ADDRESS, "The address of a GitHub Enterprise server.", check=_github),
    Setting(
        "signin.ca_file", "path", "", "CA certificates to trust for the provider; none: the system's.", optional=True
    ),
    Setting(
        "database.address",
        "text",
        "",
        "An SQLite file or postgresql://USER@HOST/NAME; none: default.db in the data folder.",
        check=_database,
    ),
)
"""In the order of the page; the first part of a name is its section."""

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True, slots=True)
class MachineSettings:
    """The values by name, as text. A name that is not in `values` has its default."""

    values: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        """The text of a setting. Raises KeyError for one that was never declared."""
        return self.values.get(name, default(name))

    def number(self, name: str) -> int:
        """A whole number; only for settings without a mistake."""
        return int(self[name])

    def value(self, name: str) -> Any:
        """The value that its text means (seconds, bytes); only for settings without a mistake."""
        return BY_NAME[name].parse(self[name])

    def path(self, name: str) -> Path | None:
        """A path; None when none is named."""
        return Path(self[name]).expanduser() if self[name] else None

    def names(self, name: str) -> tuple[str, ...]:
        """The items of a list."""
        return names_in(self[name])

    def changed(self, section: str = "") -> tuple[str, ...]:
        """The settings of a section (of all, for no name) that differ from their defaults."""
        return tuple(s.name for s in SETTINGS if self[s.name] != default(s.name) and s.name.startswith(section))

    def replaced(self, **values: str) -> MachineSettings:
        """A copy with other values; names with ``__`` for the dot."""
        return self.with_values({name.replace("__", "."): value for name, value in values.items()})

    def with_values(self, values: Mapping[str, str]) -> MachineSettings:
        """A copy with other values."""
        return MachineSettings({**self.values, **values})

    # ---- what follows from them

    def bus(self) -> str:
        """The address of the bus without a password; empty for a lab, or when none is named."""
        if self["bus.kind"] == FOLDER:
            folder = self.path("bus.folder")
            return str(folder) if folder else ""
        if self["bus.kind"] == RABBITMQ and self["bus.address"]:
            scheme, where, vhost = broker_parts(self["bus.address"])
            user = f"{quote(self['bus.user'], safe='')}:@" if self["bus.user"] else ""
            return f"{scheme}://{user}{where}/{vhost}"
        return ""

    def lab(self) -> Path | None:
        """The folder of the lab, if one is used."""
        return self.path("bus.lab") if self["bus.kind"] == LAB else None

    def mistakes(self) -> dict[str, str]:
        """A sentence for each setting that cannot be used. Reads the certificate."""
        found = {}
        for setting in SETTINGS:
            try:
                check(setting.name, self[setting.name])
            except ValueError as error:
                found[setting.name] = str(error)
        if self["bus.kind"] == FOLDER and not self["bus.folder"]:
            found["bus.folder"] = "Choose a folder."
        if self["bus.kind"] == LAB and not self["bus.lab"]:
            found["bus.lab"] = "Choose the folder of a lab, or start one: tally-agent lab up"
        if self["bus.kind"] == FOLDER and self["bus.folder"] and "bus.folder" not in found:
            try:
                parse_bus_address(self["bus.folder"])
            except BusError as error:
                found["bus.folder"] = sentence(str(error))
        return found | self._sign_in_mistakes(found) | self._certificate_mistakes()

    def _sign_in_mistakes(self, found: Mapping[str, str]) -> dict[str, str]:
        if not self["signin.provider"] or "signin.provider" in found:
            return {}
        wrong = {}
        if not self["signin.client_id"]:
            wrong["signin.client_id"] = "The provider needs to know who asks: register this hub there."
        for name in ("signin.operators", "signin.observers"):
            try:
                for text in self.names(name):
                    parse_entry(text, github=self["signin.provider"] == GITHUB)
            except ValueError as error:
                wrong[name] = sentence(str(error))
        return wrong

    def _certificate_mistakes(self) -> dict[str, str]:
        certificate, key = self.path("hub.certificate"), self.path("hub.key")
        if certificate is not None and key is None:
            return {"hub.key": "A certificate needs its private key: choose that file too."}
        if key is not None and certificate is None:
            return {"hub.certificate": "A key needs its certificate: choose that file too."}
        if certificate is not None and key is not None:
            try:
                given_identity(certificate, key).context()
            except CertificateError as error:
                return {"hub.certificate": str(error)}
        return {}


def default(name: str) -> str:
    """The default of a setting, as text. Raises KeyError."""
    return str(BY_NAME[name].default)


def check(name: str, text: str) -> None:
    """Raises ValueError with one sentence when this text is no value of the setting."""
    setting = BY_NAME[name]
    try:
        if setting.kind == "list":
            setting.parse(list(names_in(text)))
            return
        value = setting.parse(text)
        if setting.check is not None:
            setting.check(value)
    except ValueError as error:
        raise ValueError(sentence(str(error))) from None


_between_names = re.compile(r"\s*[,;\n]\s+|\s*\n\s*").split
_between_plain_names = re.compile(r"\s*[,;\n]\s*").split


def names_in(text: str) -> tuple[str, ...]:
    """The names in a text, by commas; in names of directories (``cn=x,ou=y``) a comma without a space is no end."""
    parts = (_between_names if "=" in text else _between_plain_names)(text.strip())
    return tuple(part for part in parts if part)


def sentence(text: str) -> str:
    """The text of an error as a sentence: a capital at the beginning, a full stop at the end."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?', '!')) else '.'}" if text else ""


def broker_parts(text: str) -> tuple[str, str, str]:
    """Scheme, ``HOST:PORT`` and virtual host (quoted) of a broker's address without a user. Raises ValueError."""
    if "://" not in text:
        raise ValueError("expected amqp://HOST:PORT/VHOST or amqps://HOST:PORT/VHOST")
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise ValueError("leave user and password out of the address; they have fields of their own")
    try:
        address = parse_bus_address(text)
    except BusError as error:
        raise ValueError(str(error)) from None
    if address.exchange or address.queue:
        raise ValueError("leave out what follows the question mark; exchanges and queues have fields of their own")
    vhost = "" if address.vhost == "/" else quote(address.vhost, safe="")
    return ("amqps" if address.tls else "amqp"), host_port(address.host, address.port), vhost


@dataclass(frozen=True, slots=True)
class Pasted:
    """A broker's URL with everything in it, taken apart. `user` and `password` are None when it names none."""

    address: str
    user: str | None = None
    password: str | None = None
    exchange: str | None = None
    queue: str | None = None


def take_apart(text: str) -> Pasted:
    """``amqps://USER:PASSWORD@HOST/VHOST`` in its parts, so that a pasted password does not stay in the address.
    A text that cannot be read is left as it is."""
    text = text.strip()
    try:
        parts = urlsplit(text)
        found = parse_bus_address(text)
        if found.kind != "amqp" or ("@" not in parts.netloc and not parts.query):
            return Pasted(text)
    except (BusError, ValueError):
        return Pasted(text)
    plain = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    if parts.username is None:
        return Pasted(plain, exchange=found.exchange, queue=found.queue)
    password = found.password if parts.password is not None else None
    return Pasted(plain, found.user, password, found.exchange, found.queue)


# ---- the file


def read_settings(file: Path) -> tuple[MachineSettings, list[str]]:
    """The settings in a file, and a sentence for each thing in it that is not used. No file: all defaults.

    Raises SettingsError when it cannot be read at all."""
    document = _document(file)
    values: dict[str, str] = {}
    wrong: list[str] = []
    for name, value in _flat(document):
        if name not in BY_NAME:
            wrong.append(f"{file}: there is no setting {name!r}{nearest(name, list(BY_NAME)) or '.'}")
            continue
        text = _as_text(value)
        try:
            check(name, text)
        except ValueError as error:
            wrong.append(f"{file}: {name}: {error}")
            continue
        values[name] = text
    return MachineSettings(values), wrong


def write_settings(file: Path, settings: MachineSettings) -> None:
    """Replace the values in the file; defaults are left out, comments and unknown keys stay. Raises SettingsError."""
    document = _document(file)
    for setting in SETTINGS:
        section, _, key = setting.name.partition(".")
        text = settings[setting.name]
        table: Any = document.get(section)
        if text == default(setting.name):
            if table is not None and key in table:
                del table[key]
            continue
        if table is None:
            table = document[section] = tomlkit.table()
        value: object = int(text) if setting.kind == "integer" else text
        if setting.kind == "list":
            value = list(names_in(text))
        if table.get(key) != value:
            table[key] = value
    fresh = file.with_name(f"{file.name}.{random.token_hex(4)}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with fresh.open("x", encoding="utf-8") as out:
            out.write(tomlkit.dumps(document))
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(file)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise SettingsError(f"The settings cannot be written to {file}: {error.strerror}.") from error


def _document(file: Path) -> tomlkit.TOMLDocument:
    try:
        with file.open("rb") as source:
            content = source.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise SettingsError(f"{file} is too large for settings ({MAX_BYTES:,} bytes at most).")
        return tomlkit.parse(content.decode("utf-8"))
    except FileNotFoundError:
        return tomlkit.document()
    except OSError as error:
        raise SettingsError(f"The settings {file} cannot be read: {error.strerror}.") from error
    except (TOMLKitError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings {file} cannot be read: {error}. Correct or remove it.") from error


def _flat(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for section, table in document.items():
        if isinstance(table, Mapping):
            for key, value in table.items():
                yield f"{section}.{key}", value
        else:
            yield section, table


def _as_text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def reference() -> str:
    """The settings as a table in Markdown, for docs/settings.md."""
    rows = ["| setting | default | what it is |", "|---|---|---|"]
    for setting in SETTINGS:
        choices = f" One of {', '.join(f'`{choice}`' for choice in setting.choices)}." if setting.choices else ""
        shown = f"`{setting.default}`" if setting.default else ""
        rows.append(f"| `{setting.name}` | {shown} | {setting.help}{choices} |")
    return "\n".join(rows) + "\n"
