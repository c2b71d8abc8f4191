"""The story of the pictures: run 36 of a test of 50 servers, with a client that is missing and a server to check."""

from __future__ import annotations

from dataclasses import replace

from gui.hub import AgentView
from gui.models.fleet import FleetServer
from gui.runner.progress import Marker, Problem, RunProgress, SamplePoint, ServerRow, Step
from gui.statuspage.history import History, RunLine
from gui.statuspage.view import Status

NOW = 1_795_601_000.0
HOUR, DAY = 3600.0, 86400.0
MIB = 2**20


def client(name: str, host: str, cpu: float, seen: float, state: str = "up") -> AgentView:
    return AgentView(
        f"id-{name}", "shared", name, "client", state,  # type: ignore[arg-type]
        host=host, cpus=8, cpu=cpu, last_seen=NOW - seen, reason="" if state == "up" else "the connection was lost",
    )  # fmt: skip


CLIENTS = (
    client("c1", "wn14.site-a.example.org", 21, 0.3),
    client("c2", "wn17.site-b.example.net", 34, 0.6),
    client("c3", "wn02.site-c.example.edu", 18, 0.2),
    client("c4", "wn31.site-c.example.edu", 0, 41, "missing"),
)


def server(number: int) -> FleetServer:
    name, url = f"s{number:02d}", f"root://s{number:02d}.example.org:1094"
    if number == 7:
        return FleetServer(name, url, "check", config="no close records without xfr")
    if number == 11:
        drained = AgentView(
            f"id-{name}", "k", name, "server", "draining", servers=(url,), reason="asked by bo at 09:50"
        )
        return FleetServer(name, url, "up", agent=drained)
    return FleetServer(name, url, "up")


def points(seconds: int = 58) -> tuple[SamplePoint, ...]:
    """The seconds of the repeat: five rounds of 5,000 requests, with a pause after each."""
    found = []
    for second in range(seconds + 1):
        rounds, within = divmod(second, 12)
        read = min(25_000, rounds * 5_000 + min(within, 11) * 454)
        last = round(read * 0.999) if second == seconds else read
        recorded = max(0, read - 588 if second else 0)
        asked = min(25_000, read + 60)
        found.append(
            SamplePoint(NOW - seconds + second, (5.25 * MIB,) * 50, requested=asked, read=last, recorded=recorded)
        )
    return tuple(found)


PROGRESS = RunProgress(
    t=NOW,
    run=36,
    plan="osdf-2021",
    phase="round",
    message="round 5 of 8",
    test=8,
    tests=8,
    repeat=2,
    repeats=3,
    round=5,
    rounds=8,
    total=40_000,
    requested=25_000,
    read=24_976,
    recorded=24_412,
    gap=564,
    gap_oldest=9.6,
    achieved_rate=431.0,
    eta=35.0,
    steps=(Step("50 × 800", 40_000, ("passed", "running", "waiting")),),
    run_total=238_800,
    run_requested=183_800,
    run_eta=130.0,
    started=NOW - 260,
    series=tuple(f"s{number:02d}" for number in range(1, 51)),
    servers=tuple(ServerRow(f"s{number:02d}", f"root://s{number:02d}.example.org:1094") for number in range(1, 51)),
    samples=points(),
    markers=(Marker(NOW - 60, "round", "round 5"), Marker(NOW - 39, "agent", "c4 missing")),
    problems=(Problem(NOW - 8, "error", "shovelers", "sh-b dropped 1 datagram"),
              Problem(NOW - 13, "warning", "servers", "s09 restarted")),
)  # fmt: skip

SILENT = replace(
    PROGRESS,
    servers=tuple(replace(row, silent_since=NOW - 12) if row.name == "s09" else row for row in PROGRESS.servers),
)


def line(run: int, plan: str, ago: float, good: int, counted: int, outcome: str = "passed") -> RunLine:
    return RunLine(
        run, plan, outcome, NOW - ago - 60, NOW - ago, "", counted, good, counted, counted - good,
        "origin-eic refuses tokens without an audience since 5.8.1" if outcome == "failed" else "",
    )  # fmt: skip


HISTORY = History(
    (
        RunLine(36, "osdf-2021", "running", NOW - 260, None),
        replace(line(35, "canary, all origins", 720, 134, 136, "failed"),
                sentence="134 of 136 requests matched; the worst repeat has 98.53 %."),
        line(34, "canary, all caches", 740, 272, 272),
        line(33, "nightly, 50 × 200", 8 * HOUR, 30_000, 30_000),
        line(32, "writes, SITE-B", 9 * HOUR, 1_200, 1_200),
        line(31, "osdf-2021", 8 * DAY, 238_800, 238_800),
        line(30, "broker drill, lab", 9 * DAY, 2_400, 2_400),
        line(29, "canary, all caches", 9 * DAY, 272, 272),
        line(28, "nightly, 50 × 200", 9 * DAY, 29_998, 30_000, "stopped"),
        line(27, "writes, SITE-B", 10 * DAY, 1_200, 1_200),
    ),
    36,
)  # fmt: skip

STATUS = Status(NOW, "scale-2026-11", SILENT, CLIENTS, [server(number) for number in range(1, 51)], HISTORY)
EMPTY = Status(NOW, "default", RunProgress(t=NOW), (), (), History())
