"""Clean systems to install packages on: a chroot of each Debian release, made once, and copies of it that boot.

Nothing of this machine is in a copy but its way to Debian's packages. A copy's processes are in namespaces of their own
and end with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

SUITES = {"12": "bookworm", "13": "trixie"}
BASE = "systemd,systemd-sysv,dbus,ca-certificates"
CACHE = Path(os.environ.get("TALLY_MATRIX", "/var/tmp/tally-matrix"))
_BOOT = 180.0


class CommandError(AssertionError):
    """A command in a system failed; the text has its output."""


def base(release: str) -> Path:
    """The bare system of a release, made at the first call."""
    root = CACHE / f"bare-{release}"
    if root.is_dir():
        return root
    fresh = CACHE / f"bare-{release}.new"
    bootstrap(SUITES[release], fresh, variant="apt", include=BASE)
    shutil.copyfile(CACHE / "apt.conf", fresh / "etc/apt/apt.conf.d/90machine")
    fresh.chmod(0o755)
    fresh.rename(root)
    return root


def bootstrap(suite: str, place: Path, *, variant: str, include: str) -> None:
    """A new system in a directory (or archive), with packages from where this machine has its own."""
    CACHE.mkdir(parents=True, exist_ok=True)
    settings = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout
    kept = [
        line
        for line in settings.splitlines()
        if line.startswith(("Acquire::http", "Acquire::Check", "Acquire::Retries"))
    ]
    options = CACHE / "apt.conf"
    options.write_text("".join(line + "\n" for line in kept if not line.endswith('"";')))
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    mirrors = [line.removeprefix("Debian ") for line in listed.splitlines() if line.startswith("Debian ")]
    shutil.rmtree(place, ignore_errors=True)
    command = ["mmdebstrap", "--quiet", f"--variant={variant}", f"--include={include}", f"--aptopt={options}"]
    subprocess.run([*command, suite, str(place), *mirrors[:1]], check=True)


class System:
    """A copy of a bare system, removed by `close`."""

    def __init__(self, release: str, place: Path) -> None:
        self.release = release
        self.root = place
        subprocess.run(["cp", "-a", "--reflink=auto", str(base(release)), str(place)], check=True)
        for name in ("resolv.conf", "hosts"):
            shutil.copyfile(f"/etc/{name}", place / "etc" / name)
        certificates = Path("/etc/ssl/certs/ca-certificates.crt")
        if certificates.is_file():  # mirrors that this machine trusts
            shutil.copyfile(certificates, place / "etc/ssl/certs/ca-certificates.crt")
        policy = place / "usr/sbin/policy-rc.d"  # services of Debian's own packages do not start
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        self._boot: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def run(self, command: str, *, check: bool = True, user: str = "", timeout: float = 600) -> str:
        """What a shell command prints, in the system (booted or not). Raises CommandError when it fails."""
        words = ["runuser", "-u", user, "--", "sh", "-c", command] if user else ["sh", "-c", command]
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive",
        }
        done = subprocess.run(
            [*self._inside(), *words], env=environment, capture_output=True, text=True, timeout=timeout, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        said = done.stdout + done.stderr
        if check and done.returncode:
            raise CommandError(f"{command!r} ended with {done.returncode} on Debian {self.release}:\n{said}")
        return said

    def code(self, command: str) -> int:
        """The exit code of a command."""
        return int(self.run(f"{{ {command}; }} >/dev/null 2>&1; echo $?").strip())

    def install(self, packages: Sequence[Path], *, recommended: bool = False) -> str:
        """Install package files, with what they depend on from Debian, as an administrator does."""
        for package in packages:
            shutil.copyfile(package, self.root / "tmp" / package.name)
        files = " ".join(f"/tmp/{package.name}" for package in packages)
        more = "" if recommended else "--no-install-recommends"
        lists = self.root / "var/lib/apt/lists"
        if not any(lists.glob("*Packages*")):
            self.run("apt-get update -qq")
        return self.run(f"apt-get install -y -qq --allow-downgrades {more} {files}")

    def _inside(self) -> list[str]:
        if self._leader:
            spaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
            return ["nsenter", "--target", str(self._leader), *spaces, "--"]
        mounts = (
            'mount --make-rprivate /; mount --bind "$0" "$0"; mount -t proc proc "$0/proc"; '
            'mount --rbind /dev "$0/dev"; '
            'mount -t tmpfs tmpfs "$0/run"; exec chroot "$0" "$@"'
        )
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--", "sh", "-c", mounts, str(self.root)]

    def boot(self) -> None:
        """Start systemd, with a network of its own (loopback alone), and wait until it is up."""
        command = [
            "systemd-nspawn",
            "--quiet",
            "--register=no",
            "--keep-unit",
            "--settings=no",
            "--private-network",
            "--boot",
        ]
        command += ["--resolv-conf=off", "--timezone=off", "--console=pipe", f"--directory={self.root}"]
        log = (self.root.parent / f"{self.root.name}.boot.log").open("wb")
        with log:
            self._boot = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + _BOOT
        while time.monotonic() < deadline:
            self._leader = self._find_leader()
            if self._leader and self.run("systemctl is-system-running", check=False).strip() in ("running", "degraded"):
                return
            time.sleep(0.5)
        raise CommandError(f"Debian {self.release} did not boot in {_BOOT:.0f} s; see {log.name}")

    def _find_leader(self) -> int:
        """The process of this machine that is process 1 of the system."""
        assert self._boot is not None
        try:
            children = Path(f"/proc/{self._boot.pid}/task/{self._boot.pid}/children").read_text().split()
        except OSError:
            return 0
        for child in children:
            try:
                numbers = next(
                    line for line in Path(f"/proc/{child}/status").read_text().splitlines() if line.startswith("NSpid")
                )
            except OSError:
                continue
            if numbers.split()[-1] == "1":
                return int(child)
        return 0

    def until(self, command: str, wanted: str, *, seconds: float = 120) -> str:
        """Repeat a command until its output contains a text. Raises CommandError."""
        deadline = time.monotonic() + seconds
        while wanted not in (said := self.run(command, check=False)):
            if time.monotonic() > deadline:
                raise CommandError(f"{command!r} never said {wanted!r} but:\n{said}")
            time.sleep(0.3)
        return said

    def close(self) -> None:
        """End its processes and remove its files."""
        if self._boot is not None:
            self._boot.terminate()  # nspawn hands it on as an orderly power-off
            try:
                self._boot.wait(60)
            except subprocess.TimeoutExpired:
                self._boot.kill()
                self._boot.wait()
            self._boot, self._leader = None, 0
        shutil.rmtree(self.root, ignore_errors=True)
