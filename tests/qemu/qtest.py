"""QEMU's test port: reads and writes a machine's physical memory, registers of devices included,
as a processor would."""

import shutil
import socket
import tempfile
from pathlib import Path

TIMEOUT_S = 20


class Qtest:
    """A context manager, made before its machine."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="afterimage-qtest-"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def options(self):
        """For the machine's command line."""
        return ("-qtest", f"unix:{self.folder}/port,server=on,wait=off", "-qtest-log", "none")

    def run(self, *lines):
        """Carries out @lines on a stopped machine; what each answered."""
        answers = []
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(TIMEOUT_S)
            s.connect(str(self.folder / "port"))
            with s.makefile("rw") as port:
                for line in lines:
                    port.write(line + "\n")
                    port.flush()
                    answer = port.readline()
                    assert answer.startswith("OK"), f"{line}: {answer}"
                    answers.append(answer.removeprefix("OK").strip())
        return answers

    def read32(self, pa):
        return int(self.run(f"readl {pa:#x}")[0], 16)

    def write32(self, pa, value):
        self.run(f"writel {pa:#x} {value:#x}")

    def write(self, pa, data):
        self.run(f"write {pa:#x} {len(data):#x} 0x{data.hex()}")
