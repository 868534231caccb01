"""A made-up machine for the tests of mkdumpdisk --check: /sys, /proc and /dev below a folder
given with --root. As it stands nothing stops a capture on it and there is no warning."""

import json
import os
import struct

from hosttools import run
from kexectree import TOOL

GIB = 1 << 30
MIB = 1 << 20
GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
EFIVARS = "sys/firmware/efi/efivars"
MOR = f"{EFIVARS}/MemoryOverwriteRequestControl-e20939be-32d4-41be-a150-897f85d49829"
MOR_LOCK = f"{EFIVARS}/MemoryOverwriteRequestControlLock-bb983ccf-151d-40e1-a07b-4a17be168292"
SECURE_BOOT = f"{EFIVARS}/SecureBoot-{GLOBAL}"
SETUP_MODE = f"{EFIVARS}/SetupMode-{GLOBAL}"
FLAGS = "fpu vme de pse msr lm nx"
RELEASE = "6.1.0-50-amd64"
TME, SYSCFG, SEV = 0x982, 0xc0010010, 0xc0010131


def signed_pe(signature=True):
    """The headers of an EFI program."""
    pe = bytearray(1024)
    pe[:2] = b"MZ"
    struct.pack_into("<I", pe, 0x3c, 0x80)
    struct.pack_into("<4sH14xH", pe, 0x80, b"PE\0\0", 0x8664, 240)
    struct.pack_into("<H", pe, 0x98, 0x20b)
    struct.pack_into("<I", pe, 0x98 + 108, 16)
    if signature:
        struct.pack_into("<II", pe, 0x98 + 112 + 32, 512, 512)
    return bytes(pe)


class CheckTree:
    def __init__(self, root, uefi=True):
        self.root = root
        root.mkdir()
        self.ranges = [(0x1000, 0x9fbff), (MIB, GIB - 1), (4 * GIB, 4 * GIB + GIB // 2 - 1)]
        self.write("proc/cpuinfo", f"processor\t: 0\nvendor_id\t: GenuineIntel\n"
                                   f"flags\t\t: {FLAGS}\n\nprocessor\t: 1\n")
        self.write("proc/cmdline", "root=/dev/nvme0n1p1 quiet\n")
        self.write("proc/sys/kernel/osrelease", RELEASE + "\n")
        self.write("proc/meminfo", "MemTotal: 1500000 kB\nMemFree: 1000000 kB\nBuffers: 1000 kB\n"
                                   "Cached: 150000 kB\nSwapCached: 7 kB\nAnonPages: 200000 kB\n")
        self.memory()
        self.write("sys/kernel/vmcoreinfo", "0x000000000a000000 1024\n")
        self.write("dev/kmsg", "6,1,2,-;Linux version 6.1\n")
        (root / "sys/class/iommu").mkdir(parents=True)
        if uefi:
            self.variable(MOR, 0)
            self.variable(MOR_LOCK, 0)
            self.variable(SECURE_BOOT, 0)
            self.variable(SETUP_MODE, 0)

    def write(self, path, data):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data.encode() if isinstance(data, str) else data)
        return target

    def replace(self, path, old, new):
        text = (self.root / path).read_text()
        assert old in text
        self.write(path, text.replace(old, new))

    def variable(self, path, value):
        self.write(path, b"\x07\0\0\0" + bytes([value]))

    def memory(self, *reserved):
        """/proc/iomem, with @reserved, pairs of start and size, taken out of RAM."""
        ranges = list(self.ranges)
        for start, size in reserved:
            ranges = [piece for a, b in ranges for piece in
                      ([(a, b)] if start > b or start + size <= a else
                       [(a, start - 1), (start + size, b)]) if piece[0] < piece[1]]
        lines = [f"{a:08x}-{b:08x} : System RAM" for a, b in ranges]
        lines += [f"{a:08x}-{a + n - 1:08x} : Reserved" for a, n in reserved]
        lines.insert(2, "  02000000-0220bb07 : Kernel code")
        self.write("proc/iomem", "\n".join(lines) + "\n")

    def flags(self, words, vendor="GenuineIntel"):
        self.replace("proc/cpuinfo", FLAGS, f"{FLAGS} {words}")
        self.replace("proc/cpuinfo", "GenuineIntel", vendor)

    def msr(self, **registers):
        """A file with 8 bytes at each register's number; it ends behind the last."""
        path = self.root / "dev/cpu/0/msr"
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as f:
            for number, value in sorted((globals()[k.upper()], v) for k, v in registers.items()):
                f.seek(number)
                f.write(struct.pack("<Q", value))

    def remove(self, path):
        os.remove(self.root / path)

    def tool(self, *args, **kw):
        return run(TOOL, "--root", self.root, "--check", *args, **kw)

    def check(self, *args):
        """The findings by name; exit code, text and JSON must say the same."""
        text = self.tool(*args)
        done = self.tool("--json", *args)
        assert text.stderr == "" and done.stderr == ""
        found = json.loads(done.stdout)
        lines = text.stdout.splitlines()
        for one in found["findings"]:
            state = {"stops": "stops it"}.get(one["state"], one["state"])
            assert f"{state:8}  {one['name']}: {one['text']}" in lines
            assert (f"          -> {one['todo']}" in lines) == bool(one["todo"])
            assert one["state"] == "ok" or one["todo"], one
            assert one["state"] in ("ok", "warning", "stops") and one["text"]
        states = [one["state"] for one in found["findings"]]
        assert found["stops"] == states.count("stops")
        assert found["warnings"] == states.count("warning")
        assert found["ok"] == (found["stops"] == 0)
        assert text.returncode == done.returncode == (0 if found["ok"] else 1)
        assert lines[-1].endswith(f"; {found['warnings']} warning"
                                  f"{'' if found['warnings'] == 1 else 's'}")
        return {one["name"]: one for one in found["findings"]}
