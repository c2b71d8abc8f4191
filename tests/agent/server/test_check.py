"""tally-agent check-config."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli import main
from agent.server.check import findings

FAULTY = "all.sitename S\nxrootd.monitor all auth ident 5m fbuff 1452 fstat 10s lfn ops dest fstat info user {}\n"


@pytest.fixture
def address() -> Iterator[str]:
    """A UDP port of this machine on which somebody listens, for the length of the test."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{s.getsockname()[1]}"


def test_errors_are_printed_with_the_line_to_copy(
    tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "xrootd.cfg"
    file.write_text(FAULTY.format(address))
    assert main(["check-config", str(file)]) == 1
    assert capsys.readouterr().out == (
        f"{file}:2: error: xfr is missing: close records will never be sent, and with them no byte counts.\n"
        "    A server without it reports opens and disconnects only. Add xfr to fix that.\n"
        "Recommended:\n"
        "    xrootd.monitor all auth ident 5m flush 30s window 5s fbuff 1452 fstat 10s lfn ops xfr 3 "
        f"dest fstat info user {address}\n"
    )


def test_a_clean_file(tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "xrootd.cfg"
    file.write_text(FAULTY.format(address).replace("ops", "ops xfr 3"))
    assert main(["check-config", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: no problems found in the monitoring.\n"


def test_as_json(tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "xrootd.cfg"
    file.write_text(FAULTY.format(address))
    assert main(["check-config", "--json", str(file)]) == 1
    (finding,) = json.loads(capsys.readouterr().out)
    assert (finding["severity"], finding["line"]) == ("error", 2)
    assert finding["fixed"].startswith("xrootd.monitor all auth ident")


def test_from_standard_input(address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(FAULTY.format(address).encode())))
    assert main(["check-config", "-"]) == 1
    assert "xfr is missing" in capsys.readouterr().out


def test_a_directory_with_the_rest_is_read_in_the_order_of_names(
    tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = tmp_path / "config.d"
    parts.mkdir()
    (parts / "10-site.cfg").write_text(FAULTY.format(address))
    (parts / "90-late.cfg").write_text("\n" + FAULTY.format(address).partition("\n")[2].replace("ops", "ops xfr 3"))
    (parts / "95-late.cfg.rpmsave").write_text("fi\n")
    (parts / "99-program.cfg").write_text("fi\n")
    (parts / "99-program.cfg").chmod(0o755)
    file = tmp_path / "xrootd.cfg"
    file.write_text(f"all.role server\ncontinue {parts}/\n")
    assert main(["check-config", str(file)]) == 0
    assert capsys.readouterr().out.startswith(
        f"{parts}/90-late.cfg:2: warning: The xrootd.monitor line 2 of {parts}/10-site.cfg has no effect: "
        f"line 2 of {parts}/90-late.cfg replaces it.\n"
    )


def test_for_one_instance_and_release(tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "xrootd.cfg"
    good = FAULTY.format(address).replace("ops", "ops xfr 3").replace("info", "info throttle")
    file.write_text(f"if named a\nfi\n{good.replace('fbuff', 'gbuff 1452 fbuff')}")
    assert main(["check-config", str(file), "--instance", "a", "--xrootd", "v5.8.1"]) == 0
    assert capsys.readouterr().out == f"{file}: no problems found in the monitoring.\n"
    assert main(["check-config", str(file), "--xrootd", "5.5.3"]) == 1
    assert "XRootD before 5.7.0 does not know the event throttle" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["check-config", str(file), "--xrootd", "new"])
    assert "'new' is not an XRootD release; use a form like 5.8.1" in capsys.readouterr().err


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", str(tmp_path / "none.cfg")]) == 2
    assert capsys.readouterr().err == f"tally-agent: {tmp_path}/none.cfg cannot be read: No such file or directory.\n"


def test_a_local_destination_where_nobody_listens(address: str) -> None:
    good = FAULTY.replace("ops", "ops xfr 3")
    assert findings(good.format(address)) == []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        free = s.getsockname()[1]
    (finding,) = findings(good.format(f"127.0.0.1:{free}"))
    assert finding.what == f"Nothing listens on 127.0.0.1:{free} on this machine: the datagrams are lost."
    assert finding.severity == "warning"


def test_a_destination_without_a_known_host() -> None:
    found = findings(FAULTY.replace("ops", "ops xfr 3").format("no-such-host.invalid:9930"))
    assert [f.what for f in found if f.severity == "error"] == [
        "The host of dest no-such-host.invalid:9930 cannot be resolved here; xrootd does not start."
    ]


@pytest.mark.parametrize(
    "where", ["h\0x:1", "x" * 300 + ":1", ":1", "127.0.0.1:99999999999999999999", "[::1:5", "é..é:1"]
)
def test_destinations_that_make_no_sense_are_findings(where: str) -> None:
    found = findings(FAULTY.replace("ops", "ops xfr 3").format(where))
    assert "error" in {finding.severity for finding in found}
