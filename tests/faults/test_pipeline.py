"""Shoveler, RabbitMQ and collector together under every fault of the campaign, in short (tests/soak has it in full).

The promise is one sentence, and the same each time: taken = confirmed = consumed, and the records are the truth, but
for datagrams that were never taken, each of which lies beside a recorded kill.
"""

from __future__ import annotations

import itertools
import random
import sys
from pathlib import Path

import pytest

from tests.promises import within

sys.path.insert(0, str(Path(__file__).parent))
from campaign import faults
from campaign.rig import Broker, Pipeline

pytestmark = pytest.mark.broker

RATE = 2100
_NUMBER = itertools.count(1)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A broker of our own, that may die at any moment."""
    broker = Broker(tmp_path_factory.mktemp("campaign") / "node")
    yield broker
    broker.close()


@pytest.fixture
def make(node, tmp_path):
    made = []

    def pipeline(**options):
        options = {"seed": 1, "rate": RATE, "grace": 2.0} | options
        made.append(Pipeline(tmp_path, node, f"short{next(_NUMBER)}", **options))
        return made[-1]

    yield pipeline
    for one in made:
        one.end()


@pytest.fixture
def small_disk(tmp_path):
    if not faults.can_mount():
        pytest.skip("mounting a small disk needs root")
    with faults.small_disk(tmp_path / "disk", 64) as disk:
        yield disk


def balanced(pipeline):
    """Close the books; they balance."""
    books = pipeline.finish()
    assert not books.faults, (books, pipeline.events)
    assert books.taken == books.confirmed
    return books


def test_everything_is_killed_at_random_moments(make):
    pipeline = make(framing="batch", shards=4).start()
    faults.kills(pipeline, random.Random(11), each=2, pause=1.0)
    books = balanced(pipeline)
    assert books.taken == books.consumed
    assert books.sent == books.taken + books.lost
    assert len(pipeline.events) >= 6


def test_the_broker_is_away_for_a_while(make):
    pipeline = make().start()
    faults.broker_stopped(pipeline, random.Random(12), seconds=3)
    books = balanced(pipeline)
    assert books.sent == books.taken == books.consumed
    assert books.records == books.accesses


def test_the_link_goes_silent(make):
    """G1: success was reported for 300, and 100 were delivered."""
    pipeline = make(proxied=True).start()
    faults.black_hole(pipeline, random.Random(13), holes=3, longest=2.5)
    books = balanced(pipeline)
    assert books.sent == books.taken == books.consumed
    assert books.records == books.accesses


def test_the_collector_is_stopped_while_its_link_is_silent(make):
    """It was 20 seconds: each of its connections waited two for an answer to its goodbye, after eight for confirms."""
    pipeline = make(proxied=True, heartbeat="60s").start()
    pipeline.proxies["collector"].hole("up", "down")
    pipeline.happened("the link of collector went silent")
    pipeline.run(1.0)
    code, seconds = pipeline.collector.stop()
    pipeline.collector.process = None
    assert (code, seconds < within(10)) == (0, True), seconds
    pipeline.proxies["collector"].heal(cut=True)
    pipeline.lasted()
    pipeline.collector.start()
    books = balanced(pipeline)
    assert books.sent == books.taken == books.consumed
    assert books.records == books.accesses


def test_the_queue_is_deleted_and_made_again(make):
    pipeline = make(tap=False, framing="batch").start()
    faults.queue_deleted(pipeline, random.Random(14), times=2, away=1.5)
    books = balanced(pipeline)
    assert books.sent == books.taken == books.consumed + books.destroyed
    assert books.duplicates == 0


def test_the_token_is_new_every_two_seconds(make):
    """G2, G12: a crash in 3 of 3 runs, or a worker that waits for ever."""
    pipeline = make(token=True)
    faults.new_token(pipeline)
    pipeline.start()
    faults.tokens_rotated(pipeline, random.Random(15), times=3, every=2.0)
    books = balanced(pipeline)
    assert books.sent == books.taken == books.consumed
    assert books.records == books.accesses


def test_the_disk_of_the_spool_is_full(make, small_disk):
    pipeline = make(spool=small_disk / "spool", reserve="8MiB").start()
    faults.spool_disk_full(pipeline, random.Random(16), disk=small_disk, full=1.5)
    books = balanced(pipeline)
    assert books.sent == books.taken == books.consumed
    assert books.records == books.accesses


def test_the_disk_of_the_state_is_full(make, small_disk):
    pipeline = make(state=small_disk / "state").start()
    faults.state_disk_full(pipeline, random.Random(17), disk=small_disk, full=1.5)
    books = balanced(pipeline)
    assert books.sent == books.taken == books.consumed
    assert books.records == books.accesses
