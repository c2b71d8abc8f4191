"""Lays out the files of a package as they are installed; deb and rpm are both made from this tree."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import manuals
import wheels
from products import LIB, Product

ROOT = Path(__file__).resolve().parents[1]
FILES = ROOT / "packaging" / "files"
SHARED = ("samples",)
"""What of ``resources`` the daemons have; the app has the rest."""
SECRET_FILES = ("etc/tally/", "etc/default/", "etc/sysconfig/")
"""Settings may have a password in them: 0640 root:tally."""


@dataclass(frozen=True)
class Release:
    """What is built."""

    version: str
    date: str
    """Of the commit: 2026-11-29."""
    epoch: int
    """The same in seconds."""
    machine: str
    """As `uname -m` says it."""
    wheel: Path
    """Our own wheel."""


def lay_out(product: Product, release: Release, cache: Path, root: Path) -> list[Path]:
    """Fill the directory `root`; returns the wheels that are in it."""
    library = root / LIB
    library.mkdir(parents=True)
    found = _libraries(product, release, cache, library)
    _own_code(product, release.wheel, library)
    if product.programs:
        _programs(product, release, root)
    if product.services:
        _services(root)
    if "tally" in product.programs:
        _desktop(release, root)
    _documents(product, root)
    return found


def _libraries(product: Product, release: Release, cache: Path, library: Path) -> list[Path]:
    there = {pin.name for name in product.without for pin in _pins(name)} | set(product.leave_out)
    wanted = [pin for pin in _pins(product.lock) if pin.name not in there and pin.name in (product.only or {pin.name})]
    found = wheels.download(wanted, cache / product.name, glibc=product.glibc, machine=release.machine)
    wheels.merge(found, library)
    wheels.strip(library)
    return found


def _pins(lock: str) -> list[wheels.Pin]:
    return wheels.pins(ROOT / "requirements" / f"{lock}.txt")


def _own_code(product: Product, wheel: Path, library: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            top, _, rest = name.partition("/")
            resource = product.code and top == "resources"
            shared = rest == "__init__.py" or rest.startswith(SHARED)
            is_shared = "shoveler" in product.code
            if top in product.code or (resource and shared == is_shared) or (is_shared and name.endswith("METADATA")):
                archive.extract(name, library)


def _programs(product: Product, release: Release, root: Path) -> None:
    if "shoveler" in product.code:
        _install(FILES / "launcher.sh", root / "usr/lib/tally/launcher", 0o755)
        _install(FILES / "python.sh", root / "usr/lib/tally/python", 0o755)
    (root / "usr/bin").mkdir(parents=True)
    for program in product.programs:
        (root / "usr/bin" / program).symlink_to("../lib/tally/launcher")
    made = root.parent / "manuals"
    manuals.write(made, list(product.programs), release.version, release.date)
    for path in made.glob("man/*"):
        section = path.suffix[1:]
        _install(path, root / f"usr/share/man/man{section}/{path.name}")
        subprocess.run(["gzip", "-9n", str(root / f"usr/share/man/man{section}/{path.name}")], check=True)
    for path in made.glob("bash/*"):
        _install(path, root / "usr/share/bash-completion/completions" / path.name)
    for path in made.glob("zsh/*"):
        _install(path, root / "usr/share/zsh/vendor-completions" / path.name)
    for path in made.glob("fish/*"):
        _install(path, root / "usr/share/fish/vendor_completions.d" / path.name)


def _services(root: Path) -> None:
    units = root / "usr/lib/systemd/system"
    hardening = (ROOT / "packaging/systemd/hardening.conf").read_text().rstrip("\n")
    for path in (ROOT / "packaging/systemd").glob("tally-*"):
        units.mkdir(parents=True, exist_ok=True)
        (units / path.name).write_text(path.read_text().replace("# @HARDENING@", hardening))
    _install(FILES / "sysusers.conf", root / "usr/lib/sysusers.d/xrootd-tally.conf")
    for name in ("tally-shoveler", "tally-collector"):
        _install(ROOT / f"resources/samples/{name}.toml", root / f"etc/tally/{name}.toml", 0o640)


def _desktop(release: Release, root: Path) -> None:
    share = root / "usr/share"
    _install(FILES / "org.xrootd.tally.desktop", share / "applications/org.xrootd.tally.desktop")
    _install(FILES / "org.xrootd.tally.mime.xml", share / "mime/packages/org.xrootd.tally.xml")
    metadata = (FILES / "org.xrootd.tally.metainfo.xml").read_text()
    path = share / "metainfo/org.xrootd.tally.metainfo.xml"
    path.parent.mkdir(parents=True)
    path.write_text(metadata.replace("@VERSION@", release.version).replace("@DATE@", release.date))
    icon = share / "icons/hicolor/scalable/apps/org.xrootd.tally.svg"
    icon.parent.mkdir(parents=True)
    icon.write_text(icon_svg())


def icon_svg() -> str:
    """The icon of the program: as `gui.widgets.icons.application_icon` draws it."""
    mark = json.loads((ROOT / "resources/icons/icons.json").read_text())["tally"]
    theme = tomllib.loads((ROOT / "resources/themes/tally.toml").read_text())
    colours = {name: value[0] for table in theme.values() if isinstance(table, dict) for name, value in table.items()}
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="128" height="128" viewBox="0 0 128 128">'
        f'<rect width="128" height="128" rx="28" fill="{colours["accent"]}"/>'
        f'<g transform="translate(18 18) scale(5.75)" fill="none" stroke="{colours["on_accent"]}" stroke-width="1.35"'
        f' stroke-linecap="round" stroke-linejoin="round">{mark}</g></svg>\n'
    )


def _documents(product: Product, root: Path) -> None:
    directory = root / "usr/share/doc" / product.name
    directory.mkdir(parents=True)
    (directory / "copyright").write_text(copyright_text(root / LIB))


def copyright_text(library: Path) -> str:
    """Debian's machine-readable form: our licence, and that of each wheel."""
    out = [
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/",
        "Upstream-Name: xrootd-tally",
        "",
        "Files: *",
        "Copyright: The Tally developers",
        "License: Apache-2.0",
        "",
    ]
    licences = {"Apache-2.0"}
    for metadata in sorted(library.glob("*.dist-info/METADATA")):
        fields = read_metadata(metadata)
        if fields["Name"] == "xrootd-tally":
            continue
        licence = re.sub(r"[^A-Za-z0-9.+-]+", "-", fields["License"]).strip("-") or "unknown"
        owner = fields["Author"] or f"the authors of {fields['Name']}"
        out += [f"Files: {LIB}/*{fields['Name']}*", f"Copyright: {owner}", f"License: {licence}", ""]
        licences.add(licence)
    for licence in sorted(licences):
        out.append(f"License: {licence}")
        if licence == "Apache-2.0":
            out.append(" On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.")
        else:
            out.append(f" The text is beside the package's METADATA, in /{LIB}/*.dist-info.")
        out.append("")
    return "\n".join(out)


def read_metadata(path: Path) -> dict[str, str]:
    """Name, version, licence and author of an installed wheel; the licence as an SPDX expression where it has one."""
    import email.parser

    message = email.parser.Parser().parsestr(path.read_text(encoding="utf-8"))
    licence = message["License-Expression"] or ""
    if not licence:
        classified = [each for each in message.get_all("Classifier", []) if each.startswith("License :: OSI")]
        licence = message["License"] or (classified[0].rpartition(" :: ")[2] if classified else "")
        licence = licence.splitlines()[0][:60] if licence else ""
    author = (message["Author"] or message["Author-email"] or "").replace("\n", " ")
    return {"Name": message["Name"], "Version": message["Version"], "License": licence, "Author": author}


def _install(source: Path, target: Path, mode: int = 0o644) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)
