import tomllib

import pytest

from shoveler import config
from shoveler.cli import main
from shoveler.osg import OsgImportError, read, translate

FULL = """
mq: amqp
amqp:
  url: amqps://shoveler:secret@mq.example.org/vhost   # a remark
  exchange: shoveled-xrd
  topic:
  token_location: /etc/xrootd-monitoring-shoveler/token
listen:
  port: 9993
  ip: 0.0.0.0
outputs:
  destinations:
    - 127.0.0.1:1234
    - 127.0.0.1:1235
verify: false
debug: true
metrics:
  enable: true
  port: 8001
queue_directory: /var/spool/xrootd-monitoring-shoveler/queue
map:
  192.168.0.5: 172.0.0.5
  192.168.0.6: 129.93.10.7
"""


def ours(text, environ=None):
    translation = translate(read(text, environ or {}))
    return tomllib.loads(translation.toml("config.yaml")), translation.remarks


def test_every_setting_of_theirs():
    settings, remarks = ours(FULL)
    assert settings == {
        "listen": ["[::]:9993"],
        "verify": False,
        "forward": ["127.0.0.1:1234", "127.0.0.1:1235"],
        "forward_as": "envelope",
        "metrics": "0.0.0.0:8001",
        "log": {"level": "debug"},
        "bus": {"url": "amqps://shoveler:secret@mq.example.org/vhost", "exchange": "shoveled-xrd"},
        "map": {"192.168.0.5": "172.0.0.5", "192.168.0.6": "129.93.10.7"},
    }
    assert [remark.split(" ")[0] for remark in remarks] == ["queue_directory", "amqp.token_location"]
    assert "import-queue /var/spool/xrootd-monitoring-shoveler/queue" in remarks[0]


