"""A made-up system that was started by UEFI, for the tests of mkdumpdisk --boot-entry: the
firmware's variables as files, and an efibootmgr that does to them what the real one does to the
firmware."""

import json
import os
import re
import struct
import uuid

from hosttools import check
from kexectree import Tree

VARS = "sys/firmware/efi/efivars"
GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
MOUNTED = "20 1 0:9 / /sys/firmware/efi/efivars rw,nosuid shared:7 - efivarfs efivarfs rw\n"
PATH = "\\EFI\\afterimage\\afterimage.efi"
LABEL = "afterimage dump disk"

EFIBOOTMGR = """\
#!/usr/bin/python3
import json, os, sys
sys.path.insert(0, {here!r})
import efitree
sys.exit(efitree.efibootmgr({root!r}, sys.argv[1:]))
"""


def load_option(label, guid, number, path, active=True):
    """An EFI_LOAD_OPTION for a file on a partition."""
    disk = struct.pack("<BBHIQQ16sBB", 4, 1, 42, number, 2048, 131072, uuid.UUID(guid).bytes_le,
                       2, 2)
    name = (path + "\0").encode("utf-16-le")
    paths = disk + struct.pack("<BBH", 4, 4, 4 + len(name)) + name + b"\x7f\xff\x04\0"
    return struct.pack("<IH", int(active), len(paths)) + (label + "\0").encode("utf-16-le") + paths


class Firmware:
    """The variables below @root."""

    def __init__(self, root):
        self.folder = os.path.join(root, VARS)

    def file(self, name):
        return os.path.join(self.folder, f"{name}-{GLOBAL}")

    def set(self, name, data):
        with open(self.file(name), "wb") as f:
            f.write(b"\7\0\0\0" + data)

    def get(self, name):
        try:
            with open(self.file(name), "rb") as f:
                return f.read()[4:]
        except FileNotFoundError:
            return None

    def set_order(self, *numbers):
        self.set("BootOrder", struct.pack(f"<{len(numbers)}H", *numbers))

    def order(self):
        data = self.get("BootOrder") or b""
        return list(struct.unpack(f"<{len(data) // 2}H", data))

    def next(self):
        data = self.get("BootNext")
        return struct.unpack("<H", data)[0] if data else None

    def entries(self):
        found = (re.fullmatch(f"Boot([0-9A-F]{{4}})-{GLOBAL}", n) for n in os.listdir(self.folder))
        return sorted(int(m[1], 16) for m in found if m)


def efibootmgr(root, args):
    """What the program of that name does, for the arguments that mkdumpdisk gives it."""
    with open(os.path.join(root, "efibootmgr.log"), "a") as log:
        log.write(json.dumps(args) + "\n")
    fail = os.path.join(root, "efibootmgr.fail")
    if os.path.exists(fail):
        with open(fail) as f:
            words = f.read()
        if words:
            print(words)
            return 5
        return 0  # says that it did it
    f = Firmware(root)
    given = dict(zip(args, args[1:]))
    if "-C" in args:
        number = min(set(range(256)) - set(f.entries()))
        with open(os.path.join(root, "partitions.json")) as table:
            guid = json.load(table)[given["-d"]][int(given["-p"]) - 1]
        f.set(f"Boot{number:04X}",
              load_option(given["-L"], guid, int(given["-p"]), given["-l"]))
    elif "-B" in args:
        number = int(given["-b"], 16)
        os.unlink(f.file(f"Boot{number:04X}"))
        f.set_order(*(n for n in f.order() if n != number))
    elif "-a" in args:
        name = f"Boot{int(given['-b'], 16):04X}"
        f.set(name, b"\1" + f.get(name)[1:])
    elif "-o" in args:
        f.set_order(*(int(n, 16) for n in given["-o"].split(",")))
    elif "-n" in args:
        f.set("BootNext", struct.pack("<H", int(given["-n"], 16)))
    elif "-N" in args:
        os.unlink(f.file("BootNext"))
    else:
        return 1
    return 0


class EfiTree(Tree):
    """A dump disk nvme0n1, and two entries of others in the firmware."""

    def __init__(self, root, disk):
        super().__init__(root, disk)
        (root / VARS).mkdir(parents=True)
        self.mounts(MOUNTED)
        self.write("usr/bin/efibootmgr", EFIBOOTMGR.format(
            here=os.path.dirname(os.path.abspath(__file__)), root=str(root)))
        os.chmod(root / "usr/bin/efibootmgr", 0o755)
        for name in ("mdir", "mtype"):
            os.symlink(f"/usr/bin/{name}", root / "usr/bin" / name)
        self.guids = {}
        self.know("nvme0n1", disk)
        self.firmware = Firmware(root)
        self.firmware.set("Boot0000", load_option("debian", str(uuid.uuid4()), 1,
                                                  "\\EFI\\debian\\shimx64.efi"))
        self.firmware.set("Boot0002", b"\1\0\0\0\4\0S\0h\0e\0l\0l\0\0\0\x7f\xff\4\0")
        self.firmware.set_order(2, 0)

    def mounts(self, *lines):
        self.write("proc/self/mountinfo", "19 1 259:1 / / rw - ext4 /dev/root rw\n" +
                   "".join(lines))

    def know(self, name, disk):
        """Tells efibootmgr the disk's partitions; returns them as sfdisk does."""
        parts = json.loads(check("sfdisk", "--json", disk))["partitiontable"]["partitions"]
        self.guids["/dev/" + name] = [p["uuid"].lower() for p in parts]
        self.write("partitions.json", json.dumps(self.guids))
        return parts

    def calls(self):
        if not self.has("efibootmgr.log"):
            return []
        return [json.loads(line) for line in self.read("efibootmgr.log").splitlines()]
