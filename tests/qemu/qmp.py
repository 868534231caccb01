"""The QEMU machine protocol over its unix socket: commands and events, every wait
with a deadline."""

import json
import socket
import time


class QmpError(Exception):
    """QEMU refused a command, went away, or did not answer in time."""


class Qmp:
    def __init__(self, path, timeout_s=20):
        self.events = []
        self.pending = b""
        self.socket = self._connect(path, time.monotonic() + timeout_s)
        self._receive(time.monotonic() + timeout_s)  # greeting
        self.command("qmp_capabilities")

    def _connect(self, path, deadline):
        while True:
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                s.connect(str(path))
                return s
            except OSError as error:
                s.close()
                if time.monotonic() > deadline:
                    raise QmpError(f"QEMU does not open {path}: {error}") from error
                time.sleep(0.02)

    def _receive(self, deadline):
        """The next message, or None when @deadline passes."""
        while b"\n" not in self.pending:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                return None
            except OSError as error:
                raise QmpError(f"the connection to QEMU broke: {error}") from error
            if not data:
                raise QmpError("QEMU ended")
            self.pending += data
        line, self.pending = self.pending.split(b"\n", 1)
        message = json.loads(line)
        if "event" in message:
            self.events.append(message)
        return message

    def command(self, name, timeout_s=30, **arguments):
        request = {"execute": name, "arguments": arguments}
        try:
            self.socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise QmpError(f"{name}: QEMU ended") from error
        deadline = time.monotonic() + timeout_s
        while message := self._receive(deadline):
            if "return" in message:
                return message["return"]
            if "error" in message:
                raise QmpError(f"{name}: {message['error'].get('desc')}")
        raise QmpError(f"{name}: no answer in {timeout_s} s")

    def wait_event(self, name, timeout_s):
        """Takes the first event @name out of those received; None when the time is over."""
        deadline = time.monotonic() + timeout_s
        while True:
            for event in self.events:
                if event["event"] == name:
                    self.events.remove(event)
                    return event
            if self._receive(deadline) is None:
                return None

    def close(self):
        self.socket.close()
