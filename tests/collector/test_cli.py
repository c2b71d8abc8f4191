"""The program as people start it: replays, refusals, signals, what it shows of itself."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.cli import main
from collector.correlate import Correlator
from tests.ports import free_port
from tests.promises import within
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = ROOT / "tests" / "captures" / "5.5.3"
NAMES = sorted(path.stem for path in CAPTURES.glob("*.jsonl"))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts the program in the background; whatever still runs at the end is ended."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, state: bool = True, **environment: str) -> subprocess.Popen[str]:
        if state:
            environment["TALLY_COLLECTOR_STATE_DIR"] = str(tmp_path / "state")
        process = subprocess.Popen(
            [sys.executable, "-m", "collector.cli", *map(str, arguments)],
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def as_program() -> Iterator[None]:
    """For calling `main` in here: it takes over signals and the log, and the tests get theirs back."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    root, pika = logging.getLogger(), logging.getLogger("pika")
    handlers, level, pika_level = root.handlers[:], root.level, pika.level
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)
    root.handlers[:], root.level, pika.level = handlers, level, pika_level


def replay(path: Path, *arguments: str, out: Path) -> list[dict[str, Any]]:
    assert main(["--from", f"file:{path}", "--to", f"file:{out}", *arguments]) == 0
    return [json.loads(line) for line in out.read_text().splitlines()]


def datagram(code: bytes, number: int, body: bytes) -> bytes:
    return code + bytes([number]) + (8 + len(body)).to_bytes(2) + (1_700_000_000).to_bytes(4) + body


