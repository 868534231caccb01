"""A made-up system for the tests of mkdumpdisk --kexec: /sys, /proc, /dev and a kexec that
does to them what the real one does to the kernel, below a folder given with --root."""

import json
import os

from hosttools import check, run

BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
TOOL = os.path.join(BUILD, "mkdumpdisk")
IMAGE = os.path.join(BUILD, "afterimage.bzimage")
MIB = 1 << 20
SETTINGS = "etc/afterimage/kexec.conf"
UNIT = "etc/systemd/system/afterimage-kexec.service"
LINK = "etc/systemd/system/sysinit.target.wants/afterimage-kexec.service"
RULE = "etc/udev/rules.d/90-afterimage-kexec.rules"
RECORD = "run/afterimage-kexec.loaded"
COPY = "usr/local/lib/afterimage-kexec"

# Writes its arguments down, one JSON list a call, and does what FAIL does not forbid.
KEXEC = """\
#!/usr/bin/python3
import json, os, sys
root = {root!r}
args = sys.argv[1:]
with open(root + "/kexec.log", "a") as log:
    log.write(json.dumps(args) + "\\n")
fail = open(root + "/kexec.fail").read().split() if os.path.exists(root + "/kexec.fail") else []
if [a for a in args if a in fail]:
    print("syscall " + "/".join(args[:2]) + " said no", file=sys.stderr)
    sys.exit(255)
if "quiet" not in fail:
    with open(root + "/sys/kernel/kexec_crash_loaded", "w") as f:
        f.write("0\\n" if "-u" in args else "1\\n")
"""

FUNCTION = "pci0000:00/0000:00:04.0"
VMD = "pci0000:00/0000:00:0e.0/pci10000:e0/10000:e1:00.0"
ATA = "ata1/host0/target0:0:0/0:0:0:0/block"
TO_ATA = "../../../../.."  # from there to the controller


def config(*caps, size=256, listed=True):
    """A PCI function's configuration space with these capabilities."""
    c = bytearray(256)
    c[0x06] = 0x10 if listed else 0
    at = 0x34
    for i, cap in enumerate(caps):
        c[at + (at != 0x34)] = 0x40 + 16 * i
        at = 0x40 + 16 * i
        c[at] = cap
    return bytes(c[:size])


def sata(pci_class, link="link1/dev1.0/class"):
    return (f"{FUNCTION}/{ATA}", {f"{TO_ATA}/class": pci_class, f"{TO_ATA}/ata1/{link}": "ata"})


def virtio(device, space=None):
    facts = {"../../vendor": "0x1af4", "../../device": device}
    return (f"{FUNCTION}/virtio1/block", facts | ({"../../config": space} if space else {}))


# How a disk is attached: the folder above its own, and files from there.
KINDS = {
    "nvme": (f"{FUNCTION}/nvme/nvme0", {"transport": "pcie"}),
    "multipath": ("virtual/nvme-subsystem/nvme-subsys0", {"nvme0/transport": "pcie"}),
    "tcp": (f"{FUNCTION}/nvme/nvme0", {"transport": "tcp"}),
    "vmd": (f"{VMD}/nvme/nvme0", {"transport": "pcie"}),
    "sata": sata("0x010601"),
    "ide": sata("0x01018a"),
    "raid": sata("0x010400"),
    "sil": sata("0x018000"),
    "multiplier": sata("0x010601", "link1.0/dev1.0.0/class"),
    "sata-vmd": (f"{VMD}/{ATA}", {f"{TO_ATA}/class": "0x010601"}),
    "scsi": (f"{FUNCTION}/host0/target0:0:0/0:0:0:0/block", {"../../../../class": "0x010700"}),
    "usb": (f"{FUNCTION}/usb1/1-1/1-1:1.0/host6/target6:0:0/6:0:0:0/block", {}),
    "usb-ata": (f"{FUNCTION}/usb1/1-1/1-1:1.0/{ATA}", {}),
    "card": (f"{FUNCTION}/mmc_host/mmc0/mmc0:0001/block", {}),
    "iscsi": ("platform/host3/session1/target3:0:0/3:0:0:0/block", {}),
    "dm": ("virtual/block", {}),
    "virtio": virtio("0x1042"),
    "virtio-both": virtio("0x1001", config(0x11, 0x09)),
    "virtio-user": virtio("0x1001", config(0x11, 0x09, size=64)),
    "virtio-hidden": virtio("0x1001"),
    "virtio-old": virtio("0x1001", config(0x11)),
    "virtio-bare": virtio("0x1001", config(0x09, listed=False)),
    "virtio-loop": virtio("0x1001", config(0x11)[:0x41] + b"\x40" + config(0x11)[0x42:]),
    "virtio-net": virtio("0x1041"),
    "virtio-other": (f"{FUNCTION}/virtio1/block", {"../../vendor": "0x1af5",
                                                   "../../device": "0x1042"}),
    "virtio-mmio": ("platform/a003e00.virtio_mmio/virtio2/block", {}),
    "virtio-scsi": (f"{FUNCTION}/virtio0/host2/target2:0:0/2:0:0:0/block",
                    {"../../../../../vendor": "0x1af4", "../../../../../device": "0x1048"}),
}


