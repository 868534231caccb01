"""A made-up system that GRUB starts, for the tests of mkdumpdisk --grub: below --root, and, with
what is in its folders put in the place of the machine's own, without. There the entry's script
meets GRUB's own library; grub-probe says what the tests want."""

import json
import os
import re
import struct

from hosttools import run
from kexectree import TOOL, Tree

IMAGE = "boot/afterimage/afterimage.elf"
SCRIPT = "etc/grub.d/45_afterimage"
CONFIG = "boot/grub/grub.cfg"
MODULE = {"i386-pc": "boot/grub/i386-pc/multiboot.mod",
          "x86_64-efi": "boot/grub/x86_64-efi/multiboot2.mod"}
PROBE = {"fs": "ext2", "abstraction": "", "device": "/dev/vda1", "partmap": "gpt",
         "cryptodisk_uuid": "", "compatibility_hint": "hd0,gpt1",
         "fs_uuid": "1b2c3d4e-0000-4111-8222-333344445555", "hints_string": "--hint-bios=hd0,gpt1"}

# As grub-mkconfig does it, with its own check, but for a header that needs a machine.
UPDATE_GRUB = """\
#!/bin/sh
echo update-grub "$@" >>/boot/calls
echo "Generating grub configuration file ..." >&2
[ -s /boot/fail ] && { cat /boot/fail >&2; exit 3; }
[ -e /boot/forget ] && exit 0
. /etc/default/grub
export GRUB_ENABLE_CRYPTODISK pkgdatadir=/usr/share/grub
new=/boot/grub/grub.cfg.new
{ for f in /etc/grub.d/*; do [ ! -x "$f" ] || "$f" || exit 4; done; } >$new || exit 4
grub-script-check $new || exit 1
cat $new >/boot/grub/grub.cfg && rm $new
"""
GRUB_PROBE = """\
#!/bin/sh
for word; do
	case $word in --target=*) name=${word#--target=};; esac
	[ "$last" != -t ] || name=$word
	last=$word
done
[ -e "/boot/probe/$name" ] || { echo "grub-probe: error: cannot find $name of /boot" >&2; exit 1; }
cat "/boot/probe/$name"
"""
OTHERS = """\
#!/bin/sh
cat <<'EOF'
function gfxmode {
	set gfxpayload="${1}"
}
set timeout_style=menu
set timeout=5
menuentry 'Debian GNU/Linux' --class debian --id 'gnulinux-simple' {
	linux /vmlinuz
}
submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced' {
	menuentry 'Debian GNU/Linux, with Linux 6.1' --class debian {
		linux /vmlinuz
	}
}
EOF
"""
LAST = """\
#!/bin/sh
echo "menuentry 'another' {"
echo "	true"
echo "}"
"""

# What is below a folder, in the place of the machine's.
INSIDE = """\
set -e
for f in boot etc/grub.d etc/default dev sys; do mount --bind "$1/$f" "/$f"; done
mount -t overlay none -o "lowerdir=$1/usr/sbin:/usr/sbin" /usr/sbin
cd "$1"
shift
exec "$@"
"""

ELF_BYTES = 8192


def elf(name=b"afterimage", **changes):
    """An ELF file that GRUB would load: one piece, and a header of Multiboot 2 in it."""
    v = {"bits": 2, "machine": 62, "magic": 0xE85250D6, "arch": 0, "length": 24, "add": 0,
         "at": 0x1000, "segment": ELF_BYTES, "headers": 1, "entry": 56, "sections": 0} | changes
    ident = b"\x7fELF" + bytes([v["bits"], 1, 1]) + bytes(9)
    head = ident + struct.pack("<HHIQQQIHHHHHH", 2, v["machine"], 1, 0x200000, 64, v["sections"],
                               0, 64, v["entry"], v["headers"], 64, 1 if v["sections"] else 0, 0)
    head += struct.pack("<IIQQQQQQ", 1, 7, 0, 0x200000, 0x200000, v["segment"], v["segment"],
                        0x1000)
    data = bytearray(head.ljust(ELF_BYTES, b"\0"))
    data[0x400:0x400 + len(name)] = name
    total = -(v["magic"] + v["arch"] + v["length"]) + v["add"]
    if v["at"] + 24 <= len(data):
        struct.pack_into("<IIIIHHI", data, v["at"], v["magic"], v["arch"], v["length"],
                         total & 0xFFFFFFFF, 0, 0, 8)
    return bytes(data)


class GrubTree(Tree):
    """The dump disk nvme0n1, and a GRUB for BIOS."""

    def __init__(self, root, disk):
        super().__init__(root, disk)
        self.write("sys/firmware/memmap/0/type", "System RAM\n")
        self.write("etc/default/grub", "GRUB_TIMEOUT=5\n")
        self.program("etc/grub.d/10_linux", OTHERS)
        self.program("etc/grub.d/50_last", LAST)
        self.program("usr/sbin/update-grub", UPDATE_GRUB)
        self.program("usr/sbin/grub-probe", GRUB_PROBE)
        self.write(MODULE["i386-pc"], "module")
        self.write(CONFIG, OTHERS.partition("'EOF'\n")[2].partition("EOF\n")[0])
        self.probe()
        self.image = self.write("afterimage.elf", "")
        self.image.write_bytes(elf())
        os.mknod(root / "dev/null", 0o666 | 0o20000, os.makedev(1, 3))

    def program(self, path, text):
        self.write(path, text).chmod(0o755)

    def probe(self, **changes):
        for name, text in (PROBE | changes).items():
            path = self.root / "boot/probe" / name
            if text is None:
                path.unlink(missing_ok=True)
            else:
                self.write(f"boot/probe/{name}", text + "\n" if text else "")

    def efi(self, secure=None):
        """Started by UEFI; Secure Boot is on, off or (None) not told of."""
        self.write(MODULE["x86_64-efi"], "module")
        path = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        if secure is not None:
            self.write(path, "").write_bytes(b"\6\0\0\0" + bytes([secure]))

    def node(self, dev):
        """The block device @dev as /dev/dump inside."""
        os.mknod(self.root / "dev/dump", 0o600 | 0o60000, os.stat(dev).st_rdev)
        return "/dev/dump"

    def inside(self, *args, **kw):
        """Runs mkdumpdisk with the tree in the place of the system."""
        return run("unshare", "-m", "sh", "-c", INSIDE, "sh", self.root, TOOL, *args, **kw)

    def run_script(self, **env):
        """What the entry's script prints, run as grub-mkconfig runs it."""
        return run("unshare", "-m", "sh", "-c", INSIDE, "sh", self.root, f"/{SCRIPT}",
                   env=os.environ | env)

    def calls(self):
        return self.read("boot/calls").splitlines() if self.has("boot/calls") else []

    def entry(self):
        """The entry in GRUB's settings, or None."""
        found = re.search(r"^menuentry 'Dump memory[^\n]*\{\n.*?^\}$", self.read(CONFIG),
                          re.S | re.M)
        return found and found[0]

    def state(self, r):
        assert r.stderr == "", r.stderr
        found = json.loads(r.stdout)
        assert found["ok"] == (r.returncode == 0)
        return found
