"""Between cycle and core: what the core cannot process is set aside, and the result is as if it had never come.

The core should never raise, and fuzzing checks this. If it does, an unforeseen datagram must not stop the collector,
and stop it again at each redelivery. So a cycle's input is a list of *steps*. When the core raises at one of them, it
may be half applied. The core is restored from its last checkpoint, and the steps are applied again in pieces, until the
one is found at which it raises when it is tried alone. That one is set aside; the steps before and after it are applied
once. None of this is visible outside: a cycle still ends in one transaction, with the state and the records of all
steps but those.

A time-out that fails for one server is handled in the core (`Timekeeper`): the server is forgotten, and its state is
set aside here.

Cost: none in the usual case. Each step set aside costs two restores of the whole state.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple, Protocol

from collector.correlate import Correlator, Record
from collector.correlate.keys import serial_of
from collector.sources import Datagram

Row = tuple[bytes, bytes]

_AT_ONCE = 100
"""Number of steps after which the records of a long cycle are written ahead. Small enough that they are still in the
processor's cache when they are written: file to file 300,000 records took 3.0 s of processor time instead of 3.6."""


class Advance(NamedTuple):
    """Time has advanced to `to`."""

    to: float


class Resume(NamedTuple):
    """We listen again, from `at` on."""

    at: float


class Drain(NamedTuple):
    """The input has ended, at `at`."""

    at: float


Step = Datagram | Advance | Resume | Drain


class Aside(NamedTuple):
    """Something set aside, and why."""

    what: str
    """``datagram``, ``server`` (its state), or ``time`` (a step without input: only a timed action is lost)."""
    error: str
    """The last line of the traceback."""
    place: str
    """Where in the core it was raised: FILE:LINE in FUNCTION."""
    t: float
    datagram: Datagram | None = None
    state: dict[str, Any] | None = None


class Outcome(NamedTuple):
    """The result of some steps."""

    records: list[Record]
    puts: list[Row]
    deletes: list[bytes]
    aside: list[Aside]


class Ahead(Protocol):
    """Where records may be written before all steps are applied, and from where they can be removed again. Neither
    method raises."""

    def write(self, records: list[Record]) -> None:
        """Take these."""

    def undo(self) -> None:
        """Remove everything written."""


class Guard:
    """Applies steps to a correlator. `known`: returns the rows of the last checkpoint, to which the correlator was
    equal when `apply` was called; called only when something went wrong.
    """

    def __init__(self, correlator: Correlator, known: Callable[[], Iterable[Row]]) -> None:
        self._correlator = correlator
        self._known = known

    def apply(self, steps: Sequence[Step], ahead: Ahead | None = None) -> Outcome:
        """Apply all of them except those at which the core raises. Raises MemoryError, which no step is to blame for.

        Records written `ahead` are not in the outcome.
        """
        at = Place()
        try:
            return self._all(steps, at, ahead)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - whatever it is: that is what this class is for
            if ahead is not None:
                ahead.undo()
            return self._again(steps, at)

    def _all(self, steps: Sequence[Step], at: Place, ahead: Ahead | None = None) -> Outcome:
        """Apply all steps. Raises what the core raises; `at` then has the step, or is past the end if it was none of
        them."""
        correlator = self._correlator
        feed, advance = correlator.feed, correlator.advance
        size = len(steps) if ahead is None else _AT_ONCE
        for start in range(0, len(steps), size or 1):
            for at.number, step in enumerate(steps[start : start + size], start):
                if type(step) is Datagram:
                    data, remote, t, _, _, shoveler = step
                    feed(data, remote, t, shoveler)
                elif type(step) is Advance:
                    advance(step.to)
                elif type(step) is Resume:
                    correlator.resume(step.at)
                elif type(step) is Drain:
                    advance(step.at)
                    correlator.drain(step.at)
            if ahead is not None:
                ahead.write(correlator.take())
        at.number = len(steps)
        records = correlator.take()
        puts, deletes = correlator.changes()
        broken = correlator.broken()
        if not broken:
            return Outcome(records, puts, deletes, [])
        aside = [
            Aside("time" if b.serial is None else "server", *described(b.error), b.now, state=b.state) for b in broken
        ]
        # All its rows are deleted: an operation that failed half way may have lost track of some, and a row without an
        # owner cannot be restored.
        gone = {b.serial for b in broken} - {None}
        deletes = list({*deletes, *(key for key, _ in self._known() if serial_of(key) in gone)})
        return Outcome(records, puts, deletes, aside)

    def _again(self, steps: Sequence[Step], at: Place) -> Outcome:
        """Again from the checkpoint. What was counted the first time, up to `at`, is not counted again."""
        recovery = _Recovery(self._correlator, dict(self._known()), self._all)
        while steps:
            counted = self._correlator.counted
            recovery.spoiled()
            recovery.apply(steps[: at.number + 1], at.number)
            recovery.revert()
            self._correlator.count_on(counted)
            steps = steps[at.number + 1 :]
            try:
                recovery.keep(self._all(steps, at))
                break
            except MemoryError:
                raise
            except Exception:  # noqa: BLE001, S112 - as above
                continue
        return recovery.outcome()