class Tree:
    """The folder and what is in it."""

    def __init__(self, root, disk):
        self.root = root
        self.write("sys/kernel/kexec_crash_loaded", "0\n")
        self.write("sys/kernel/kexec_crash_size", f"{16 * MIB}\n")
        self.write("sys/kernel/security/lockdown", "[none] integrity confidentiality\n")
        self.write("proc/sys/kernel/kexec_load_disabled", "0\n")
        self.write("proc/cmdline", "root=/dev/vda1 crashkernel=16M quiet\n")
        self.write("usr/sbin/kexec", KEXEC.format(root=str(root)))
        os.chmod(root / "usr/sbin/kexec", 0o755)
        for folder in ("sys/block", "dev", "run", "etc"):
            (root / folder).mkdir(exist_ok=True)
        self.partitions = json.loads(check("sfdisk", "--json", disk))["partitiontable"]
        self.uuid = self.partitions["partitions"][2]["uuid"].lower()
        self.disk = disk
        self.attach("nvme0n1")

    def write(self, path, text):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def read(self, path):
        return (self.root / path).read_text()

    def has(self, path):
        return os.path.lexists(self.root / path)

    def attach(self, name, kind="nvme", number=None, disk=None, partitions=None):
        """Shows the disk as @name; with @number, MAJOR:MINOR, also to those who look for that.
        Its folder."""
        above, facts = KINDS[kind]
        folder = f"sys/devices/{above}/{name}"
        for i, part in enumerate(partitions or self.partitions["partitions"], 1):
            at = f"{folder}/{name}{'p' if name[-1].isdigit() else ''}{i}"
            self.write(f"{at}/start", f"{part['start']}\n")
            self.write(f"{at}/partition", f"{i}\n")
        for path, text in facts.items():
            fact = self.write(os.path.normpath(f"sys/devices/{above}/{path}"), "")
            fact.write_bytes(text if isinstance(text, bytes) else f"{text}\n".encode())
        os.symlink(self.root / folder, self.root / "sys/block" / name)
        if number:
            self.number(number, folder)
        os.symlink(disk or self.disk, self.root / "dev" / name)
        return folder

    def number(self, number, folder):
        """Shows what is in @folder to those who look for @number, MAJOR:MINOR."""
        (self.root / "sys/dev/block").mkdir(parents=True, exist_ok=True)
        os.symlink(self.root / folder, self.root / "sys/dev/block" / number)

    def detach(self, name="nvme0n1"):
        (self.root / "sys/block" / name).unlink()
        (self.root / "dev" / name).unlink()

    def settings(self, **changes):
        values = {"TARGET": self.uuid, "CONSOLE": "serial:0x3f8:115200,screen",
                  "IMAGE": "/boot/afterimage.bzimage"} | changes
        self.write(SETTINGS, "# made by hand\n" + "".join(
            f"{k}={v}\n" for k, v in values.items() if v is not None))
        with open(IMAGE, "rb") as f:
            target = self.write("boot/afterimage.bzimage", "")
            target.write_bytes(f.read())
        return target

    def calls(self):
        if not self.has("kexec.log"):
            return []
        return [json.loads(line) for line in self.read("kexec.log").splitlines()]

    def tool(self, *args, **kw):
        """Runs mkdumpdisk on the tree, not as a service."""
        env = {k: v for k, v in os.environ.items() if k != "INVOCATION_ID"}
        return run(TOOL, "--root", self.root, *args, env=env, **kw)

    def files(self):
        """Every file and link below etc, usr and run, with its contents or where it leads."""
        found = {}
        for top in ("etc", "usr", "run"):
            for folder, _, names in os.walk(self.root / top):
                for name in names:
                    path = os.path.join(folder, name)
                    key = os.path.relpath(path, self.root)
                    if os.path.islink(path):
                        found[key] = os.readlink(path)
                    else:
                        with open(path, "rb") as f:
                            found[key] = f.read()
        return found
