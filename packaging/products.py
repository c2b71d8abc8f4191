"""What the packages for Debian and for the RPM distributions are: names, contents, dependencies. Read by `build.py`."""

from __future__ import annotations

from dataclasses import dataclass, field

GLIBC_RPM = "libc.so.6(GLIBC_2.28)(64bit)"
LIB = "usr/lib/tally/lib"
"""Where all code is: the launcher puts it on the path."""
PYTHON_DEB = ("python3 (>= 3.11)", "python3 (<< 3.15~)")
PYTHON_RPM = "(python3.14 or python3.13 or python3.12 or python3.11 or (python3 >= 3.11 with python3 < 3.15))"


@dataclass(frozen=True)
class Product:
    """One package."""

    name: str
    summary: str
    about: str
    programs: tuple[str, ...]
    lock: str
    """The lock file with what it needs …"""
    without: tuple[str, ...] = ()
    """… and lock files with what other products bring."""
    only: tuple[str, ...] = ()
    """Of the lock file, only these."""
    leave_out: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    """Our top-level packages in it."""
    glibc: int = 28
    deb_depends: tuple[str, ...] = ()
    deb_recommends: tuple[str, ...] = ()
    deb_suggests: tuple[str, ...] = ()
    rpm_requires: tuple[str, ...] = ()
    rpm_recommends: tuple[str, ...] = ()
    services: tuple[str, ...] = field(default=())


DAEMONS = Product(
    name="xrootd-tally-daemons",
    summary="shoveler, collector and agent for XRootD monitoring",
    about="The shoveler takes XRootD's monitoring datagrams into a durable spool and sends them to RabbitMQ; the "
    "collector joins them into one record for each file access; the agent makes the requests of a test, or checks the "
    "monitoring of an XRootD server.",
    programs=("tally-agent", "tally-shoveler", "tally-collector"),
    lock="daemons",
    code=("agent", "collector", "shoveler"),
    deb_depends=("adduser", "libc6 (>= 2.28)", "libgcc-s1", "ca-certificates"),
    deb_recommends=("xrootd-tally-client",),
    rpm_requires=("ca-certificates", "coreutils", GLIBC_RPM),
    rpm_recommends=("xrootd-tally-client",),
    services=("tally-shoveler", "tally-collector", "tally-agent@"),
)

CLIENT = Product(
    name="xrootd-tally-client",
    summary="XRootD client that Tally's agents make requests with",
    about="The XRootD client for Python, for the Pythons that Tally supports. Only hosts that make the requests of a "
    "test need it; shovelers, collectors and agents beside servers do not.",
    programs=(),
    lock="run",
    only=("xrootd",),
    deb_depends=("libc6 (>= 2.28)", "libgcc-s1", "libstdc++6", "zlib1g"),
    rpm_requires=(GLIBC_RPM, "libstdc++.so.6()(64bit)", "libz.so.1()(64bit)"),
)

APP = Product(
    name="xrootd-tally",
    summary="proves that XRootD monitoring recorded what clients did",
    about="Coordinates clients and servers in a test, writes down exactly how much every client read from every "
    "server, follows the monitoring datagrams, and says what is missing, what is wrong, and where it was lost. It has "
    "a window, and every command works without one.",
    programs=("tally",),
    lock="run",
    without=("daemons",),
    leave_out=("xrootd", "colorama", "pywin32-ctypes"),
    code=("gui",),
    glibc=34,  # Qt's own wheels
    deb_depends=(
        "xrootd-tally-daemons (= @VERSION@)", "libc6 (>= 2.34)", "libgcc-s1", "libstdc++6", "libegl1", "libgl1",
        "libxkbcommon-x11-0", "libxkbcommon0", "libxcb-cursor0", "libxcb-icccm4", "libxcb-image0", "libxcb-keysyms1",
        "libxcb-randr0", "libxcb-render-util0", "libxcb-render0", "libxcb-shape0", "libxcb-shm0", "libxcb-sync1",
        "libxcb-xfixes0", "libxcb-xinerama0", "libxcb-xkb1", "libx11-xcb1", "libdbus-1-3", "libfontconfig1",
        "libfreetype6", "libglib2.0-0 | libglib2.0-0t64", "zlib1g",
    ),
    deb_recommends=("xrootd-tally-client", "xrootd-server", "xrootd-client"),
    deb_suggests=("rabbitmq-server", "postgresql"),
    rpm_requires=(
        "xrootd-tally-daemons = @VERSION@", "libc.so.6(GLIBC_2.34)(64bit)",
        *(f"{library}()(64bit)" for library in (
            "libEGL.so.1", "libGL.so.1", "libxkbcommon-x11.so.0", "libxkbcommon.so.0", "libxcb-cursor.so.0",
            "libxcb-icccm.so.4", "libxcb-image.so.0", "libxcb-keysyms.so.1", "libxcb-randr.so.0",
            "libxcb-render-util.so.0", "libxcb-render.so.0", "libxcb-shape.so.0", "libxcb-shm.so.0",
            "libxcb-sync.so.1", "libxcb-xfixes.so.0", "libxcb-xinerama.so.0", "libxcb-xkb.so.1",
            "libX11-xcb.so.1", "libdbus-1.so.3", "libfontconfig.so.1", "libfreetype.so.6",
            "libglib-2.0.so.0", "libstdc++.so.6", "libz.so.1",
        )),
    ),
    rpm_recommends=("xrootd-tally-client", "xrootd-server", "xrootd-client"),
)  # fmt: skip

PRODUCTS = (DAEMONS, CLIENT, APP)
