"""Plans as TOML: reading, with the line of every problem, and writing, with comments kept.

The keys are declared once, in the tables at the end of this module's first part; error texts, suggestions for unknown
keys and what is written all come from there.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import tomlkit
from tomlkit.items import AoT, Table

from agent.messages import Workload
from gui.campaign.catalogue import path_objection
from gui.campaign.choices import Noun, name_objection
from gui.campaign.mix import kind_objection
from gui.campaign.plan import (
    FAULT_KINDS,
    LOSS_KINDS,
    SERVER_KINDS,
    Choice,
    Fault,
    Files,
    Labelled,
    Means,
    Plan,
    Test,
    Who,
)
from shoveler.values.choices import one_of
from shoveler.values.quantities import format_duration, format_size, parse_duration, parse_size

MAX_PLAN_BYTES = 1024 * 1024
Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class PlanProblem:
    """A problem of a plan. `line` counts from 1; 0 means the file as a whole."""

    line: int
    text: str
    field: str = ""
    """The field, as ``test[1].who.slots`` (tests counted from 1), for a form that shows it beside the field."""

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}" if self.line else self.text


class PlanError(ValueError):
    """A plan cannot be used; `problems` lists everything wrong with it, in line order."""

    def __init__(self, problems: Sequence[PlanProblem], *, name: str = "plan") -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{name}, {problem}" for problem in self.problems))


# ---------------------------------------------------------------- what a plan may contain


def _whole(least: int, most: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"expected a whole number, not {value!r}")
        if not least <= value <= most:
            raise ValueError(f"expected a number from {least:,} to {most:,}, not {value:,}")
        return value

    return check


def _seconds(most: float) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        seconds = parse_duration(value)
        if seconds > most:
            raise ValueError(f"expected at most {format_duration(most)}, not {value!r}")
        return seconds

    return check


def _percent(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 100:
        raise ValueError(f"expected a percentage from 0 to 100, not {value!r}")
    return float(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, not {value!r}")
    return value


def _share(value: Any) -> float:
    share = _percent(value)
    if not share:
        raise ValueError("expected more than 0 per cent")
    return share


def _word(value: Any) -> str:
    name = _text(200)(value)
    if any(char.isspace() for char in name):
        raise ValueError(f"expected the name of one server, not {value!r}")
    return name


_NOT_IN_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _text(most: int, *, empty: bool = False) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(f"expected a text, not {value!r}")
        if not value.strip() and not empty:
            raise ValueError("expected a text that is not empty")
        if len(value) > most or _NOT_IN_A_LINE.search(value):
            raise ValueError(f"expected one line of at most {most} characters")
        return value

    return check


_VARIABLE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]{0,200}", re.ASCII)


def _variable(value: Any) -> str:
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):  # it may be a token, so it is not shown
        raise ValueError('expected "env:NAME", a variable with the token: a plan never holds one; or give token_file')
    return value


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, not {value!r}")
    return value


def _one_of(*words: str) -> Callable[[Any], str]:
    return lambda value: one_of(value, words)


def _choice(noun: Noun, most: int) -> Callable[[Any], Choice]:
    def check(value: Any) -> Choice:
        if isinstance(value, int) and not isinstance(value, bool):
            return _whole(1, most)(value)
        if value == "all":
            return "all"
        if isinstance(value, str) and value.startswith("label:") and len(value) > len("label:"):
            return Labelled(value.removeprefix("label:"))
        if isinstance(value, list) and value and all(isinstance(item, str) and item.strip() for item in value):
            if len(set(value)) < len(value):
                twice = next(item for item in value if value.count(item) > 1)
                raise ValueError(f"{noun} {twice!r} is named twice")
            for item in value:
                if objection := name_objection(item, noun):
                    raise ValueError(objection)
            return tuple(value)
        urls = " or URLs" if noun == "server" else ""
        examples = f'a number, "all", a list of {noun} names{urls}, or "label:NAME"'
        raise ValueError(f"expected {examples}, not {value!r}")

    return check


def _size(most: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        size = parse_size(value)
        if not 1 <= size <= most:
            raise ValueError(f"expected a size from 1 byte to {format_size(most)}, not {value!r}")
        return size

    return check


@dataclass(frozen=True, slots=True)
class _Key:
    check: Callable[[Any], Any]
    required: bool = False


_PLAN_KEYS = {"name": _Key(_text(200), required=True), "settle": _Key(_seconds(7 * 86400.0))}
_PROTOCOL_KEYS = {"protocol": _Key(_one_of("root", "roots", "http", "https")), "port": _Key(_whole(1, 65535))}
_TEST_KEYS = {
    "name": _Key(_text(200)),
    "servers": _Key(_choice("server", 10_000), required=True),
    "files_per_server": _Key(_whole(1, 10_000_000), required=True),
    "per_round": _Key(_whole(1, 100_000), required=True),
    "wait": _Key(_seconds(86400.0)),
    "repeats": _Key(_whole(1, 1000)),
    "seed": _Key(_whole(0, 2**53)),
    "pass_at": _Key(_percent),
    "timeout": _Key(_seconds(86400.0)),
    "request_timeout": _Key(_seconds(30 * 86400.0)),
    "barrier": _Key(_yes_or_no),
    "verify": _Key(_yes_or_no),
    **_PROTOCOL_KEYS,
}
_FILES_KEYS = {"list": _Key(_text(4096)), "dir": _Key(_text(4096)), "write": _Key(_text(4096))}
_AUTH_KEYS = {
    "token_file": _Key(_text(4096)),
    "token": _Key(_variable),
    "cert": _Key(_text(4096)),
    "key": _Key(_text(4096)),
}
_WHO_KEYS = {"clients": _Key(_choice("client", 10_000)), "slots": _Key(_whole(1, 1024))}
_WORKLOAD_KEYS = {
    "kind": _Key(_one_of("full", "range", "vector", "long", "past_end", "write")),
    "bytes": _Key(_size(2**40)),
    "chunks": _Key(_whole(1, 1024)),
    "reads": _Key(_whole(1, 1_000_000)),
    "pause": _Key(_seconds(86400.0)),
}
_MIX_KEYS = {"weight": _Key(_whole(1, 1000)), **_WORKLOAD_KEYS, **_PROTOCOL_KEYS}
_MOST_OF_A_MIX = 64
_WORKLOAD_TAKES = {
    "full": (),
    "range": ("bytes",),
    "vector": ("chunks", "bytes"),
    "long": ("reads", "pause", "bytes"),
    "past_end": ("bytes",),
    "write": ("bytes",),
}
_FAULT_KEYS = {
    "at": _Key(_seconds(7 * 86400.0), required=True),
    "do": _Key(_one_of(*FAULT_KINDS), required=True),
    "for": _Key(_seconds(86400.0)),
    "percent": _Key(_share),
    "server": _Key(_word),
}
_PLAIN = Test(servers=1, files_per_server=1, per_round=1)
"""With the defaults of all keys that need not be given."""
_LASTING = ("broker-down", *LOSS_KINDS)


# ---------------------------------------------------------------- reading

MAX_KEY_PARTS = 20
_DEEP = re.compile(rf"""(?<![\w-])(?:(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){{{MAX_KEY_PARTS}}}""")
"""A dotted key that is too long; reading one takes the square of its length."""
MAX_TOML_ERRORS = 100
MAX_READ_AGAIN = 4 * MAX_PLAN_BYTES
"""Characters of a text that is not TOML that are read to find all of its errors."""
_SPANS = ("Unclosed", "Unterminated")
"""Errors of a value that goes on over more lines than one: what follows is not what it seems."""


def parse_plan(text: str, *, name: str = "plan") -> Plan:
    """The plan that a TOML text declares. Raises PlanError with every problem, each prefixed with `name`."""
    try:
        content = toml_of(text)
    except tomllib.TOMLDecodeError as error:
        raise PlanError(_not_toml(text), name=name) from error
    except ValueError as error:
        raise PlanError([PlanProblem(0, str(error))], name=name) from error
    reader = _Reader(functools.cache(lambda: _lines_of(text)))  # where everything is matters only for problems
    plan = reader.plan(content)
    if reader.problems:
        raise PlanError(sorted(reader.problems, key=lambda problem: problem.line), name=name)
    return plan


def declared(content: dict[str, Any]) -> Plan | None:
    """The plan that the content of a TOML text declares; None when it declares none."""
    reader = _Reader(dict)
    plan = reader.plan(content)
    return None if reader.problems else plan


def toml_of(text: str) -> dict[str, Any]:
    """The content of a TOML text from anywhere. Raises TOMLDecodeError, or another ValueError with a sentence when it
    is not a plan in any case: reading it might take hours, or more stack than there is."""
    if len(text) > MAX_PLAN_BYTES:
        raise ValueError(f"a plan has at most {format_size(MAX_PLAN_BYTES)}")
    if _DEEP.search(text):
        raise ValueError(f"a key has more than {MAX_KEY_PARTS} parts")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise ValueError("arrays or tables are nested too deeply") from None
    except ValueError:  # a number of more digits than Python reads
        raise ValueError("a number has too many digits") from None


def _not_toml(text: str) -> list[PlanProblem]:
    """All errors of a text that is not TOML. A reader of TOML ends at the first; so each line with an error is left
    out, and the rest is read again. What cannot be a mistake of a line by itself ends the search."""
    problems: list[PlanProblem] = []
    lines = text.split("\n")
    for _ in range(max(1, min(MAX_TOML_ERRORS, MAX_READ_AGAIN // (len(text) + 1)))):
        try:
            tomllib.loads("\n".join(lines) + "\n")
        except tomllib.TOMLDecodeError as error:
            match = re.search(r"at line (\d+), column (\d+)", str(error))
            line = int(match.group(1)) if match else text.rstrip().count("\n") + 1
            reason = str(error).split(" (at ")[0]
            known = bool(problems) and (line > len(lines) or not lines[line - 1].strip())
            if not known:
                problems.append(PlanProblem(line, f"this is not TOML: {reason}"))
            if known or match is None or line > len(lines) or reason.startswith(_SPANS):
                break
            lines[line - 1] = ""
        except (RecursionError, ValueError):  # beyond a line that is left out: as in `toml_of`
            break
        else:
            break
    return sorted(problems, key=lambda problem: problem.line)


class _Reader:
    """Walks the content and collects all problems instead of stopping at the first."""

    def __init__(self, lines: Callable[[], Mapping[Place, int]]) -> None:
        self._lines = lines
        self.problems: list[PlanProblem] = []

    def plan(self, content: dict[str, Any]) -> Plan:
        values = self._table(content, (), _PLAN_KEYS, also=("test",))
        tests = self._tables(content, (), "test")
        if not tests and "test" not in content:
            self._problem((), 'a plan needs at least one [[test]]; "tally run" has nothing to do without')
        read = [self._test(table, ("test", index)) for index, table in enumerate(tests)]
        return Plan(name=values.get("name", "?"), tests=tuple(read), **_given(values, "settle"))

    def _test(self, content: dict[str, Any], place: Place) -> Test:
        values = self._table(content, place, _TEST_KEYS, also=("files", "who", "auth", "workload", "mix", "fault"))
        for key in ("timeout", "request_timeout"):
            if values.get(key) == 0:
                self._problem((*place, key), f"{key}: expected more than 0 seconds")
        if 0 < values.get("request_timeout", math.inf) < values.get("timeout", _PLAIN.timeout):
            text = "request_timeout: a whole request cannot have less time than one call (timeout)"
            self._problem((*place, "request_timeout"), text)
        files = self._sub(content, place, "files", _FILES_KEYS)
        if {"list", "dir"} <= files.keys():
            self._problem((*place, "files", "dir"), "files: give either list or dir, not both")
        for key in ("dir", "write"):
            if objection := path_objection(files.get(key, "/").removesuffix("/") or "/root"):
                self._problem((*place, "files", key), f"{key}: {objection}")
        who = self._sub(content, place, "who", _WHO_KEYS)
        return Test(
            servers=values.get("servers", 1),
            files_per_server=values.get("files_per_server", 1),
            per_round=values.get("per_round", 1),
            files=Files(**files),
            who=Who(**who),
            auth=self._auth(content, place),
            workload=self._workload(content, place),
            mix=self._mix(content, place),
            faults=tuple(
                self._fault(table, (*place, "fault", index))
                for index, table in enumerate(self._tables(content, place, "fault"))
            ),
            **_given(values, "name", "wait", "repeats", "seed", "pass_at", "timeout", "request_timeout", "barrier"),
            **_given(values, "verify", "protocol", "port"),
        )

    def _auth(self, content: dict[str, Any], place: Place) -> Means:
        values = self._sub(content, place, "auth", _AUTH_KEYS)
        if {"token_file", "token"} <= values.keys():
            self._problem((*place, "auth", "token"), "auth: give either token_file or token, not both")
        if "key" in values and "cert" not in values and "cert" not in self._broken((*place, "auth")):
            self._problem((*place, "auth", "key"), "auth: a key needs its certificate; give cert")
        return Means(**values)

    def _workload(self, content: dict[str, Any], place: Place) -> Workload:
        values = self._sub(content, place, "workload", _WORKLOAD_KEYS)
        return self._of_kind(values, (*place, "workload"), content.get("protocol"))

    def _mix(self, content: dict[str, Any], place: Place) -> tuple[Workload, ...]:
        tables = self._tables(content, place, "mix")
        if tables and "workload" in content:
            self._problem((*place, "workload"), "give either [test.workload] or [[test.mix]], not both")
        if len(tables) > _MOST_OF_A_MIX:
            self._problem((*place, "mix", _MOST_OF_A_MIX), f"a mix has at most {_MOST_OF_A_MIX} workloads")
        here = [(*place, "mix", index) for index in range(len(tables))]
        return tuple(
            self._of_kind(self._table(table, at, _MIX_KEYS), at, table.get("protocol", content.get("protocol")))
            for table, at in zip(tables, here, strict=True)
        )

    def _of_kind(self, values: dict[str, Any], place: Place, protocol: Any) -> Workload:
        kind = values.get("kind", "full")
        for key in (key for key in values if key in _WORKLOAD_KEYS and key not in ("kind", *_WORKLOAD_TAKES[kind])):
            takes = f"it takes {', '.join(_WORKLOAD_TAKES[kind])}" if _WORKLOAD_TAKES[kind] else "it takes no others"
            self._problem((*place, key), f"{key} has no meaning for the workload {kind!r}; {takes}")
        if objection := kind_objection(kind, protocol):
            self._problem((*place, "kind"), f"kind: {objection}")
        return Workload(**values)

    def _fault(self, content: dict[str, Any], place: Place) -> Fault:
        values = self._table(content, place, _FAULT_KEYS)
        do = values.get("do", "broker-restart")
        if do in _LASTING and not values.get("for") and "for" not in self._broken(place):
            self._problem(place, f'the fault {do!r} needs for = "…", how long it lasts')
        for key, kinds in (("percent", LOSS_KINDS), ("server", SERVER_KINDS)):
            if key in values and do not in kinds:
                self._problem((*place, key), f"{key} has no meaning for the fault {do!r}; it is for {', '.join(kinds)}")
        return Fault(
            at=values.get("at", 0.0), do=do, lasts=values.get("for", 0.0), **_given(values, "percent", "server")
        )

    # ---- tables

    def _table(
        self, content: Mapping[str, Any], place: Place, keys: Mapping[str, _Key], also: Sequence[str] = ()
    ) -> dict[str, Any]:
        """The checked values of a table; a wrong value is left out and reported as a problem."""
        values: dict[str, Any] = {}
        for key, value in content.items():
            if key in also:
                continue
            if key not in keys:
                near = difflib.get_close_matches(key, [*keys, *also], n=1)
                hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join([*keys, *also])}"
                self._problem((*place, key), f"unknown key {key!r}{hint}")
                continue
            try:
                values[key] = keys[key].check(value)
            except ValueError as error:
                self._problem((*place, key), f"{key}: {error}")
        for key, rule in keys.items():
            if rule.required and key not in content:
                where = f"[[{place[0]}]]" if len(place) == 2 else "the fault" if place else "the plan"
                self._problem(place, f"{where} lacks {key}")
        return values

    def _sub(self, content: Mapping[str, Any], place: Place, key: str, keys: Mapping[str, _Key]) -> dict[str, Any]:
        table = content.get(key, {})
        if not isinstance(table, dict):
            self._problem((*place, key), f"{key}: expected a table [{place[0]}.{key}], not {table!r}")
            return {}
        return self._table(table, (*place, key), keys)

    def _tables(self, content: Mapping[str, Any], place: Place, key: str) -> list[dict[str, Any]]:
        tables = content.get(key, [])
        if not isinstance(tables, list) or not all(isinstance(item, dict) for item in tables):
            header = ".".join(["test", key] if place else [key])
            self._problem((*place, key), f"{key}: expected tables that each begin with [[{header}]]")
            return []
        return tables

    def _broken(self, place: Place) -> set[str]:
        """Keys of this table that were already reported as problems."""
        begin = _field(place) + "."
        return {problem.field.removeprefix(begin) for problem in self.problems if problem.field.startswith(begin)}

    def _problem(self, place: Place, text: str) -> None:
        known, lines = place, self._lines()
        while known and known not in lines:
            known = known[:-1]
        self.problems.append(PlanProblem(lines.get(known, 1), text, _field(place)))


def _given(values: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: values[key] for key in keys if key in values}


def _field(place: Place) -> str:
    text = ""
    for part in place:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


_HEADER = re.compile(r"\s*(\[\[?)([^\[\]]+)\]")
_TEST_HEADER = re.compile(r"\[\[\s*test\s*\]\]")
_ASSIGNMENT = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)


def _lines_of(text: str) -> dict[Place, int]:
    """The line on which each table and key of a (valid) TOML text begins."""
    lines: dict[Place, int] = {(): 1}
    counts: dict[Place, int] = {}
    table: Place = ()
    rows = text.split("\n")
    number = 0
    while number < len(rows):
        row = rows[number]
        number += 1
        header = _HEADER.match(row)
        if header:
            table = _resolve(_split(header.group(2)), counts, new=header.group(1) == "[[")
            lines.setdefault(table, number)
            continue
        assignment = _ASSIGNMENT.match(row)
        if assignment is None:
            continue
        lines.setdefault((*table, *_split(assignment.group(1))), number)
        # A value may span several lines, which must not be mistaken for keys.
        number = _end_of_value(rows, number, row[assignment.end() :])
    return lines


_CLOSING = re.compile(r"]|\"{3}|'{3}")
MAX_GUESSES = 100


def _end_of_value(rows: Sequence[str], number: int, value: str) -> int:
    """The number of the line after a value that begins with `value` in the line before `number`. A value with more than
    100 lines in which it might end is taken to go on to the end of the text."""
    guesses = 0
    end = True
    while not (end and _whole_value(value)):
        guesses += end
        if number == len(rows) or guesses > MAX_GUESSES:
            return len(rows)
        value += "\n" + rows[number]
        end = _CLOSING.search(rows[number]) is not None
        number += 1
    return number


def _whole_value(value: str) -> bool:
    try:
        tomllib.loads(f"x ={value}")
    except tomllib.TOMLDecodeError:
        return False
    return True


def _split(dotted: str) -> tuple[str, ...]:
    """The parts of a dotted key."""
    parts: list[str] = []
    table: Any = tomllib.loads(f"{dotted} = 0")
    while isinstance(table, dict):
        part, table = next(iter(table.items()))
        parts.append(part)
    return tuple(parts)


def _resolve(parts: tuple[str, ...], counts: dict[Place, int], *, new: bool) -> Place:
    """The place of a header: arrays of tables get the index of their latest table, or of a new one."""
    place: Place = ()
    for depth, part in enumerate(parts):
        place = (*place, part)
        if new and depth == len(parts) - 1:
            counts[place] = counts.get(place, 0) + 1
        if place in counts:
            place = (*place, counts[place] - 1)
    return place


# ---------------------------------------------------------------- writing


def format_plan(plan: Plan) -> str:
    """The plan as TOML, with everything that differs from the defaults. `parse_plan` returns an equal plan."""
    document = tomlkit.document()
    _write(document, _plan_values(plan))
    return tomlkit.dumps(document)


def plan_problems(plan: Plan) -> tuple[PlanProblem, ...]:
    """Why no plan file could declare this plan; empty if one can. Without lines, as there is no text yet."""
    reader = _Reader(dict)
    reader.plan(_plan_values(plan))
    return tuple(reader.problems)


def update_plan(text: str, plan: Plan, old: Plan | None = None) -> str:
    """`text` changed so that it declares `plan`; comments, order and spelling of unchanged parts stay. `old`: what it
    declares now, if that is known.

    Raises PlanError if `text` is not a plan: then there is nothing to keep, use `format_plan`."""
    old = old or parse_plan(text)
    document = tomlkit.parse(text)
    _rewrite(document, _plan_values(old), _plan_values(plan))
    return tomlkit.dumps(document)


def move_test(text: str, plan: Plan, number: int, to: int) -> str:
    """`text`, which declares `plan`, with test `number` at place `to` (both from 0). A test takes its comments along,
    also those right above it; where the tests are not written as ``[[test]]``, only what they declare moves."""
    order = [place for place in range(len(plan.tests)) if place != number]
    order.insert(to, number)
    moved = replace(plan, tests=tuple(plan.tests[place] for place in order))
    starts = _test_starts(text)
    if len(starts) == len(plan.tests):
        ends = [*starts[1:], len(text)]
        blocks = [text[start:end] for start, end in zip(starts, ends, strict=True)]
        gaps = [block[len(block.rstrip()) :] for block in blocks]  # the blank lines between two tests stay
        changed = text[: starts[0]] + "".join(
            blocks[place].rstrip() + gap for place, gap in zip(order, gaps, strict=True)
        )
        try:
            if parse_plan(changed) == moved:
                return changed
        except PlanError:
            pass  # a table of another kind stands between the tests, or a text looks like a header: see below
    return update_plan(text, moved, plan)


def _test_starts(text: str) -> list[int]:
    """Where each ``[[test]]`` begins: at its header, or at the comments right above it."""
    starts, place, above = [], 0, None
    for each in text.splitlines(keepends=True):
        words = each.strip()
        if _TEST_HEADER.match(words):
            starts.append(place if above is None else above)
        above = (place if above is None else above) if words.startswith("#") else None
        place += len(each)
    return starts


def _plan_values(plan: Plan) -> dict[str, Any]:
    default = Plan(name="", tests=())
    values: dict[str, Any] = {"name": plan.name}
    if plan.settle != default.settle:
        values["settle"] = format_duration(plan.settle)
    values["test"] = [_test_values(test) for test in plan.tests]
    return values


def _test_values(test: Test) -> dict[str, Any]:
    values: dict[str, Any] = {"name": test.name} if test.name else {}
    values |= {
        "servers": _choice_value(test.servers),
        "files_per_server": test.files_per_server,
        "per_round": test.per_round,
        "wait": format_duration(test.wait),
        "repeats": test.repeats,
        "seed": test.seed,
        "pass_at": test.pass_at,
    }
    for key in ("timeout", "request_timeout"):
        if getattr(test, key) != getattr(_PLAIN, key):
            values[key] = format_duration(getattr(test, key))
    if test.barrier:
        values["barrier"] = True
    values |= _protocol_values(test)
    if test.verify:
        values["verify"] = True
    named = (("list", test.files.list), ("dir", test.files.dir), ("write", test.files.write))
    files = {key: value for key, value in named if value is not None}
    if files:
        values["files"] = files
    if test.auth:
        given = {key: getattr(test.auth, key) for key in _AUTH_KEYS}
        values["auth"] = {key: value for key, value in given.items() if value is not None}
    values["who"] = {"clients": _choice_value(test.who.clients), "slots": test.who.slots}
    if test.mix:
        values["mix"] = [{"weight": one.weight} | _workload_values(one) | _protocol_values(one) for one in test.mix]
    else:
        values["workload"] = _workload_values(test.workload)
    if test.faults:
        values["fault"] = [
            {"at": format_duration(fault.at), "do": fault.do}
            | ({"for": format_duration(fault.lasts)} if fault.lasts else {})
            | ({"percent": fault.percent} if fault.do in LOSS_KINDS else {})
            | ({"server": fault.server} if fault.server else {})
            for fault in test.faults
        ]
    return values


def _protocol_values(of: Test | Workload) -> dict[str, Any]:
    return ({"protocol": of.protocol} if of.protocol else {}) | ({"port": of.port} if of.port else {})


def _workload_values(workload: Workload) -> dict[str, Any]:
    values: dict[str, Any] = {"kind": workload.kind}
    for key in _WORKLOAD_TAKES[workload.kind]:
        value = getattr(workload, key)
        if value:
            values[key] = {"bytes": format_size, "pause": format_duration}.get(key, lambda plain: plain)(value)
    return values


def _choice_value(choice: Choice) -> int | str | list[str]:
    if isinstance(choice, Labelled):
        return str(choice)
    return list(choice) if isinstance(choice, tuple) else choice


def _write(table: Any, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        table[key] = _item(value)


def _item(value: Any) -> Any:
    if isinstance(value, dict):
        table = tomlkit.table()
        _write(table, value)
        return table
    if isinstance(value, list) and value and isinstance(value[0], dict):
        tables = tomlkit.aot()
        for entry in value:
            tables.append(cast(Table, _item(entry)))
        return tables
    return value


def _rewrite(table: Any, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Change in `table` only what differs between `old` and `new`."""
    for key in old:
        if key not in new and key in table:
            del table[key]
    for key, value in new.items():
        before = old.get(key)
        if before == value:
            continue
        if isinstance(value, dict) and isinstance(before, dict) and key in table:
            _rewrite(table[key], before, value)
        elif isinstance(value, list) and isinstance(before, list) and isinstance(table.get(key), AoT):
            tables = cast(AoT, table[key])
            for place, (was, is_now) in enumerate(zip(before, value, strict=False)):
                _rewrite(tables[place], was, is_now)
            while len(tables) > len(value):
                del tables[-1]
            for entry in value[len(before) :]:
                tables.append(cast(Table, _item(entry)))
        else:
            table[key] = _item(value)
