import argparse
import re
import tomllib
from pathlib import Path

import pytest

from shoveler.service import (
    Address,
    ConfigError,
    Schema,
    Setting,
    Settings,
    Tombstone,
    Value,
    parse_address,
)

SCHEMA = Schema(
    "tally-example",
    [
        Setting("listen", "list", ["0.0.0.0:9993"], "Where datagrams arrive.", items="address", needs_restart=True),
        Setting("verify", "boolean", True, "Check headers."),
        Setting("metrics", "address", "", "Where metrics are served.", optional=True),
        Setting("spool.dir", "path", "/var/spool/x", "Directory of the spool.", flags=("--spool",), metavar="DIR"),
        Setting("spool.max_bytes", "size", "1GiB", "Cap of the spool.", minimum=1024),
        Setting("state.ttl", "duration", "24h", "How long."),
        Setting("workers", "integer", 1, "How many.", minimum=1, maximum=64),
        Setting("share", "number", 0.5, "What part.", maximum=1),
        Setting("log.format", "choice", "text", "Form.", choices=("text", "json")),
        Setting("bus.url", "text", "amqp://localhost/", "The bus.", flags=("--bus",)),
        Setting("bus.password", "text", "", "The password.", secret=True),
        Setting("bus.token_file", "path", None, "A token."),
        Setting("map", "table", {}, "IP map.", example={"a b": "c"}),
    ],
    [Tombstone("spool.limit", "spool.max_bytes"), Tombstone("turbo", reason="it never did anything")],
)


def load(*argv, env=None, file=None, tmp_path=None):
    parser = argparse.ArgumentParser("tally-example")
    SCHEMA.add_arguments(parser)
    arguments = list(argv)
    if file is not None:
        path = tmp_path / "x.toml"
        path.write_text(file)
        arguments += ["-c", str(path)]
    return SCHEMA.load(parser.parse_args(arguments), env or {})


