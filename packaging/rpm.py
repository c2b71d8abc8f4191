"""A laid-out tree as an RPM: the spec file is written here, the files are taken as they are, `rpmbuild` packs them."""

from __future__ import annotations

import shutil
import subprocess
import textwrap
import time
from pathlib import Path

from deb import HOMEPAGE, MAINTAINER
from products import LIB, PYTHON_RPM, Product
from stage import FILES, Release

CONFIGURATION = ("etc/tally/", "etc/sysconfig/")
COMPLETIONS = "usr/share/zsh/vendor-completions"


def build(product: Product, release: Release, tree: Path, into: Path) -> Path:
    """The package; its path."""
    root = tree.with_name("rpm")
    shutil.copytree(tree, root, symlinks=True)
    if product.services:
        for name in ("tally-shoveler", "tally-collector"):
            path = root / "etc/sysconfig" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text((FILES / "environment").read_text().replace("@PROGRAM@", name))
    for path in [*root.rglob("*.so"), *root.rglob("*.so.*")]:
        path.chmod(0o755)  # their convention
    completions = root / COMPLETIONS
    if completions.is_dir():  # these distributions look elsewhere
        completions.rename(completions.with_name("site-functions"))
    licence = root / "usr/share/licenses" / product.name / "LICENSE"
    licence.parent.mkdir(parents=True)
    shutil.copyfile(FILES.parents[1] / "LICENSE", licence)
    spec = tree.parent / f"{product.name}.spec"
    spec.write_text(specification(product, release, root))
    place = tree.parent / "rpmbuild"
    defines = {
        "_topdir": str(place),
        "_sourcedir": str(root),
        "_rpmdir": str(place / "RPMS"),
        "_rpmfilename": f"{product.name}-{release.version}-1.{release.machine}.rpm",
        "_buildhost": "localhost",
        "use_source_date_epoch_as_buildtime": "1",
        "clamp_mtime_to_source_date_epoch": "1",
        "source_date_epoch_from_changelog": "0",
        "_binary_payload": "w12.zstdio",
        "_dbpath": str(place / "database"),
        "__os_install_post": "%{nil}",
        "debug_package": "%{nil}",
        "_build_id_links": "none",
        "_unitdir": "/usr/lib/systemd/system",
    }
    command = [
        "rpmbuild",
        "-bb",
        "--quiet",
        "--target",
        f"{release.machine}-linux",
        "--buildroot",
        str(place / "BUILDROOT"),
    ]
    for name, value in defines.items():
        command += ["--define", f"{name} {value}"]
    subprocess.run([*command, str(spec)], check=True, env={"PATH": "/usr/bin:/bin", "HOME": str(place),
                   "SOURCE_DATE_EPOCH": str(release.epoch)})  # fmt: skip
    (made,) = (place / "RPMS").glob("*.rpm")
    return made.rename(into / made.name)


def specification(product: Product, release: Release, root: Path) -> str:
    """The spec file."""
    depends = [PYTHON_RPM, *(each.replace("@VERSION@", f"{release.version}-1") for each in product.rpm_requires)]
    day = time.strftime("%a %b %d %Y", time.gmtime(release.epoch))
    out = [
        f"Name: {product.name}",
        f"Version: {release.version}",
        "Release: 1",
        f"Summary: {product.summary[:1].upper()}{product.summary[1:]}",
        "License: Apache-2.0",
        f"URL: {HOMEPAGE}",
        f"Packager: {MAINTAINER}",
        "Group: Applications/System",
        "AutoReqProv: no",
        *(f"Requires: {each}" for each in depends),
        *(f"Recommends: {each}" for each in product.rpm_recommends),
        *(["Requires(pre): shadow-utils", *(f"Requires({each}): systemd" for each in ("post", "preun", "postun"))]
          if product.services else []),
        "",
        "%description",
        textwrap.fill(product.about, 79),
        "",
        "%prep",
        "%build",
        "%install",
        f"mkdir -p %{{buildroot}}\ncp -a {root}/. %{{buildroot}}/",
        "",
        "%check",
        f"test -d %{{buildroot}}/{LIB}",
        "",
        "%files",
        *_files(root),
        "",
    ]  # fmt: skip
    for section in ("pre", "post", "preun", "postun"):
        text = (FILES / "rpm" / f"{section}.sh").read_text()
        services = FILES / "rpm" / f"{section}-services.sh"
        text = text.replace("@SERVICES@\n", services.read_text() if product.services and services.is_file() else "")
        text = text.replace("@PACKAGE@", product.name)
        if text.strip():
            out += [f"%{section}", text]
    out += [
        "%changelog",
        f"* {day} {MAINTAINER} - {release.version}-1",
        f"- Release {release.version}; CHANGELOG.md lists the changes.",
    ]
    return "\n".join(out) + "\n"


def _files(root: Path) -> list[str]:
    """One line for each file and each directory that is ours alone."""
    out = ["%defattr(-,root,root,-)"]
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        shown = f'"/{name}"'
        if path.is_dir() and not path.is_symlink():
            if name.startswith(("usr/lib/tally", "usr/share/doc/", "usr/share/licenses/")):
                out.append(f"%dir {shown}")
            elif name == "etc/tally":
                out.append(f"%dir %attr(0750,root,tally) {shown}")
        elif name.startswith(CONFIGURATION):
            out.append(f"%config(noreplace) %attr(0640,root,tally) {shown}")
        elif name.startswith("usr/share/licenses/"):
            out.append(f"%license {shown}")
        elif name.startswith(("usr/share/doc/", "usr/share/man/")):
            out.append(f"%doc {shown}")
        else:
            out.append(shown)
    return out