def captured(path: Path, *datagrams: bytes) -> Path:
    lines = [
        {"t": 1_700_000_001.0 + n, "remote": "192.0.2.1:40000", "data": base64.b64encode(data).decode()}
        for n, data in enumerate(datagrams)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


# ---------------------------------------------------------------- replays


def test_at_the_end_of_a_replay_it_says_what_could_not_be_used(tmp_path: Path, run: Callable[..., Any]) -> None:
    path = captured(tmp_path / "capture.jsonl", b"\1noise", b"", b"f\0", datagram(b"i", 0, b"\0\0\0\1nobody"))
    with path.open("a") as file:
        file.write("no json\n" * 3)
    process = run("--from", f"file:{path}", "--to", "file:-", state=False)
    out, log = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    reasons = "empty 1, line 3, short 1, unknown 1, userid 1"
    assert log.splitlines()[-1].endswith(f"the input has ended: 4 datagrams, 0 records; could not be used: {reasons}")


def test_a_server_that_sends_no_closes_is_named_in_the_log(tmp_path: Path, run: Callable[..., Any]) -> None:
    """`fstat` without `xfr`: four sessions have ended with their files open."""
    ident = b"\0\0\0\0=/root.1:77@se01.example.org\n&site=A&port=1094&inst=d1&pgm=xrootd&ver=v5"
    logins = [datagram(b"u", 1 + n, bytes([0, 0, 0, n]) + b"xroot/al.%d:77@h\n&I=4" % n) for n in range(1, 5)]
    opens = [bytes([1, 1, 0, 28, 0, 0, 0, 9 + n, *bytes(11), n]) + b"/f\0\0\0\0\0\0" for n in range(1, 5)]
    gone = [bytes([4, 0, 0, 8, 0, 0, 0, n]) for n in range(1, 5)]
    window = bytes([2, 1, 0, 24, 0, 0, 0, 8]) + (1_700_000_001).to_bytes(4) * 2 + (77).to_bytes(8)
    files = datagram(b"f", 0, window + b"".join(opens + gone))
    path = captured(tmp_path / "capture.jsonl", datagram(b"=", 0, ident), *logins, files)
    process = run("--from", f"file:{path}", "--to", "file:-", state=False)
    out, log = process.communicate(timeout=60)
    assert [json.loads(line)["known_issue"] for line in out.splitlines()] == [["fstat_no_xfr"]] * 4
    assert log.count("d1@se01.example.org:1094 (192.0.2.1:40000) sends opens and disconnects, but never a close") == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_replay_writes_what_the_correlator_says(
    name: str, capfdbinary: pytest.CaptureFixture[bytes], as_program: None
) -> None:
    """`tally-collector --from file:CAPTURE --to file:-`: to the byte the records that correlate/test_truth.py holds to
    what the clients did."""
    correlator = Correlator()
    for line in (CAPTURES / f"{name}.jsonl").read_text().splitlines():
        row = json.loads(line)
        correlator.feed(base64.b64decode(row["data"]), row["remote"], row["t"])
    correlator.drain(row["t"])
    wanted = [record.body for record in correlator.take()]
    assert main(["--from", f"file:{CAPTURES / name}.jsonl", "--to", "file:-"]) == 0
    out = capfdbinary.readouterr().out
    assert sorted(out.splitlines()) == sorted(wanted)


def test_a_replay_gives_the_same_records_always(tmp_path: Path, run: Any, as_program: None) -> None:
    path = CAPTURES / "burst-fbuff-1472.jsonl"
    once = replay(path, out=tmp_path / "once")
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert replay(packed, out=tmp_path / "twice") == once
    process = run("--from", "file:-", "--to", "file:-")
    out, _ = process.communicate(path.read_text(), timeout=60)
    assert process.returncode == 0
    assert [json.loads(line) for line in out.splitlines()] == once


def test_doubled_input_gives_the_same_records(tmp_path: Path, as_program: None) -> None:
    path = CAPTURES / "two-servers.jsonl"
    doubled = tmp_path / "doubled.jsonl"
    doubled.write_text("".join(line * 2 for line in path.read_text().splitlines(keepends=True)))
    assert replay(doubled, out=tmp_path / "b") == replay(path, out=tmp_path / "a")


def test_a_replay_with_a_state_goes_on_where_it_was_and_doubles_nothing(tmp_path: Path, as_program: None) -> None:
    lines = (CAPTURES / "long-lived.jsonl").read_text().splitlines(keepends=True)
    path, state = tmp_path / "c.jsonl", str(tmp_path / "state")
    path.write_text("".join(lines[:8]))
    first = replay(path, "--state", state, out=tmp_path / "out")
    with path.open("a") as file:
        file.writelines(lines[8:])
    records = replay(path, "--state", state, out=tmp_path / "out")
    final = [record for record in records if record["final"]]
    assert {record["record_id"][-2:] for record in first} == {".p"}  # still open at the end of what there was
    assert sorted(record["filename"] for record in final) == ["/store/data/long/l0.dat", "/store/data/long/l1.dat"]
    assert all("incomplete" not in record for record in final)


def test_bad_lines_are_named_and_counted_and_the_rest_is_done(tmp_path: Path, run: Any) -> None:
    good = (CAPTURES / "full-reads.jsonl").read_text()
    path = tmp_path / "c.jsonl"
    path.write_text("nonsense\n" + good)
    process = run("--from", f"file:{path}", "--to", f"file:{tmp_path / 'out'}")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert f"{path}:1 is not a captured datagram" in err
    assert len((tmp_path / "out").read_text().splitlines()) == 12


def test_following_takes_what_is_appended_and_drains_at_sigterm(tmp_path: Path, run: Any) -> None:
    lines = (CAPTURES / "full-reads.jsonl").read_text().splitlines(keepends=True)
    path, out = tmp_path / "c.jsonl", tmp_path / "out"
    path.write_text(lines[0])
    process = run("--from", f"file:{path}", "--to", f"file:{out}", "--follow")
    until(out.exists)
    with path.open("a") as file:
        file.writelines(lines[1:])
    until(lambda: len(out.read_text().splitlines()) == 12)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_a_replay_that_is_stopped_half_way_is_no_success(tmp_path: Path, run: Any) -> None:
    process = run("--from", "file:-", "--to", f"file:{tmp_path / 'out'}", state=False)
    until((tmp_path / "out").exists)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 1


def test_whoever_stops_reading_ends_it_without_a_traceback(tmp_path: Path, run: Any) -> None:
    remote = "192.0.2.1:1"
    body = base64.b64encode(
        b"<statistics tod='1' ver='v5' src='a:1' tos='1' pgm='x' ins='i' pid='1' site='s'/>"
    ).decode()
    path = tmp_path / "c.jsonl"
    path.write_text("".join(json.dumps({"t": n, "remote": remote, "data": body}) + "\n" for n in range(1, 20_000)))
    process = run("--from", f"file:{path}", "--to", "file:-")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(60) == 1
    assert process.stderr is not None
    err = process.stderr.read()
    assert "nobody reads standard output any more" in err
    assert "Traceback" not in err


# ---------------------------------------------------------------- usage


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "say where datagrams come from"),
        (["--from", "file:/nowhere/at/all"], "cannot read /nowhere/at/all: No such file or directory"),
        (["--from", "udp://:0", "--to", "/dev/null"], "the local bus needs a directory"),
        (["--from", "amqp://h/?exchange=xrd-records&queue=q"], "come back as input forever"),
        (["--from", "file:-", "--ttl", "soon"], "expected a duration"),
        (["--from", "file:-", "--metrics", "256.1.1.1:1"], "cannot serve metrics"),
    ],
)
def test_bad_usage_is_one_sentence_and_code_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str], as_program: None
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err
    assert "Traceback" not in err


def test_checking_the_configuration_shows_it_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--from", "amqp://u:geheim@h/?queue=q", "--ttl", "2h", "--check-config"]) == 0
    out = capsys.readouterr().out
    assert "state.ttl = 7200.0  (--ttl)" in out
    assert "from = amqp://u:***@h/?queue=q  (--from)" in out
    assert "geheim" not in out
    assert "a policy of the broker may discard confirmed messages" in out


