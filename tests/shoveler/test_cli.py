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
        (["-c", "/none"], "/none: cannot be read: No such file or directory"),
        (["--spool-max-bytes", "1"], "--spool-max-bytes: 1 is too small"),
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


def test_bad_usage_is_exit_code_2(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--unheard-of"])
    assert caught.value.code == 2
    capsys.readouterr()
