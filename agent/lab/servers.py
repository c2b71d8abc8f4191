"""The XRootD servers of a lab: their user, their directories, their configuration, their command line."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import IO

from agent.lab import issuer
from agent.lab.authority import Authority, write_private
from agent.lab.catalogue import READ_PATH, WRITE_PATH
from agent.lab.errors import LabError, WishError
from agent.lab.pids import clean_environment, dies_with_us

FSTAT_SECONDS = 1.0
FLUSH_SECONDS = 1.0
INSTALL_HINT = "XRootD is not installed; install the Debian package xrootd-server (apt-get install xrootd-server)"
_USERS = ("xrootd", "nobody")
_FILES = "files"
_ADMIN = "adm"
_AUTHORITY = "ca.pem"
_CERTIFICATE = "server.pem"
_KEY = "server.key"
_TOKENS = "scitokens.cfg"
_ISSUERS = "issuers"
TOKENS_HINT = (
    "--tokens needs XRootD's plug-in for tokens; install the Debian package xrootd-scitokens-plugins "
    "(apt-get install xrootd-scitokens-plugins)"
)


@dataclass(frozen=True, slots=True)
class Account:
    """The user that the servers run as. XRootD refuses to run as root, so root runs them as another user."""

    name: str
    uid: int
    gid: int
    switch: bool
    """Whether our process must change its user to become this one."""


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """One server before it is started. `instance` name and `name` are the same."""

    name: str
    site: str
    port: int
    shoveler: str
    """HOST:PORT of its shoveler."""
    monitor: str
    """HOST:PORT in its monitoring line: that of the shoveler, or of the relay in front of it."""
    fbuff: int = 1400
    origin: str = ""
    """HOST:PORT of the server that it caches; "": it is not a cache."""
    redirects: bool = False
    """Whether it is the redirector."""
    manager: int = 0
    """Port of the redirector's cmsd, which it belongs to; 0: there is none."""
    tokens: bool = False
    """Whether it lets in only who shows a token."""
    asynchronous: bool = False
    """For a cache: whether ``xrootd.async`` is left at its default."""

    @property
    def url(self) -> str:
        return f"root://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Programs:
    """Those of one XRootD. `libraries`: where they find their own, if not where the system has them."""

    xrootd: str
    cmsd: str
    libraries: str = ""


def find_programs(prefix: str) -> Programs:
    """The programs installed below `prefix`; empty: those of the PATH. Raises LabError."""
    if not prefix:
        xrootd, cmsd = shutil.which("xrootd"), shutil.which("cmsd")
        if xrootd is None or cmsd is None:
            raise LabError(INSTALL_HINT)
        return Programs(xrootd, cmsd)
    at = Path(prefix)
    xrootd, cmsd = (shutil.which(name, path=str(at / "bin")) for name in ("xrootd", "cmsd"))
    if xrootd is None or cmsd is None:
        raise WishError(f"--xrootd is {prefix}, and there is no bin/xrootd with a bin/cmsd below it")
    libraries = [str(at / name) for name in ("lib", "lib64") if (at / name).is_dir()]
    return Programs(xrootd, cmsd, ":".join([*libraries, *map(str, at.glob("lib/*-linux-gnu"))]))


def find_account() -> Account:
    """Ourselves, or for root the user xrootd (else nobody). Raises LabError if root finds neither."""
    if os.getuid() != 0:
        return Account(pwd.getpwuid(os.getuid()).pw_name, os.getuid(), os.getgid(), switch=False)
    for name in _USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid, switch=True)
    raise LabError(
        "XRootD does not run as root and there is no user xrootd; create one, or run the lab as another user"
    )


def shared_files(work: Path) -> Path:
    """The directory with the test files, made by `catalogue.make_files` before the first server starts."""
    return work / _FILES


def make_work_directory(work: Path, account: Account) -> None:
    """A new directory that only the servers' user can enter. Raises OSError. It stays ours, so that this user cannot
    interfere with what we write there.
    """
    work.mkdir(mode=0o700)
    (work / _ADMIN).mkdir(mode=0o700)
    if account.switch:
        os.chown(work / _ADMIN, account.uid, account.gid)
        os.chown(work, -1, account.gid)
        work.chmod(0o710)


def make_certificates(authority: Authority, work: Path, account: Account) -> None:
    """The certificate that all servers share, and that of its authority. Raises OSError."""
    certificate, key = authority.sign("XRootD servers", server=True)
    for name, content in ((_AUTHORITY, authority.certificate), (_CERTIFICATE, certificate)):
        (work / name).write_bytes(content)
        (work / name).chmod(0o644)
    write_private(work / _KEY, key, (account.uid, account.gid) if account.switch else None)


