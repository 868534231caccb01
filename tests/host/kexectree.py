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
        pci = "pci0000:00/0000:00:04.0" if kind != "vmd" else \
            "pci0000:00/0000:00:0e.0/pci10000:e0/10000:e1:00.0"
        parents = {"scsi": "host0/target0:0:0/0:0:0:0/block",
                   "multipath": "nvme-subsystem/nvme-subsys0"}
        above = ("virtual/" if kind == "multipath" else f"{pci}/") + \
            parents.get(kind, "nvme/nvme0")
        folder = f"sys/devices/{above}/{name}"
        for i, part in enumerate(partitions or self.partitions["partitions"], 1):
            at = f"{folder}/{name}{'p' if name[-1].isdigit() else ''}{i}"
            self.write(f"{at}/start", f"{part['start']}\n")
            self.write(f"{at}/partition", f"{i}\n")
        if kind != "scsi":
            controller = f"sys/devices/{above}" + ("/nvme0" if kind == "multipath" else "")
            self.write(f"{controller}/transport", "tcp\n" if kind == "tcp" else "pcie\n")
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
