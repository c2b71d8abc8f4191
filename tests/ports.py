"""Ports for programs that cannot be asked to choose one themselves."""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOWEST = 10_000


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM, host: str = "127.0.0.1") -> int:
    """A port that nobody has, below those that the kernel gives to outgoing connections: one of these would sooner or
    later be taken between this call and the start of the program that is to listen there."""
    first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(LOWEST, first_given), first_given - LOWEST):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no port of {host} from {LOWEST} to {first_given} is free")
