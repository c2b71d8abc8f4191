import os
import subprocess
from pathlib import Path

import pytest

from shoveler.cli import main


def test_check_config_shows_what_would_be_used(capsys, tmp_path):
    file = tmp_path / "x.toml"
    file.write_text('framing = "batch"\n[map]\n"192.168.0.5" = "172.0.0.5"\nall = "10.0.0.1"\n')
    assert main(["-c", str(file), "--check-config", "--bus", "amqp://u:secret@h/", "--spool", "/s"]) == 0
    out = capsys.readouterr().out
    assert "framing = batch  (" in out
    assert "spool.dir = /s  (--spool)" in out
    assert "map = {192.168.0.5: 172.0.0.5, all: 10.0.0.1}" in out
    assert "secret" not in out


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--listen", "nonsense"], "--listen: expected HOST:PORT"),
        (["--framing", "tripple"], "--framing: expected one of single, batch, got 'tripple'"),
        (["--forward", "nonsense"], "--forward: expected HOST:PORT"),
        (["--forward", "no-such-host.invalid:1"], "forward target no-such-host.invalid:1:"),
        (["--forward", "127.0.0.1:0"], "forward target 127.0.0.1:0 has no port"),
        (["--bus", "amq://h"], "--bus: a bus address cannot begin with amq://; did you mean"),
        (["--from", "c.jsonl"], '--from: expected "file:PATH"'),
        (["--map", "host=1.2.3.4"], "--map: 'host' is neither an IP address"),
        (["--bus-cert-file", "/none"], "--bus-cert-file: bus.cert_file: there is no file /none"),
        (["--bus-token-file", "/none", "--check-config"], "bus.token_file: there is no file /none"),
        (["--bus", "mq.example.org:5672/v"], "--bus: the bus address of 'mq.example.org:5672/v' has no scheme; write"),
        (["--bus", "u:secret@mq.example.org/v"], "--bus: the bus address of 'mq.example.org/v' has no scheme; write"),
        (["--listen", "300.0.0.1:9", "--check-config"], "listen: cannot listen on 300.0.0.1:9: Name or service not"),
        (["--listen", "192.0.2.1:9", "--check-config"], "192.0.2.1:9: Cannot assign requested address; this machine"),
        (["--metrics", "192.0.2.1:9", "--check-config"], "--metrics: metrics: cannot listen on 192.0.2.1:9: Cannot"),
        (["--from", "file:/none", "--check-config"], "--from: from: there is no capture /none"),
        (["--spool", __file__, "--check-config"], f"--spool: spool.dir: {__file__} is a file"),
        (["statsu"], "there is no command 'statsu'; did you mean 'status'?"),
        (["go"], "there is no command 'go'; see --help"),
        (["-c", "/none"], "/none: cannot be read: No such file or directory"),
        (["--spool-max-bytes", "1"], "--spool-max-bytes: 1 is too small; the minimum is 1MiB"),
        (["--batch-max-bytes", "16MiB"], "--batch-max-bytes: 16MiB is too large; the maximum is 8MiB"),
        (["--bus-heartbeat", "1s"], "--bus-heartbeat: 1s is too small; the minimum is 5s"),
        (["status", "--framing", "x"], "--framing: expected one of"),
    ],
)
def test_bad_settings_are_one_sentence_and_exit_code_2(argv, sentence, capsys):
    """Peer weakness G22 among them: a bad forward target is dereferenced with the first packet."""
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_what_this_user_may_not_read_or_write(tmp_path, capsys, monkeypatch):
    for name in ("token", "ca.pem"):
        (tmp_path / name).write_text("x")
    (tmp_path / "spool").mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may do everything
    files = [f"--bus-token-file={tmp_path / 'token'}", f"--bus-ca-file={tmp_path / 'ca.pem'}"]
    assert main([*files, f"--spool={tmp_path / 'spool'}", "--check-config"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"--bus-ca-file: bus.ca_file: this user cannot read {tmp_path / 'ca.pem'}",
        f"--bus-token-file: bus.token_file: this user cannot read {tmp_path / 'token'}",
        f"--spool: spool.dir: this user cannot write to {tmp_path / 'spool'}",
    ]


def test_certificates_are_looked_into(tmp_path, capsys):
    junk, key = tmp_path / "junk.pem", tmp_path / "key.pem"
    junk.write_text("junk")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-passout", "pass:x", "-keyout", key, "-out", tmp_path / "c",
         "-subj", "/CN=x"], check=True, capture_output=True,
    )  # fmt: skip
    for options, sentence in (
        ([f"--bus-ca-file={junk}"], f"the CA file {junk} cannot be used: "),
        (
            [f"--bus-cert-file={junk}", f"--bus-key-file={key}"],
            f"the client certificate {junk} with {key} cannot be used: ",
        ),
        ([f"--bus-cert-file={tmp_path / 'c'}", f"--bus-key-file={key}"], "with a key that has no passphrase"),
    ):
        assert main(["--bus", "amqps://h/", *options, "--check-config"]) == 2
        assert sentence in capsys.readouterr().err
        assert main(["--bus", "amqp://h/", *options, "--check-config"]) == 0, "not used there"
        capsys.readouterr()


def test_what_this_user_may_not_even_see(tmp_path, capsys, monkeypatch):
    def stat(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", stat)  # as below a directory that is closed to us
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert main([f"--bus-ca-file={tmp_path / 'ca.pem'}", f"--spool={tmp_path / 'spool'}", "--check-config"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"--bus-ca-file: bus.ca_file: this user cannot read {tmp_path / 'ca.pem'}",
        f"--spool: spool.dir: this user cannot access {tmp_path / 'spool'}",
    ]
    assert main(["status", f"--spool={tmp_path}"]) == 1
    assert f"FAIL  spool: this user cannot access the spool directory {tmp_path}\n" in capsys.readouterr().out


def test_status_checks_no_settings(capsys):
    with pytest.raises(SystemExit):
        main(["status", "--check-config"])
    assert "unrecognized arguments: --check-config" in capsys.readouterr().err


def test_bad_usage_is_exit_code_2(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--unheard-of"])
    assert caught.value.code == 2
    capsys.readouterr()
