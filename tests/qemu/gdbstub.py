"""QEMU's debugger port: stops the machine at an address of the image or of the victim's
kernel, so that a test can act at one point and not at some moment. Start the machine with
options()."""

import shutil
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import tools

BREAKPOINT = "1"  # by hardware: nothing is written to the image
READ_BYTES = 1024  # what a packet takes
RSI, RDI, RSP, REGISTERS = 4, 5, 7, 16  # of the g packet: rax rbx rcx rdx rsi rdi rbp rsp r8 ...
RIP, FLAGS = 16, 17  # follow them, then the code segment
RIP_FLAGS_CS = "<QII"


class StubError(Exception):
    """The machine did not stop where it was waited for, or the port answered oddly."""


def symbol(name, image="mbr"):
    """The address of a function of the image."""
    lines = subprocess.run(["nm", tools.program(f"afterimage-{image}.elf")], capture_output=True,
                           text=True, check=True, timeout=60).stdout.splitlines()
    found = [int(line.split()[0], 16) for line in lines if line.split()[-1] == name]
    if len(found) != 1:
        raise StubError(f"{len(found)} symbols {name} in the image")
    return found[0]


class Stub:
    """A context manager. The machine is stopped from connect() until go() or leave()."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="afterimage-gdb-"))
        self.socket = None
        self.stopped_at = None
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.socket:
            self.socket.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def options(self, running=False):
        """For the machine's command line. It waits from its start unless @running."""
        port = "-gdb", f"unix:{self.folder}/port,server=on,wait=off"
        return port if running else ("-S", *port)

    def connect(self):
        """To a stopped machine: one that runs is stopped, but says so at some later time."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(str(self.folder / "port"))
        self.command("?")

    def _receive(self, deadline):
        """The next packet's text."""
        while True:
            start = self.pending.find(b"$")
            end = self.pending.find(b"#", start)
            if start >= 0 and end >= 0 and len(self.pending) >= end + 3:
                packet, self.pending = self.pending[start + 1:end], self.pending[end + 3:]
                self.socket.sendall(b"+")
                return packet.decode()
            left = deadline - time.monotonic()
            if left <= 0:
                raise StubError("the machine did not stop in time")
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                continue
            if not data:
                raise StubError("QEMU ended")
            self.pending += data

    def _send(self, text):
        self.socket.sendall(f"${text}#{sum(text.encode()) & 0xff:02x}".encode())

    def command(self, text, timeout_s=60):
        self._send(text)
        return self._receive(time.monotonic() + timeout_s)

    def _breakpoint(self, kind, address):
        if self.command(f"{kind}{BREAKPOINT},{address:x},1") != "OK":
            raise StubError(f"no breakpoint at {address:#x}")

    def go(self, address, timeout_s=120, meanwhile=lambda: None):
        """Runs until a processor is about to execute @address; @meanwhile is called when the
        machine runs. With the machine stopped there already, until it comes back there."""
        if self.stopped_at == address:
            self.command("s")
        self._breakpoint("Z", address)
        self._send("c")
        meanwhile()
        answer = self._receive(time.monotonic() + timeout_s)
        self._breakpoint("z", address)
        if not answer.startswith("T05"):
            raise StubError(f"stopped with {answer[:20]}")
        self.stopped_at = address

    def registers(self):
        """The 16 general ones."""
        data = bytes.fromhex(self.command("g"))
        return list(struct.unpack_from(f"<{REGISTERS}Q", data))

    def choose(self, cpu):
        """The processor that all about registers means from now on."""
        if self.command(f"Hg{cpu + 1:x}") != "OK":
            raise StubError(f"no processor {cpu}")

    def place(self):
        """Instruction pointer, flags, code segment."""
        data = bytes.fromhex(self.command("g"))
        return struct.unpack_from(RIP_FLAGS_CS, data, REGISTERS * 8)

    def set_register(self, number, value, count=8):
        """One of the general ones, RIP or, of 4 bytes, FLAGS."""
        self.command("qXfer:features:read:target.xml:0,400")  # QEMU wants it before the next
        if self.command(f"P{number:x}={value.to_bytes(count, 'little').hex()}") != "OK":
            raise StubError(f"register {number} can not be set")

    def argument(self):
        """Of the function at whose start the machine stands, the first one."""
        return self.registers()[RDI]

    def read(self, va, count):
        """Memory as the processor sees it now; None where nothing is mapped."""
        data = b""
        while len(data) < count:
            n = min(count - len(data), READ_BYTES)
            answer = self.command(f"m{va + len(data):x},{n:x}")
            if answer.startswith("E"):
                return None
            data += bytes.fromhex(answer)
        return data

    def leave(self):
        """The machine runs on by itself."""
        self.command("D")
        self.socket.close()
        self.socket = None
