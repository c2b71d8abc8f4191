"""The package of the daemons, as an administrator uses it: install, configure, start, upgrade, remove, purge."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from machines import System

Find = Callable[[str], Path]
PROGRAMS = ("tally-agent", "tally-shoveler", "tally-collector")
SETTINGS = """\
bus.url = "/var/lib/tally-shoveler/bus"
metrics = "127.0.0.1:9931"
"""
SEND = """\
import socket, struct, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect(("127.0.0.1", 9993))
sent = 0
until = time.monotonic() + float(sys.argv[1])
while time.monotonic() < until:
    sock.send(struct.pack(">cBHII", b"=", sent % 256, 12 + 100, 1700000000, 0) + b"x" * 100)
    sent += 1
    time.sleep(0.002)
print(sent)
"""


def version_of(deb: Path) -> str:
    return deb.name.split("_")[1].split("-")[0]


def test_the_first_commands(system: System, deb: Find) -> None:
    system.install([deb("xrootd-tally-daemons")])
    for program in PROGRAMS:
        assert version_of(deb("xrootd-tally-daemons")) in system.run(f"{program} --version")
        assert system.code(f"test -s /usr/share/man/man1/{program}.1.gz") == 0
    assert "listen = [[::]:9993]" in system.run("tally-shoveler -c /etc/tally/tally-shoveler.toml --check-config")
    assert system.code("systemd-analyze verify --man=no /usr/lib/systemd/system/tally-*.s*") == 0
    modes = system.run("stat -c '%a %U:%G' /etc/tally/*.toml /etc/default/tally-*").splitlines()
    assert modes == ["640 root:tally"] * 4
    assert system.run("dpkg --verify xrootd-tally-daemons") == ""


def test_an_agent_makes_requests_with_the_packaged_client(system: System, deb: Find) -> None:
    system.install([deb("xrootd-tally-daemons"), deb("xrootd-tally-client")])
    said = system.run("/usr/lib/tally/python -c 'import XRootD.client as c; print(c.__file__, c.FileSystem)'")
    assert "/usr/lib/tally/lib/XRootD" in said


def test_the_life_of_a_service(system: System, deb: Find, tmp_path: Path) -> None:
    """Installed, started, upgraded under traffic without losing a datagram, stopped by removal, gone after purge."""
    package = deb("xrootd-tally-daemons")
    system.install([package])
    newer = upgraded(package, tmp_path)
    shutil.copyfile(newer, system.root / "root" / newer.name)
    (system.root / "etc/tally/tally-shoveler.toml").write_text(SETTINGS)
    (system.root / "root/send.py").write_text(SEND)
    system.boot()
    assert system.run("systemctl is-enabled tally-shoveler", check=False).strip() == "disabled"
    system.run("systemctl enable --now tally-shoveler")
    assert system.run("systemctl show -P User tally-shoveler") == "tally\n"
    first = system.run("systemctl show -P MainPID tally-shoveler").strip()

    system.run("systemd-run --unit=sender --property=StandardOutput=file:/root/sent python3 /root/send.py 25")
    system.until("tally-shoveler status -c /etc/tally/tally-shoveler.toml", "received = ")
    system.run(f"dpkg -i /root/{newer.name}")
    assert system.run("systemctl show -P MainPID tally-shoveler").strip() != first, "the upgrade restarts it"
    system.until("cat /root/sent", "\n", seconds=180)
    sent = int((system.root / "root/sent").read_text())
    said = system.until("tally-shoveler status -c /etc/tally/tally-shoveler.toml", f"{sent} received = ")
    assert "dropped by the kernel" not in said
    assert sent > 1000

    lines = [json.loads(line) for line in system.run("journalctl -u tally-shoveler -o json --no-pager").splitlines()]
    ours = [line for line in lines if line.get("_COMM", "").startswith("python") and "MESSAGE" in line]
    assert {line["PRIORITY"] for line in ours} >= {"6"}
    assert not [line["MESSAGE"] for line in ours if re.match(r"<\d>|\d{4}-\d\d-\d\dT", line["MESSAGE"])], (
        "no doubled times"
    )

    (system.root / "etc/tally/tally-shoveler.toml").write_text("listne = 1\n")
    assert system.code("systemctl restart tally-shoveler") != 0
    assert system.run("systemctl show -P NRestarts tally-shoveler").strip() == "0", "exit code 2 is not tried again"
    assert "did you mean 'listen'" in system.run("journalctl -u tally-shoveler --no-pager -n 5")
    (system.root / "etc/tally/tally-shoveler.toml").write_text(SETTINGS)
    system.run("systemctl reset-failed tally-shoveler; systemctl start tally-shoveler")

    for unit in ("tally-shoveler", "tally-collector", "tally-agent@client"):
        assert system.code(f"systemd-analyze security --threshold=30 {unit}.service") == 0, unit
    system.run("apt-get remove -y -qq xrootd-tally-daemons")
    assert system.run("systemctl is-active tally-shoveler", check=False).strip() in ("inactive", "unknown")
    assert system.code("test -e /usr/lib/tally") != 0
    assert system.code("test -d /var/lib/tally-shoveler && test -e /etc/tally/tally-shoveler.toml") == 0
    system.run("apt-get purge -y -qq xrootd-tally-daemons")
    left = system.run(
        "find / -xdev -name '*tally*'"
        + "".join(f" -not -path '/{top}/*'" for top in ("tmp", "root", "proc", "sys", "run", "var/log"))
    )
    assert left == ""


def upgraded(package: Path, place: Path) -> Path:
    """The same package with a higher version."""
    root = place / "upgrade"
    subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(root)], check=True)
    control = root / "DEBIAN/control"
    version = version_of(package)
    control.write_text(control.read_text().replace(f"Version: {version}-1", f"Version: {version}-2"))
    made = place / package.name.replace(f"{version}-1", f"{version}-2")
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(root), str(made)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return made


def test_secrets_as_credentials(system: System, deb: Find) -> None:
    """A secret that only root can read reaches the service, and nobody else."""
    system.install([deb("xrootd-tally-daemons")])
    store = system.root / "etc/credstore"
    store.mkdir(mode=0o700, exist_ok=True)
    (store / "tally-shoveler.bus-url").write_text("/var/lib/tally-shoveler/of-the-credential\n")
    (store / "tally-shoveler.bus-url").chmod(0o600)
    system.boot()
    system.run("systemctl start tally-shoveler")
    system.until("ls /var/lib/tally-shoveler", "of-the-credential")


def test_the_rpm_where_python_has_another_name(release: str, system: System, rpm: Find) -> None:
    """EL's layout, imitated: /usr/bin/python3 is older, and the Python to use is beside it as python3.11."""
    system.run("apt-get update -qq; apt-get install -y -qq --no-install-recommends python3 rpm passwd")
    name = {"12": "python3.11", "13": "python3.13"}[release]
    system.run(f"ln -sf /bin/true /usr/bin/python3.9; ln -sf python3.9 /usr/bin/python3; test -x /usr/bin/{name}")
    package = rpm("xrootd-tally-daemons")
    shutil.copyfile(package, system.root / "tmp" / package.name)
    assert "(python3.14 or python3.13 or python3.12 or python3.11" in system.run(f"rpm -qpR /tmp/{package.name}")
    system.run(f"rpm -i --nodeps /tmp/{package.name}")
    for program in PROGRAMS:
        assert "0.1.0" in system.run(f"{program} --version")
    assert (
        system.run("stat -c '%a %U:%G' /etc/tally/*.toml /etc/sysconfig/tally-*").splitlines() == ["640 root:tally"] * 4
    )
    assert system.run("rpm -V --nodeps xrootd-tally-daemons") == ""
    system.run("rpm -e --nodeps xrootd-tally-daemons")
    assert system.code("test -e /usr/lib/tally") != 0
    system.run(f"rm /usr/bin/{name}", check=False)


def test_without_any_python_that_will_do(system: System, deb: Find) -> None:
    system.install([deb("xrootd-tally-daemons")])
    system.run("rm /usr/bin/python3 /usr/bin/python3.1*")
    said = system.run("tally-shoveler --version", check=False)
    assert (
        said
        == "tally: needs Python 3.11 to 3.14, and /usr/bin has none; install python3.11 or newer, or set TALLY_PYTHON\n"
    )
