from __future__ import annotations

import dataclasses
import os
import pwd
from importlib import resources
from pathlib import Path

import pytest

from agent.lab import servers
from agent.lab.errors import LabError

PLAN = servers.ServerPlan("s07", "LAB-07", 31_094, "127.0.0.1:9993", "127.0.0.1:9993")


def test_the_configuration_is_the_shipped_sample_filled_in() -> None:
    text = servers.config_text(PLAN, Path("/w/s07/root"), Path("/w"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines == [
        "all.role server",
        "all.sitename LAB-07",
        "xrd.port 31094",
        "oss.localroot /w/s07/root",
        "all.export /store",
        "all.adminpath /w/adm",
        "all.pidpath /w/adm",
        "xrd.allow host 127.0.0.1",
        "xrd.allow host localhost",
        "xrd.tls /w/server.pem /w/server.key",
        "xrd.tlsca certfile /w/ca.pem",
        "xrd.protocol http libXrdHttp.so",
        "http.exthandler xrdtpc libXrdHttpTPC.so",
        "xrootd.chksum adler32",
        "xrootd.async off",
        "xrootd.monitor all auth ident 10s flush 1s window 1s fbuff 1400 fstat 1s lfn ops ssq xfr 5 "
        "dest fstat info user tpc 127.0.0.1:9993",
    ]
    guarded = servers.config_text(dataclasses.replace(PLAN, tokens=True), Path("/w/s07/root"), Path("/w"))
    assert [line for line in guarded.splitlines() if line not in text.splitlines()] == [
        "http.header2cgi Authorization authz",
        "ofs.authorize 1",
        "ofs.authlib libXrdAccSciTokens.so config=/w/scitokens.cfg",
    ]


def test_the_sample_for_sites_has_one_monitoring_line_with_all_that_matters() -> None:
    text = resources.files("resources").joinpath("samples", "xrootd-monitoring.cfg").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("xrootd.monitor")]
    words = line.split()
    assert words.index("auth") < words.index("dest")
    assert words[words.index("fstat") + 2 : words.index("dest")] == ["lfn", "ops", "ssq", "xfr", "3"]
    assert int(words[words.index("fbuff") + 1]) <= 1452


def test_the_servers_tree(tmp_path: Path) -> None:
    work = tmp_path / "work"
    account = servers.find_account()
    servers.make_work_directory(work, account)
    servers.shared_files(work).mkdir()
    config = servers.make_server(PLAN, work, account)
    assert config.read_text() == servers.config_text(PLAN, work / "s07" / "root", work)
    assert (work / "s07" / "root" / "store" / "test").resolve() == servers.shared_files(work)
    for path in (work / "adm", work / "s07", work / "s07" / "root" / "store" / "write"):
        assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (account.uid, 0o700)
    # Whoever may write to it could lead us astray: only we may, and only the servers' user may enter.
    assert work.stat().st_uid == os.getuid()
    assert work.stat().st_mode & 0o777 == (0o710 if account.switch else 0o700)


def test_root_hands_the_servers_to_another_user() -> None:
    account = servers.find_account()
    if os.getuid() == 0:
        assert account.switch
        assert account.uid == pwd.getpwnam(account.name).pw_uid != 0
    else:
        assert (account.uid, account.switch) == (os.getuid(), False)


def test_a_missing_xrootd_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(LabError, match="install the Debian package xrootd-server"):
        servers.find_xrootd()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_cache_counts_what_it_serves_unless_told_otherwise(asynchronous: bool) -> None:
    cache = dataclasses.replace(PLAN, origin="127.0.0.1:31000", asynchronous=asynchronous)
    text = servers.config_text(cache, Path("/w/c01/root"), Path("/w"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert ("xrootd.async off" in lines) is not asynchronous
    assert "pss.origin 127.0.0.1:31000" in lines
    assert lines[-1].endswith("dest fstat info user pfc 127.0.0.1:9993")
