"""OSG collector settings in, ours out; what has no counterpart is named."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from collector.cli import load
from collector.config import SCHEMA, BusOutput, FileInput, UdpInput, plan
from collector.migration import MigrationError, from_environment, main, read, translate, translate_ini

RABBITMQ = """
mode: collector
input:
  type: rabbitmq
  broker_url: amqps://in.example.org:5671/prod
  queue: xrootd.monitoring
state:
  entry_ttl: 300
  max_entries: 0
  enable_dns_enrichment: true
  dns_cache_ttl: 1800
mq: amqp
amqp:
  url: amqps://user:geheim@out.example.org/vhost
  exchange: xrootd.correlated
  exchange_cache: my-cache
  exchange_tpc: xrd-tpc-events
  token_location: /etc/token
  publish_workers: 10
filter:
  drop_vos: [test, ops]
metrics:
  enable: true
  port: 8080
profile:
  enable: true
wlcg:
  site: HERE
debug: true
"""


def settings_of(text: str, tmp_path: Path) -> Any:
    import argparse

    path = tmp_path / "ours.toml"
    path.write_text(translate(read(text)).toml("theirs.yaml"))
    return load(argparse.Namespace(config=str(path)), {})


def test_a_rabbitmq_collector(tmp_path: Path) -> None:
    settings = settings_of(RABBITMQ, tmp_path)
    assert settings["from"] == "amqps://in.example.org:5671/prod?queue=xrootd.monitoring"
    assert settings["to"] == ["amqps://user:geheim@out.example.org/vhost"]
    assert settings["bus.token_file"] == Path("/etc/token")
    assert (settings["names.enabled"], settings["names.keep"]) == (True, 1800.0)
    assert settings["filter.drop_vos"] == ["test", "ops"]
    assert settings["log.level"] == "debug"
    assert str(settings["metrics.listen"]) == "0.0.0.0:8080"
    assert settings["metrics.peer_names"]
    (sink,) = plan(settings, {}).sinks
    assert isinstance(sink, BusOutput)
    assert (sink.exchanges["records"], sink.exchanges["cache"]) == ("xrootd.correlated", "my-cache")


def test_what_was_left_out_is_named_with_its_reason() -> None:
    remarks = "\n".join(translate(read(RABBITMQ)).remarks)
    for said in (
        "state.entry_ttl 300 s was left out",
        "amqp.publish_workers was left out: confirms are pipelined",
        "profile.enable was left out",
        "wlcg.site has no counterpart",
        "wlcg.only = true",
    ):
        assert said in remarks
    assert "max_entries" not in remarks  # 0 said nothing there, and says nothing here


def test_their_default_exchange_is_the_input_and_is_not_taken_over(tmp_path: Path) -> None:
    text = "input: {type: udp}\namqp: {url: 'amqp://b/', exchange: shoveled-xrd}\n"
    settings = settings_of(text, tmp_path)
    (sink,) = plan(settings, {}).sinks
    assert isinstance(sink, BusOutput)
    assert sink.exchanges["records"] == "xrd-records"
    assert "the exchange of the datagrams" in "\n".join(translate(read(text)).remarks)


def test_udp_and_file_inputs(tmp_path: Path) -> None:
    udp = settings_of("listen: {ip: 10.0.0.1, port: 9999}\noutput: {type: file, path: /tmp/o}\n", tmp_path)
    source = plan(udp, {}).source
    assert isinstance(source, UdpInput)
    assert str(source.address) == "10.0.0.1:9999"
    file = settings_of("input: {type: file, path: /a, follow: true}\noutput: {type: both, path: /tmp/o}\n"
                       "amqp_url: amqp://b/\nmetrics: false\n", tmp_path)  # fmt: skip
    source = plan(file, {}).source
    assert isinstance(source, FileInput)
    assert source.follow
    assert file["to"] == ["amqp://b/", "file:/tmp/o"]
    assert file["metrics.listen"] is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [", "not YAML in line 1"),
        ("- a\n- b\n", "not a mapping of settings"),
        ("input: {type: stomp}", "expected udp, file or rabbitmq"),
        ("input: {type: rabbitmq}\namqp: {url: 'amqp://b/'}", "input.broker_url or input.queue is missing"),
        ("mq: stomp", "records go to AMQP or to files here"),
        ("output: {type: file}", "no output.path"),
        ("input: {type: udp}", "no amqp.url"),
        ("input: {port: many}\namqp: {url: 'amqp://b/'}", "input.port is 'many', not a whole number"),
    ],
)
def test_one_sentence_for_what_cannot_be_taken_over(text: str, sentence: str) -> None:
    with pytest.raises(MigrationError, match=sentence):
        translate(read(text))


def test_the_command_writes_toml_and_says_notes_without_secrets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "theirs.yaml"
    path.write_text(RABBITMQ)
    assert main([str(path)]) == 0
    out, err = capsys.readouterr()
    document = tomllib.loads(out)
    assert document["to"] == ["amqps://user:geheim@out.example.org/vhost"]
    assert "note: " in err
    assert "geheim" not in err
    assert [line for line in out.splitlines() if line.startswith("#") and "geheim" in line] == []
    assert main([str(tmp_path / "absent.yaml")]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_every_setting_that_is_written_exists() -> None:
    written = translate(read(RABBITMQ)).settings
    assert set(written) <= {setting.name for setting in SCHEMA.settings}


INI = """
# the sample that the collector in Python comes with, as it is
[AMQP]


