"""What is done to a pipeline: each fault a function with its moments drawn from a seeded source of chance.

A fault is called while everything runs under load, and returns while the load goes on; whoever calls it then closes the
books. Times are seconds. Each says on the pipeline's list of events what it did, as some losses are only allowed there.
"""

from __future__ import annotations

import os
import random
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from campaign.rig import Daemon, Pipeline

from shoveler.bus import open_topology

Victim = Literal["shoveler", "collector", "broker"]
_BROKER_BACK = 150.0
_SECONDS_OF_TOKEN = 5.0


def kills(pipeline: Pipeline, rng: random.Random, *, each: int, pause: float = 2.0) -> None:
    """kill -9, `each` times of each of the three, in random order at random moments; `pause`: the longest between two.

    A killed broker is started again at once or after a while, and meanwhile the others die all the same.
    """
    victims: list[Victim] = ["shoveler", "collector", "broker"] * each
    rng.shuffle(victims)
    for victim in victims:
        pipeline.run(rng.uniform(0.05, pause))
        if victim == "broker":
            _kill_broker(pipeline, rng)
        elif victim == "shoveler":
            _kill_shoveler(pipeline, rng)
        else:
            _kill_collector(pipeline, rng)
    pipeline.wait(lambda: pipeline.broker.up, _BROKER_BACK, "the broker after its last kill")
    pipeline.run(0.5)


def _kill_broker(pipeline: Pipeline, rng: random.Random) -> None:
    if not pipeline.wait(lambda: pipeline.broker.up, _BROKER_BACK, "the broker after a kill"):
        return
    pipeline.run(rng.uniform(0.0, 1.0))  # also in the first second of its life
    pipeline.broker.kill()
    pipeline.happened("kill -9 of the broker")
    pipeline.run(rng.choice((0.0, rng.uniform(0.0, 1.5))))
    pipeline.broker.start()


def _kill_shoveler(pipeline: Pipeline, rng: random.Random) -> None:
    """The main process, the receiver, or both at once."""
    who = rng.choice(("main", "receiver", "both"))
    if who in ("receiver", "both"):
        for receiver in pipeline.shoveler.children():
            receiver.kill()
            pipeline.happened("kill -9 of the shoveler's receiver", may_lose=True)
    if who in ("main", "both"):
        pipeline.happened("kill -9 of the shoveler")
        _kill(pipeline, pipeline.shoveler, rng)


def _kill_collector(pipeline: Pipeline, rng: random.Random) -> None:
    workers = pipeline.collector.children()
    if workers and rng.random() < 0.3:
        rng.choice(workers).kill()
        pipeline.happened("kill -9 of a collector's worker")
        return
    pipeline.happened("kill -9 of the collector")
    _kill(pipeline, pipeline.collector, rng)


def _kill(pipeline: Pipeline, daemon: Daemon, rng: random.Random) -> None:
    """Kill its main process; start it again at once, or a little later."""
    daemon.kill()
    daemon.process = None  # it did not die unasked
    pipeline.run(rng.choice((0.0, rng.uniform(0.0, 0.5))))
    daemon.start()


def broker_stopped(pipeline: Pipeline, rng: random.Random, *, seconds: float = 60.0) -> None:
    """The broker is shut down in an orderly way, and comes back after a while."""
    pipeline.run(rng.uniform(0.5, 2.0))
    pipeline.broker.stop()
    pipeline.happened("the broker was stopped")
    pipeline.run(seconds)
    pipeline.broker.start()
    pipeline.wait(lambda: pipeline.broker.up, _BROKER_BACK, "the broker after its stop")
    pipeline.lasted()
    pipeline.run(1.0)


def black_hole(pipeline: Pipeline, rng: random.Random, *, holes: int = 6, longest: float = 25.0) -> None:
    """The link of shoveler, collector or both goes silent: whole, or in one direction; for a moment, or for longer than
    two heartbeats; then it goes on where it was, or the old connections are reset."""
    shapes: list[tuple[Literal["up", "down"], ...]] = [("up",), ("down",), ("up", "down")]
    for turn in range(holes):
        who = [["shoveler"], ["collector"], ["shoveler", "collector"]][turn % 3]
        shape = rng.choice(shapes)
        for name in who:
            pipeline.proxies[name].hole(*shape)
        pipeline.happened(f"the link of {' and '.join(who)} went silent ({' and '.join(shape)})")
        pipeline.run(longest if turn % 2 == 0 else rng.uniform(0.5, longest / 4))
        cut = rng.random() < 0.5
        for name in who:
            pipeline.proxies[name].heal(cut=cut)
        pipeline.lasted()
        pipeline.run(rng.uniform(0.5, 3.0))


def queue_deleted(pipeline: Pipeline, rng: random.Random, *, times: int = 4, away: float = 5.0) -> None:
    """The collector's queue is deleted under load, with what is in it. Every second time the collector is stopped, so
    that the queue stays away for a while and the shoveler gets everything back; else the collector makes it anew."""
    for turn in range(times):
        pipeline.run(rng.uniform(1.0, 3.0))
        stopped = turn % 2 == 1
        if stopped:
            code, took = pipeline.collector.stop()
            pipeline.collector.process = None
            pipeline.happened(f"the collector was stopped (code {code}, {took:.1f} s)")
            pipeline.run(rng.uniform(0.2, 1.0))
        pipeline.happened("the queue was deleted", may_destroy=True)
        topology = open_topology(pipeline.address)
        topology.delete_queue(pipeline.queue, exchange=pipeline.packets)
        topology.close()
        pipeline.lasted()
        if stopped:
            pipeline.run(away)
            pipeline.collector.start()
    pipeline.run(2.0)


