"""What is large, long or broken, for pictures: a workspace of 100,000 requests on 50 servers, names of 200 characters,
the progress of runs on 50 and on 500 servers, and a fleet of 100 clients and 500 servers."""

from __future__ import annotations

import random
import time
from pathlib import Path

from agent.messages import Finding
from gui.hub import AgentView
from gui.models.fleet import FleetServer, SenderFigures
from gui.reconcile import score
from gui.runner.progress import Marker, RunProgress, SamplePoint, ServerRow
from gui.store import ServerEntry, Store, TestSpec
from tests.gui.reconcile.losses import run_with_losses
from tests.gui.store.world import Asked, World

SERVERS, FILES = 50, 2000
LONG = "/store/" + "a-directory-with-a-very-long-name/" * 6
HOSTILE = "<b>bold</b> & \u202egnp.exe"


def fill(database: Path) -> int:
    """Makes the workspace; returns its newest run."""
    with Store(database) as store:
        world = QuickWorld(store)
        store.put_servers([ServerEntry(_url(n), f"s{n:02}", source="plan") for n in range(1, SERVERS + 1)])
        run_with_losses(world, requests=40, fault="udp-loss for 20 s", name="correctness, full files")
        world.now += 3600
        _large(world, HOSTILE, lost=0)
        world.now += 3600
        _large(world, "osdf-2021", lost=0)
        world.now += 3600
        return _large(world, "osdf-2021", lost=21)


class QuickWorld(World):
    """One in which 4,000 things happen in a second."""

    def tick(self) -> float:
        self.now += 0.00025
        return self.now


def _url(number: int) -> str:
    return f"root://s{number:02}.{'long-' * 30 if number == 2 else ''}example.org:1094"


def _large(world: World, name: str, lost: int) -> int:
    """A run of 100,000 requests; every seventh server misses `lost` records."""
    run = world.begin(
        TestSpec(SERVERS, FILES, 100, name="50 × 2,000, N = 100"), name=name, settle=30.0,
        clients=[{"name": f"c{n}", "host": f"wn{n}.example.org", "version": "1.2"} for n in (1, 2)],
        servers=SERVERS, host="desk.example.org",
    )  # fmt: skip
    paths = [f"{LONG if n % 10 == 0 else '/store/test/'}file{n:05}.root" for n in range(FILES)]
    for number in range(1, SERVERS + 1):
        server = _url(number)
        asked = world.ask(server=server, agent=f"shared/c{1 + number % 2}", paths=paths, size=(1 + number % 9) << 18)
        world.read(*asked)
        missed = lost if number % 7 == 0 else 0
        world.record(*_kept(asked, missed))
    world.store.set_repeat(world.repeat, state="settling", ended=world.tick())
    world.store.set_repeat(world.repeat, state="settled", settled=world.tick(), complete=True, reason="all is recorded")
    score(world.store, world.repeat, "settle", world.tick())
    world.store.set_run(run, state="failed" if lost else "passed", ended=world.tick())
    return run


def _kept(asked: list[Asked], missed: int) -> list[Asked]:
    return asked[:400] + asked[400 + missed :]


def progress(servers: int, seconds: int = 240) -> RunProgress:
    """A run under way on that many servers; the third one is silent, the fifth slow, and two faults were injected."""
    noise = random.Random(7)
    started = time.time() - seconds
    names = [f"s{number:0{len(str(servers))}}" for number in range(1, servers + 1)]
    samples = tuple(
        SamplePoint(
            started + second,
            tuple(_speed(noise, which, second) for which in range(servers)),
            requested=second * servers * 10,
            read=second * servers * 10 - 40,
            recorded=second * servers * 10 - 40 - (300 if 90 < second < 130 else 60),
        )
        for second in range(1, seconds + 1)
    )
    last = samples[-1]
    rows = tuple(_row(name, which, seconds, last) for which, name in enumerate(names))
    return RunProgress(
        t=started + seconds, run=4, plan="osdf-2021", phase="round", started=started, total=4000 * servers,
        requested=last.requested or 0, read=last.read or 0, recorded=last.recorded or 0, gap=60, gap_oldest=4.2,
        offered_rate=10.0 * servers, achieved_rate=9.8 * servers, eta=160.0, series=tuple(names), servers=rows,
        samples=samples, tests=1, test=1, repeats=1, repeat=1, round=seconds, rounds=400,
        markers=(Marker(started + 90, "fault", "broker-down for 40 s"), Marker(started + 200, "fault", "kill-server")),
    )  # fmt: skip


def _row(name: str, which: int, seconds: int, last: SamplePoint) -> ServerRow:
    gap = 4 * (which % 3)
    return ServerRow(
        name, f"root://{name}.example.org:1094", 10 * seconds, 10 * seconds, 10 * seconds - gap, gap,
        gap_oldest=last.t - 4.2 if gap else None, rate=last.rates[which], last_record=last.t - 1,
        silent_since=last.t - 80 if which == 2 else None,
    )  # fmt: skip


def _speed(noise: random.Random, which: int, second: int) -> float:
    if which == 2 and second > 150:
        return 0.0
    mean = 1.5 if which == 4 else 9.0
    return max(0.2, noise.gauss(mean, 0.8)) * 2**20 if second % 12 != 6 else 0.0


def clients(count: int = 100) -> list[AgentView]:
    """Clients at work; some missing or draining, one with a name of 200 characters, one that means harm."""
    now = time.time()
    names = {7: "wn-" + "very-long-" * 20, 11: HOSTILE}
    return [
        AgentView(
            id=f"id-{n}", kid="shared", name=names.get(n, f"c{n}"), role="client",
            state="missing" if n % 33 == 5 else "draining" if n % 33 == 9 else "up",
            host=f"wn{n:03}.example.org", version="1.2", platform="Linux 5.14", xrootd="5.7.3", pid=4000 + n, cpus=16,
            joined=now - 3600, last_seen=now - (41 if n % 33 == 5 else 1), rtt=0.0004 * (1 + n % 9),
            clock_offset=0.003 * (n % 7 - 3), cpu=float(n * 7 % 97), memory=(60 + n) << 20, requests=12_000 * n,
            reason="no word for 41 s" if n % 33 == 5 else "",
        )
        for n in range(1, count + 1)
    ]  # fmt: skip


def servers(count: int = 500) -> list[FleetServer]:
    """Servers, every hundredth with a monitoring line to be mended."""
    noise = random.Random(5)
    wrong = Finding(
        severity="error", what="no close records", why="fstat without xfr", fixed="xrootd.monitor all fstat"
    )
    return [
        FleetServer(
            f"s{n:03}", _url(n), "check" if n % 100 == 7 else "up", "list", f"SITE-{n % 12:02}", f"s{n:03}", "v5.7.3",
            config="no close records" if n % 100 == 7 else "ok", findings=(wrong,) if n % 100 == 7 else (),
            figures=SenderFigures(
                rate=noise.uniform(2, 30), last_minute=tuple(noise.uniform(2, 30) for _ in range(60)),
                gaps=n % 100 // 90, oversize=0, shoveler=f"shoveler-{n % 4}", last_seen=time.time() - 2,
            ),
        )
        for n in range(1, count + 1)
    ]  # fmt: skip