def test_what_comes_out_is_a_settings_file_of_ours(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(FULL)
    out = tmp_path / "shoveler.toml"
    assert main(["import-config", str(path), "--out", str(out)]) == 0
    assert out.stat().st_mode & 0o007 == 0, "it may have a password in it"
    settings = config.SCHEMA.load(None, {"TALLY_SHOVELER_CONFIG": str(out)})
    assert settings.entries("listen") == [("::", 9993)]
    assert settings.table("map")["192.168.0.5"] == "172.0.0.5"
    assert main(["import-config", str(path), "--out", str(out)]) == 1, "a file that is there is not overwritten"
    out.write_text("the sample of the package")
    out.chmod(0o640)
    assert main(["import-config", str(path), "--out", str(out), "--force"]) == 0
    assert config.SCHEMA.load(None, {"TALLY_SHOVELER_CONFIG": str(out)})["forward_as"] == "envelope"
    assert out.stat().st_mode & 0o777 == 0o640, "it keeps the mode that the package gave it"
    assert [file.name for file in tmp_path.iterdir()] != [], "and no half-written file is left"
    assert not list(tmp_path.glob(".*"))


def test_variables_of_their_service_come_first(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(FULL)
    variables = tmp_path / "sysconfig"
    variables.write_text("# theirs\nSHOVELER_LISTEN_PORT=9994\nSHOVELER_AMQP_EXCHANGE='of the environment'\n")
    assert main(["import-config", str(tmp_path / "config.yaml"), "--environment", str(variables)]) == 0
    settings = tomllib.loads(capsys.readouterr().out)
    assert settings["listen"] == ["[::]:9994"]
    assert settings["bus"]["exchange"] == "of the environment"


def test_stomp():
    settings, remarks = ours("mq: stomp\nstomp: {url: mb.example.org:61613, user: me, password: p@ss, topic: mine}\n")
    assert settings["bus"] == {"url": "stomp://me:p%40ss@mb.example.org:61613/topic/mine"}
    settings, _ = ours("mq: stomp\nstomp: {url: 'mb:61614', cert: /c.pem, certkey: /k.pem}\n")
    url = "stomps://mb:61614/topic/xrootd.shoveler"
    assert settings["bus"] == {"url": url, "cert_file": "/c.pem", "key_file": "/k.pem"}
    _, remarks = ours("mq: stomp\nstomp: {url: 'mb:61614', cert: /c.pem}\n")
    assert "are used together only" in remarks[0]
    with pytest.raises(OsgImportError, match="expected amqp or stomp"):
        ours("mq: kafka\n")


def test_a_file_as_input():
    settings, _ = ours("input: {type: file, path: /data/x.jsonl, follow: true}\n")
    assert (settings["from"], settings["follow"]) == ("file:/data/x.jsonl", True)
    for text, said in (
        ("{type: file}", "input.path is not set"),
        ("{type: file, path: x, base64_encoded: false}", "base64 here"),
        ("{type: rabbitmq}", "a shoveler reads udp or file"),
    ):
        with pytest.raises(OsgImportError, match=said):
            ours(f"input: {text}\n")


def test_the_password_stays_where_no_token_replaces_it():
    settings, _ = ours("amqp:\n  url: amqp://u:secret@h/v\n")
    assert settings["bus"] == {"url": "amqp://u:secret@h/v"}
    settings, _ = ours("amqp:\n  url: amqp://u@h/v\n")
    assert settings["bus"]["token_file"] == "/etc/xrootd-monitoring-shoveler/token", "their default"
    settings, remarks = ours("amqp:\n  url: amqp://u:secret@h/v\n  token_location: /t\n")
    assert settings["bus"] == {"url": "amqp://u:secret@h/v"}, "as with them"
    assert "which a current OSG shoveler uses, too" in remarks[0]


def test_with_a_token_they_log_in_as_shoveler():
    settings, remarks = ours("amqp:\n  url: amqps://mq.example.org/v\n  token_location: /t\n")
    assert settings["bus"] == {"url": "amqps://shoveler@mq.example.org/v", "token_file": "/t"}
    assert remarks == []


def test_odd_characters_do_no_harm():
    settings, remarks = ours('amqp:\n  url: amqp://u:p@h/\n  topic: "a\\nb\\x7f\\"ü\\\\"\n"x\\ny = 1": 2\n')
    assert settings["bus"] == {"url": "amqp://u:p@h/", "routing_key": 'a\nb\x7f"ü\\'}
    assert set(settings) == {"bus", "metrics"}
    assert remarks == ["x\ny = 1 has no counterpart and was left out"]


def test_the_environment_wins_as_it_does_there():
    environ = {
        "SHOVELER_AMQP_URL": "amqp://u:p@other/",
        "SHOVELER_LISTEN_PORT": "1111",
        "SHOVELER_METRICS_ENABLE": "false",
        "SHOVELER_OUTPUTS_DESTINATIONS": "1.2.3.4:5 1.2.3.4:6",
        "SHOVELER_MAP_ALL": "10.0.0.1",
        "UNRELATED": "x",
    }
    settings, _ = ours("listen:\n  port: 9993\n", environ)
    assert settings["bus"]["url"] == "amqp://u:p@other/"
    assert settings["listen"] == ["[::]:1111"]
    assert settings["metrics"] == ""
    assert settings["forward"] == ["1.2.3.4:5", "1.2.3.4:6"]
    assert settings["map"] == {"all": "10.0.0.1"}


def test_what_has_no_counterpart_is_said():
    settings, remarks = ours("mq: stomp\nstomp:\n  url: broker:61613\n  password: secret\nunheard_of: 1\nempty:\n")
    assert settings["bus"] == {"url": "stomp://broker:61613/topic/xrootd.shoveler"}
    assert "unheard_of has no counterpart and was left out" in remarks
    assert not any("empty" in remark or "secret" in remark for remark in remarks)


def test_an_empty_file_is_their_defaults():
    settings, remarks = ours("")
    assert settings == {"metrics": "0.0.0.0:8000"}
    assert remarks == ["amqp.url is not set: set bus.url"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [", "not YAML in line 1"),
        ("- 1\n- 2\n", "the file has no settings by name"),
        ("listen:\n  port: many\n", "listen.port is 'many', expected a number"),
        ("amqp: here\n", "amqp is 'here', expected settings by name"),
        ("outputs:\n  destinations: [nonsense]\n", "outputs.destinations: expected HOST:PORT such as"),
        ("map:\n  all: not one\n", "map: all is mapped to 'not one', which is not an IP address or host name"),
        ("listen:\n  port: 70000\n", "listen: expected HOST:PORT"),
        ("amqp:\n  url: https://h/\n", "amqp.url: a bus address cannot begin with https://"),
        ("debug: perhaps\n", "debug is 'perhaps', expected true or false"),
        ("verify: perhaps\n", "verify is 'perhaps', expected true or false"),
        ("!!python/object/apply:os.system ['true']\n", "not YAML"),
    ],
)
def test_what_cannot_be_imported(text, sentence, tmp_path, capsys):
    with pytest.raises(OsgImportError, match=sentence):
        ours(text)
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert main(["import-config", str(path)]) == 2
    assert sentence in capsys.readouterr().err
    assert main(["import-config", str(tmp_path / "none")]) == 2
