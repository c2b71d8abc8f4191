"""The container image: built with buildah from a base made here, and started without a container runtime.

No registry is asked: the base that the recipe names (`BASE`) is a system that mmdebstrap makes. A container is a
process in namespaces of its own, whose root is the image's, read-only, with the user, environment and volume that the
image says: what a runtime does, as far as the programs can tell.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from machines import CACHE, CommandError, bootstrap

ROOT = Path(__file__).resolve().parents[2]
STORE = CACHE / "images"
BASE = "localhost/tally-base"
IMAGE = "localhost/xrootd-tally"


def buildah(*words: str) -> str:
    """What a command of buildah prints. Raises CommandError."""
    places = ["--storage-driver", "vfs", "--root", str(STORE / "root"), "--runroot", str(STORE / "run")]
    done = subprocess.run(["buildah", *places, *words], check=False, capture_output=True, text=True)
    if done.returncode:
        raise CommandError(f"buildah {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def build() -> str:
    """The image of this checkout; its id."""
    _make_base()
    volumes = [f"--volume={each}" for each in _way_to_pip()]
    recipe = ROOT / "packaging/container/Containerfile"
    buildah(
        "bud", "--isolation", "chroot", "--build-arg", f"BASE={BASE}", "--pull-never", *volumes,
        "--file", str(recipe), "--tag", IMAGE, str(ROOT),
    )  # fmt: skip
    return buildah("images", "--quiet", IMAGE)


def _make_base() -> None:
    """What stands for debian:trixie-slim."""
    if BASE in buildah("images", "--format", "{{.Name}}").splitlines():
        return
    archive = CACHE / "base.tar"
    bootstrap("trixie", archive, variant="minbase", include="ca-certificates")
    container = buildah("from", "scratch")
    buildah("add", container, str(archive), "/")
    buildah("commit", container, BASE)
    buildah("rm", container)
    archive.unlink()


def _way_to_pip() -> list[str]:
    """Volumes through which the build finds packages as this machine does: pip's settings and what they name."""
    said = subprocess.run(["pip", "config", "list"], check=True, capture_output=True, text=True).stdout
    values = {key.rpartition(".")[2]: value.strip("'\"") for key, _, value in
              (line.partition("=") for line in said.splitlines())}  # fmt: skip
    settings = CACHE / "pip.conf"
    settings.write_text("[global]\n" + "".join(f"{key} = {value}\n" for key, value in sorted(values.items())))
    plain = {Path(each) for value in values.values() for each in re.findall(r"(?<![\w:/])/[^\s,'\"]+", value)}
    urls = {
        Path(each) for value in values.values() for each in re.findall(r"file://(?:localhost)?(/[^\s,'\"]+)", value)
    }
    # Beside an index on disk lie the files that it lists.
    places = {path for path in {*plain, *(url.parent for url in urls)} if path.exists()}
    return [f"{settings}:/etc/pip.conf:ro", *(f"{path}:{path}:ro" for path in sorted(places))]


_LOOPBACK_UP = """\
import fcntl, signal, socket, struct
up, loopback, running, set_flags = 0x1, 0x8, 0x40, 0x8914
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, set_flags, struct.pack("16sh", b"lo", up | loopback | running))
print("up", flush=True)
signal.pause()
"""


class Containers:
    """Containers of one image, in a network of their own, as those of a pod; `close` ends them."""

    def __init__(self, image: str, place: Path) -> None:
        self._container = buildah("from", "--pull-never", image)
        self.root = Path(buildah("mount", self._container))
        self.config: dict[str, Any] = json.loads(buildah("inspect", self._container))["OCIv1"]["config"]
        self._place = place
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._network = subprocess.Popen(
            ["unshare", "--net", "--", sys.executable, "-c", _LOOPBACK_UP], stdout=subprocess.PIPE, text=True
        )
        assert self._network.stdout is not None
        assert self._network.stdout.readline() == "up\n"

    def inside(self, program: str, *words: str) -> str:
        """What a Python program of this machine prints, in the network of the containers. Raises CommandError."""
        command = [*self._join(), sys.executable, "-c", program, *words]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise CommandError(done.stdout + done.stderr)
        return done.stdout

    def _join(self) -> list[str]:
        return ["nsenter", f"--net=/proc/{self._network.pid}/ns/net", "--"]

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], *, mounts: Mapping[str, Path]
    ) -> None:
        """Start a container; its output is in `said(name)`. `mounts`: directories of this machine, by their place."""
        log = (self._place / f"{name}.log").open("wb")
        with log:
            self._running[name] = subprocess.Popen(
                self._words(command, environment, mounts), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def run(self, command: Sequence[str], environment: Mapping[str, str], *, mounts: Mapping[str, Path]) -> str:
        """What a command in a container prints. Raises CommandError."""
        words = self._words(command, environment, mounts)
        done = subprocess.run(words, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise CommandError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def _words(self, command: Sequence[str], environment: Mapping[str, str], mounts: Mapping[str, Path]) -> list[str]:
        image = dict(each.split("=", 1) for each in self.config["Env"])
        user, _, group = self.config["User"].partition(":")
        binds = "".join(
            f'mkdir -p "$0{target}"; mount --bind "{source}" "$0{target}"; ' for target, source in mounts.items()
        )
        drop = f"--reuid {user} --regid {group} --clear-groups --no-new-privs --bounding-set=-all"
        script = (
            'mount --make-rprivate /; mount --bind "$0" "$0"; ' + binds + 'mount -t proc proc "$0/proc"; '
            'mount --rbind /dev "$0/dev"; mount -t tmpfs -o mode=1777 tmpfs "$0/tmp"; mount -o remount,bind,ro "$0"; '
            f'exec /usr/sbin/chroot "$0" /usr/bin/setpriv {drop} "$@"'
        )
        spaces = ["--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
        values = [f"{key}={value}" for key, value in {**image, **environment}.items()]
        return [
            *self._join(),
            "unshare",
            *spaces,
            "--",
            "env",
            "-i",
            *values,
            "sh",
            "-c",
            script,
            str(self.root),
            *command,
        ]

    def said(self, name: str) -> str:
        """The output of a container until now."""
        return (self._place / f"{name}.log").read_text(errors="replace")

    def wait(self, name: str, wanted: str, *, seconds: float = 120) -> str:
        """Its output, once that has a text in it. Raises CommandError."""
        deadline = time.monotonic() + seconds
        while wanted not in (said := self.said(name)):
            if self._running[name].poll() is not None or time.monotonic() > deadline:
                raise CommandError(f"{name} never said {wanted!r} but:\n{said}")
            time.sleep(0.2)
        return said

    def stop(self, name: str) -> None:
        """End a container as a runtime does, with SIGTERM for its first process."""
        process = self._running.pop(name)
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        subprocess.run(["kill", "-TERM", child], check=True)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise CommandError(f"{name} did not end within 60 s of SIGTERM:\n{self.said(name)}") from None

    def close(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()
        self._network.kill()
        self._network.wait()
        buildah("rm", self._container)


def size() -> int:
    """The bytes of the image's files."""
    container = buildah("from", "--pull-never", IMAGE)
    try:
        said = subprocess.run(["du", "-sb", buildah("mount", container)], check=True, capture_output=True, text=True)
        return int(said.stdout.split()[0])
    finally:
        buildah("rm", container)


def remove_all() -> None:
    """Forget all images."""
    shutil.rmtree(STORE, ignore_errors=True)
