"""Machines in automatic mode: a dump disk that comes first in the boot order, and a Debian with
systemd that boots from its own disk, by its own GRUB, with either firmware. Follows what the
image decides at every start, and brings the system down in every way it can come down."""

import os
import re
import shutil
import struct
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import capture
import debian
import diskkernel
import kernels
import tools
import uefi
import victim
from machine import MIB, MachineError, ram_offset

SECTOR = 512
BIOS_BOOT_TYPE = "21686148-6449-6e6f-744e-656564454649"
CORE_START = debian.ROOT_START + debian.ROOT_BYTES
CORE_BYTES = 1 * MIB
ESP_START = CORE_START + CORE_BYTES
ESP_BYTES = 8 * MIB
# GRUB's boot.img: where the first sector of the rest is; that one's: where the next ones are.
BOOT_CORE_LBA, CORE_NEXT_LBA, BOOT_CODE_BYTES = 0x5c, 0x1f4, 440
PREFIX = "(,gpt1)/boot"
GRUB_MODULES = ("part_gpt", "ext2", "linux")
GRUB_CONFIG = """\
linux /boot/vmlinuz {cmdline}
{initrd}boot
"""
# Debian's has dozens of drivers and a udev to choose among them.
INIT = """\
#!/bin/busybox sh
busybox mount -t proc proc /proc
busybox mount -t devtmpfs dev /dev
for name in {modules}; do
	[ ! -e /$name.ko ] || busybox insmod /$name.ko
done
until [ -d /root/etc ]; do
	busybox sleep 0.05
	for disk in /dev/nvme*n1p1; do
		busybox mount -t ext4 $disk /root 2>/dev/null && break
	done
done
busybox umount /proc
busybox mount -o move /dev /root/dev
exec busybox switch_root /root /sbin/init
"""
DRIVERS = ("crc64", "crc64_rocksoft_generic", "crc64-rocksoft", "crct10dif_common",
           "crct10dif_generic", "crc-t10dif", "t10-pi", "nvme-core", "nvme")
TIMEOUT_S = 60
LIMIT_S = 1800
BOOT_TIMEOUT_S = 120
AUTOMATIC = r"^afterimage: automatic: .*(?=\n)"
DECIDED = r"^afterimage: automatic: (?:.*; (?:capturing it|booting on)|not captured, .*)(?=\n)"
# The image's first line, and firmware's before it begins.
BEGINS = {"bios": r"^afterimage \S+ via bios(?=\n)",
          "uefi": r"BdsDxe: starting Boot\S+ \".* afterimage .*(?=\n)"}
HANGING = f"{debian.PROMPT}hanging now"
HANG = ("echo -1 >/proc/sys/kernel/sched_rt_runtime_us; echo 1 >/proc/sys/kernel/sysrq; "
        f"exec chrt -f 99 sh -c 'echo {HANGING} >/dev/ttyS0; while :; do :; done'")
HANG_S = 0.5
WATCHDOG = ("-device", "i6300esb", "-action", "watchdog=reset")
WATCHDOG_S = 5
# systemd's own watch over the machine, as an administrator sets it.
ARM = ("mkdir -p /run/systemd/system.conf.d && "
       f"printf '[Manager]\\nRuntimeWatchdogSec={WATCHDOG_S}s\\n' "
       ">/run/systemd/system.conf.d/watchdog.conf && systemctl daemon-reload && "
       "systemctl show -P RuntimeWatchdogUSec")
# A service that never stops.
STUBBORN = ("printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/true\\n"
            "ExecStop=/bin/sleep infinity\\nTimeoutStopSec=infinity\\n' "
            ">/run/systemd/system/stubborn.service && systemctl daemon-reload && "
            "systemctl start stubborn.service")
ORDERLY = "shut down in order; booting on"
NO_KERNEL = "no old kernel in memory; booting on"
BIOS, UEFI = "bios", "uefi"  # firmware, by the names of the image's doors


def make_grub(platform, modules, folder, config):
    """The file that GRUB's first part loads: it does as @config says and asks nobody."""
    target, place = Path(folder) / f"grub-{platform}", Path(folder) / "grub.cfg"
    place.write_text(config)
    subprocess.run(["grub-mkimage", "-O", platform, "-d", f"/usr/lib/grub/{platform}", "-p",
                    PREFIX, "-c", place, "-o", target, *GRUB_MODULES, *modules],
                   capture_output=True, check=True, timeout=TIMEOUT_S)
    return target