def make_issuer(key: Path, work: Path, account: Account) -> None:
    """The issuer of tokens, whose public key the servers find in their cache of such keys. Raises OSError."""
    (work / _TOKENS).write_text(issuer.settings())
    (work / _TOKENS).chmod(0o644)
    cache = work / _ISSUERS
    issuer.make_issuer(key, cache)
    if account.switch:
        for path in (*cache.rglob("*"), cache):
            os.chown(path, account.uid, account.gid)


def find_tokens_plugin(xrootd: str) -> None:
    """Raises LabError, naming the package, if there is no plug-in for tokens beside this program or in a directory of
    the system."""
    beside = Path(xrootd).resolve().parent.parent
    places = (beside / "lib", beside / "lib64", *Path("/usr/lib").glob("*-linux-gnu"), Path("/usr/lib64"))
    if not any(True for place in places for _ in place.glob("libXrdAccSciTokens*.so")):
        raise LabError(TOKENS_HINT)


def make_server(plan: ServerPlan, work: Path, account: Account) -> Path:
    """Create its own tree, with the shared files in it, and its configuration file; returns the path of the latter."""
    home = work / plan.name
    root = home / "root"
    tree = [home, root, root / "store", root / WRITE_PATH.lstrip("/")]
    for directory in tree:
        directory.mkdir(mode=0o700)
    if not plan.origin and not plan.redirects:
        (root / READ_PATH.lstrip("/")).symlink_to(shared_files(work))
    if account.switch:
        for directory in reversed(tree):  # the outermost last: before that, nobody else can enter
            os.chown(directory, account.uid, account.gid)
    path = work / f"{plan.name}.cfg"
    path.write_text(config_text(plan, root, work))
    path.chmod(0o644)
    return path


def config_text(plan: ServerPlan, root: Path, work: Path) -> str:
    """The configuration, from ``resources/samples/xrootd-lab.cfg``, or that of a cache or a redirector beside it."""
    sample = f"xrootd-lab{'-cache' if plan.origin else '-redirector' if plan.redirects else ''}.cfg"
    template = resources.files("resources").joinpath("samples", sample).read_text()
    return Template(template).substitute(
        NAME=plan.name,
        SITE=plan.site,
        PORT=plan.port,
        ROOT=root,
        ADMIN=work / _ADMIN,
        CERTIFICATE=work / _CERTIFICATE,
        KEY=work / _KEY,
        AUTHORITY=work / _AUTHORITY,
        FSTAT=f"{FSTAT_SECONDS:g}",
        FLUSH=f"{FLUSH_SECONDS:g}",
        NAMES="NAMES",
        SHOVELER=plan.monitor,
        FBUFF=plan.fbuff,
        ORIGIN=plan.origin,
        MANAGER=plan.manager,
        CLUSTER=_cluster(plan.manager) if plan.manager else "",
        TOKENS=_tokens(work) if plan.tokens else "",
        ASYNC="" if plan.asynchronous else "xrootd.async off",
    )


def _cluster(manager: int) -> str:
    return f"all.manager localhost:{manager}\nif exec cmsd\nxrd.port any\nfi"


def _tokens(work: Path) -> str:
    return (
        "http.header2cgi Authorization authz\n"
        f"ofs.authorize 1\nofs.authlib libXrdAccSciTokens.so config={work / _TOKENS}"
    )


def start(
    programs: Programs, plan: ServerPlan, account: Account, work: Path, log: IO[bytes], *, cluster: bool = False
) -> subprocess.Popen[bytes]:
    """Start it in the foreground, as that user, so that it dies with this thread. Raises OSError. `cluster`: start the
    cmsd beside it instead.

    Root changes the user itself and not with XRootD's -R, because -R would cancel that.
    """
    # The file given with -s keeps its xrootd.NAME.env out of /tmp.
    pid_file = work / _ADMIN / f"{plan.name}{'.cmsd' if cluster else ''}.pid"
    libraries = {"LD_LIBRARY_PATH": programs.libraries} if programs.libraries else {}
    command = [
        programs.cmsd if cluster else programs.xrootd,
        "-c",
        str(work / f"{plan.name}.cfg"),
        "-n",
        plan.name,
        "-s",
        str(pid_file),
    ]
    return subprocess.Popen(
        dies_with_us(command),
        env=clean_environment() | {"HOME": str(work), "XDG_CACHE_HOME": str(work / _ISSUERS)} | libraries,
        cwd=work,  # it creates and enters a directory named after its instance there
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        user=account.uid if account.switch else None,
        group=account.gid if account.switch else None,
        extra_groups=[] if account.switch else None,
    )
