"""A skipped test fails the run, unless ``tests/skips.toml`` names it with the reason it gives.

A suite that is green because half of it did not run has said nothing. The list says which tests may be skipped on some
machines and why; an entry that names no test any more, or a reason that nobody gives, fails the run too.
`conftest.py` makes this a plug-in; with xdist it judges in the process that gathers the reports.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

LIST = Path(__file__).resolve().parent / "skips.toml"
_CARRIED = "tally_skipped_files"
"""What a worker of xdist tells the gathering process: it reports no file that was skipped as a whole."""


@dataclass(frozen=True)
class Skip:
    """One that may be skipped: a test without its parameters, or a whole file."""

    test: str
    reason: str


def read_list(path: Path) -> list[Skip]:
    """Raises ValueError for an entry that is not whole, or is there twice."""
    entries = []
    for row in tomllib.loads(path.read_text()).get("skip", []):
        if row.keys() != {"test", "reason", "because"} or not all(row.values()):
            raise ValueError(f"{path.name}: an entry has test, reason and because, not {sorted(row)}: {row}")
        entries.append(Skip(row["test"], row["reason"]))
    if len(set(entries)) < len(entries):
        raise ValueError(f"{path.name}: an entry is there twice")
    return entries


def unlisted(skipped: Iterable[Skip], listed: Iterable[Skip]) -> list[str]:
    """What was skipped and is on no list, a sentence each."""
    allowed = set(listed)
    return [
        f"{skip.test} was skipped ({skip.reason}): make it run here, or name it in tests/skips.toml"
        for skip in dict.fromkeys(Skip(s.test.partition("[")[0], s.reason) for s in skipped)
        if skip not in allowed
    ]


def stale(listed: Iterable[Skip], tests: set[str], root: Path) -> list[str]:
    """Entries that nothing stands behind any more; `tests` are all there are (without parameters)."""
    found = []
    for skip in listed:
        file = root / skip.test.partition("::")[0]
        if skip.test not in tests and not ("::" not in skip.test and file.exists()):
            found.append(f"tests/skips.toml names {skip.test}, which does not exist")
        elif not any(skip.reason in text for text in _texts(file, root)):
            found.append(f"tests/skips.toml: {skip.test} gives no such reason: {skip.reason}")
    return found


def _texts(file: Path, root: Path) -> Iterator[str]:
    """Of the file, and of those that bring its fixtures."""
    yield file.read_text()
    for folder in file.parents:
        if (folder / "conftest.py").exists():
            yield (folder / "conftest.py").read_text()
        if folder == root:
            return


class Judge:
    """The plug-in. Every process notes what its session was; the one that gathers all reports judges at the end."""

    def __init__(self, config: pytest.Config, path: Path = LIST) -> None:
        self._config = config
        self._listed = read_list(path)
        self._skipped: list[Skip] = []
        self._tests: set[str] = set()
        self._complaints: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._tests |= {item.nodeid.partition("[")[0] for item in session.items}

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self._tests |= {node.partition("[")[0] for node in ids}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        told = getattr(node, "workeroutput", {})
        self._skipped += [Skip(*row) for row in told.get(_CARRIED, [])]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(self._config, "workeroutput", None)
        if output is not None:  # a worker
            output[_CARRIED] = [(skip.test, skip.reason) for skip in self._skipped if "::" not in skip.test]
            return
        self._complaints = unlisted(self._skipped, self._listed)
        if self._whole_suite():
            self._complaints += stale(self._listed, self._tests, self._config.rootpath)
        if self._complaints and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._complaints:
            terminalreporter.section("skipped, and not listed", red=True, bold=True)
            for complaint in self._complaints:
                terminalreporter.line(complaint, red=True)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped:  # an expected failure is one, too
            reason = getattr(report, "wasxfail", None)
            if reason is None and isinstance(report.longrepr, tuple):
                reason = report.longrepr[2]
            self._skipped.append(Skip(report.nodeid, str(reason).removeprefix("Skipped: ")))

    def _whole_suite(self) -> bool:
        """Whether everything was asked for, so that what did not come does not exist."""
        chosen = self._config.option
        return self._config.args_source is pytest.Config.ArgsSource.TESTPATHS and not (
            chosen.keyword or chosen.markexpr or chosen.deselect or chosen.collectonly
        )