def test_the_sample_settings_are_those_of_the_program() -> None:
    from collector.config import SAMPLE_HEADING, SCHEMA

    sample = ROOT / "resources" / "samples" / "tally-collector.toml"
    assert sample.read_text() == SCHEMA.sample(SAMPLE_HEADING)


def test_the_sample_file_is_valid_when_uncommented(tmp_path: Path) -> None:
    from collector.config import SCHEMA, plan

    file = tmp_path / "sample.toml"
    file.write_text(re.sub(r'^# (?=("[^"]+"|[\w./-]+) = )', "", SCHEMA.sample(), flags=re.MULTILINE))
    settings = SCHEMA.load(None, {"TALLY_COLLECTOR_CONFIG": str(file)})
    assert {settings.origin(setting.name) == "default" for setting in SCHEMA.settings} == {False}
    assert len(plan(settings).sinks) == 1


def test_the_documentation_names_every_setting_and_metric() -> None:
    from collector.config import SCHEMA
    from collector.metrics import Metrics
    from shoveler.service import exposition, new_registry

    text = (ROOT / "docs" / "collector.md").read_text()
    for setting in SCHEMA.settings:
        assert f"`{setting.name}`" in text, setting.name
    registry = new_registry()
    Metrics(registry, peer_names=True)
    names = {line.split(" ")[2] for line in exposition(registry).decode().splitlines() if line.startswith("# TYPE ")}
    for name in names:
        if name.startswith("collector_"):
            # The library calls a counter without a sample …_total, whatever its name.
            assert f"`{name}`" in text or f"`{name.removesuffix('_total')}`" in text, name


# ---------------------------------------------------------------- serving


def get(port: int, page: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_metrics_health_reload_and_stop(tmp_path: Path, run: Any) -> None:
    """G11: no profiler and nothing else is served beside the metrics. G29: durations are not whole milliseconds."""
    port = free_port()
    config = tmp_path / "c.toml"
    config.write_text(f'from = "{tmp_path}/bus"\n[metrics]\nlisten = "127.0.0.1:{port}"\n')
    process = run("-c", config)
    until(lambda: get(port, "/healthz")[0] == 200)
    assert get(port, "/debug/pprof/cmdline")[0] == 404
    metrics = get(port, "/metrics")[1]
    assert "collector_records_emitted 0.0" in metrics
    assert "shoveler_records_emitted" not in metrics
    config.write_text(config.read_text() + "peer_names = true\n[state]\nttl = '1h'\n")
    process.send_signal(signal.SIGHUP)
    until(lambda: "shoveler_records_emitted 0.0" in get(port, "/metrics")[1])
    process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    assert process.wait(120) == 0
    assert time.monotonic() - begun < within(10)
    err = process.communicate()[1]
    assert "these changes need a restart: state.ttl" in err


def test_health_says_what_is_wrong_and_no_log_line_has_the_password(tmp_path: Path, run: Any) -> None:
    """G26: the whole URL with its password in the log."""
    port = free_port()
    process = run("--from", f"amqp://user:geheim@127.0.0.1:{free_port()}/?queue=q", "--metrics", f"127.0.0.1:{port}",
                  "--log-level", "debug")  # fmt: skip
    status, body = until(lambda: (answer := get(port, "/healthz"))[0] == 503 and answer)
    assert status == 503
    assert "cannot be reached: Connection refused" in json.loads(body)["problems"]["input"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(12) == 0
    out, err = process.communicate()
    assert "geheim" not in out + err + body
    warnings = [line for line in err.splitlines() if " WARNING " in line]
    assert len(warnings) == 1, warnings  # one line for one trouble


def test_ready_and_stopping_are_told_to_systemd(tmp_path: Path, run: Any) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(address))
        notify.settimeout(20)
        process = run("--from", tmp_path / "bus", NOTIFY_SOCKET=str(address))
        assert b"READY=1" in notify.recv(1000)
        process.send_signal(signal.SIGTERM)
        assert b"STOPPING=1" in notify.recv(1000)
        assert process.wait(12) == 0


def test_udp_in_with_a_socket_of_its_own(tmp_path: Path, run: Any) -> None:
    port, out = free_port(), tmp_path / "out"
    process = run("--from", f"udp://127.0.0.1:{port}", "--to", f"file:{out}")
    report = b"<statistics tod='1' ver='v5' src='a:1' tos='1' pgm='x' ins='i' pid='1' site='s'></statistics>"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

        def sent() -> bool:
            sender.sendto(report, ("127.0.0.1", port))
            return out.exists() and "summary" in out.read_text()

        until(sent)
    process.send_signal(signal.SIGTERM)
    assert process.wait(12) == 0
