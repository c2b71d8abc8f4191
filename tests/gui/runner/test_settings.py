"""The settings of a machine: declared, read, written, checked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gui.hub.certificate import own_identity
from gui.runner.settings import (
    SETTINGS,
    MachineSettings,
    SettingsError,
    check,
    default,
    names_in,
    read_settings,
    reference,
    take_apart,
    write_settings,
)

EMPTY = MachineSettings({})


def test_every_default_is_a_value_of_its_setting_and_says_what_it_is() -> None:
    for setting in SETTINGS:
        check(setting.name, default(setting.name))
        assert setting.help.endswith(".")
    assert EMPTY.mistakes() == {}
    assert EMPTY.changed() == ()
    assert EMPTY.bus() == ""


def test_what_is_written_is_read_and_only_what_differs_is_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "data" / "settings.toml"
    assert read_settings(file) == (EMPTY, [])
    settings = EMPTY.replaced(bus__address="amqps://mq.example.org/tally", bus__user="ada", hub__port="9000")
    write_settings(file, settings)
    assert read_settings(file) == (settings, [])
    assert file.read_text() == ('[bus]\naddress = "amqps://mq.example.org/tally"\nuser = "ada"\n\n[hub]\nport = 9000\n')
    write_settings(file, settings.replaced(bus__user=default("bus.user"), hub__port="8765"))
    assert read_settings(file)[0].changed() == ("bus.address",)


def test_comments_and_what_is_not_known_stay_and_are_told(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('# mine\n[bus]\nadress = "x"  # typo\nuser = "ada"\n[hub]\nport = "many"\n')
    settings, wrong = read_settings(file)
    assert settings.changed() == ("bus.user",)
    assert any("bus.adress" in line and "did you mean 'bus.address'?" in line for line in wrong)
    assert any("hub.port" in line and "whole number" in line for line in wrong)
    write_settings(file, settings.replaced(bus__user="bob"))
    assert file.read_text().startswith('# mine\n[bus]\nadress = "x"  # typo\nuser = "bob"\n')


def test_a_file_that_is_no_toml_is_refused_and_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[bus\n")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_settings(file)
    with pytest.raises(SettingsError):
        write_settings(file, EMPTY)
    assert file.read_text() == "[bus\n"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("bus.address", "mq.example.org", "Expected amqp://HOST:PORT/VHOST"),
        ("bus.address", "amqp://ada:secret@mq.example.org/", "Leave user and password out"),
        ("bus.address", "http://mq.example.org", "cannot begin with http://"),
        ("bus.address", "amqp://mq.example.org/a?exchange=x", "have fields of their own"),
        ("bus.address", "amqp://", "names no host"),
        ("bus.records_exchange", "", "Expected a name"),
        ("bus.packets_queue", "q" * 300, "at most 255 bytes"),
        ("bus.kind", "kafka", "Expected one of rabbitmq, folder, lab"),
        ("bus.management", "mq:15672", "Expected http://HOST:PORT"),
        ("bus.management", "http://a:b@mq:15672", "Leave user and password out"),
        ("hub.port", "70000", "65535"),
        ("hub.port", "eighty", "whole number"),
        ("hub.public", "tally.example.org/hub", "Expected HOST or HOST:PORT"),
        ("hub.public", "tally.example.org:many", "Expected HOST or HOST:PORT"),
        ("database.address", "mysql://db/tally", "not supported"),
        ("database.address", "postgresql://ada:secret@db/tally", "Leave the password out"),
    ],
)
def test_a_wrong_value_gets_one_clear_sentence_without_a_secret(name: str, text: str, says: str) -> None:
    sentence = MachineSettings({name: text}).mistakes()[name]
    assert says in sentence
    assert sentence.endswith((".", "?"))
    assert "secret" not in sentence
    assert "\n" not in sentence


def test_the_bus_follows_from_its_kind(tmp_path: Path) -> None:
    broker = EMPTY.replaced(bus__address="amqp://mq.example.org/my%20vhost", bus__user="a/b")
    assert broker.bus() == "amqp://a%2Fb:@mq.example.org:5672/my%20vhost"
    folder = broker.replaced(bus__kind="folder", bus__folder=str(tmp_path))
    assert (folder.bus(), folder.lab()) == (str(tmp_path), None)
    lab = broker.replaced(bus__kind="lab", bus__lab="/run/lab")
    assert (lab.bus(), lab.lab()) == ("", Path("/run/lab"))
    assert EMPTY.replaced(bus__kind="folder").mistakes() == {"bus.folder": "Choose a folder."}
    assert "tally-agent lab up" in EMPTY.replaced(bus__kind="lab").mistakes()["bus.lab"]


def test_a_pasted_address_is_taken_apart() -> None:
    pasted = take_apart(" amqps://ada:s%40cret@mq.example.org:5671/tally?exchange=e&queue=q ")
    assert (pasted.address, pasted.user, pasted.password) == ("amqps://mq.example.org:5671/tally", "ada", "s@cret")
    assert (pasted.exchange, pasted.queue) == ("e", "q")
    assert take_apart("amqp://ada@mq.example.org").password is None
    for left in ("amqp://mq.example.org", "nonsense @ all", "", "http://a:b@c"):
        assert take_apart(left).address == left


def test_a_certificate_and_its_key_belong_together(tmp_path: Path) -> None:
    first, second = own_identity(tmp_path / "a"), own_identity(tmp_path / "b")
    good = EMPTY.replaced(hub__certificate=str(first.certificate), hub__key=str(first.key))
    assert good.mistakes() == {}
    assert "private key" in EMPTY.replaced(hub__certificate=str(first.certificate)).mistakes()["hub.key"]
    assert "its certificate" in EMPTY.replaced(hub__key=str(first.key)).mistakes()["hub.certificate"]
    assert "cannot be used together" in good.replaced(hub__key=str(second.key)).mistakes()["hub.certificate"]
    gone = good.replaced(hub__certificate="/nowhere.pem").mistakes()["hub.certificate"]
    assert gone == "The certificate /nowhere.pem cannot be read: No such file or directory."


def test_a_folder_that_cannot_be_written_keeps_the_settings_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(SettingsError, match="cannot be"):
        write_settings(tmp_path / "data" / "settings.toml", EMPTY.replaced(bus__user="x"))
    assert subprocess.run(["ls", str(tmp_path)], capture_output=True, text=True, check=True).stdout == "data\n"


def test_the_documented_table_is_the_declaration() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "settings.md"
    assert reference() in page.read_text("utf-8")


def test_lists_are_lists_in_the_file_and_one_line_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[signin]\noperators = ["ada", "osg/monitoring"]\nobservers = "bob"\n')
    settings, wrong = read_settings(file)
    assert wrong == []
    assert settings["signin.operators"] == "ada, osg/monitoring"
    assert (settings.names("signin.operators"), settings.names("signin.observers")) == (
        ("ada", "osg/monitoring"),
        ("bob",),
    )
    write_settings(file, settings.replaced(signin__observers="bob,carl"))
    assert file.read_text() == '[signin]\noperators = ["ada", "osg/monitoring"]\nobservers = ["bob", "carl"]\n'


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        (" , ;\n", ()),
        ("a,b; c\nd", ("a", "b", "c", "d")),
        ("cn=a,ou=b, x", ("cn=a,ou=b", "x")),
        ("cn=a,ou=b\ncn=c,ou=d", ("cn=a,ou=b", "cn=c,ou=d")),
    ],
)
def test_names_in_a_text(text: str, names: tuple[str, ...]) -> None:
    assert names_in(text) == names


def test_a_sign_in_that_cannot_be_used() -> None:
    given = EMPTY.replaced(signin__provider="github", signin__operators="a b, ada", signin__github="http://x.example")
    assert given.mistakes() == {
        "signin.client_id": "The provider needs to know who asks: register this hub there.",
        "signin.operators": "Expected a GitHub login or ORG/TEAM, got 'a b'.",
        "signin.github": "GitHub: expected https://HOST, got 'http://x.example'.",
    }
    issuer = EMPTY.replaced(
        signin__provider="https://idp.example", signin__client_id="c", signin__operators="a b, group: "
    )
    assert issuer.mistakes() == {"signin.operators": "Expected a name after group: in 'group:'."}
    assert "signin.provider" in EMPTY.replaced(signin__provider="http://idp.example").mistakes()
    assert "signin.lasts" in EMPTY.replaced(signin__lasts="91d").mistakes()
    assert "signin.lasts" in EMPTY.replaced(signin__lasts="5m").mistakes()


def test_a_token_file_takes_the_place_of_the_password(tmp_path: Path) -> None:
    from gui.runner.machine import workspace_options

    token = tmp_path / "token"
    write_settings(tmp_path / "settings.toml", EMPTY.replaced(bus__token_file=str(token)))
    assert workspace_options(tmp_path, environ={}).bus_options.token_file == token
