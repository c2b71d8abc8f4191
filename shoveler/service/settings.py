"""Settings, declared once: command line, then environment, then credentials of systemd, then the TOML file, then the
default.

A setting has a dotted name (``spool.max_bytes``). The option ``--spool-max-bytes``, the variable
``TALLY_SHOVELER_SPOOL_MAX_BYTES`` and the key ``max_bytes`` of the table ``[spool]`` follow from it; a setting that is
or names a secret can also be a credential (``LoadCredential=bus-url``). All problems are
reported at once (`ConfigError`), each with its place, what was expected and the nearest valid name or value.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, Self, TypeAlias, TypeVar, cast, overload

from shoveler.service.log import HIDDEN, redact
from shoveler.values.addresses import host_port
from shoveler.values.choices import nearest, one_of
from shoveler.values.quantities import format_size, parse_duration, parse_size

Kind: TypeAlias = Literal[
    "text", "integer", "number", "size", "duration", "boolean", "list", "table", "address", "path", "choice"
]
Scalar: TypeAlias = Literal["text", "integer", "number", "size", "duration", "boolean", "address", "path", "choice"]


class Address(NamedTuple):
    """A host (IP address or name, without brackets) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return host_port(self.host, self.port)


class Mistake(NamedTuple):
    """One problem in one place."""

    where: str
    """``tally.toml:12``, ``--listen`` or ``TALLY_SHOVELER_LISTEN``."""
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


class ConfigError(Exception):
    """The settings cannot be used. `problems` has all of them; the text has one per line. Exit code 2."""

    def __init__(self, problems: Sequence[Mistake]) -> None:
        super().__init__("\n".join(redact(str(p)) for p in problems))
        self.problems = list(problems)


class _WrongValueError(ValueError):
    """An invalid value; the text says what was expected."""


# ---------------------------------------------------------------- values from text

_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def parse_address(text: str) -> Address:
    """``HOST:PORT``, IPv6 as ``[ADDRESS]:PORT``; ``:PORT`` means every IPv4 interface. Raises ValueError."""
    host, colon, port = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        try:
            ipaddress.IPv6Address(host.partition("%")[0])
        except ValueError:
            raise _WrongValueError(f"expected an IPv6 address in the brackets of {text!r}") from None
    elif ":" in host:
        raise _WrongValueError(f'an IPv6 address needs brackets: "[{host}]:{port}" instead of {text!r}')
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise _WrongValueError(f'expected HOST:PORT such as "0.0.0.0:9993", got {text!r}')
    if host and re.fullmatch(r"[\w.:%-]+", host) is None:
        raise _WrongValueError(f"{host!r} is not a host name or address")
    return Address(host or "0.0.0.0", int(port))  # noqa: S104 - what ":PORT" is documented to mean


