"""mkdumpdisk --boot-entry on a real Debian with real UEFI firmware: the entry is made, the boot
order stays, the entry goes without a trace; then the next boot is the dump disk's, once. Debian
is booted by GRUB from a CD: firmware prefers a kernel of QEMU's -kernel to any entry."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import capture
import debian
import matrix_kernels
import tools
import uefi
import victim
from machine import MIB

TOOL = "mkdumpdisk --boot-entry"
LABEL = "afterimage dump disk"
VARIABLES = "/sys/firmware/efi/efivars"
GRUB_CONFIG = "set timeout=0\nlinux /boot/vmlinuz {cmdline}\nboot\n"
FIND_DISK = """for d in /sys/block/nvme*; do read s <$d/device/serial; \
[ "$s" = {serial} ] && echo /dev/${{d##*/}}; done; true"""
# Only the lines that matter: what is long is likely to come damaged.
ENTRIES = f"""efibootmgr -v | while read -r l; do case "$l" in \
BootOrder*|BootNext*|*"{LABEL}"*) printf '%s\\n' "$l";; esac; done"""
ESP_START = debian.ROOT_START + debian.ROOT_BYTES
ESP_BYTES = 20 * MIB
BOOT_TIMEOUT_S = 120


@pytest.fixture(scope="module")
def cd(tmp_path_factory, kernel):
    folder = tmp_path_factory.mktemp("cd")
    (folder / "root/boot").mkdir(parents=True)
    shutil.copy(kernel.vmlinuz, folder / "root/boot/vmlinuz")
    return victim.make_grub_cd(folder / "root", GRUB_CONFIG.format(cmdline=debian.cmdline()),
                               folder / "debian.iso", victim.UEFI)


@pytest.fixture(scope="module")
def root_disk(tmp_path_factory, kernel):
    """The system, and an empty EFI system partition after it."""
    modules = matrix_kernels.modules(matrix_kernels.own_suite(), kernel,
                                     matrix_kernels.EFI_MODULES)
    disk = debian.make_root(tmp_path_factory.mktemp("debian") / "root.img", {
        "usr/local/sbin/mkdumpdisk": tools.program("mkdumpdisk"),
        "usr/local/lib/afterimage/afterimage.efi": tools.program("afterimage.efi"),
        **{f"opt/{file.name}": file for file in Path(modules).iterdir()}},
                            masked=debian.NEEDLESS_UNITS)
    os.truncate(disk, ESP_START + ESP_BYTES + MIB)
    for line, given in ((["sfdisk", "-q", "--relocate", "gpt-bak-std", disk], None),
                        (["sfdisk", "-q", "--append", disk],
                         f"start={ESP_START // 512}, size={ESP_BYTES // 512}, "
                         f"type={uefi.ESP_TYPE}\n"),
                        (["mkfs.fat", "-F", "16", f"--offset={ESP_START // 512}", disk,
                          str(ESP_BYTES >> 10)], None)):
        done = subprocess.run([victim.find_program(line[0]), *line[1:]], input=given, text=True,
                              capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    return disk


@pytest.fixture
def boot(tmp_path, root_disk, cd):
    """boot(disk): Debian with this dump disk, ready, the firmware's variables not yet mounted."""
    machines = []

    def start(disk):
        root = tools.copy(root_disk, tmp_path / "root.img")
        machines.append(debian.Debian(tmp_path, None, root, disk, cd=cd,
                                      extra=uefi.flash(tmp_path)))
        machines[0].wait_ready(BOOT_TIMEOUT_S)
        return machines[0]

    yield start
    for machine in machines:
        machine.close()


def find_disk(machine, serial):
    return machine.do(FIND_DISK.format(serial=serial))


def mount_variables(machine):
    machine.do(f"insmod /opt/efivarfs.ko && mount -t efivarfs efivarfs {VARIABLES}")


def entries(machine):
    """What efibootmgr says: the lines of our entries, the boot order, the entry booted next."""
    text = machine.do(ENTRIES)
    order = re.search(r"^BootOrder: (\S+)", text, re.M)[1]
    following = re.search(r"^BootNext: (\S+)", text, re.M)
    ours = [line for line in text.splitlines() if LABEL in line]
    return ours, order, following[1] if following else None


def reset_into_image(machine, folder):
    """Resets as a watchdog would, and follows the image, which firmware boots once. It must find
    its disk; whether it finds the kernel is the firmware's luck, for what is not reserved may be
    overwritten."""
    machine.send("echo b >/proc/sysrq-trigger")
    machine.wait_console(rf'^BdsDxe: starting Boot\w+ "{LABEL}" from HD\(', BOOT_TIMEOUT_S,
                         machine.seen)
    machine.wait_console(r"^afterimage \S+ via uefi(?=\n)", BOOT_TIMEOUT_S, machine.seen)
    machine.wait_console(r"^afterimage: dump disk nvme", BOOT_TIMEOUT_S, machine.seen)
    machine.wait_console(capture.RESULT, capture.CAPTURE_TIMEOUT_S, machine.seen)
    said = machine.console()[machine.seen:]
    machine.close()
    assert ".cfg" not in said  # the settings are there and good
    assert uefi.variable(folder, "BootNext") is None


def test_dump_disk(boot, tmp_path, step):
    disk = tools.make_disk(tmp_path / "dump.img", "512M")
    uefi.on_esp(disk, "mdel", uefi.BOOT_FILE)  # what firmware finds by itself: not the entry's
    machine = boot(disk)
    name = find_disk(machine, "afterimage")
    code, text = machine.ask(f"{TOOL} {name}")
    assert code == 1 and f"are not mounted; run mount -t efivarfs efivarfs {VARIABLES}" in text
    mount_variables(machine)
    step(f"booted; dump disk {name}")

    none, order, _ = entries(machine)
    assert none == []
    text = machine.do(f"{TOOL} {name}")
    assert f"partition 2 of {name}" in text and "not in it" in text
    (line,), now, following = entries(machine)
    guid = machine.do(f"lsblk -n -o PARTUUID {name}p2")
    assert guid in line and "\\EFI\\afterimage\\afterimage.efi" in line
    assert now == order and following is None
    number = line[4:8]
    machine.do(f"{TOOL}=first {name}")
    assert entries(machine)[1] == f"{number},{order}"
    machine.do(f"{TOOL}=last {name}")
    assert entries(machine)[1] == f"{order},{number}"
    machine.do(f"mount -o remount,ro {VARIABLES}")
    code, text = machine.ask(f"{TOOL}=remove {name}")
    assert code == 1 and "mounted read-only" in text
    machine.do(f"{TOOL}=status {name}; mount -o remount,rw {VARIABLES}")
    machine.do(f"{TOOL}=remove {name}")
    assert entries(machine) == ([], order, None)
    assert machine.ask(f"{TOOL}=status {name}")[0] == 1
    step("added, moved, removed")

    machine.do(f"{TOOL}=next {name}")
    (line,), now, following = entries(machine)
    assert now == order and line.startswith(f"Boot{following}*")
    machine.do(f"{TOOL}=status {name}")
    step("booted next; resetting")
    reset_into_image(machine, tmp_path)


def test_dump_partition(boot, tmp_path, step):
    """On a disk with nothing else, started from the system's EFI system partition."""
    disk = tools.make_disk(tmp_path / "dump.img", "512M")
    subprocess.run([victim.find_program("sgdisk"), "-d", "1", "-d", "2", disk], check=True,
                   capture_output=True, timeout=60)
    machine = boot(disk)
    name, system = find_disk(machine, "afterimage"), find_disk(machine, "root")
    mount_variables(machine)
    code, text = machine.ask(f"{TOOL} {name}p3")
    assert code == 1 and "mounted neither at /boot/efi nor at /efi or /boot" in text
    machine.do("for m in nls_cp437 nls_ascii nls_utf8 fat vfat; do insmod /opt/$m.ko; done; "
               f"mkdir -p /boot/efi && mount {system}p2 /boot/efi")
    machine.do("dd if=/dev/zero of=/boot/efi/filler bs=64K; truncate -s -64K /boot/efi/filler")
    code, text = machine.ask(f"{TOOL} {name}p3")
    assert code == 1 and "No space left on device; make room" in text
    assert machine.do("ls /boot/efi /boot/efi/EFI; rm /boot/efi/filler") == \
        "/boot/efi:\nEFI\nfiller\n\n/boot/efi/EFI:"
    assert entries(machine)[0] == []
    code, text = machine.ask(f"{TOOL} {name}")
    assert code == 1 and "name its dump partition" in text

    text = machine.do(f"{TOOL}=next --console serial {name}p3")
    assert f"partition 2 of {system}, the system's" in text
    uuid = tools.dump_entry(disk)[2]
    assert machine.do("cat /boot/efi/EFI/afterimage/afterimage.cfg") == \
        f"dump={uuid} console=serial:0x3f8:115200 menu=3"
    machine.do("umount /boot/efi")
    step("files and entry made; resetting")
    reset_into_image(machine, tmp_path)
