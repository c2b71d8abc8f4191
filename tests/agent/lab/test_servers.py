from __future__ import annotations

import dataclasses
import os
import pwd
from importlib import resources
from pathlib import Path

import pytest

from agent.lab import servers
from agent.lab.errors import LabError, WishError

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
        "if exec xrootd",
        "xrd.protocol http libXrdHttp.so",
        "http.exthandler xrdtpc libXrdHttpTPC.so",
        "fi",
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
        servers.find_programs("")


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_cache_counts_what_it_serves_unless_told_otherwise(asynchronous: bool) -> None:
    cache = dataclasses.replace(PLAN, origin="127.0.0.1:31000", asynchronous=asynchronous)
    text = servers.config_text(cache, Path("/w/c01/root"), Path("/w"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert ("xrootd.async off" in lines) is not asynchronous
    assert "pss.origin 127.0.0.1:31000" in lines
    assert lines[-1].endswith("dest fstat info user pfc 127.0.0.1:9993")


def test_another_xrootd_brings_its_libraries(tmp_path: Path) -> None:
    with pytest.raises(WishError, match=r"--xrootd is .*, and there is no bin/xrootd with a bin/cmsd below it"):
        servers.find_programs(str(tmp_path))
    for name in ("bin/xrootd", "bin/cmsd"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "lib64").mkdir()
    found = servers.find_programs(str(tmp_path))
    assert found == servers.Programs(f"{tmp_path}/bin/xrootd", f"{tmp_path}/bin/cmsd", f"{tmp_path}/lib64")


def test_a_redirector_has_no_files_and_its_servers_belong_to_it(tmp_path: Path) -> None:
    work = tmp_path / "work"
    account = servers.find_account()
    servers.make_work_directory(work, account)
    plan = dataclasses.replace(PLAN, redirects=True, manager=31_999)
    text = servers.make_server(plan, work, account).read_text()
    assert {"all.role manager", "all.manager localhost:31999", "xrd.port 31999", "xrd.port 31094"} <= set(
        text.split("\n")
    )
    assert not (work / "s07" / "root" / "store" / "test").exists()
    member = servers.config_text(dataclasses.replace(PLAN, manager=31_999), Path("/w/s07/root"), Path("/w"))
    assert "all.manager localhost:31999\nif exec cmsd\nxrd.port any\nfi\n" in member
