import configparser
import re
import tomllib
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from shoveler import config
from shoveler.bus import BusOptions
from shoveler.cli import main
from shoveler.daemon import Metrics
from shoveler.service import Address, exposition

ROOT = Path(__file__).parents[2]


def test_the_environment(monkeypatch, capsys):
    monkeypatch.setenv("TALLY_SHOVELER_LISTEN", "127.0.0.1:1,[::1]:2")
    monkeypatch.setenv("TALLY_SHOVELER_SPOOL_MAX_BYTES", "1GiB")
    settings = config.SCHEMA.load()
    assert settings.entries("listen") == [Address("127.0.0.1", 1), Address("::1", 2)]
    assert settings.size("spool.max_bytes") == 1 << 30
    monkeypatch.setenv("TALLY_SHOVELER_LISTN", "x")
    assert main(["--check-config"]) == 2
    assert "did you mean 'TALLY_SHOVELER_LISTEN'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "setting", "expected"),
    [
        ("amqp://h/", "", "shoveled-xrd"),
        ("amqp://h/", "mine", "mine"),
        ("amqp://h/?exchange=urls", "mine", "urls"),
        ("/a/directory", "", "shoveled-xrd"),
    ],
)
def test_which_exchange(url, setting, expected):
    settings = config.SCHEMA.load(None, {}).replace(bus__url=url, bus__exchange=setting)
    assert config.exchange(settings, config.bus_address(settings)) == expected


def test_how_to_connect():
    settings = config.SCHEMA.load(None, {}).replace(
        bus__token_file="/t", bus__ca_file="/ca", bus__cert_file="/c", bus__key_file="/k", bus__heartbeat="9s",
        spool__max_bytes="1GiB",
    )  # fmt: skip
    assert config.bus_options(settings) == BusOptions(
        token_file=Path("/t"), ca_file=Path("/ca"), cert_file=Path("/c"), key_file=Path("/k"), heartbeat=9,
        connect_timeout=5.0, max_bytes=1 << 30,
    )  # fmt: skip


def test_nothing_to_receive_from(tmp_path, capsys):
    file = tmp_path / "x.toml"
    file.write_text("listen = []")
    assert main(["-c", str(file)]) == 2
    assert "listen is empty" in capsys.readouterr().err


def test_the_sample_file_is_made_from_the_declaration():
    sample = (ROOT / "resources/samples/tally-shoveler.toml").read_text()
    assert sample == config.SCHEMA.sample(config.SAMPLE_HEADING), "run `python -m shoveler.config > …` again"
    assert tomllib.loads(sample)


def test_the_sample_file_is_valid_when_uncommented(tmp_path):
    sample = re.sub(r'^# (?=("[^"]+"|[\w.-]+) = )', "", config.SCHEMA.sample(), flags=re.MULTILINE)
    (tmp_path / "sample.toml").write_text(sample)
    settings = config.SCHEMA.load(None, {"TALLY_SHOVELER_CONFIG": str(tmp_path / "sample.toml")})
    assert {settings.origin(setting.name) == "default" for setting in config.SCHEMA.settings} == {False}


def test_the_installed_service_can_write_its_spool():
    """The sample file is installed as it is, and the unit lets the program write to its state directory only."""
    unit = configparser.ConfigParser(interpolation=None, strict=False)  # systemd adds up what is given twice
    unit.read(ROOT / "packaging/systemd/tally-shoveler.service")
    writable = Path("/var/lib") / unit["Service"]["StateDirectory"]
    assert config.SCHEMA.load(None, {}).path("spool.dir") == writable


def test_the_documentation_has_every_setting_metric_and_exit_code():
    text = (ROOT / "docs/shoveler.md").read_text()
    assert config.SCHEMA.reference() in text, "the table of settings is made by `python -m shoveler.config --reference`"
    registry = CollectorRegistry()
    Metrics(registry)
    names = {line.split()[2] for line in exposition(registry).decode().splitlines() if line.startswith("# TYPE")}
    assert len(names) == 19
    assert names >= {
        "shoveler_packets_received", "shoveler_validations_failed", "shoveler_queue_size",
        "shoveler_rabbitmq_reconnects", "shoveler_packets_rejected_total", "shoveler_kernel_drops_total",
        "shoveler_oversize_total", "shoveler_confirmed_total", "shoveler_returned_total", "shoveler_spool_bytes",
        "shoveler_spool_oldest_seconds", "shoveler_confirms_pending", "shoveler_token_expires_seconds",
    }, "dashboards know these names: they are for ever"  # fmt: skip
    assert not [name for name in names if f"`{name}`" not in text and f"`{name}{{" not in text]
    for code in (0, 1, 2):
        assert f"| {code} | " in text
