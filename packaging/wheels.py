"""The wheels that a package of a distribution brings along: locked by hash, for every supported Python, in one tree.

A wheel for one Python differs from that for another in little but its extension modules, whose names contain the
Python's ABI: so the wheels of all of them fit into the same directory, and what is the same is there once. Where two
files with one name differ, the build ends, unless `MAY_DIFFER` says why the first will do.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
NOT_IN_PACKAGES = {"editables", "hatchling", "pathspec", "pluggy", "trove-classifiers"}
"""What an install from a checkout is built with."""
MAY_DIFFER = {
    "numpy/__config__.py": "only numpy.show_config() reads it",
    "pyxrootd/libXrdCryptossl-6.so": "built several times from one source",
    "pyxrootd/libXrdUtils.so": "built several times from one source",
    "pyxrootd/libXrdUtils.so.6": "built several times from one source",
    "pyxrootd/libXrdUtils.so.6.2.1": "built several times from one source",
}
NOT_NEEDED = re.compile(
    r".*\.(pyi|pxd|pxi|h|hpp|c|cpp|pyx|typed)$|.*/(tests?|testing/tests|include|examples|benchmarks|__pycache__)/"
    r"|.*\.dist-info/(RECORD|WHEEL|INSTALLER|REQUESTED|top_level\.txt|direct_url\.json|sboms/)"
    # Of Qt only what a window of widgets loads (gui/app): no QML, no designer, no translations of Qt's own dialogs.
    r"|PySide6/(Qt/(qml|metatypes|libexec|translations|resources|modules)/|[a-z-]+$|.*\.json$|doc/|typesystems/|glue/|scripts/)"
    r"|PySide6/Qt/lib/libQt6(Qml|Quick|Designer|Help|Labs|Sql|Test|UiTools|WaylandCompositor|OpenGLWidgets|EglFS|Concurrent)"
    r"|PySide6/Qt(Qml|Quick|Designer|Help|Sql|Test|UiTools|Xml|Concurrent|OpenGL|QuickControls2|QuickTest|QuickWidgets)\w*\.abi3"
    r"|PySide6/libpyside6qml|PySide6/Qt/plugins/(qmltooling|qmllint|qmlls|designer|sqldrivers|generic|egldeviceintegrations"
    r"|tls|networkinformation|vectorimageformats|wayland-graphics-integration-server)/|PySide6/(Assistant|Designer|Linguist)"
)


@dataclass(frozen=True)
class Pin:
    """One line of a lock file."""

    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def line(self) -> str:
        """As pip reads it."""
        return f"{self.name}=={self.version} " + " ".join(f"--hash={each}" for each in self.hashes)


def pins(lock: Path) -> list[Pin]:
    """The pins of a lock file that are for Linux on the oldest Python: newer ones get the same versions, so that one
    package holds one version of each."""
    oldest = {
        "python_version": PYTHONS[0],
        "python_full_version": f"{PYTHONS[0]}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
    }
    found = []
    for line in lock.read_text().replace("\\\n", " ").splitlines():
        words, *hashes = line.split(" --hash=")
        if not words.strip():
            continue
        wanted = Requirement(words)
        if wanted.name in NOT_IN_PACKAGES or (wanted.marker and not wanted.marker.evaluate(oldest)):
            continue
        (version,) = wanted.specifier
        found.append(Pin(wanted.name, version.version, tuple(each.strip() for each in hashes)))
    return found


def download(wanted: Sequence[Pin], into: Path, *, glibc: int, machine: str) -> list[Path]:
    """The wheels of these pins for every Python, for glibc 2.`glibc` and newer. Raises CalledProcessError."""
    into.mkdir(parents=True, exist_ok=True)
    (into / "wanted.txt").write_text("".join(pin.line + "\n" for pin in wanted))
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(glibc, 4, -1)]
    platforms += [f"{old}_{machine}" for old in ("manylinux2014", "manylinux2010", "manylinux1")]
    found = []
    for python in PYTHONS:
        directory = into / python
        there = _complete(directory, wanted)
        if there is not None:
            found += there
            continue
        abi = "cp" + python.replace(".", "")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--require-hashes", "--only-binary=:all:", "--python-version", python, "--implementation", "cp"]
        command += [word for each in (abi, "abi3", "none") for word in ("--abi", each)]
        command += [word for each in platforms for word in ("--platform", each)]
        subprocess.run([*command, "-r", str(into / "wanted.txt"), "-d", str(directory)], check=True)
        found += sorted(directory.glob("*.whl"))
    return found


def _complete(directory: Path, wanted: Sequence[Pin]) -> list[Path] | None:
    """The wheels in a directory, if there is one for each pin, with a hash that is locked, and no other."""
    known = {each.removeprefix("sha256:") for pin in wanted for each in pin.hashes}
    wheels = sorted(directory.glob("*.whl"))
    if len(wheels) != len(wanted) or any(_digest(wheel) not in known for wheel in wheels):
        return None
    return wheels


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def merge(wheels: Iterable[Path], into: Path) -> None:
    """Unpack the wheels into one directory. Raises ValueError when two files differ that must not."""
    sources: dict[str, tuple[bytes, str]] = {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                if entry.is_dir() or NOT_NEEDED.match(entry.filename):
                    continue
                content = archive.read(entry)
                before = sources.setdefault(entry.filename, (content, wheel.name))
                if before[0] is content:
                    program = entry.external_attr >> 16 & 0o100 and content[:2] == b"#!"
                    if content[:2] == b"#!" and not program:
                        content = b"# " + content[2:]  # a module that nobody starts
                    path = into / entry.filename
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
                    path.chmod(0o755 if program else 0o644)
                elif before[0] != content and entry.filename not in MAY_DIFFER:
                    raise ValueError(f"{entry.filename} of {wheel.name} differs from that of {before[1]}")
    _link_versions(into)


def _link_versions(directory: Path) -> None:
    """Wheels hold a library under each of its names: libX.so.6.2.1, libX.so.6 and libX.so. One is enough."""
    for path in sorted(directory.rglob("*.so.*")):
        for shorter in (path.name[:at] for at in range(len(path.name)) if path.name[at] == "."):
            other = path.with_name(shorter)
            files = ".so" in shorter and path.is_file() and other.is_file() and not other.is_symlink()
            if files and other.read_bytes() == path.read_bytes():
                other.unlink()
                other.symlink_to(path.name)


def strip(directory: Path) -> None:
    """Take debugging symbols out of the libraries."""
    for path in directory.rglob("*.so*"):
        if not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF":
            subprocess.run(["strip", "--strip-unneeded", "--remove-section=.comment", str(path)], check=True)


def newest_glibc(directory: Path) -> dict[Path, tuple[int, ...]]:
    """For each ELF file, the newest version of glibc that a symbol of it asks for (`objdump -T`)."""
    found = {}
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF":
            table = subprocess.run(["objdump", "-T", str(path)], check=True, capture_output=True, text=True).stdout
            versions = {tuple(map(int, each.split("."))) for each in re.findall(r"\bGLIBC_(\d+(?:\.\d+)+)", table)}
            found[path] = max(versions, default=(0,))
    return found
