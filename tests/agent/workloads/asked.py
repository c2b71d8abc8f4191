"""What a real server answers to a worker that shows who it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Final

import msgspec

from agent.messages import Auth, Protocol
from tests.agent.conftest import XrootdServer

WORKER: Final = """
import json, os, sys, threading
from agent.messages import Auth, Request, Workload
from agent.workloads.clients import Clients
from agent.workloads.frames import Setup

server, protocol, *credentials = json.load(sys.stdin)
auths = [Auth(**one) for one in credentials]
workload = Workload(protocol=protocol)
clients = Clients(Setup("1.1.1", [workload], 20.0, [0], "", [protocol], auths[0]), lambda *said: None)
done = []
for number, auth in enumerate(auths):
    if number:
        clients.renew(auth)
    request = Request(f"certtag{number}", 0, server, "/store/f", 1000, 1)
    outcome = clients.perform(workload, request, threading.Event(), lambda size: None)
    done.append([outcome.ok, outcome.error])
clients.close()
print(json.dumps(done), flush=True)
os._exit(0)
"""
"""A process of its own: the XRootD client reads its environment once."""


def answers(server: XrootdServer, protocol: Protocol, *shown: Auth) -> list[tuple[bool, str]]:
    """For a request with each of these, in turn, of one worker: whether it was done, and its error. The server has
    the file /store/f of 1000 bytes."""
    where = server.url.replace("127.0.0.1", "localhost")  # gsi compares names
    done = subprocess.run(
        [sys.executable, "-c", WORKER],
        input=json.dumps([where, protocol, *map(msgspec.to_builtins, shown)]).encode(),
        capture_output=True,
        timeout=120,
        env={name: value for name, value in os.environ.items() if not name.startswith(("X509_", "XrdSec", "BEARER_"))},
    )
    assert done.returncode == 0, done.stderr.decode()
    return [(ok, error) for ok, error in json.loads(done.stdout)]