def problems(*argv, **kwargs):
    with pytest.raises(ConfigError) as caught:
        load(*argv, **kwargs)
    return str(caught.value).splitlines()


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        ("127.0.0.1:9993", Address("127.0.0.1", 9993), "127.0.0.1:9993"),
        ("[::1]:80", Address("::1", 80), "[::1]:80"),
        (":9993", Address("0.0.0.0", 9993), "0.0.0.0:9993"),
        ("mq.example.org:5672", Address("mq.example.org", 5672), "mq.example.org:5672"),
        ("[fe80::1%eth0]:1", Address("fe80::1%eth0", 1), "[fe80::1%eth0]:1"),
    ],
)
def test_addresses(text, address, shown):
    assert parse_address(text) == address
    assert str(address) == shown


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "expected HOST:PORT"),
        ("host", "expected HOST:PORT"),
        ("host:", "expected HOST:PORT"),
        ("host:70000", "expected HOST:PORT"),
        ("host:²", "expected HOST:PORT"),
        ("::1:80", "an IPv6 address needs brackets"),
        ("[nonsense]:80", "expected an IPv6 address in the brackets"),
        ("a b:80", "is not a host name"),
    ],
)
def test_bad_addresses(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse_address(text)


# ---------------------------------------------------------------- order


def test_defaults():
    settings = load()
    assert settings.entries("listen") == [Address("0.0.0.0", 9993)]
    assert settings.boolean("verify") is True
    assert settings.optional_address("metrics") is None
    assert str(settings.path("spool.dir")) == "/var/spool/x"
    assert settings.size("spool.max_bytes") == 1 << 30
    assert settings.duration("state.ttl") == 86400
    assert settings.text("log.format") == "text"
    assert settings.number("share") == 0.5
    assert settings.optional_path("bus.token_file") is None
    assert settings.table("map") == {}
    assert settings.origin("verify") == "default"


def test_command_line_before_environment_before_file_before_default(tmp_path):
    file = '[spool]\nmax_bytes = "1MiB"\ndir = "/file"\n[state]\nttl = 60\n'
    env = {"TALLY_EXAMPLE_SPOOL_MAX_BYTES": "2MiB", "TALLY_EXAMPLE_SPOOL_DIR": "/environment"}
    settings = load("--spool-max-bytes", "3MiB", env=env, file=file, tmp_path=tmp_path)
    assert settings.size("spool.max_bytes") == 3 << 20
    assert settings.origin("spool.max_bytes") == "--spool-max-bytes"
    assert str(settings.path("spool.dir")) == "/environment"
    assert settings.origin("spool.dir") == "TALLY_EXAMPLE_SPOOL_DIR"
    assert settings.duration("state.ttl") == 60
    assert settings.origin("state.ttl").endswith("x.toml:5")
    assert settings.integer("workers") == 1


def test_lists_and_tables_on_the_command_line_and_in_the_environment():
    settings = load("--listen", "1.2.3.4:1", "--listen", "[::]:2", "--map", "all=9.9.9.9", "--map", "::1=::2")
    assert settings.entries("listen") == [Address("1.2.3.4", 1), Address("::", 2)]
    assert settings.table("map") == {"all": "9.9.9.9", "::1": "::2"}
    env = {
        "TALLY_EXAMPLE_LISTEN": "1.2.3.4:1, 5.6.7.8:2",
        "TALLY_EXAMPLE_MAP": "a=b,c=d",
        "TALLY_EXAMPLE_VERIFY": "off",
    }
    settings = load(env=env)
    assert len(settings.entries("listen")) == 2
    assert settings.table("map") == {"a": "b", "c": "d"}
    assert settings.boolean("verify") is False
    assert load("--no-verify").boolean("verify") is False


def test_the_file_may_be_named_by_the_environment(tmp_path):
    path = tmp_path / "y.toml"
    path.write_text("workers = 7")
    assert load(env={"TALLY_EXAMPLE_CONFIG": str(path)}).integer("workers") == 7


def test_a_setting_emptied_again(tmp_path):
    assert load("--metrics", "", file='metrics = "127.0.0.1:1"', tmp_path=tmp_path).optional_address("metrics") is None


# ---------------------------------------------------------------- problems


def test_all_problems_of_a_file_at_once_with_their_lines(tmp_path):
    file = """listen = 5
turbo = true
workers = 0
[spool]
limit = "1GiB"
max_byte = "1GiB"
[log]
format = "jsn"
[map]
"1.2.3.4" = 7
[statee]
ttl = "1h"
"""
    x = tmp_path / "x.toml"
    assert problems(file=file, tmp_path=tmp_path) == [
        f'{x}:1: listen: expected "HOST:PORT", got 5',
        f"{x}:2: 'turbo' no longer exists: it never did anything",
        f"{x}:3: workers: 0 is too small; the minimum is 1",
        f"{x}:5: 'spool.limit' is now called 'spool.max_bytes'",
        f"{x}:6: unknown setting 'spool.max_byte'; did you mean 'spool.max_bytes'?",
        f"{x}:8: log.format: expected one of text, json, got 'jsn'; did you mean 'json'?",
        f"{x}:9: map: 1.2.3.4: expected text in quotes, got 7",
        f"{x}:12: unknown setting 'statee.ttl'; did you mean 'state.ttl'?",
    ]


def test_problems_of_options_and_environment_too():
    env = {"TALLY_EXAMPLE_WORKERS": "many", "TALLY_EXAMPLE_LISTN": "x", "TALLY_EXAMPLE_SPOOL_LIMIT": "1", "HOME": "/"}
    assert problems("--share", "2", "--map", "nonsense", env=env) == [
        "TALLY_EXAMPLE_LISTN: no such setting; did you mean 'TALLY_EXAMPLE_LISTEN'?",
        "TALLY_EXAMPLE_SPOOL_LIMIT: 'spool.limit' is now called 'spool.max_bytes'",
        "TALLY_EXAMPLE_WORKERS: expected a whole number, got 'many'",
        "--share: 2 is too large; the maximum is 1",
        "--map: expected NAME=VALUE, got 'nonsense'",
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"listen = [", "x.toml:1: is not TOML"),
        (b"a = 1\nb = = 2\n", "x.toml:2: is not TOML"),
        (b"a = '\xff'", "x.toml: is not UTF-8 text (byte 5)"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path, content, expected):
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    [problem] = problems("-c", str(path))
    assert expected in problem
    assert problems("-c", str(tmp_path / "none")) == [f"{tmp_path / 'none'}: cannot be read: No such file or directory"]


def test_wrong_kinds_say_what_was_expected(tmp_path):
    for line, expected in [
        ("verify = 1", "expected true or false, got 1"),
        ('verify = "perhaps"', "expected true or false, got 'perhaps'"),
        ("workers = 1.5", "expected a whole number, got 1.5"),
        ("workers = true", "expected a whole number, got True"),
        ("share = 'much'", "expected a number, got 'much'"),
        ("spool.dir = ''", "expected a path, got an empty text"),
        ("spool.max_bytes = 1", "1 is too small; the minimum is 1KiB"),
        ("state.ttl = -1", 'expected a duration such as "90s", "24h" or "1h30m", got -1'),
        ("map = 5", "expected a table of name = value, got 5"),
        ("metrics = 'x'", "expected HOST:PORT such as \"0.0.0.0:9993\", got 'x'"),
    ]:
        [problem] = problems(file=line, tmp_path=tmp_path)
        assert expected in problem


def test_a_secret_is_never_shown(tmp_path):
    [problem] = problems(file='[bus]\npassword = ["hunter2"]', tmp_path=tmp_path)
    assert "hunter2" not in problem
    settings = load(env={"TALLY_EXAMPLE_BUS_PASSWORD": "hunter2"}, file="", tmp_path=tmp_path)
    assert settings.text("bus.password") == "hunter2"
    shown = "\n".join(settings.describe())
    assert "hunter2" not in shown
    assert "bus.password = ***  (TALLY_EXAMPLE_BUS_PASSWORD)" in shown
    shown = "\n".join(load("--bus", "amqp://u:hunter2@h/").describe())
    assert "amqp://u:***@h/  (--bus)" in shown


def test_a_secret_has_no_option(capsys):
    with pytest.raises(SystemExit) as exit_:
        load("--bus-password", "x")
    assert exit_.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err


# ---------------------------------------------------------------- reload


def test_differences_tell_what_needs_a_restart():
    live, restart = load().differences(load("--no-verify", "--listen", "1.2.3.4:5", "--workers", "2"))
    assert live == ["verify", "workers"]
    assert restart == ["listen"]


def test_replace_checks_like_any_value():
    settings = load().replace(spool__max_bytes="4MiB", workers=3)
    assert settings.size("spool.max_bytes") == 4 << 20
    assert settings.origin("workers") == "program"
    with pytest.raises(ValueError, match="too large"):
        settings.replace(workers=1000)


def test_getters_know_the_declared_kind():
    with pytest.raises(TypeError, match="declared as list"):
        load().text("listen")
    with pytest.raises(KeyError):
        load().text("nothing")
    with pytest.raises(KeyError, match="not set"):
        load().path("bus.token_file")


# ---------------------------------------------------------------- texts


def test_help_comes_from_the_declaration(capsys):
    parser = argparse.ArgumentParser("tally-example")
    SCHEMA.add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for setting in SCHEMA.settings:
        assert all(flag in text for flag in setting.option_flags())
        if setting.option_flags():
            assert setting.help in text
    assert "--spool DIR" in text
    assert "TALLY_EXAMPLE_" in text


def test_the_sample_file_is_all_defaults(tmp_path):
    sample = SCHEMA.sample("A heading.")
    assert tomllib.loads(sample) == {"spool": {}, "state": {}, "log": {}, "bus": {}, "map": {}}
    uncommented = re.sub(r"^# (?=\w+ = )", "", sample, flags=re.MULTILINE)
    assert '# "a b" = "c"' in uncommented
    settings = load(file=uncommented, tmp_path=tmp_path)
    assert all(settings[s.name] == load()[s.name] for s in SCHEMA.settings)
    assert {settings.origin(s.name) == "default" for s in SCHEMA.settings if s.default not in (None, {})} == {False}


def test_credentials_come_before_the_file_and_after_the_environment(tmp_path):
    schema = Schema(
        "tally-example",
        [
            Setting("bus.url", "text", "", "The bus.", credential=True),
            Setting("bus.token_file", "path", None, "The token.", credential=True),
            Setting("name", "text", "", "Not for credentials."),
        ],
    )
    (tmp_path / "bus-url").write_text("amqp://from-credential\n")
    (tmp_path / "bus-token-file").write_text("x")
    (tmp_path / "name").write_text("x")
    (tmp_path / "s.toml").write_text('bus.url = "amqp://from-file"\n')
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path), "TALLY_EXAMPLE_CONFIG": str(tmp_path / "s.toml")}
    settings = schema.load(None, env)
    assert (settings["bus.url"], settings.origin("bus.url")) == ("amqp://from-credential", "credential bus-url")
    assert settings["bus.token_file"] == tmp_path / "bus-token-file"
    assert settings["name"] == ""
    assert schema.load(None, env | {"TALLY_EXAMPLE_BUS_URL": "amqp://env"})["bus.url"] == "amqp://env"
    (tmp_path / "bus-url").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="credential bus-url: cannot be read: not UTF-8"):
        schema.load(None, env)