# ---------------------------------------------------------------- declarations


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    `default` is written as in the file ("64MiB", not 67108864) and is checked like any value; None means that there is
    no value unless one is set. `optional` lets ``""`` mean "none" for kinds that are not text, as it always does for a
    path without a default. `items` is the kind of a list's items or of a table's values. `flags` replaces the derived
    ``--name``. A secret's value is never shown, and has no command-line option unless `flags` gives one, since ``ps``
    shows options.
    """

    name: str
    kind: Kind
    default: object
    help: str
    secret: bool = False
    needs_restart: bool = False
    credential: bool = False
    """Whether systemd may pass it as a credential: of a text its content, of a path the credential's own path."""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    optional: bool = False
    items: Scalar = "text"
    flags: tuple[str, ...] = ()
    metavar: str = ""
    example: object = None
    """In the sample file, in place of the default."""
    check: Callable[[Any], None] | None = None
    """Called with the parsed value; raises ValueError with one sentence when it is invalid."""

    def option_flags(self) -> tuple[str, ...]:
        """The command-line options of this setting."""
        if self.flags or self.secret:
            return self.flags
        return ("--" + self.name.replace(".", "-").replace("_", "-"),)

    def credential_name(self) -> str:
        """What the credential is called: ``bus-url``."""
        return self.name.replace(".", "-").replace("_", "-")

    def parse(self, value: object) -> Any:
        """The value for the program, from a TOML value or a text. Raises ValueError."""
        optional = self.optional or (self.kind == "path" and self.default is None)
        limits = _Limits(minimum=self.minimum, maximum=self.maximum, choices=self.choices, optional=optional)
        if value is None:
            return None
        result: Any
        if self.kind == "list":
            if not isinstance(value, list):
                value = [value]  # one item needs no brackets
            result = [_scalar(self.items, item, limits) for item in value]
        elif self.kind == "table":
            if not isinstance(value, dict):
                raise _WrongValueError(f"expected a table of name = value, got {value!r}")
            result = {str(key): self._entry(str(key), item, limits) for key, item in value.items()}
        else:
            result = _scalar(self.kind, value, limits)
        if self.check is not None and result is not None:
            self.check(result)
        return result

    def _entry(self, key: str, item: object, limits: _Limits) -> Any:
        try:
            return _scalar(self.items, item, limits)
        except ValueError as error:
            raise _WrongValueError(f"{key}: {error}") from None

    def parse_text(self, text: str) -> Any:
        """The value from an environment variable: lists by commas, tables as ``name=value,name=value``."""
        if self.kind == "list":
            return self.parse([part.strip() for part in text.split(",") if part.strip()])
        if self.kind == "table":
            return self.parse(_pairs([part for part in text.split(",") if part.strip()]))
        return self.parse(text)

    def expects(self) -> str:
        """The form of a value, for help and the sample file."""
        looks = {
            "text": "text",
            "integer": "whole number",
            "number": "number",
            "size": "size such as 64MiB",
            "duration": "duration such as 90s or 24h",
            "boolean": "true or false",
            "address": "HOST:PORT",
            "path": "path",
            "choice": " | ".join(self.choices),
        }
        if self.kind == "list":
            return f"list of {looks[self.items]}"
        if self.kind == "table":
            return f"table of name = {looks[self.items]}"
        return looks[self.kind]


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A former setting: setting it is an error that names its successor, or says why there is none."""

    name: str
    successor: str = ""
    reason: str = ""

    def sentence(self) -> str:
        """The message for somebody who still sets it."""
        if self.successor:
            return f"{self.name!r} is now called {self.successor!r}" + (f": {self.reason}" if self.reason else "")
        return f"{self.name!r} no longer exists" + (f": {self.reason}" if self.reason else "")


def _pairs(parts: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise _WrongValueError(f"expected NAME=VALUE, got {part!r}")
        pairs[key.strip()] = value.strip()
    return pairs


def _bounded(kind: str, value: float, shown: object, limits: _Limits) -> None:
    if limits.minimum is not None and value < limits.minimum:
        raise _WrongValueError(f"{shown} is too small; the minimum is {_bound(kind, limits.minimum)}")
    if limits.maximum is not None and value > limits.maximum:
        raise _WrongValueError(f"{shown} is too large; the maximum is {_bound(kind, limits.maximum)}")


def _bound(kind: str, value: float) -> str:
    """A limit as it is written in a file: 8MiB, 60s."""
    if kind == "size" and value >= 1024:
        return format_size(int(value)).replace(" ", "")
    return f"{value:.12g}{'s' if kind == 'duration' else ''}"


def _scalar(kind: str, value: object, limits: _Limits) -> Any:
    if limits.optional and value == "" and kind != "text":
        return None
    if isinstance(value, str):
        return _from_text(kind, value, limits)
    if kind in _QUANTITIES:
        return _quantity(kind, value, limits)
    if kind == "boolean" and isinstance(value, bool):
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and (kind == "number" or (kind == "integer" and isinstance(value, int))):
        result = cast(float, value)
        _bounded(kind, result, value, limits)
        return float(result) if kind == "number" else result
    wanted = {
        "text": "text in quotes",
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "address": '"HOST:PORT"',
        "path": "a path in quotes",
        "choice": "one of " + ", ".join(limits.choices),
    }[kind]
    raise _WrongValueError(f"expected {wanted}, got {value!r}")


_QUANTITIES: dict[str, Callable[[object], float]] = {"size": parse_size, "duration": parse_duration}


def _quantity(kind: str, value: object, limits: _Limits) -> float:
    amount = _QUANTITIES[kind](value)
    _bounded(kind, amount, value, limits)
    return amount


def _from_text(kind: str, text: str, limits: _Limits) -> Any:
    if kind == "text":
        return text
    if kind == "path":
        if not text:
            raise _WrongValueError("expected a path, got an empty text")
        return Path(text).expanduser()
    if kind == "choice":
        return one_of(text, limits.choices)
    if kind == "boolean":
        if text.lower() not in _BOOLEANS:
            raise _WrongValueError(f"expected true or false, got {text!r}")
        return _BOOLEANS[text.lower()]
    if kind == "address":
        return parse_address(text)
    if kind == "integer":
        if re.fullmatch(r"[+-]?\d+", text.strip()) is None:
            raise _WrongValueError(f"expected a whole number, got {text!r}")
        whole = int(text)
        _bounded(kind, whole, text, limits)
        return whole
    if kind in _QUANTITIES:
        return _quantity(kind, text, limits)
    try:
        number = float(text)
    except ValueError:
        raise _WrongValueError(f"expected a number, got {text!r}") from None
    _bounded(kind, number, text, limits)
    return number


# ---------------------------------------------------------------- the settings of one run


class Settings:
    """The values of a run by name, and the origin of each. Immutable; typed getters check the declared kind."""

    def __init__(self, schema: Schema[Any], values: Mapping[str, Any], origins: Mapping[str, str]) -> None:
        self._schema = schema
        self._values = dict(values)
        self._origins = dict(origins)

    def __getitem__(self, name: str) -> Any:
        """The value, whatever its kind. Raises KeyError for a name that was never declared."""
        return self._values[name]

    def origin(self, name: str) -> str:
        """``--listen``, ``TALLY_…``, ``tally.toml:12`` or ``default``."""
        return self._origins.get(name, "default")

    def replace(self, **values: Any) -> Self:
        """A copy with other values, names with ``__`` for the dot: for tests and programs that compose daemons."""
        changed = {name.replace("__", "."): value for name, value in values.items()}
        for name, value in changed.items():
            changed[name] = self._schema.setting(name).parse(value)
        return type(self)(self._schema, self._values | changed, self._origins | dict.fromkeys(changed, "program"))

    def text(self, name: str) -> str:
        """A text or choice; ``""`` when it is not set."""
        self._expect(name, "text", "choice")
        return cast(str, self._values[name] or "")

    def integer(self, name: str) -> int:
        """A whole number or a size in bytes."""
        self._expect(name, "integer", "size")
        return cast(int, self._values[name])

    def size(self, name: str) -> int:
        """Bytes."""
        return self.integer(name)

    def number(self, name: str) -> float:
        """A number, or a duration in seconds."""
        self._expect(name, "number", "duration", "integer")
        return float(self._values[name])

    def duration(self, name: str) -> float:
        """Seconds."""
        self._expect(name, "duration")
        return cast(float, self._values[name])

    def boolean(self, name: str) -> bool:
        """True or False."""
        self._expect(name, "boolean")
        return cast(bool, self._values[name])

    def address(self, name: str) -> Address:
        """An address that is always set."""
        value = self.optional_address(name)
        if value is None:
            raise KeyError(f"{name} is not set")
        return value

    def optional_address(self, name: str) -> Address | None:
        """An address, or None when it is not set or set to ``""``."""
        self._expect(name, "address")
        return cast("Address | None", self._values[name])

    def path(self, name: str) -> Path:
        """A path that is always set."""
        value = self.optional_path(name)
        if value is None:
            raise KeyError(f"{name} is not set")
        return value

    def optional_path(self, name: str) -> Path | None:
        """A path, or None when it is not set."""
        self._expect(name, "path")
        return cast("Path | None", self._values[name])

    def entries(self, name: str) -> list[Any]:
        """The items, parsed by the declared kind of items; [] when it is not set."""
        self._expect(name, "list")
        return list(self._values[name] or [])

    def table(self, name: str) -> dict[str, Any]:
        """Name → value, parsed by the declared kind of items; {} when it is not set."""
        self._expect(name, "table")
        return dict(self._values[name] or {})

    def differences(self, newer: Settings) -> tuple[list[str], list[str]]:
        """(names whose new value can be used at once, names whose new value needs a restart)."""
        live: list[str] = []
        restart: list[str] = []
        for setting in self._schema.settings:
            if self._values[setting.name] != newer[setting.name]:
                (restart if setting.needs_restart else live).append(setting.name)
        return live, restart

    def describe(self) -> Iterator[str]:
        """``name = value  (origin)`` of each setting, secrets hidden, for ``--check-config``."""
        for setting in self._schema.settings:
            value = self._values[setting.name]
            shown = HIDDEN if setting.secret and value else redact(_show(value))
            yield f"{setting.name} = {shown}  ({self.origin(setting.name)})"

    def _expect(self, name: str, *kinds: str) -> None:
        kind = self._schema.setting(name).kind
        if kind not in kinds:
            raise TypeError(f"{name} is declared as {kind}, not as {' or '.join(kinds)}")


_T = TypeVar("_T")
_S = TypeVar("_S", bound=Settings)


class Value(Generic[_T]):
    """An attribute of a program's own kind of `Settings`: ``spool_dir = Value("spool.dir", Settings.path)``.

    mypy knows its name and its type; the `Schema` checks that both match the declaration."""

    def __init__(self, name: str, read: Callable[[Settings, str], _T]) -> None:
        self.name = name
        self.read = read

    @overload
    def __get__(self, settings: None, owner: type) -> Self: ...

    @overload
    def __get__(self, settings: Settings, owner: type) -> _T: ...

    def __get__(self, settings: Settings | None, owner: type) -> Self | _T:
        return self if settings is None else self.read(settings, self.name)


def _show(value: object) -> str:
    if value is None:
        return "(not set)"
    if isinstance(value, list):
        return "[" + ", ".join(map(_show, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_show(item)}" for key, item in value.items()) + "}"
    return str(value).lower() if isinstance(value, bool) else str(value)


# ---------------------------------------------------------------- the schema of a program


class Schema(Generic[_S]):
    """All settings of one program; ``tally-shoveler`` has the environment prefix ``TALLY_SHOVELER_``. `kind` has
    them as attributes.

    Raises ValueError when the declaration contradicts itself (a bug that the first test finds).
    """

    @overload
    def __init__(
        self: Schema[Settings], program: str, settings: Sequence[Setting], tombstones: Sequence[Tombstone] = ()
    ) -> None: ...

    @overload
    def __init__(
        self, program: str, settings: Sequence[Setting], tombstones: Sequence[Tombstone] = (), *, kind: type[_S]
    ) -> None: ...

    def __init__(
        self,
        program: str,
        settings: Sequence[Setting],
        tombstones: Sequence[Tombstone] = (),
        *,
        kind: type[Settings] = Settings,
    ) -> None:
        self.program = program
        self.prefix = program.upper().replace("-", "_") + "_"
        self.settings = tuple(settings)
        self._by_name = {s.name: s for s in settings}
        self._tombstones = {t.name: t for t in tombstones}
        self._kind = cast("type[_S]", kind)
        if len(self._by_name) != len(self.settings):
            raise ValueError("a setting is declared twice")
        for setting in settings:
            for other in settings:
                if other.name.startswith(setting.name + "."):
                    raise ValueError(f"TOML cannot have both the value {setting.name!r} and {other.name!r} inside it")
            if setting.default is not None:
                setting.parse(setting.default)
        usual = self._kind(self, {s.name: s.parse(s.default) for s in self.settings}, {})
        for attribute in (a for a in vars(kind).values() if isinstance(a, Value)):
            try:
                attribute.read(usual, attribute.name)
            except (KeyError, TypeError) as error:
                raise ValueError(f"{kind.__name__} does not fit what is declared: {error}") from None

    def setting(self, name: str) -> Setting:
        """The declaration of a name. Raises KeyError."""
        return self._by_name[name]

    def variable(self, name: str) -> str:
        """The environment variable of a setting."""
        return self.prefix + name.upper().replace(".", "_")

    # -------- command line

    def add_arguments(self, parser: argparse.ArgumentParser, *, config: bool = True, check: bool = True) -> None:
        """Add ``-c FILE`` (unless `config` is False), ``--check-config`` (unless `check` is, too) and one option per
        setting to a parser."""
        if config:
            parser.add_argument(
                "-c", "--config", metavar="FILE", help=f"settings as TOML (or {self.prefix}CONFIG)", default=None
            )
        if config and check:
            parser.add_argument(
                "--check-config", action="store_true", help="check the settings, show them or the problems, and exit"
            )
        group = parser.add_argument_group("settings", f"also as {self.prefix}… in the environment, or in the file")
        for setting in self.settings:
            flags = setting.option_flags()
            if not flags:
                continue
            common: dict[str, Any] = {
                "dest": _destination(setting.name),
                "default": argparse.SUPPRESS,
                "help": self._help(setting).replace("%", "%%"),
            }
            if setting.kind == "boolean":
                group.add_argument(*flags, action=argparse.BooleanOptionalAction, **common)
            else:
                metavar = setting.metavar or {
                    "integer": "N", "number": "N", "size": "SIZE", "duration": "TIME", "address": "HOST:PORT",
                    "path": "PATH", "choice": "|".join(setting.choices), "table": "NAME=VALUE",
                }.get(setting.items if setting.kind == "list" else setting.kind, "TEXT")  # fmt: skip
                action = "append" if setting.kind in ("list", "table") else "store"
                group.add_argument(*flags, metavar=metavar, action=action, **common)

    def _help(self, setting: Setting) -> str:
        shown = "" if setting.default in (None, "", [], {}) or setting.secret else f" [{_show(setting.default)}]"
        repeated = " Repeat for several." if setting.kind in ("list", "table") else ""
        return f"{setting.help}{repeated}{shown}"

    # -------- loading

    def load(self, arguments: argparse.Namespace | None = None, environ: Mapping[str, str] | None = None) -> _S:
        """The settings of this run. `arguments` as parsed by a parser with `add_arguments`, or None for no options.

        Call it again with the same arguments to reload. Raises ConfigError with all problems.
        """
        env = os.environ if environ is None else environ
        problems: list[Mistake] = []
        values: dict[str, Any] = {s.name: s.parse(s.default) for s in self.settings}
        origins: dict[str, str] = {}

        path = getattr(arguments, "config", None) or env.get(self.prefix + "CONFIG")
        if path:
            self._from_file(Path(path), values, origins, problems)
        if "CREDENTIALS_DIRECTORY" in env:
            self._from_credentials(Path(env["CREDENTIALS_DIRECTORY"]), values, origins, problems)
        self._from_environment(env, values, origins, problems)
        if arguments is not None:
            self._from_options(arguments, values, origins, problems)
        if problems:
            raise ConfigError(problems)
        return self._kind(self, values, origins)

    def _from_options(
        self,
        arguments: argparse.Namespace,
        values: dict[str, Any],
        origins: dict[str, str],
        problems: list[Mistake],
    ) -> None:
        for setting in self.settings:
            given = getattr(arguments, _destination(setting.name), None)
            if given is None:
                continue
            flag = next((f for f in setting.option_flags() if f.startswith("--")), "option")
            try:
                values[setting.name] = setting.parse(_pairs(given) if setting.kind == "table" else given)
                origins[setting.name] = flag
            except ValueError as error:
                problems.append(Mistake(flag, str(error)))

    def _from_credentials(
        self, directory: Path, values: dict[str, Any], origins: dict[str, str], problems: list[Mistake]
    ) -> None:
        for setting in self.settings:
            path = directory / setting.credential_name()
            if not setting.credential or not path.is_file():
                continue
            where = f"credential {path.name}"
            try:
                text = str(path) if setting.kind == "path" else path.read_text("utf-8").strip()
                values[setting.name] = setting.parse_text(text)
                origins[setting.name] = where
            except (OSError, UnicodeDecodeError) as error:
                problems.append(Mistake(where, f"cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}"))
            except ValueError as error:
                problems.append(Mistake(where, self._without_secret(setting, error)))

    def _from_environment(
        self, env: Mapping[str, str], values: dict[str, Any], origins: dict[str, str], problems: list[Mistake]
    ) -> None:
        known = {self.variable(s.name): s for s in self.settings}
        buried = {self.variable(name): tomb for name, tomb in self._tombstones.items()}
        for variable in sorted(env):
            if not variable.startswith(self.prefix) or variable == self.prefix + "CONFIG":
                continue
            setting = known.get(variable)
            if setting is None and _KUBERNETES.search(variable):
                continue
            if setting is None:
                # An unknown variable is an error, too: otherwise a misspelt one would be ignored for years.
                tomb = buried.get(variable)
                text = tomb.sentence() if tomb else f"no such setting{nearest(variable, list(known))}"
                problems.append(Mistake(variable, text))
                continue
            try:
                values[setting.name] = setting.parse_text(env[variable])
                origins[setting.name] = variable
            except ValueError as error:
                problems.append(Mistake(variable, self._without_secret(setting, error)))

    def _from_file(self, path: Path, values: dict[str, Any], origins: dict[str, str], problems: list[Mistake]) -> None:
        try:
            text = path.read_text("utf-8")
        except OSError as error:
            problems.append(Mistake(str(path), f"cannot be read: {error.strerror}"))
            return
        except UnicodeDecodeError as error:
            problems.append(Mistake(str(path), f"is not UTF-8 text (byte {error.start})"))
            return
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            line = re.search(r"at line (\d+)", str(error))
            where = f"{path}:{line[1]}" if line else f"{path}:{text.count(chr(10)) + 1}"
            problems.append(Mistake(where, f"is not TOML: {error}"))
            return
        lines = _key_lines(text)
        for name, value in self._flatten(document):
            where = f"{path}:{lines[name]}" if name in lines else str(path)
            setting = self._by_name.get(name)
            if setting is None:
                tomb = self._tombstones.get(name)
                known = [s.name for s in self.settings]
                problems.append(
                    Mistake(where, tomb.sentence() if tomb else f"unknown setting {name!r}{nearest(name, known)}")
                )
                continue
            try:
                values[name] = setting.parse(value)
                origins[name] = where
            except ValueError as error:
                problems.append(Mistake(where, f"{name}: {self._without_secret(setting, error)}"))

    @staticmethod
    def _without_secret(setting: Setting, error: ValueError) -> str:
        return f"expected {setting.expects()}" if setting.secret else str(error)

    def _flatten(self, table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
        """(dotted name, value) of all keys; a table that is declared as one setting stays whole."""
        for key, value in table.items():
            name = prefix + key
            if isinstance(value, dict) and name not in self._by_name and name not in self._tombstones:
                if not value and not any(s.name.startswith(name + ".") for s in self.settings):
                    yield name, value
                yield from self._flatten(value, name + ".")
            else:
                yield name, value

    # -------- texts made from the declaration

    def sample(self, heading: str = "") -> str:
        """A settings file with every setting at its default, commented out and explained."""
        out = [f"# {line}".rstrip() for line in heading.splitlines()]
        tables: dict[str, list[Setting]] = {}
        for setting in self.settings:
            table = setting.name if setting.kind == "table" else setting.name.rpartition(".")[0]
            tables.setdefault(table, []).append(setting)
        for table in sorted(tables, key=lambda name: (name != "", list(tables).index(name))):
            if out:
                out.append("")
            if table:
                out.append(f"[{table}]")
            for i, setting in enumerate(tables[table]):
                if i or not table:
                    out.append("")
                note = " A change needs a restart." if setting.needs_restart else ""
                out += textwrap.wrap(
                    f"{setting.help} ({setting.expects()}){note}", 100, initial_indent="# ", subsequent_indent="# "
                )
                shown = setting.default if setting.example is None else setting.example
                if setting.kind == "table":
                    items = cast("Mapping[str, object]", shown)
                    out += [f"# {_toml_key(key)} = {_toml(value)}" for key, value in items.items()]
                else:
                    value = [] if shown is None and setting.kind == "list" else shown
                    out.append(f"# {setting.name.rpartition('.')[2]} = {_toml(value)}")
        return "\n".join(out).lstrip("\n") + "\n"

    def reference(self) -> str:
        """The settings as a Markdown table, for the documentation."""
        rows = ["| setting | option | kind | default | meaning |", "|---|---|---|---|---|"]
        for s in self.settings:
            flags = ", ".join(f"`{flag}`" for flag in s.option_flags()) or "–"
            default = "–" if s.default in (None, "", [], {}) else f"`{_show(s.default)}`"
            note = " *(restart)*" if s.needs_restart else ""
            cells = [f"`{s.name}`", flags, s.expects(), default, s.help + note]
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        return "\n".join(rows) + "\n"


# Kubernetes sets these in every container, for each service: those of one called tally-shoveler look like our settings.
_KUBERNETES = re.compile(r"_SERVICE_HOST$|_SERVICE_PORT(_\w+)?$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$")


def _destination(name: str) -> str:
    return "setting:" + name  # no option of the program can have this name


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml(key)


def _toml(value: object) -> str:
    if value is None:
        return '""'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


_TABLE_LINE = re.compile(r"\s*\[\[?\s*(.+?)\s*\]\]?\s*(?:#.*)?$")
_KEY_LINE = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_KEY_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")


def _key_lines(text: str) -> dict[str, int]:
    """Line number of each dotted key and table, since tomllib keeps none. At worst, a line inside a multi-line text
    that looks like a key puts a wrong line number into an error message."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = _TABLE_LINE.match(line)
        key = _KEY_LINE.match(line)
        if key:
            name = _dotted(key[1])
            lines.setdefault(f"{table}.{name}" if table else name, number)
        elif header:
            table = _dotted(header[1])
            lines.setdefault(table, number)
    return lines


def _dotted(text: str) -> str:
    return ".".join(part.strip("\"'") for part in _KEY_PART.findall(text))
