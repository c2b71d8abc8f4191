"""A laid-out tree as a package for Debian: control files, maintainer scripts, `dpkg-deb`."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import textwrap
from email.utils import formatdate
from pathlib import Path

from products import PYTHON_DEB, Product
from stage import FILES, Release

MAINTAINER = "The Tally developers <tally@example.org>"
HOMEPAGE = "https://example.org/xrootd-tally"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def build(product: Product, release: Release, tree: Path, into: Path) -> Path:
    """The package; its path."""
    root = tree.with_name("deb")
    shutil.copytree(tree, root, symlinks=True)
    architecture = ARCHITECTURES[release.machine]
    version = f"{release.version}-1"
    if product.services:
        for name in ("tally-shoveler", "tally-collector"):
            path = root / "etc/default" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text((FILES / "environment").read_text().replace("@PROGRAM@", name))
            path.chmod(0o640)
    documents = root / "usr/share/doc" / product.name
    stamp = formatdate(release.epoch, localtime=False, usegmt=False)
    changelog = f"xrootd-tally ({version}) stable; urgency=medium\n\n"
    changelog += f"  * Release {release.version}; CHANGELOG.md lists the changes.\n\n"
    changelog += f" -- {MAINTAINER}  {stamp}\n"
    (documents / "changelog.Debian.gz").write_bytes(gzip.compress(changelog.encode(), mtime=release.epoch))
    overrides = FILES / "deb" / f"{product.name}.lintian-overrides"
    if overrides.is_file():
        path = root / "usr/share/lintian/overrides" / product.name
        path.parent.mkdir(parents=True)
        shutil.copyfile(overrides, path)
    _times_and_modes(root, release.epoch)
    control = root / "DEBIAN"
    control.mkdir()
    files = sorted(
        path for path in root.rglob("*") if path.is_file() and not path.is_symlink() and control not in path.parents
    )
    size = sum(max(1, (path.stat().st_size + 1023) // 1024) for path in files)
    depends = [*PYTHON_DEB, *(each.replace("@VERSION@", version) for each in product.deb_depends)]
    fields = {
        "Package": product.name,
        "Source": "xrootd-tally",
        "Version": version,
        "Architecture": architecture,
        "Maintainer": MAINTAINER,
        "Installed-Size": str(size),
        "Depends": ", ".join(depends),
        "Recommends": ", ".join(product.deb_recommends),
        "Suggests": ", ".join(product.deb_suggests),
        "Section": "net",
        "Priority": "optional",
        "Homepage": HOMEPAGE,
        "Description": product.summary
        + "\n"
        + textwrap.fill(product.about, 78, initial_indent=" ", subsequent_indent=" "),
    }
    (control / "control").write_text("".join(f"{name}: {value}\n" for name, value in fields.items() if value))
    configuration = [f"/{path.relative_to(root)}" for path in files if path.relative_to(root).parts[0] == "etc"]
    if configuration:
        (control / "conffiles").write_text("\n".join(configuration) + "\n")
    sums = (
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(root)}"
        for path in files
    )
    (control / "md5sums").write_text("\n".join(sums) + "\n")
    for script in ("postinst", "prerm", "postrm"):
        _script(product, script, control)
    _times_and_modes(control, release.epoch)
    path = into / f"{product.name}_{version}_{architecture}.deb"
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(release.epoch)}
    command = ["dpkg-deb", "--root-owner-group", "-Zxz", "-z3", "--threads-max=2", "--build", str(root), str(path)]
    if b"threads-max" not in subprocess.run(["dpkg-deb", "--help"], check=True, capture_output=True).stdout:
        command.remove("--threads-max=2")
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return path


def _script(product: Product, name: str, control: Path) -> None:
    """The script with the parts that are for this package: those of services only where there are services."""
    parts = [(FILES / "deb" / f"{name}.sh").read_text()]
    services = FILES / "deb" / f"{name}-services.sh"
    text = parts[0].replace("@SERVICES@\n", services.read_text() if product.services and services.is_file() else "")
    text = text.replace("@PACKAGE@", product.name)
    if text == "#!/bin/sh\nset -e\nexit 0\n":
        return
    (control / name).write_text(text)
    (control / name).chmod(0o755)


def _times_and_modes(root: Path, epoch: int) -> None:
    """The same files give the same package: times are those of the commit, modes do not depend on our umask."""
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if path.is_dir() or mode & 0o100 else 0o640 if not mode & 0o007 else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)
