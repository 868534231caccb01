"""An AMD IOMMU switched on by hand, in a table of which no device may reach any memory: Debian's
cloud kernels have no driver for it. QEMU's test port writes its registers (AMD I/O
Virtualization Technology Specification s3.4) and the table."""

import shutil
import socket
import tempfile
from pathlib import Path

BASE = 0xfed80000  # of the registers, in QEMU
TABLE_BASE, CONTROL = 0x00, 0x18
ENABLE = 1
ENTRY = 3  # valid, translation valid, no page table, neither readable nor writable
ENTRY_BYTES = 32
TABLE_BYTES = 64 << 10  # for buses 0 to 7
SIZE_UNIT = 4 << 10
TIMEOUT_S = 20


class Amdvi:
    """A context manager, made before its machine."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="afterimage-qtest-"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def options(self):
        """For the machine's command line."""
        return ("-device", "amd-iommu", "-qtest", f"unix:{self.folder}/port,server=on,wait=off",
                "-qtest-log", "none")

    def switch_on(self, table_pa):
        """Of a stopped machine, whose memory from @table_pa on nobody uses."""
        lines = [f"memset {table_pa:#x} {TABLE_BYTES:#x} 0x0"]
        lines += [f"writeq {pa:#x} {ENTRY:#x}"
                  for pa in range(table_pa, table_pa + TABLE_BYTES, ENTRY_BYTES)]
        lines += [f"writeq {BASE + TABLE_BASE:#x} {table_pa | TABLE_BYTES // SIZE_UNIT - 1:#x}",
                  f"writeq {BASE + CONTROL:#x} {ENABLE:#x}"]
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(TIMEOUT_S)
            s.connect(str(self.folder / "port"))
            with s.makefile("rw") as port:
                for line in lines:
                    port.write(line + "\n")
                    port.flush()
                    answer = port.readline()
                    assert answer.startswith("OK"), f"{line}: {answer}"
