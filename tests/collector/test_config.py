"""From settings to a plan: URLs, defaults, and one sentence for each thing that does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from collector.config import SCHEMA, BusInput, BusOutput, FileInput, FileOutput, UdpInput, parse_shards, plan
from shoveler.service import ConfigError


def planned(**values: Any) -> Any:
    return plan(SCHEMA.load(None, {}).replace(**values), {"XDG_STATE_HOME": "/state"})


def problems(**values: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        planned(**values)
    return str(caught.value)


def test_a_plain_queue() -> None:
    what = planned(**{"from": "amqp://u:p@host/v?queue=Q"})
    assert isinstance(what.source, BusInput)
    assert (what.source.queue, what.source.exchange, what.shards) == ("Q", "shoveled-xrd", ())
    (sink,) = what.sinks  # records go back to the bus that datagrams come from
    assert isinstance(sink, BusOutput)
    assert (sink.address.host, sink.exchanges["records"]) == ("host", "xrd-records")


def test_without_a_queue_the_shards() -> None:
    what = planned(**{"from": "amqp://host/"}, shards__count=16, shards__serve="0-3,9", workers=2)
    assert (what.shards, what.shard_count, what.workers) == ((0, 1, 2, 3, 9), 16, 2)
    assert planned(**{"from": "amqp://host/"}, workers=99, shards__count=4).workers == 4
    what = planned(**{"from": "file:x", "to": ["file:y"]}, workers=3)
    assert (what.shards, what.shard_count, what.workers) == ((0, 1, 2), 3, 3)


def test_the_other_sources_and_sinks(tmp_path: Path) -> None:
    udp = planned(**{"from": "udp://[::1]:9993"}, to=[str(tmp_path / "bus"), "file:-"])
    assert isinstance(udp.source, UdpInput)
    assert (udp.source.address.host, udp.source.address.port) == ("::1", 9993)
    assert isinstance(udp.sinks[0], BusOutput)
    assert udp.sinks[1] == FileOutput(None)
    file = planned(**{"from": f"file:{tmp_path}/x"}, follow=True)
    assert file.source == FileInput(tmp_path / "x", True)
    assert (file.sinks, file.state) == ((FileOutput(None),), None)
    local = planned(**{"from": str(tmp_path)})
    assert isinstance(local.source, BusInput)
    assert (local.source.queue, local.shards) == ("tally-collector", ())


def test_where_the_state_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert planned(**{"from": "/bus"}).state == Path("/state/tally-collector")
    settings = SCHEMA.load(None, {}).replace(**{"from": "/bus"})
    assert plan(settings, {"STATE_DIRECTORY": "/a:/b"}).state == Path("/a")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert plan(settings, {}).state == Path("/var/lib/tally-collector")
    assert planned(**{"from": "file:/x", "state__dir": "/s"}).state == Path("/s")


def test_an_output_exchange_equal_to_the_input_is_refused() -> None:
    text = problems(**{"from": "amqp://host/?queue=q"}, to=["amqp://host/?exchange=shoveled-xrd"])
    assert "come back as input forever; choose another, such as 'xrd-records'" in text
    text = problems(**{"from": "amqp://host/?exchange=mine&queue=q"}, exchanges__cache="mine")
    assert "cache would go to the exchange 'mine'" in text


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "say where datagrams come from"),
        ({"from": "udp://nowhere"}, "expected HOST:PORT"),
        ({"from": "udp://h:1"}, "say where records go"),
        ({"from": "http://x"}, "http:// is not known here; use amqp://…, amqps://…, udp://HOST:PORT, file:PATH or a"),
        ({"from": "amq://x"}, "cannot begin with amq://; did you mean amqp://?"),
        ({"from": "file:x", "to": ["udp://h:1"]}, "udp:// is not known here; use amqp://…, amqps://…, file:PATH or a"),
        ({"from": "file:"}, "file: needs a path"),
        ({"from": "/bus", "follow": True}, "only a file can be followed"),
        ({"from": "amqp://h/?queue=q", "workers": 2}, "several workers need shards"),
        ({"from": "file:-", "to": ["file:x"], "workers": 2}, "several workers each read the whole file"),
        (
            {"from": "file:x", "to": ["file:y"], "workers": 2, "follow": True},
            "several workers each read the whole file",
        ),
        ({"from": "file:x", "workers": 2}, "several workers write to one file"),
        ({"from": "file:x", "to": ["file:y", "amqp://h/"], "workers": 2}, "several workers write to one file"),
        ({"from": "amqp://h/", "shards__count": 4, "shards__serve": "3-4"}, "numbered 0 to 3"),
        ({"from": "file:/x", "to": ["file:/x"]}, "the file that they come from"),
        ({"from": "file:/x", "to": ["file:/y", "file:/y"]}, "given twice"),
        ({"from": "/bus", "exchanges__tpc": ""}, "the exchange of tpc has no name"),
        ({"from": "amqp://h/", "to": ["file:/x"]}, "a file takes the records of one queue"),
    ],
)
def test_one_sentence_for_what_does_not_fit(values: dict[str, Any], sentence: str) -> None:
    assert sentence in problems(**values)


def test_passwords_are_never_repeated() -> None:
    assert "geheim" not in problems(**{"from": "amqp://u:geheim@h:port/"})


@pytest.mark.parametrize(("text", "shards"), [("all", [0, 1, 2, 3]), ("2", [2]), ("3,0-1", [0, 1, 3])])
def test_shards(text: str, shards: list[int]) -> None:
    assert parse_shards(text, 4) == shards


@pytest.mark.parametrize("text", ["", "x", "1-", "-1", "2-1", "4", "0--1"])
def test_no_shards(text: str) -> None:
    with pytest.raises(ValueError, match="shards"):
        parse_shards(text, 4)


def test_wlcg_form_goes_to_exchanges_by_default_and_to_files_only_alone() -> None:
    assert planned(**{"from": "/bus"}).correlator.wlcg
    assert not planned(**{"from": "/bus"}, to=["file:-"]).correlator.wlcg
    only = planned(**{"from": "/bus"}, to=["file:-"], wlcg__only=True).correlator
    assert (only.wlcg, only.wlcg_only) == (True, True)


def test_with_wlcg_only_that_form_must_arrive_as_well() -> None:
    assert planned(**{"from": "/bus"}).must_arrive == {"file"}
    assert planned(**{"from": "/bus"}, wlcg__only=True).must_arrive == {"file", "wlcg"}
    assert planned(**{"from": "amqp://h/"}, to=["file:/x"], shards__serve="3").shards == (3,)


def test_a_plan_can_be_handed_to_another_process() -> None:
    import pickle

    what = planned(**{"from": "amqp://u:p@host/"}, filter__drop_vos=["CMS"])
    assert pickle.loads(pickle.dumps(what)) == what
    assert what.correlator.drop_vos == {"cms"}