def tokens_rotated(pipeline: Pipeline, rng: random.Random, *, times: int = 6, every: float = _SECONDS_OF_TOKEN) -> None:
    """Every few seconds the broker takes another password and the token file gets it, at once or a moment later; every
    third time there is no token file at all in between."""
    for turn in range(times):
        begun = time.monotonic()
        new_token(pipeline, late=rng.choice((0.0, rng.uniform(0.1, 1.0))), gone=turn % 3 == 2)
        pipeline.run(max(0.2, every - (time.monotonic() - begun)))
    if pipeline.token_file is not None:
        logs = pipeline.shoveler.said() + pipeline.collector.said()
        if pipeline.token_file.read_text().strip() in logs:
            pipeline.trouble.append("a token is in the logs")


def new_token(pipeline: Pipeline, *, late: float = 0.0, gone: bool = False) -> None:
    """A new token: first the broker wants it, then, `late` seconds after, the file has it: replaced in one step, or
    `gone` in between."""
    assert pipeline.token_file is not None
    token = secrets.token_hex(16)
    known = pipeline.token_file.exists()
    if gone:
        pipeline.token_file.unlink()
    pipeline.broker.node.ctl("change_password" if known else "add_user", pipeline.user, token)
    if not known:
        pipeline.broker.node.ctl("set_permissions", pipeline.user, ".*", ".*", ".*")
    else:
        pipeline.run(late)
        pipeline.happened("a new token")
    fresh = pipeline.token_file.with_suffix(".new")
    fresh.write_text(token + "\n")
    fresh.replace(pipeline.token_file)


# -- full disks ------------------------------------------------------------------------------------------------------


def can_mount() -> bool:
    """Whether small disks can be made here."""
    return os.geteuid() == 0


@contextmanager
def small_disk(mount: Path, megabytes: int) -> Iterator[Path]:
    """A disk of its own, that small. Needs root."""
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", mount], check=True)
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", mount], check=True)


def _fill(disk: Path) -> Path:
    """Somebody else's file takes all that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                pass  # full, to this size
    return filler


def spool_disk_full(
    pipeline: Pipeline, rng: random.Random, *, disk: Path, full: float = 5.0, until_rejecting: bool = False
) -> None:
    """The disk of the spool is full while the broker is away: the shoveler holds what it can in memory, then refuses
    aloud and counts (`until_rejecting`). With the broker back, it empties its spool although the disk is still full."""
    pipeline.run(rng.uniform(0.5, 1.5))
    pipeline.broker.stop()
    filler = _fill(disk)
    pipeline.happened("the disk of the spool is full", may_reject=until_rejecting)
    pipeline.wait(lambda: "is full" in pipeline.shoveler.said(), 150, "a word about the full disk")
    if until_rejecting:
        pipeline.wait(lambda: "dropping datagrams" in pipeline.shoveler.said(), 120, "a word about what is dropped")
    pipeline.run(full)
    pipeline.broker.start()
    pipeline.wait(lambda: pipeline.broker.up, _BROKER_BACK, "the broker after the full disk")
    before = _confirmed(pipeline)
    pipeline.wait(lambda: _confirmed(pipeline) > before, 150, "publishing while the disk is full")
    filler.unlink()
    pipeline.wait(
        lambda: "accepts datagrams again" in pipeline.shoveler.said(), 150, "the spool accepting datagrams again"
    )
    pipeline.lasted()
    pipeline.run(1.0)


def _confirmed(pipeline: Pipeline) -> int:
    totals = pipeline.totals()
    return totals.confirmed if totals is not None else 0


def state_disk_full(pipeline: Pipeline, rng: random.Random, *, disk: Path, full: float = 5.0) -> None:
    """The disk of the collector's state is full: it stops acknowledging, the queue grows, nothing is lost."""
    pipeline.run(rng.uniform(0.5, 1.5))
    filler = _fill(disk)
    pipeline.happened("the disk of the collector's state is full")
    pipeline.wait(lambda: "cannot be written for now" in pipeline.collector.said(), 150, "a word about the full disk")
    pipeline.run(full)
    filler.unlink()
    pipeline.wait(lambda: "can be written again" in pipeline.collector.said(), 150, "the state being written again")
    pipeline.lasted()
    pipeline.run(1.0)


def broker_disk_alarm(pipeline: Pipeline, rng: random.Random, *, seconds: float = 8.0) -> None:
    """The broker's own disk is below its limit: it blocks every publisher, and lets them go again later."""
    pipeline.run(rng.uniform(0.5, 1.5))
    pipeline.broker.node.ctl("set_disk_free_limit", "1000000GB")
    pipeline.happened("the broker blocks publishers")
    pipeline.run(seconds)
    pipeline.broker.node.ctl("set_disk_free_limit", "50MB")
    pipeline.lasted()
    pipeline.run(1.0)


Fault = Callable[..., None]
