"""Reading an XRootD configuration as xrootd reads it: directives with their file and line, and what stops it.

Arithmetic on text. This behaviour was observed on real servers (tests/agent/server/configs has the cases):

- Only blanks separate words: a tab is a character like any other. A comment is a line that begins with ``#``.
- A line that ends in a backslash continues in the next one that is neither blank nor a comment, also in the next file
  of a directory. A carriage return at the end of a line belongs to its last word.
- ``$name``, ``${name}``, ``$(name)`` stand for values defined earlier by ``set``, never for the environment; a name
  that was not set prevents the start, except ``$[name]``, which is then empty. Names there have letters and digits
  only.
- ``set name = $VAR`` reads the environment, and only that; ``setenv`` adds to it. ``set name < FILE`` reads a file.
- ``if`` knows hosts, ``defined``, ``exec`` and ``named``; it is not nested, and a ``continue`` inside is an error.
- ``continue FILE`` or ``continue DIR [*SUFFIX …]`` ends the file: what follows it is not read. The files of a directory
  are read in the order of their names, except executable, hidden and saved ones (`kept`).

Which branch of an ``if`` is taken depends on host, instance and environment. `readings` makes one `Reading` of each
combination that makes a difference.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple


class Place(NamedTuple):
    """A line of a file; file "" is the one that xrootd is started with."""

    line: int
    file: str = ""


class Directive(NamedTuple):
    """One directive: its words, the first of which is its name, and where it begins."""

    place: Place
    words: list[str]

    @property
    def name(self) -> str:
        return self.words[0]

    @property
    def text(self) -> str:
        return " ".join(self.words)


class Fault(NamedTuple):
    """A problem of the syntax: "error" if it prevents xrootd from starting, "warning" if it may, "info" if it could not
    be checked."""

    place: Place
    what: str
    why: str = ""
    severity: str = "error"


class Source(NamedTuple):
    """A file's name and text."""

    name: str
    text: str


Follow = Callable[[str, Sequence[str]], "list[Source] | str | None"]
"""``continue``'s path and suffixes → the files in the order in which xrootd reads them; a sentence if it would not
start; None if it was not checked."""


class World(NamedTuple):
    """What an ``if`` can test: the host's name, the instance's, and which variables the environment has. None: a host
    or instance that the configuration does not mention."""

    host: str | None = None
    instance: str | None = None
    environment: frozenset[str] = frozenset()


@dataclass
class Reading:
    """What xrootd reads from a configuration in some worlds: `choices` are the branches that led there: place →
    description for users."""

    directives: list[Directive] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    choices: dict[Place, str] = field(default_factory=dict)
    strangers: bool = True
    """Only reached by a host or instance that the configuration does not mention, although it mentions some."""
    whole: bool = True
    """False if xrootd would give up, or a file was not checked: what is missing may be in a part that was not read."""


MOST_WORLDS: Final = 256
_SKIPPED: Final = (".cfsaved", ".rpmsave", ".rpmnew", ".dpkg-old", ".dpkg-dist", "~")
_CLOSING: Final = {"(": ")", "{": "}", "[": "]"}
_KEYWORDS: Final = ("defined", "exec", "named")
_ALWAYS_READ: Final = ("xrd.", "xrootd.", "all.", "oss.", "ofs.")
"""Directives of the parts that every xrootd has; others are read only by loaded plug-ins."""
PROGRAM: Final = "xrootd"
_BOM: Final = "\ufeff"
_EXACT: Final = ("all.role", "oss.localroot", "xrd.port")
"""Directives with a last word that must be right for xrootd to start, besides those of monitoring."""


def kept(name: str, suffixes: Sequence[str] = ()) -> bool:
    """Whether ``continue DIR`` reads a file of this name; suffixes as given, without their star."""
    if name.startswith("."):
        return False
    if suffixes:
        return any(len(name) > len(suffix) and name.endswith(suffix) for suffix in suffixes)
    return not any(len(name) > len(suffix) and name.endswith(suffix) for suffix in _SKIPPED)


def not_followed(_path: str, _suffixes: Sequence[str]) -> None:
    """A `Follow` that reads no other file."""
    return


def directives(text: str) -> list[Directive]:
    """The directives that an unnamed instance reads on an unnamed host."""
    return _Reader(World(), not_followed, None).read(text).directives