class Place:
    """Index of the step being applied; the number of steps when all are."""

    number = 0


class _Recovery:
    """Steps applied in pieces to rows that are kept up to date after each."""

    def __init__(
        self,
        correlator: Correlator,
        rows: dict[bytes, bytes],
        apply: Callable[[Sequence[Step], Place], Outcome],
    ) -> None:
        self._correlator = correlator
        self._rows = rows
        self._apply = apply
        self._clean = False
        """The correlator is equal to the rows."""
        self._puts: dict[bytes, bytes] = {}
        self._deletes: dict[bytes, None] = {}
        self._records: list[Record] = []
        self._aside: list[Aside] = []

    def apply(self, steps: Sequence[Step], failed: int | None = None) -> None:
        """`failed`: the step at which the core already raised when all were tried; `len(steps)`: none of them, but the
        result could not be written.
        """
        if failed is None:
            failed = self._try(steps)
            if failed is None:
                return
        if failed < len(steps) and len(steps) > 1:
            pieces = [steps[:failed], steps[failed : failed + 1], steps[failed + 1 :]]
        else:
            cut = len(steps) // 2
            pieces = [steps[:cut], steps[cut:]]
        for piece in filter(None, pieces):
            self.apply(piece)

    def _try(self, steps: Sequence[Step]) -> int | None:
        """Apply all, or none and return the one at which the core raised. A single one at which it raises is set
        aside."""
        self.revert()
        at = Place()
        try:
            self.keep(self._apply(steps, at))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - as in `Guard.apply`
            self.spoiled()
            if len(steps) > 1:
                return at.number
            self._set_aside(steps[0], error)
        return None

    def spoiled(self) -> None:
        """Something is half applied."""
        self._clean = False

    def revert(self) -> None:
        """Restore the correlator from the rows, if something is half applied."""
        if not self._clean:
            self._correlator.revert(self._rows.items())
            self._clean = True

    def keep(self, outcome: Outcome) -> None:
        """These steps are applied."""
        self._records += outcome.records
        self._aside += outcome.aside
        for key, value in outcome.puts:
            self._rows[key] = self._puts[key] = value
            self._deletes.pop(key, None)
        gone = {serial_of(key) for key in outcome.deletes if key[:1] == b"i"}
        lost = [key for key in self._rows if serial_of(key) in gone] if gone else []
        for key in [*outcome.deletes, *lost]:
            self._rows.pop(key, None)
            self._puts.pop(key, None)
            self._deletes[key] = None

    def _set_aside(self, step: Step, error: Exception) -> None:
        if isinstance(step, Datagram):
            self._aside.append(Aside("datagram", *described(error), step.t, step))
        else:
            self._aside.append(Aside("time", *described(error), step[0]))

    def outcome(self) -> Outcome:
        """Of everything that was applied."""
        self.revert()
        return Outcome(self._records, list(self._puts.items()), list(self._deletes), self._aside)


def described(error: BaseException) -> tuple[str, str]:
    """The last line of its traceback, and the place in the code at which it was raised."""
    lines = traceback.format_exception_only(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = "?"
    if frames:
        last = frames[-1]
        place = f"{'/'.join(PurePath(last.filename).parts[-2:])}:{last.lineno} in {last.name}"
    return lines[-1].strip()[:500], place
