"""A real ActiveMQ (Debian's `activemq`) on a free port, and a reader of its queues: to try a STOMP publisher on."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

JAR = Path("/usr/share/activemq/bin/activemq.jar")
USER, PASSWORD = "tally", "pass:word"
_OPEN = ("java.security", "java.net", "java.lang", "java.util")
_BROKER = """\
<beans xmlns="http://www.springframework.org/schema/beans" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:schemaLocation="http://www.springframework.org/schema/beans
  http://www.springframework.org/schema/beans/spring-beans-2.0.xsd
  http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
  <broker xmlns="http://activemq.apache.org/schema/core" useJmx="false" brokerName="test" dataDirectory="{place}/data">
    <persistenceAdapter><kahaDB directory="{place}/data/kahadb"/></persistenceAdapter>
    <plugins><simpleAuthenticationPlugin><users>
      <authenticationUser username="{user}" password="{password}" groups="users"/>
    </users></simpleAuthenticationPlugin></plugins>
    <transportConnectors>
      <transportConnector name="stomp" uri="stomp://127.0.0.1:{port}"/>
    </transportConnectors>
  </broker>
</beans>
"""


class ActiveMQ:
    """One broker; its messages outlive `kill`."""

    def __init__(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self._place = place
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        (place / "broker.xml").write_text(_BROKER.format(place=place, port=self.port, user=USER, password=PASSWORD))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Without a destination."""
        return f"stomp://{USER}:{PASSWORD.replace(':', '%3A')}@127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = ["java", "-Xmx256m", f"-Dactivemq.base={self._place}", f"-Dactivemq.data={self._place}/data"]
        command += ["-Dactivemq.home=/usr/share/activemq", f"-Dactivemq.conf={self._place}"]
        command += [f"--add-opens=java.base/{module}=ALL-UNNAMED" for module in _OPEN]
        command += ["-jar", str(JAR), "start", f"xbean:file:{self._place}/broker.xml"]
        with (self._place / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            assert self._process.poll() is None, (self._place / "log").read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise AssertionError("ActiveMQ did not start: " + (self._place / "log").read_text())

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def drain(
        self, queue: str, enough: Callable[[list[tuple[dict[str, str], bytes]]], bool], seconds: float = 60.0
    ) -> list[tuple[dict[str, str], bytes]]:
        """(headers, body) of the messages of a queue, until they are enough. Takes all that the broker sends ahead."""
        with socket.create_connection(("127.0.0.1", self.port)) as sock:
            sock.settimeout(seconds)
            # Nothing is escaped in a CONNECT frame, so that brokers that speak only 1.0 can read it.
            sock.sendall(f"CONNECT\naccept-version:1.2\nhost:x\nlogin:{USER}\npasscode:{PASSWORD}\n\n\0".encode())
            sock.sendall(f"SUBSCRIBE\nid:0\ndestination:/queue/{queue}\nack:auto\n\n\0".encode())
            data, found = b"", []
            while not enough(found):
                data += sock.recv(65536)
                *frames, data = data.split(b"\0")
                for frame in frames:
                    head, _, body = frame.lstrip(b"\n").partition(b"\n\n")
                    command, *lines = head.decode().split("\n")
                    if command == "MESSAGE":
                        found.append((dict(line.split(":", 1) for line in lines), body))
            return found