def readings(
    text: str,
    follow: Follow = not_followed,
    *,
    host: str | None = None,
    instance: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> list[Reading]:
    """One reading for each combination of branches that can be reached; if host and instance are known, by these
    only."""
    hosts, instances, variables = _asked(_conditions(text, follow))
    if environment is not None:
        variables = []
    there_already = frozenset(environment or ())
    worlds = [
        World(h, i, frozenset(v for v, there in zip(variables, present, strict=True) if there) | there_already)
        for h in ([host] if host else [*hosts, None])
        for i in ([instance] if instance else [*instances, None])
        for present in itertools.product((True, False), repeat=min(len(variables), 4))
    ]
    found: dict[tuple[tuple[Place, str], ...], Reading] = {}
    for world in worlds[:MOST_WORLDS]:
        reading = _Reader(world, follow, environment).read(text)
        stranger = (world.host is None and bool(hosts)) or (world.instance is None and bool(instances))
        known = found.setdefault(tuple(reading.choices.items()), reading)
        known.strangers = known.strangers and stranger
    return list(found.values())


# ---------------------------------------------------------------- lines and words


def _logical_lines(sources: Sequence[Source]) -> Iterator[tuple[Place, list[str]]]:
    """The words of each line that is not blank or a comment, with the lines that continue it; where it begins. Several
    files are read as one."""
    held: list[str] = []
    began: Place | None = None
    for source in sources:
        for number, line in enumerate(source.text.split("\n"), 1):
            words = [word for word in line.split(" ") if word]
            if not words or words == ["\r"] or words[0].startswith("#"):
                continue
            began = began or Place(number, source.name)
            goes_on = words[-1].endswith("\\")
            if goes_on:
                words[-1] = words[-1][:-1]
            held += [word for word in words if word]
            if not goes_on:
                yield began, held
                held, began = [], None
    if held and began:
        yield began, held


def _conditions(text: str, follow: Follow) -> list[list[str]]:
    """All the conditions that the files of a configuration have, whether or not they are reached."""
    groups: list[list[Source]] = [[Source("", text)]]
    found: list[list[str]] = []
    for group in groups:
        for place, words in _logical_lines(group):
            if "if" in words:
                found.append(words[words.index("if") + 1 :])
            if words[:1] == ["continue"] and len(words) > 1 and not place.file:
                more = follow(words[1].removeprefix("?"), _suffixes(words[2:]))
                groups += [more] if isinstance(more, list) else []
    return found


def _suffixes(words: Sequence[str]) -> list[str]:
    return [word[1:] for word in itertools.takewhile(lambda word: word.startswith("*"), words)]


def _asked(conditions: Sequence[Sequence[str]]) -> tuple[list[str], list[str], list[str]]:
    """Hosts, instances and variables of the environment that conditions ask about."""
    hosts: dict[str, None] = {}
    instances: dict[str, None] = {}
    variables: dict[str, None] = {}
    for words in conditions:
        kind = "host"
        for word in words:
            if word in _KEYWORDS:
                kind = word
            elif kind == "host":
                hosts[word.replace("*", "any").rstrip("+")] = None
            elif kind == "named":
                instances[word] = None
            elif word.startswith("?~"):
                variables[word[2:]] = None
    return list(hosts), list(instances), list(variables)


# ---------------------------------------------------------------- reading


class _StopError(Exception):
    """xrootd stops here; the text says why."""


class _Reader:
    """xrootd's reader in one world."""

    def __init__(self, world: World, follow: Follow, environment: Mapping[str, str] | None) -> None:
        self._world = world
        self._follow = follow
        self._environment = dict(environment or {})
        self._environment_known = environment is not None
        self._variables: dict[str, str] = {}
        self._result = Reading()
        self._place = Place(0)
        self._chain: Place | None = None
        """Where the open ``if`` began."""
        self._taken = False
        """A branch of it was taken."""
        self._inside = True
        """The following lines are read."""
        self._certain = True
        """xrootd certainly reads this line's words."""
        self._naked = False
        """Its ``else`` without an ``if`` has come."""
        self._returned: set[str] = set()
        """Files whose carriage returns were reported."""

    def read(self, text: str) -> Reading:
        try:
            self._files([Source("", text)])
            if self._chain is not None:
                self._place = self._chain
                raise _StopError("This if has no fi; xrootd does not start.")
        except _StopError as stop:
            if self._chain is not None and not self._taken:
                self._result.choices[self._chain] = f"the if in line {self._chain.line} not taken"
            self._fault(str(stop))
            self._result.whole = False
        return self._result

    def _fault(self, what: str, why: str = "", severity: str = "error") -> None:
        fault = Fault(self._place, what, why, severity)
        if fault not in self._result.faults:
            self._result.faults.append(fault)

    def _files(self, sources: Sequence[Source]) -> None:
        for place, words in _logical_lines(sources):
            self._place = place
            if not words:
                continue
            self._look_at_bytes(words)
            if self._branch(words) or not self._inside:
                continue
            if words[0] == "continue" and self._continue(words[1:], within=place.file):
                return
            if words[0] == "set":
                self._set(words[1:])
            elif words[0] == "setenv":
                self._setenv(words[1:])
            elif words[0] != "continue":
                self._directive(words)

    def _look_at_bytes(self, words: Sequence[str]) -> None:
        """Bytes that editors do not show."""
        if words[-1].endswith("\r") and self._place.file not in self._returned:
            self._returned.add(self._place.file)
            self._fault(
                f"Lines end in carriage returns, as on Windows: xrootd takes each as part of the last word, here "
                f"{words[-1]!r}.",
                "Convert the file to Unix line ends.",
                "warning",
            )
        if words[-1].endswith("\r") and words[0] in _EXACT and (words[-1] != "\r" or words[0] != "xrd.port"):
            self._fault(f"{words[-1]!r} of {words[0]} has a carriage return; xrootd does not start.")
        if words[0].startswith(_BOM) and not words[0].startswith(f"{_BOM}#"):
            self._fault(
                "The file begins with a byte order mark, which xrootd takes as part of the first word: this line has "
                "no effect.",
                "Save the file as UTF-8 without a byte order mark.",
                "warning",
            )

    def _directive(self, words: list[str]) -> None:
        if words[0] == "all.role" and "if" in words:  # the only directive with a condition that matters here
            at = words.index("if")
            if not self._holds(words[at + 1 :], "if"):
                return
            self._result.choices[self._place] = f"{' '.join(words[at:])} (line {self._place.line})"
            words = words[:at]
        self._certain = words[0].startswith(_ALWAYS_READ)
        replaced = [self._replaced(word) for word in words]
        self._certain = True
        if replaced := [word for word in replaced if word]:
            self._result.directives.append(Directive(self._place, replaced))

    # ------------------------------------------------------------ if, else, fi

    def _branch(self, words: list[str]) -> bool:
        """Handles if, else and fi; returns whether the line was one of them."""
        match words[0]:
            case "if":
                if self._chain is not None:
                    raise _StopError(
                        "An if is nested in another one, which xrootd does not support; it does not start."
                    )
                self._chain, self._taken, self._naked = self._place, False, False
                self._enter(words[1:])
            case "else":
                if self._chain is None or self._naked:
                    raise _StopError("This else has no if before it; xrootd does not start.")
                if self._taken:
                    self._inside = False
                elif len(words) == 1:
                    self._naked = self._inside = self._taken = True
                    self._result.choices[self._chain] = f"the else of the if in line {self._chain.line}"
                elif words[1] == "if":
                    self._enter(words[2:])
                else:
                    raise _StopError(f"{f'else {words[1]}'!r} is neither else nor else if; xrootd does not start.")
            case "fi":
                if self._chain is None:
                    raise _StopError("This fi has no if before it; xrootd does not start.")
                if not self._taken:
                    self._result.choices[self._chain] = f"the if in line {self._chain.line} not taken"
                self._chain, self._inside = None, True
            case _:
                return False
        return True

    def _enter(self, condition: list[str]) -> None:
        assert self._chain is not None
        self._inside = self._holds(condition, "if")
        if self._inside:
            self._taken = True
            self._result.choices[self._chain] = f"if {' '.join(condition)} (line {self._place.line})"

    def _holds(self, condition: list[str], what: str) -> bool:
        words = [self._replaced(word) for word in condition]
        if not words:
            raise _StopError(f"Nothing follows this {what}; xrootd does not start.")
        at = next((n for n, word in enumerate(words) if word in _KEYWORDS), len(words))
        if at and not any(_matches(self._world.host, pattern) for pattern in words[:at]):
            return False
        for kind, arguments in _parted(words[at:]):
            if not arguments:
                raise _StopError(f"Nothing follows {kind} in this {what}; xrootd does not start.")
            if kind == "defined":
                if not all(word.startswith("?") for word in arguments):
                    raise _StopError(f"defined needs ?NAME or ?~NAME in this {what}; xrootd does not start.")
                true = any(self._defined(word[1:]) for word in arguments)
            elif kind == "exec":
                true = PROGRAM in arguments
            else:
                true = self._world.instance in arguments
            if not true:
                return False
        return True

    def _defined(self, name: str) -> bool:
        return name[1:] in self._world.environment if name.startswith("~") else name in self._variables

    # ------------------------------------------------------------ continue

    def _continue(self, words: list[str], *, within: str) -> bool:
        """Continue in other files; returns whether the current one ends here."""
        if self._chain is not None:
            raise _StopError("continue inside an if … fi is not allowed; xrootd does not start.")
        if not words:
            return False
        path, suffixes = self._replaced(words[0]), _suffixes(words[1:])
        if "" in suffixes:
            raise _StopError("A star without a suffix follows continue; xrootd does not start.")
        rest = words[1 + len(suffixes) :]
        if rest and rest[0] != "if":
            raise _StopError(f"After continue {path} comes {rest[0]!r}, not *SUFFIX or if; xrootd does not start.")
        if rest:
            here = self._place
            true = self._holds(rest[1:], "continue")
            self._result.choices[here] = f"continue … {' '.join(rest)} (line {here.line}{'' if true else ', not true'})"
            if not true:
                return False
        if within:
            raise _StopError(
                "A file that is itself a continuation cannot continue in another file; xrootd does not start."
            )
        optional, path = path.startswith("?"), path.removeprefix("?")
        more = None if "$(" in path else self._follow(path, suffixes)
        if more is None:
            self._fault(f"The configuration continues in {' '.join(words)}, which was not checked.", severity="info")
            self._result.whole = False
        elif isinstance(more, str):
            if optional:
                return False
            raise _StopError(more)
        else:
            self._files(more)
        return True

    # ------------------------------------------------------------ variables

    def _set(self, words: list[str]) -> None:
        """``set NAME = VALUE``, with or without blanks; a value that begins with $ comes from the environment."""
        if words[:1] in (["-q"], ["-v"], ["-V"]):
            return
        name, sign, rest = re.fullmatch(r"([^=<]*)([=<]?)(.*)", " ".join(words), re.DOTALL).groups()  # type: ignore[union-attr]
        name, value = name.strip(), rest.strip(" ").partition(" ")[0]
        if not name or not sign:
            raise _StopError("set needs NAME = VALUE; xrootd does not start.")
        if not re.fullmatch(r"[A-Za-z0-9_]+", name) or len(name) > 63:
            raise _StopError(f"{name!r} cannot be set: names have letters, digits and _ only; xrootd does not start.")
        if sign == "<":
            self._variables[name] = self._of_file(name, value)
        else:
            self._variables[name] = self._of_environment(value) if value.startswith("$") else value

    def _setenv(self, words: list[str]) -> None:
        """``setenv NAME = VALUE``: from here on ``set`` finds it in the environment."""
        name, sign, rest = " ".join(words).partition("=")
        if not sign or not re.fullmatch(r"[A-Za-z0-9_]+", name.strip()):
            raise _StopError("setenv needs NAME = VALUE; xrootd does not start.")
        self._environment[name.strip()] = self._replaced(rest.strip(" ").partition(" ")[0])
        self._world = self._world._replace(environment=self._world.environment | {name.strip()})

    def _of_file(self, name: str, path: str) -> str:
        """The value that ``set NAME < PATH`` gives a variable: all that the file holds."""
        if not path.startswith("/"):
            raise _StopError(
                f"The path {path!r} of set is not absolute: xrootd reads the file again after it has changed its "
                "directory; it does not start."
            )
        more = self._follow(path, [])
        if isinstance(more, list) and more:
            return "".join(source.text for source in more)
        if isinstance(more, str):
            raise _StopError(f"set reads {path}, which cannot be read; xrootd does not start.")
        self._fault(f"The variable {name} is read from {path}, which was not checked.", severity="info")
        return f"$({name})"

    def _of_environment(self, value: str) -> str:
        bracket = value[1:2] if value[1:2] in _CLOSING else ""
        name = value[2:].partition(_CLOSING[bracket])[0] if bracket else value[1:]
        if name in self._environment:
            return self._environment[name]
        if bracket == "[":
            return ""
        if not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise _StopError(
                f"set takes the whole of {value} as the name of a variable of xrootd's environment, where there is "
                "none; xrootd does not start."
            )
        if self._environment_known:
            raise _StopError(f"xrootd's environment has no {name}; xrootd does not start.")
        if name in self._variables:
            self._fault(
                f"set takes {value} from xrootd's environment, not from the set above it; xrootd does not start "
                f"if "
                f"the environment has no {name}.",
                "Write the whole value again.",
            )
        else:
            self._fault(
                f"{value} comes from xrootd's environment, which is not known here: if it has no {name}, xrootd "
                f""
                "does not start.",
                severity="info",
            )
        return f"$({name})"

    def _replaced(self, word: str) -> str:
        """A word with its variables replaced; variables from the environment stay as ``$(NAME)``."""
        made, at = "", 0
        while at < len(word):
            following = word[at + 1 : at + 2]
            if word[at] == "\\":
                made += following
                at += 2
                continue
            if word[at] != "$" or not (
                not following or (following.isascii() and (following.isalnum() or following in ("(", "{", "[")))
            ):
                made += word[at]
                at += 1
                continue
            closing = _CLOSING.get(following, "")
            at += 2 if closing else 1
            name = re.match(r"[A-Za-z0-9]*", word[at:])[0]  # type: ignore[index]
            at += len(name)
            if closing and word[at : at + 1] != closing:
                self._fault(
                    f"{word} is not valid; xrootd does not start{'' if self._certain else ' if it reads this'}.",
                    "Where variables are used, their names may have only letters and digits, no underscore.",
                    "error" if self._certain else "warning",
                )
                return ""
            at += len(closing)
            if name in self._variables:
                made += self._variables[name]
            elif closing != "]":
                self._fault(
                    (f"The variable {name} is not set" if name else f"A $ in {word} names no variable")
                    + ("; xrootd does not start." if self._certain else "; xrootd does not start if it reads this."),
                    f"Set it above; `set NAME = ${name}` takes one from the environment first.",
                    "error" if self._certain else "warning",
                )
                made += "" if not name else f"$({name})"
        return made


def _parted(words: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """``exec a && named b c`` → ("exec", ["a"]), ("named", ["b", "c"])."""
    kind, arguments = "", list[str]()
    for word in words:
        if word in _KEYWORDS and (not kind or arguments[-1:] == ["&&"]):
            if kind:
                yield kind, arguments[:-1]
            kind, arguments = word, []
        else:
            arguments.append(word)
    if kind:
        yield kind, arguments


def _matches(host: str | None, pattern: str) -> bool:
    """Whether a host's name matches one of ``if``; a star stands for any part of it."""
    if pattern == "*":
        return True
    if host is None:
        return False
    head, star, tail = pattern.rstrip("+").partition("*")
    if not star:
        return host == head
    return len(host) >= len(head) + len(tail) and host.startswith(head) and host.endswith(tail)


# ---------------------------------------------------------------- numbers


def whole(word: str) -> int | None:
    """A whole number in ASCII digits, perhaps with a plus; None if the word is not one."""
    digits = word.removeprefix("+")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None


def seconds(word: str) -> int | None:
    """A time in XRootD's notation: a whole number, with s, m, h or d. None if it is not one."""
    match = re.fullmatch(r"\+?([0-9]{1,18})([smhdSMHD]?)", word)
    return int(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2].lower()] if match else None


def size(word: str) -> int | None:
    """A size in XRootD's notation: a number as C reads one (also 1.5, 2e3, 0x800), with k, m, g or t (powers of 1024).
    None if it is not one."""
    match = re.fullmatch(
        r"\+?(?:0[xX](?P<hex>[0-9a-fA-F]{1,15})|(?P<number>[0-9]{1,18}(?:\.[0-9]{0,9})?(?:[eE]\+?[0-9])?))"
        r"(?P<unit>[kmgtKMGT]?)",
        word,
    )
    if not match:
        return None
    number = int(match["hex"], 16) if match["hex"] else float(match["number"])
    return int(number * 1024 ** " kmgt".index(match["unit"].lower() or " "))


def plain_seconds(value: int) -> str:
    """The opposite of `seconds`, in the shortest notation."""
    for letter, unit in (("h", 3600), ("m", 60)):
        if value and value % unit == 0:
            return f"{value // unit}{letter}"
    return f"{value}s"
