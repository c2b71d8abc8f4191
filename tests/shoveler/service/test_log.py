import io
import json
import logging
import os

import pytest

from shoveler.service import RateLimited, redact, setup_logging
from shoveler.service.log import LineFormatter


@pytest.fixture
def stream():
    root = logging.getLogger()
    handlers, level, pika = root.handlers[:], root.level, logging.getLogger("pika").level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("pika").setLevel(pika)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("amqp://user:secret@host:5672/vhost", "amqp://user:***@host:5672/vhost"),
        ("amqps://user:p@ss@host/", "amqps://user:***@host/"),
        ("AMQP://u:pw@h", "AMQP://u:***@h"),
        ("two amqp://a:1@x and amqp://b:2@y", "two amqp://a:***@x and amqp://b:***@y"),
        ("amqp://:token@host/", "amqp://:***@host/"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl!", "jwt ***!"),
        ("http://host:8000/metrics and a@b", "http://host:8000/metrics and a@b"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_redact(text, shown):
    assert redact(text) == shown


def test_lines_for_the_journal_have_a_priority_and_no_time(stream, tmp_path, monkeypatch):
    with (tmp_path / "journal").open("w+") as journal:
        found = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        setup_logging("text", "info", stream=journal)
        logging.getLogger("x").warning("two\nlines")
        logging.getLogger("x").info("one")
        setup_logging("json", "info", stream=journal)
        logging.getLogger("x").error("as JSON")
        journal.seek(0)
        *text, json_line = journal.read().splitlines()
    assert text == ["<4>x: two·lines", "<6>x: one"]
    assert json_line.startswith('<3>{"time": ')
    setup_logging("text", "info", stream=stream)
    logging.getLogger("x").warning("elsewhere, the journal of the parent is not ours")
    assert stream.getvalue()[0].isdigit()


def test_no_secret_at_any_level_whoever_logs_it(stream):
    """Peer weakness G26: the debug log shows the full URL with its password or token."""
    setup_logging("text", "debug", stream=stream)
    url = "amqp://shoveler:hunter2@mq.example.org/vhost"
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        logging.getLogger("some.library").log(level, "connecting to %s", url)
    try:
        raise ValueError(f"bad URL {url}")
    except ValueError:
        logging.getLogger("x").exception("failed")
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("shoveler:***@mq.example.org") == 6


def test_text_lines(stream):
    setup_logging("text", "info", stream=stream)
    logging.getLogger("shoveler").info("= started %d", 1)
    logging.getLogger("shoveler").debug("not shown")
    [line] = stream.getvalue().splitlines()
    assert line.endswith("Z INFO    shoveler: = started 1")


def test_json_lines(stream):
    setup_logging("json", "info", stream=stream)
    logging.getLogger("shoveler").warning('a "quoted" amqp://u:p"w@h/ thing')
    try:
        raise RuntimeError("amqp://u:secret@h/")
    except RuntimeError:
        logging.getLogger("shoveler").exception("broken")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["level"] == "warning"
    assert first["logger"] == "shoveler"
    assert first["time"].endswith("Z")
    assert "amqp://u:***@h/" in second["traceback"]
    assert "secret" not in stream.getvalue()


def test_setting_up_again_replaces(stream):
    setup_logging("text", "info", stream=stream)
    setup_logging("text", "error", stream=stream)
    logging.getLogger("x").warning("hidden")
    logging.getLogger("x").error("shown once")
    assert stream.getvalue().count("shown once") == 1
    assert "hidden" not in stream.getvalue()


def test_a_library_that_talks_too_much_is_quiet_unless_debugging(stream):
    setup_logging("text", "info", stream=stream)
    logging.getLogger("pika.channel").warning("Received remote Channel.Close (404)")
    assert stream.getvalue() == ""
    setup_logging("text", "debug", stream=stream)
    logging.getLogger("pika.channel").warning("Received remote Channel.Close (404)")
    assert "404" in stream.getvalue()


def test_an_unknown_form_is_a_bug():
    with pytest.raises(ValueError, match="neither text nor json"):
        setup_logging("xml")


def test_repeats_are_counted_and_said(stream):
    setup_logging("text", "info", stream=stream)
    now = [100.0]
    limited = RateLimited(logging.getLogger("x"), 30, clock=lambda: now[0])
    for _ in range(5):
        limited.warning("full", "the disk is full")
    limited.warning("other", "something else")
    now[0] += 31
    limited.warning("full", "the disk is full")
    limited.forget("full")
    limited.log(logging.ERROR, "full", "again")
    lines = [line.partition("x: ")[2] for line in stream.getvalue().splitlines()]
    assert lines == [
        "the disk is full",
        "something else",
        "the disk is full (4 more like this in the last 31 s)",
        "again",
    ]


FORGED = "said\n2026-01-01T00:00:00Z INFO    tally.hub: = all is well\x1b[2J\x9b\u202e"


def test_what_others_say_is_part_of_one_line(stream):
    setup_logging("text", "info", stream=stream)
    logging.getLogger("x").warning("! %s", FORGED)
    try:
        raise ValueError(FORGED)
    except ValueError:
        logging.getLogger("x").exception("failed")
    first, second, *trace = stream.getvalue().splitlines()
    assert first.endswith("! said·2026-01-01T00:00:00Z INFO    tally.hub: = all is well·[2J··")
    assert second.endswith("x: failed")
    assert trace
    assert all(line.startswith("    ") and line.isprintable() for line in trace)


def test_json_has_no_control_characters(stream):
    setup_logging("json", "info", stream=stream)
    logging.getLogger("x").warning("! %s", FORGED)
    [line] = stream.getvalue().splitlines()
    assert line.isprintable()
    assert json.loads(line)["message"] == f"! {FORGED}"


def test_a_line_without_a_format_is_the_message(stream):
    formatter = LineFormatter()
    record = logging.LogRecord("x", logging.WARNING, "", 0, "a %s", ("b\nc",), None)
    assert formatter.format(record) == "a b·c"
