"""`tally key` and `tally invite`, as typed."""

from __future__ import annotations

import getpass
import json
from pathlib import Path

import pytest

from agent.messages import decode_join_string
from gui.cli import main
from gui.hub.certificate import own_identity
from gui.hub.persistence import HUB_ADDRESS, HUB_PIN, AuditEntry
from gui.store import Store


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TALLY_DATA", str(tmp_path / "data"))
    return str(tmp_path / "w.db")


def test_a_key_is_made_shown_once_listed_rotated_and_revoked(db: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "create", "--kid", "site-a", "--scope", "agent:client", "--sub", "c1", "--db", db]) == 0
    first = capsys.readouterr()
    secret = first.out.strip()
    assert len(secret) >= 32
    assert "not shown again" in first.err
    assert main(["key", "list", "--json", "--db", db]) == 0
    listed = capsys.readouterr().out
    assert secret not in listed
    rows = json.loads(listed)
    assert [(row["kid"], row["scopes"], row["sub"], row["state"]) for row in rows] == [
        ("site-a", ["agent:client"], "c1", "active")
    ]
    assert main(["key", "rotate", "site-a", "--db", db]) == 0
    assert capsys.readouterr().out.strip() != secret
    assert main(["key", "revoke", "site-a", "--db", db]) == 0
    capsys.readouterr()
    assert main(["key", "list", "--json", "--db", db]) == 0
    assert json.loads(capsys.readouterr().out)[0]["state"] == "revoked"
    assert main(["key", "log", "--json", "--db", db]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["what"], entry["who"]) == ("revoked", "site-a")
    assert entry["text"] == f"by the operator of this machine, account {getpass.getuser()}"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["key", "revoke", "nope"], "There is no key 'nope'"),
        (["key", "rotate", "--grace", "2x"], "--grace: expected a duration"),
        (["key", "rotate", "site-a", "--grace", "1h"], "--grace is only for the shared key"),
        (["key", "create", "--kid", "a b"], "--kid: expected up to 64 letters"),
        (["key", "create", "--sub", ""], "--sub: expected up to 64 letters"),
        (["key", "create", "--shared", "--sub", "c1"], "--shared takes no"),
        (["key", "log", "--limit", "0"], "--limit: expected a number from 1 on, not 0."),
        (["invite", "--role", "client"], "give it with --hub URL"),
        (["invite", "--role", "client", "--hub", "foo bar"], "--hub: expected wss://HOST:PORT, not 'foo bar'"),
        (["invite", "--role", "client", "--hub", "http://h:1"], "--hub: expected wss://HOST:PORT"),
        (["invite", "--role", "client", "--hub", "wss://h:1", "--ttl", "25h"], "at most 24 hours"),
        (["invite", "--role", "client", "--hub", "wss://h:1", "--uses", "0"], "not 0"),
    ],
)
def test_what_makes_no_sense_gets_one_sentence_and_exit_code_2(
    db: str, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    Store(db).close()
    assert main([*arguments, "--db", db]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("arguments", [["list"], ["rotate"], ["revoke", "site-a"]])
def test_only_create_makes_a_workspace(db: str, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(["key", *arguments, "--db", db]) == 2
    assert "There is no workspace" in capsys.readouterr().err
    assert not Path(db).exists()


def test_a_secret_that_is_too_short_is_refused(db: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "secret"
    file.write_text("short\n")
    assert main(["key", "create", "--secret-file", str(file), "--db", db]) == 2
    assert "32" in capsys.readouterr().err


def test_an_invitation_holds_the_hubs_address_and_pin(
    db: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["invite", "--role", "server", "--hub", "wss://hub.example.org:8765", "--json", "--db", db]) == 0
    made = json.loads(capsys.readouterr().out)
    invitation = decode_join_string(made["join"])
    assert invitation.hub == "wss://hub.example.org:8765"
    assert invitation.role == "server"
    assert invitation.pin == own_identity(tmp_path / "data" / "hub").pin


def test_an_invitation_can_be_taken_back(db: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["invite", "--role", "client", "--hub", "wss://h:8765", "--db", db]) == 0
    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("To revoke it: tally ")]
    assert main([*said.removeprefix("To revoke it: tally ").split(), "--db", db]) == 0
    assert capsys.readouterr().out.endswith(" is revoked; nobody can join with it any more.\n")
    with Store(db) as store:
        assert [issued.revoked for issued in store.invitations()] == [True]


def test_an_invitation_holds_the_pin_of_the_certificate_that_the_hub_shows(
    db: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where that is not the hub's own certificate, but one given with `tally hub --certificate`."""
    given = "sha256:" + "ab" * 32
    with Store(db) as store:
        store.put_setting(HUB_ADDRESS, "wss://h:8765")
        store.put_setting(HUB_PIN, given)
    for more in ([], ["--hub", "public.example.org:8765"]):
        assert main(["invite", "--role", "client", *more, "--json", "--db", db]) == 0
        assert decode_join_string(json.loads(capsys.readouterr().out)["join"]).pin == given


def test_what_is_to_be_pasted_works_for_a_hub_without_tls(db: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["invite", "--role", "client", "--hub", "ws://127.0.0.1:8765", "--db", db]) == 0
    assert capsys.readouterr().out.rstrip().endswith(" --insecure")


def test_a_file_that_is_no_database_is_named(db: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junk = tmp_path / "junk.db"
    junk.write_text("this is no database, and long enough to be looked at")
    assert main(["key", "list", "--db", str(junk)]) == 2
    assert "junk.db is not an SQLite database" in capsys.readouterr().err
    assert junk.read_text().startswith("this is no database")


def test_the_log_of_the_hub_is_shown_and_cannot_steer_a_terminal(db: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Store(db) as store:
        pass
    assert main(["key", "log", "--db", db]) == 0
    assert capsys.readouterr().out == "No hub has run in this workspace yet.\n"
    with Store(db) as store:
        store.add_audit(
            [AuditEntry(1.0, "started", "wss://h:1", ""), AuditEntry(2.0, "joined", "shared/c1", "on \x1b[2J")]
        )
    assert main(["key", "log", "--limit", "1", "--db", db]) == 0
    assert capsys.readouterr().out.partition("  ")[2] == "joined   shared/c1  on ·[2J\n"
    assert main(["key", "log", "--json", "--db", db]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"t": 1.0, "what": "started", "who": "wss://h:1", "text": ""},
        {"t": 2.0, "what": "joined", "who": "shared/c1", "text": "on \x1b[2J"},
    ]
