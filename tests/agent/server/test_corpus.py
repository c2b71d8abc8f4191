"""A corpus of configurations, judged by the linter and by a real xrootd: the two must agree.

``configs/*.cfg`` begin with ``#!`` lines: a title; ``server:`` what xrootd does (``server 5.7.0:`` from that release
on); ``lint:`` the beginning of each finding, all of them, with N for numbers of lines; ``instance:`` and
``environment:`` of the server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.server.check import follow
from agent.server.configfile import readings
from agent.server.lint import judged, lint
from tests.agent.server import judge
from tests.agent.server.judge import Judgement, Server

FILES = sorted((Path(__file__).parent / "configs").glob("*.cfg"))
PARALLEL = 12


class Case:
    """One configuration of the corpus with what is expected of it."""

    def __init__(self, file: Path) -> None:
        self.name = file.stem
        self.text = file.read_text()
        said = re.findall(r"(?m)^#! (?:(server|lint|instance|environment)( [\d.]+)?: )?(.*)$", self.text)
        self.lint = [text for kind, _, text in said if kind == "lint"]
        self.instance = next((text for kind, _, text in said if kind == "instance"), "t")
        self.environment = dict(text.split("=") for kind, _, text in said if kind == "environment")
        self._server = [(_numbers(since), text) for kind, since, text in said if kind == "server"]

    def server(self, release: tuple[int, ...]) -> set[str]:
        """What a server of this release does."""
        return set([text for since, text in self._server if since <= release][-1].split(", "))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in text.split(".")) if text.strip() else ()


CASES = [Case(file) for file in FILES]
by_name = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def placed(case: Case, base: Path) -> str:
    """A case's main file, its other files in place."""
    return (
        judge.placed(case.text, base, port=1094, sink="127.0.0.1:9930", origin="127.0.0.1:1095").read_bytes().decode()
    )


def test_the_corpus_is_large() -> None:
    assert len(CASES) >= 40


@by_name
def test_the_linter_says_what_is_wrong_and_nothing_else(case: Case, tmp_path: Path) -> None:
    found = [
        re.sub(r"\bline \d+", "line N", f"{f.severity}: {f.what}") for f in lint(placed(case, tmp_path), follow=follow)
    ]
    expected = [line.replace("@BASE@", str(tmp_path)) for line in case.lint]
    assert sorted(next((e for e in expected if f.startswith(e)), f) for f in found) == sorted(expected)


@by_name
def test_each_suggestion_passes_its_own_check(case: Case, tmp_path: Path) -> None:
    for finding in lint(placed(case, tmp_path), follow=follow):
        if finding.fixed.startswith("xrootd.mo"):
            role = "all.role manager\n" if "redir" in finding.fixed else "all.role server\n"
            rest = "" if finding.fixed.startswith("xrootd.monitor") else "xrootd.monitor " + GOOD
            left = lint(f"all.sitename S\n{role}{rest}{finding.fixed}\n")
            assert [f.what for f in left if "does not know the g-stream" not in f.what] == []


GOOD = "all auth ident 5m fbuff 1452 fstat 10s lfn ops xfr 3 dest fstat info tpc pfc user 192.0.2.1:9930\n".replace(
    "fbuff 1452", "fbuff 1452 gbuff 1452"
)


# ---------------------------------------------------------------- the real server


@pytest.fixture(scope="module")
def release() -> tuple[int, ...]:
    return judge.release()


@pytest.fixture(scope="module")
def judgements() -> Iterator[dict[str, Judgement]]:
    """What the real servers did, several at a time."""
    with Server() as origin, ThreadPoolExecutor(PARALLEL) as pool:
        made = {
            case.name: pool.submit(
                judge.judge,
                case.text,
                instance=case.instance,
                origin=origin.address,
                env=case.environment,
                expected=case.server(judge.release()),
            )
            for case in CASES
        }
        yield {name: future.result() for name, future in made.items()}


@pytest.mark.xrootd
@by_name
def test_the_real_server_does_what_is_expected(
    case: Case, judgements: dict[str, Judgement], release: tuple[int, ...]
) -> None:
    judgement = judgements[case.name]
    assert judgement.words(case.server(release)) == case.server(release), judgement.log[-2000:]


@pytest.mark.xrootd
@by_name
def test_the_linter_and_the_real_server_agree(
    case: Case, judgements: dict[str, Judgement], release: tuple[int, ...], tmp_path: Path
) -> None:
    """With the release known, an error says that xrootd does not start exactly when it does not; without any error
    it sends all closes, and what it counts is true."""
    judgement = judgements[case.name]
    (reading,) = readings(
        placed(case, tmp_path), follow, host="test.example.org", instance=case.instance, environment=case.environment
    )
    errors = [f.what for f in judged(reading, release=release) if f.severity == "error"]
    stops = [what for what in errors if "not start" in what or "ends as soon as" in what]
    assert bool(stops) == (not judgement.starts), (errors, judgement.log[-2000:])
    if not errors and "redirects" not in case.server(release):
        assert judgement.closes
        assert judgement.read == judgement.asked
