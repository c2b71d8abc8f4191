"""The four programs with a Python of their own, as an archive to unpack anywhere: for machines without Python 3.11.

They need the glibc of the machine that built them (`floor`), which is why deb and rpm are not made this way. What is
built must do one real thing, must not name a directory of this machine, and says in ``FLOOR`` which glibc it needs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import wheels
from stage import ROOT, Release

DATAGRAM = """\
import base64, json, struct, sys
text = b"=/root.1:169369521036254@se01.example.org\\n&site=SITE-A&port=1094&inst=disk1&pgm=xrootd&ver=v5.5.3"
datagram = struct.pack(">cBHII", b"=", 0, 12 + len(text), 1_700_000_000, 0) + text
print(json.dumps({"t": 1.0, "remote": "127.0.0.1:1", "data": base64.b64encode(datagram).decode()}))
"""


def build(release: Release, into: Path) -> Path:
    """The archive; its path. Raises SystemExit with a sentence when what was built will not do."""
    with tempfile.TemporaryDirectory(prefix="tally-frozen-") as directory:
        place = Path(directory)
        environment = os.environ | {"PYTHONPATH": str(ROOT), "SOURCE_DATE_EPOCH": str(release.epoch)}
        spec = place / "tally.spec"
        spec.write_text(f"METADATA = {str(_metadata(release, place))!r}\nSPECPATH = {str(ROOT / 'packaging')!r}\n"
                        + (ROOT / "packaging/tally.spec").read_text())  # fmt: skip
        command = [sys.executable, "-m", "PyInstaller", "--log-level", "WARN", "--noconfirm"]
        command += ["--distpath", str(place / "dist"), "--workpath", str(place / "work"), str(spec)]
        subprocess.run(command, check=True, env=environment)
        programs = place / "dist" / "xrootd-tally"
        for compiled in list(programs.rglob("__pycache__")):
            shutil.rmtree(compiled)  # of this checkout, whose path is in it; PyInstaller has its own
        _try(programs, place)
        _refuse_paths(programs)
        needed = floor(programs)
        (programs / "FLOOR").write_text(f"These programs need glibc {needed} or newer.\n")
        shutil.copyfile(ROOT / "LICENSE", programs / "LICENSE")
        path = into / f"xrootd-tally-{release.version}-linux-{release.machine}-glibc{needed}.tar.xz"
        with tarfile.open(path, "w:xz", preset=1) as archive:
            archive.add(programs, "xrootd-tally")
    return path


def floor(directory: Path) -> str:
    """The oldest glibc that all programs and libraries in a directory work with: 2.36."""
    newest = max(wheels.newest_glibc(directory).values())
    return ".".join(map(str, newest))


def _metadata(release: Release, place: Path) -> Path:
    """The metadata of our own wheel: that of an editable install names the checkout."""
    with zipfile.ZipFile(release.wheel) as archive:
        for name in archive.namelist():
            if ".dist-info/" in name:
                archive.extract(name, place)
    (found,) = place.glob("*.dist-info")
    return found


def _try(programs: Path, place: Path) -> None:
    """One real thing each: the collector decodes a server's ident datagram, the app creates a workspace."""
    capture = place / "ident.jsonl"
    made = subprocess.run([sys.executable, "-c", DATAGRAM], check=True, capture_output=True, text=True)
    capture.write_text(made.stdout)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(place), "TALLY_DATA": str(place)}

    def said(program: str, *arguments: str) -> str:
        command = [str(programs / program), *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        if done.returncode:
            raise SystemExit(f"the frozen {program} {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    if "se01.example.org" not in said("tally-collector", "inspect", str(capture)):
        raise SystemExit("the frozen collector does not decode a datagram")
    said("tally-shoveler", "--help")
    said("tally-agent", "--help")
    said("tally", "key", "create", "--db", str(place / "self-test.db"))


def _refuse_paths(programs: Path) -> None:
    """Nothing may tell where it was built."""
    wanted = [str(ROOT).encode(), str(Path(sys.prefix)).encode()]
    named = [path for path in programs.rglob("*") if path.is_file() and not path.is_symlink() and _names(path, wanted)]
    if named:
        shown = ", ".join(str(path.relative_to(programs)) for path in named[:5])
        raise SystemExit(f"these files of the frozen programs name a directory of this machine: {shown}")


def _names(path: Path, wanted: list[bytes]) -> bool:
    content = path.read_bytes()
    return any(re.search(re.escape(each) + rb"\b", content) for each in wanted)