def test_the_reference_has_every_setting():
    reference = SCHEMA.reference()
    assert all(f"`{s.name}`" in reference for s in SCHEMA.settings)
    assert "text \\| json" in reference


def test_a_declaration_that_contradicts_itself_is_a_bug():
    with pytest.raises(ValueError, match="twice"):
        Schema("x", [Setting("a", "text", "", "."), Setting("a", "text", "", ".")])
    with pytest.raises(ValueError, match="both the value 'a'"):
        Schema("x", [Setting("a", "text", "", "."), Setting("a.b", "text", "", ".")])
    with pytest.raises(ValueError, match="expected a size"):
        Schema("x", [Setting("a", "size", "big", ".")])


def test_what_kubernetes_sets_for_a_service_of_our_name_is_no_setting():
    env = {
        "TALLY_EXAMPLE_SERVICE_HOST": "10.0.0.1",
        "TALLY_EXAMPLE_SERVICE_PORT": "9993",
        "TALLY_EXAMPLE_SERVICE_PORT_UDP": "9993",
        "TALLY_EXAMPLE_PORT": "udp://10.0.0.1:9993",
        "TALLY_EXAMPLE_PORT_9993_UDP": "udp://10.0.0.1:9993",
        "TALLY_EXAMPLE_PORT_9993_UDP_ADDR": "10.0.0.1",
        "TALLY_EXAMPLE_METRICS_SERVICE_HOST": "10.0.0.2",
    }
    assert load(env=env).integer("workers") == 1
    assert len(problems(env={**env, "TALLY_EXAMPLE_PORTS": "1"})) == 1


def test_settings_as_attributes_have_what_was_set() -> None:
    class Typed(Settings):
        spool_dir = Value("spool.dir", Settings.path)

    schema = Schema("x", [Setting("spool.dir", "path", "/var/spool", ".")], kind=Typed)
    settings = schema.load(environ={"X_SPOOL_DIR": "/elsewhere"})
    assert settings.spool_dir == Path("/elsewhere")
    assert settings.replace(spool__dir="/third").spool_dir == Path("/third")


@pytest.mark.parametrize(
    ("name", "says"),
    [("spool.dri", "spool.dri"), ("spool.dir", "spool.dir is declared as path, not as text or choice")],
)
def test_an_attribute_that_fits_no_declaration_is_found_when_the_schema_is_made(name: str, says: str) -> None:
    typed = type("Typed", (Settings,), {"spool_dir": Value(name, Settings.text)})
    with pytest.raises(ValueError, match=f"Typed does not fit what is declared: .*{says}"):
        Schema("x", [Setting("spool.dir", "path", "/var/spool", ".")], kind=typed)
