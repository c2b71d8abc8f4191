"""`make package`: everything in dist/.

    packaging/build.py [daemons] [client] [app] [frozen]

without words: all. Wheel and source archive are always made.
"""

from __future__ import annotations

import datetime
import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import deb
import rpm
import sbom
import stage
import wheels
from products import APP, CLIENT, DAEMONS, Product

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
CACHE = ROOT / "build" / "wheels"
PARTS = {"daemons": DAEMONS, "client": CLIENT, "app": APP}


def main(words: list[str]) -> int:
    """0, or an exception: a build that is not whole must not look whole."""
    unknown = set(words) - {*PARTS, "frozen"}
    if unknown:
        print(
            f"packaging/build.py: there is no part {', '.join(sorted(unknown))}: {', '.join(PARTS)}, frozen",
            file=sys.stderr,
        )
        return 2
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    sys.path.insert(0, str(ROOT))  # manual pages are made from this checkout, whatever else is installed
    hatchling = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(DIST)]
    _timed("wheel", lambda: subprocess.run(hatchling, cwd=ROOT, check=True, stdout=subprocess.DEVNULL))
    release = _release()
    for word, product in PARTS.items():
        if not words or word in words:
            _timed(product.name, lambda product=product: package(product, release))
    if not words or "frozen" in words:
        import frozen

        _timed("frozen programs", lambda: frozen.build(release, DIST))
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(DIST.iterdir())
        if path.is_file()
    ]
    (DIST / "SHA256SUMS").write_text("".join(lines))
    for path in sorted(DIST.iterdir()):
        print(f"{path.stat().st_size:>12,}  {path.name}")
    return 0


def package(product: Product, release: stage.Release) -> None:
    """One product as deb, rpm and bill of materials."""
    with tempfile.TemporaryDirectory(prefix="tally-package-") as place:
        tree = Path(place) / "tree"
        stage.lay_out(product, release, CACHE, tree)
        _check_glibc(product, tree)
        path = DIST / f"{product.name}-{release.version}.cdx.json"
        path.write_text(sbom.bill(product, release, tree, wheels.pins(ROOT / "requirements" / f"{product.lock}.txt")))
        deb.build(product, release, tree, DIST)
        rpm.build(product, release, tree, DIST)


def _check_glibc(product: Product, tree: Path) -> None:
    newest = wheels.newest_glibc(tree)
    bad = [str(path.relative_to(tree)) for path, version in newest.items() if version > (2, product.glibc)]
    if bad:
        raise SystemExit(
            f"{product.name} must run with glibc 2.{product.glibc}, and these need a newer one: {', '.join(bad)}"
        )


def _release() -> stage.Release:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    said = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, check=False, capture_output=True, text=True
    ).stdout
    epoch = int(said or time.time())
    date = datetime.datetime.fromtimestamp(epoch, datetime.UTC).date().isoformat()
    (wheel,) = DIST.glob("*.whl")
    return stage.Release(version, date, epoch, platform.machine(), wheel)


def _timed(name: str, work) -> None:
    began = time.monotonic()
    work()
    print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