# Host information
url = amqps://username:password@example.com

# Exchange to write to
exchange = xrd.detailed
wlcg_exchange = xrd.wlcg_format
tcp_exchange = xrd.tcp_exchange
exchange_cache = xrd.cache.stash
wlcg_exchange_cache = xrd.cache.wlcg
exchange_tpc = xrd.tpc
wlcg_exchange_tpc = xrd.tpc.wlcg

[Pushed]
enable = true
push_queue = xrd.push
prefetch_count = 10000

[Worker]
high_water_mark = 100
"""


def test_the_collector_in_python_comes_over_whole(tmp_path: Path) -> None:
    (tmp_path / "connection.conf").write_text(INI)
    out = tmp_path / "collector.toml"
    assert main([str(tmp_path / "connection.conf"), "--out", str(out)]) == 0
    assert out.stat().st_mode & 0o007 == 0
    settings = SCHEMA.load(None, {"TALLY_COLLECTOR_CONFIG": str(out)})
    assert settings.source == "amqps://username:password@example.com?queue=xrd.push"
    assert settings.to == ["amqps://username:password@example.com"]
    names = {stream: settings[f"exchanges.{stream}"] for stream in ("records", "cache", "tcp", "tpc", "wlcg")}
    assert names == {
        "records": "xrd.detailed",
        "cache": "xrd.cache.stash",
        "tcp": "xrd.tcp_exchange",
        "tpc": "xrd.tpc",
        "wlcg": "xrd.wlcg_format",
    }
    assert (settings["exchanges.wlcg_cache"], settings["exchanges.wlcg_tpc"]) == ("xrd.cache.wlcg", "xrd.tpc.wlcg")
    assert settings.bus_prefetch == 10000
    assert settings.wlcg_only
    assert settings.metrics_peer_names
    assert isinstance(plan(settings).sinks[0], BusOutput)
    assert main([str(tmp_path / "connection.conf"), "--out", str(out)]) == 1
    assert main([str(tmp_path / "connection.conf"), "--out", str(out), "--force"]) == 0


def test_without_a_push_queue_it_listened_itself() -> None:
    translation = translate_ini("[AMQP]\nurl = amqp://h/\n[Pushed]\nenable = false\n")
    assert translation.settings["from"] == "udp://0.0.0.0:9930"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[AMQP]\nexchange = x\n", "there is no url"),
        ("[AMQP]\nurl = amqp://h\n[Pushed]\nenable = yes\n", "there is no push_queue"),
        ("[AMQP]\nurl = amqp://h\n[AMQP]\n", "is not an INI file"),
    ],
)
def test_an_ini_file_that_cannot_be_used(text: str, said: str) -> None:
    with pytest.raises(MigrationError, match=said):
        translate_ini(text)


def test_variables_of_the_collector_in_go_come_first() -> None:
    theirs = from_environment(
        read("input: {type: udp}\nlisten: {port: 9993}\n"),
        {
            "COLLECTOR_INPUT_TYPE": "rabbitmq",
            "COLLECTOR_INPUT_BROKER_URL": "amqp://in/",
            "COLLECTOR_INPUT_QUEUE": "q",
            "COLLECTOR_OUTPUT_TYPE": "file",
            "COLLECTOR_OUTPUT_PATH": "/out.jsonl",
            "COLLECTOR_METRICS_ENABLE": "false",
            "COLLECTOR_FILTER_DROP_VOS": "test ops",
            "COLLECTOR_UNHEARD_OF": "x",
        },
    )
    settings = translate(theirs).settings
    assert (settings["from"], settings["to"]) == ("amqp://in/?queue=q", ["file:/out.jsonl"])
    assert settings["filter.drop_vos"] == ["test", "ops"]
    assert "metrics.listen" not in settings
