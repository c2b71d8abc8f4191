"""The pipeline from what its parts report: states with reasons, where records wait, and nothing that nobody said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gui.models.pipeline import Facts, Pipeline, PipelineWatch
from gui.runner.consume import ConsumerState
from shoveler.service import ShovelerStatus
from tests.gui.pipelines import STEP, World


def after(world: World, watch: PipelineWatch, steps: int) -> Pipeline:
    """The pipeline after this many reports."""
    seen = None
    for facts in world.go(steps):
        seen = watch.look(facts)
    assert seen is not None
    return seen


def states(pipeline: Pipeline) -> list[str]:
    return [stage.state for stage in pipeline.stages]


def test_all_is_well() -> None:
    world = World(servers=8, shovelers=2, collectors=2)
    pipeline = after(world, PipelineWatch(), 24)
    assert states(pipeline) == ["up"] * 5
    assert pipeline.summary == "all stages up"
    assert pipeline.waiting == "Nothing waits: every stage has passed on what it took."
    assert not pipeline.waits
    read = pipeline.stage("shovelers").figures[0]
    assert read.value == pytest.approx(96, rel=0.1)
    assert [link.protocol for link in pipeline.links] == ["UDP", "AMQPS", "AMQPS", "records"]
    assert pipeline.stage("broker").figures[2].value == 0


def test_what_nobody_reports_is_not_watched_and_never_zero() -> None:
    pipeline = PipelineWatch().look(Facts(t=1000.0, database="/w.db", database_kind="SQLite", database_size=1))
    assert states(pipeline) == ["not watched", "not watched", "not set", "not watched", "up"]
    assert {figure.value for stage in pipeline.stages for figure in stage.figures} == {None}
    assert {figure.text for stage in pipeline.stages for figure in stage.figures} == {"–"}
    assert all(stage.remedy for stage in pipeline.stages[:4])
    assert pipeline.summary == "4 not watched"
    assert pipeline.waiting == "Nobody can say where records wait: no part of the pipeline is watched."
    assert {link.rate for link in pipeline.links} == {None}


def test_a_foreign_shoveler_leaves_its_stage_unwatched_and_the_sentence_says_so() -> None:
    world = World(servers=2, shovelers=1, collectors=1)
    facts = next(world.go())
    members = tuple(member for member in facts.members if member.program == "collector")
    pipeline = PipelineWatch().look(replace(facts, members=members))
    assert pipeline.stage("shovelers").state == "not watched"
    assert "status.exchange" in pipeline.stage("shovelers").remedy
    assert pipeline.waiting == (
        "Nothing waits where it can be seen; what is in the shovelers and the broker is not known."
    )


def test_a_broker_that_is_cut_fills_the_spool() -> None:
    world, watch = World(servers=4, shovelers=1), PipelineWatch()
    after(world, watch, 20)
    world.cut = True
    pipeline = after(world, watch, 8)
    row = pipeline.shovelers[0]
    assert row.state == "check"
    assert row.oldest == pytest.approx(40, abs=3)
    assert pipeline.waiting.startswith(f"{row.spool:,} datagrams wait in the spool of {row.name}, oldest 40 s")
    assert pipeline.waiting.endswith("the broker does not confirm them.")
    assert pipeline.stage("shovelers").backlog == row.spool
    world.cut = False
    assert not after(world, watch, 20).waits


def test_a_slow_collector_leaves_packets_in_the_broker() -> None:
    world, watch = World(servers=4, shovelers=1), PipelineWatch()
    after(world, watch, 40)
    world.slow = 0.25
    pipeline = after(world, watch, 20)
    assert pipeline.stage("broker").state == "check"
    assert pipeline.stage("collectors").state == "check"
    behind = pipeline.stage("collectors").oldest
    assert behind == pytest.approx(75, abs=15)
    assert "wait in the broker's queue, oldest about 1 min" in pipeline.waiting
    assert pipeline.waiting.endswith("behind.")
    assert pipeline.queues[0].reason == "from the positions of shovelers and collectors"
    counted = watch.look(world.facts(records=ConsumerState(connected=True, depths=(0, 2310)), packets_queue="q"))
    assert counted.queues[0].waiting == 2310
    assert counted.queues[0].reason == "counted by the broker"


def test_what_is_only_under_way_does_not_wait() -> None:
    """Shoveler and collector report at different moments."""
    world, watch = World(servers=50, shovelers=1, each=40.0), PipelineWatch()
    after(world, watch, 20)
    for facts in world.go():
        earlier = [
            replace(member, heard=member.heard - 4) if member.program == "collector" else member
            for member in facts.members
        ]
        pipeline = watch.look(replace(facts, members=tuple(earlier)))
    assert not pipeline.waits
    assert pipeline.stage("broker").state == "up"


def test_drops_of_the_kernel_are_in_the_news_for_ten_minutes() -> None:
    world, watch = World(servers=4, shovelers=2), PipelineWatch()
    after(world, watch, 10)
    world.lose(1, 2)
    pipeline = after(world, watch, 1)
    assert pipeline.shovelers[1].reason == "2 dropped by the kernel"
    assert pipeline.stage("shovelers").reason == f"2 dropped by the kernel ({pipeline.shovelers[1].name})"
    assert "rmem_max" in pipeline.stage("shovelers").remedy
    assert [(event.text, event.of) for event in watch.events] == [("kernel drops +2", pipeline.shovelers[1].id)]
    assert after(world, watch, int(600 / STEP) + 1).stage("shovelers").state == "up"


def test_a_daemon_that_falls_silent_has_no_rate_any_more() -> None:
    world, watch = World(servers=4), PipelineWatch()
    after(world, watch, 10)
    pipeline = watch.look(world.facts(t=world.t + 41, last_load=world.t + 41))
    assert states(pipeline)[1:4] == ["check", "up", "check"]
    assert pipeline.stage("shovelers").reason == "no status for 41 s"
    assert [figure.value for figure in pipeline.stage("shovelers").figures] == [None, None, None]
    assert pipeline.stage("servers").state == "not watched"
    assert "not known" in pipeline.waiting or pipeline.waits


def test_the_brokers_own_words_without_a_password() -> None:
    world = World(servers=1)
    facts = next(world.go())
    trouble = "amqp://tally:secret@mq/ refuses the password"
    watch = PipelineWatch()
    watch.look(facts)
    pipeline = watch.look(replace(facts, records=ConsumerState(trouble=trouble, refused=True)))
    assert pipeline.stage("broker").state == "failed"
    assert "secret" not in pipeline.stage("broker").reason
    assert [event.text for event in watch.events] == ["broker away"]


def test_records_that_the_database_does_not_take() -> None:
    world, watch = World(servers=1), PipelineWatch()
    facts = next(world.go())
    stuck = replace(facts, records=ConsumerState(connected=True, depths=(2310,)), last_load=facts.t - 41)
    pipeline = watch.look(stuck)
    assert pipeline.stage("database").state == "check"
    assert pipeline.waiting == "2,310 records wait in the queue of this workspace: the database does not take them."


def test_a_name_of_200_characters_is_cut_in_sentences() -> None:
    world, watch = World(servers=2), PipelineWatch()
    world.hosts = ["h" * 200]
    after(world, watch, 4)
    world.cut = True
    assert len(after(world, watch, 8).waiting) < 160


def test_five_shovelers_and_three_collectors_are_one_sum() -> None:
    world, watch = World(servers=50, shovelers=5, collectors=3), PipelineWatch()
    pipeline = after(world, watch, 30)
    assert [len(rows) for rows in (pipeline.servers, pipeline.shovelers, pipeline.collectors)] == [50, 5, 3]
    assert pipeline.stage("collectors").figures[0].value == pytest.approx(600, rel=0.1)
    assert states(pipeline) == ["up"] * 5
    assert pipeline.stage("servers").figures[2].value == 3


def test_a_collector_that_started_again_is_an_event_and_has_no_rate_at_first() -> None:
    world, watch = World(servers=2), PipelineWatch()
    after(world, watch, 4)
    facts = next(world.go())
    members = tuple(
        replace(
            m,
            status=type(m.status)(
                **{f: getattr(m.status, f) for f in m.status.__struct_fields__} | {"started": m.heard}
            ),
        )
        if m.program == "collector"
        else m
        for m in facts.members
    )
    pipeline = watch.look(replace(facts, members=members))
    assert [event.text for event in watch.events] == ["started again"]
    assert pipeline.collectors[0].seen is None


def test_a_shoveler_with_a_full_disk_refuses() -> None:
    world, watch = World(servers=1), PipelineWatch()
    after(world, watch, 2)
    facts = next(world.go())
    (shoveler, collector) = sorted(facts.members, key=lambda m: m.program, reverse=True)
    assert isinstance(shoveler.status, ShovelerStatus)
    next(iter(shoveler.status.senders.values())).rejected = {"disk": 7}
    pipeline = watch.look(replace(facts, members=(shoveler, collector)))
    assert pipeline.shovelers[0].reason == "7 refused: disk"
    assert pipeline.stage("shovelers").state == "check"


def test_while_the_broker_is_away_nothing_is_known_of_those_who_report_over_it() -> None:
    world, watch = World(servers=2), PipelineWatch()
    after(world, watch, 6)
    away = world.facts(t=world.t + 3, records=ConsumerState(trouble="mq cannot be reached: Connection refused"))
    pipeline = watch.look(away)
    assert states(pipeline) == ["not watched", "not watched", "failed", "not watched", "up"]
    assert [figure.value for figure in pipeline.stage("broker").figures] == [None, None, None]
    assert [figure.value for figure in pipeline.stage("shovelers").figures] == [None, None, None]
    assert pipeline.waiting.startswith("The broker does not answer")
    assert states(after(world, watch, 3)) == ["up"] * 5