def add_bios_grub(disk, core):
    """GRUB's first sector and, in a partition of its own, the rest."""
    boot = Path("/usr/lib/grub/i386-pc/boot.img").read_bytes()[:BOOT_CODE_BYTES]
    core_lba = CORE_START // SECTOR
    rest = bytearray(core.read_bytes())
    struct.pack_into("<Q", rest, CORE_NEXT_LBA, core_lba + 1)
    tools.write_bytes(disk, 0, boot[:BOOT_CORE_LBA] + struct.pack("<Q", core_lba) +
                      boot[BOOT_CORE_LBA + 8:])
    tools.write_bytes(disk, CORE_START, bytes(rest))


def add_uefi_grub(disk, grub):
    """GRUB where firmware looks on a disk that it knows nothing of."""
    place = f"{disk}@@{ESP_START}"
    for line in (["mformat", "-i", place, "-T", str(ESP_BYTES // SECTOR), "-h", "16", "-s", "63"],
                 ["mmd", "-i", place, "::/EFI", "::/EFI/BOOT"],
                 ["mcopy", "-i", place, grub, uefi.BOOT_FILE]):
        subprocess.run(line, capture_output=True, check=True, timeout=TIMEOUT_S)


def make_initramfs(folder, modules):
    """The drivers, and what loads them and goes on with the system on the disk."""
    names = (*DRIVERS, *diskkernel.SYSTEM_MODULES)
    target = Path(folder) / "initramfs"
    with tempfile.TemporaryDirectory(dir=folder) as temp:
        root = Path(temp)
        for name in ("bin", "dev", "proc", "root"):
            (root / name).mkdir()
        shutil.copy(victim.find_program("busybox"), root / "bin")
        for name in names:
            if (modules / f"{name}.ko").exists():
                subprocess.run(["strip", "-g", "-R", ".BTF", modules / f"{name}.ko", "-o",
                                root / f"{name}.ko"], check=True, timeout=TIMEOUT_S)
        (root / "init").write_text(INIT.format(modules=" ".join(names)))
        (root / "init").chmod(0o755)
        victim.pack(root, target)
    return target


def make_guest(folder, ordinary=False, words="", files=None):
    """The system's disk, which either firmware boots. Debian's @ordinary kernel has the watchdog's
    driver; the cloud kernel boots in less time. @files as for debian.make_root."""
    initrd = ""
    if ordinary:
        kernel, modules = diskkernel.get()
        boot_files = {"boot/initramfs": make_initramfs(folder, modules)}
        initrd = "initrd /boot/initramfs\n"
    else:
        kernel, boot_files = kernels.get(), {}
    boot_files["boot/vmlinuz"] = kernel.vmlinuz
    config = GRUB_CONFIG.format(cmdline=debian.cmdline(words), initrd=initrd)
    disk = debian.make_root(Path(folder) / "guest.img", {**boot_files, **(files or {})},
                            room_bytes=CORE_BYTES + ESP_BYTES, masked=debian.NEEDLESS_UNITS)
    subprocess.run(["/usr/sbin/sfdisk", "-q", "--append", disk], check=True, timeout=TIMEOUT_S,
                   text=True, capture_output=True, input=
                   f"start={CORE_START // SECTOR}, size={CORE_BYTES // SECTOR}, "
                   f"type={BIOS_BOOT_TYPE}\n"
                   f"start={ESP_START // SECTOR}, size={ESP_BYTES // SECTOR}, "
                   f"type={uefi.ESP_TYPE}\n")
    add_bios_grub(disk, make_grub(victim.BIOS, ["biosdisk"], folder, config))
    add_uefi_grub(disk, make_grub(victim.UEFI, ["fat"], folder, config))
    return disk


# --- the machine -------------------------------------------------------------------------


@dataclass(frozen=True)
class Decision:
    """What the image said at one start in automatic mode."""
    way: str  # "boot on" or "capture"
    line: str  # the last of "afterimage: automatic: "
    lines: tuple
    image_s: float  # from the image's begin to that line, by our clock,
    cpu_s: float  # and the time of a processor that QEMU took for it
    start: int  # of the image in the console's text
    end: int  # of that line


class Rig(debian.Debian):
    """The dump disk @dump first, then the system's own. Firmware: BIOS or UEFI. The host gives all
    RAM at the start: else the time that the image takes would be the host's for that."""

    def __init__(self, folder, firmware, guest_disk, dump, extra=(), **options):
        self.firmware = firmware
        self.dump = Path(dump)
        flash = uefi.flash(folder) if firmware == UEFI else ()
        super().__init__(folder, None, guest_disk, dump, root_words=",bootindex=9",
                         extra=(*flash, *extra),
                         **({"limit_s": LIMIT_S, "prealloc": True} | options))

    def decision(self, start=None, timeout_s=BOOT_TIMEOUT_S):
        """The next one in the console's text from @start on."""
        start = self.seen if start is None else start
        hello = self.wait_console(BEGINS[self.firmware], timeout_s, start)
        began, cpu_began = time.monotonic(), self.cpu_s()
        found = self.wait_console(DECIDED, timeout_s, hello.end())
        seconds, cpu_s = time.monotonic() - began, self.cpu_s() - cpu_began
        lines = re.findall(AUTOMATIC, self.console()[hello.start():found.end() + 1], re.M)
        way = "capture" if found[0].endswith("capturing it") else "boot on"
        return Decision(way, found[0], tuple(lines), seconds, cpu_s, hello.start(), found.end())

    def cpu_s(self):
        """The time of processors that QEMU has taken."""
        words = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def up_again(self, start=None):
        """The decision to boot on, and the system that was booted then: the boot's id."""
        found = self.decision(start)
        if found.way != "boot on":
            raise MachineError(f"not booted on: {found.lines}")
        self.seen = found.end
        return found, self.wait_ready()

    def captured(self, start=None):
        """The decision to capture and the result line; then the decision of the next start, which
        is to boot on, and the id of the system's boot."""
        first = self.decision(start)
        if first.way != "capture":
            raise MachineError(f"not captured: {first.lines}")
        result = self.wait_console(capture.RESULT, capture.CAPTURE_TIMEOUT_S, first.end)
        return (first, result, *self.up_again(result.end()))

    # --- ways down -----------------------------------------------------------------------

    def reboot(self, command="systemctl reboot"):
        self.send(command)

    def hang(self):
        """Nothing but a loop of the highest priority runs; interrupts are served."""
        self.send(HANG)
        self.wait_console(f"^{HANGING}", 20, self.seen)
        time.sleep(HANG_S)
        self.seen = len(self.console())

    def sysrq(self, key):
        """Of somebody at the serial console, who sends a break and @key."""
        self.seen = len(self.console())
        self.qmp.command("chardev-send-break", id="console")
        self.line.sendall(key.encode())

    def press_reset(self):
        self.seen = len(self.console())
        self.reset()

    def triple_fault(self):
        """Wipes the table of interrupts as bad memory would: the next one is a fault, that a
        second, that the third. No instruction of the machine's is involved."""
        self.seen = len(self.console())
        self.stop()
        state = self.monitor("info registers")
        base, limit = re.search(r"^IDT= +([0-9a-f]+) ([0-9a-f]+)", state, re.M).groups()
        pa = int(re.search(r"gpa: 0x([0-9a-f]+)", self.monitor(f"gva2gpa 0x{base}"))[1], 16)
        tools.write_bytes(self.setup.ram_file, ram_offset(pa, self.setup.ram_bytes),
                          bytes(int(limit, 16) + 1))
        self.cont()

    def monitor(self, line):
        return self.qmp.command("human-monitor-command", **{"command-line": line})

    # --- the dumps -----------------------------------------------------------------------

    def dumps(self):
        """Numbers of the dumps on the disk, the oldest first."""
        return tools.dumps(self.dump)


def check_dump(disk, number, nonce):
    """Dump @number is whole and of the boot @nonce of the system; getdump's account of it."""
    tools.getdump("verify", disk, "-n", number)
    log = tools.getdump("dmesg", disk, "-n", number).stdout
    booted = re.findall(rf"{debian.PROMPT}boot (\S+)", log)
    if booted != [nonce]:
        raise MachineError(f"dump {number} is of boot {booted}, not of {nonce}")
    return tools.info(disk, number)["dump"]


# --- stories -----------------------------------------------------------------------------


def reboot(rig, command="systemctl reboot"):
    """In order: booted on, and nothing new on the dump disk."""
    before = rig.dumps()
    rig.reboot(command)
    decision, nonce = rig.up_again()
    assert decision.line.endswith(ORDERLY) and len(decision.lines) == 1
    assert rig.dumps() == before
    return decision, nonce


def crash(rig, nonce, why):
    """After the machine went down: one dump more, of that very boot, and the system is up."""
    before = rig.dumps()
    capturing, result, passed, booted = rig.captured()
    assert why in capturing.line
    assert result["state"] == "complete", result[0]
    number = int(result["number"])
    assert f"dump {number} has it" in "".join(passed.lines)
    assert rig.dumps() == [*before, number]
    dump = check_dump(rig.dump, number, nonce)
    assert dump["host"] == "test-debian"
    return booted


def by_sysrq(rig):
    rig.hang()
    rig.sysrq("b")


def by_reset(rig):
    rig.hang()
    rig.press_reset()


def by_watchdog(rig):
    assert rig.do(ARM) == f"{WATCHDOG_S}s"
    rig.hang()


HUNG = "was still running: it hung or was reset"
SYSRQ = "was restarted by sysrq, without a shutdown"
WAYS = ((by_watchdog, HUNG), (Rig.triple_fault, HUNG),
        (by_sysrq, SYSRQ), (by_reset, HUNG))
