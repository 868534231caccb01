"""mkdumpdisk --grub on a real Debian with GRUB's own tools, and what comes of it: a machine that
hung is started again by that GRUB, the entry is chosen by key, and the image captures. /boot is
on LVM, and on LVM in an encrypted partition whose passphrase GRUB asks for."""

import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

import capture
import debian
import matrix_kernels
import screen
import tools
from machine import MIB, Disk

PACKAGES = ("grub-pc", "lvm2", "cryptsetup-bin", "e2fsprogs", "fdisk", "dpkg", "grep", "sed",
            "diffutils")
MODULES = ("ecb", "xts", "dm-mod", "dm-crypt")  # in the order of loading
SYSTEMS = ("lvm", "luks")
SYSTEM_BYTES = 256 * MIB
TITLE = "Dump memory of the crashed system"
IMAGE = "/boot/afterimage/afterimage.elf"
PASSPHRASE = "geheim"
FIND_DISK = """for d in /sys/block/nvme*; do read s <$d/device/serial; \
[ "$s" = {serial} ] && echo /dev/${{d##*/}}; done; true"""
TABLE = "label: gpt\\nsize=1MiB,type=21686148-6449-6E6F-744E-656564454649\\ntype=linux\\n"
ENCRYPT = "printf {0} | cryptsetup -q luksFormat --type luks1 --pbkdf-force-iterations 1000 " \
          "{1} - && printf {0} | cryptsetup open {1} secret --key-file=-"
MAKE_BOOT = "vgcreate -q -y vg{0} {1} && lvcreate -q -y -n boot -l 100%FREE vg{0} && " \
            "mke2fs -q -t ext4 /dev/vg{0}/boot && mkdir -p /boot && mount /dev/vg{0}/boot /boot"
DEFAULTS = 'GRUB_TIMEOUT=60\\nGRUB_TERMINAL_OUTPUT=serial\\nGRUB_DISTRIBUTOR=Debian\\n' \
           'GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"\\n'
STEP_S = 0.3
SLOW_S = 300
GRUB_S = 180


@dataclass(frozen=True)
class Installed:
    disks: dict  # of SYSTEMS: the disk that GRUB starts
    dump: Path
    uuid: str
    said: dict  # likewise: what mkdumpdisk --grub printed
    status: dict


def find_disk(machine, name):
    return machine.do(FIND_DISK.format(serial=name))


def mount_boot(machine, name):
    """Makes the disk @name the one with /boot."""
    disk = find_disk(machine, f"afterimage-{name}")
    machine.do(f"printf '{TABLE}' | sfdisk -q {disk} && udevadm settle")
    place = f"{disk}p2"
    if name == "luks":
        machine.do(ENCRYPT.format(PASSPHRASE, place), SLOW_S)
        place = "/dev/mapper/secret"
    machine.do(MAKE_BOOT.format(name, place), SLOW_S)
    machine.do("echo none >/boot/vmlinuz-6.1.0-none && echo none >/boot/initrd.img-6.1.0-none")
    return disk


def install(machine, name, dump):
    """GRUB and the entry; what the tool printed, and the status afterwards."""
    disk = mount_boot(machine, name)
    machine.do(f"printf '{DEFAULTS}' >/etc/default/grub")
    code, said = machine.ask(f"mkdumpdisk --grub {dump}")
    assert code == 1 and "is not started by GRUB" in said
    if name == "luks":
        machine.do("mkdir /boot/grub && echo >/boot/grub/grub.cfg && mkdir /boot/grub/i386-pc && "
                   "cp /usr/lib/grub/i386-pc/multiboot.mod /boot/grub/i386-pc")
        code, said = machine.ask(f"mkdumpdisk --grub {dump}")
        assert code == 1 and "add GRUB_ENABLE_CRYPTODISK=y to /etc/default/grub" in said
        machine.do("echo GRUB_ENABLE_CRYPTODISK=y >>/etc/default/grub")
    machine.do(f"grub-install --target=i386-pc {disk} && echo >/boot/grub/grub.cfg", SLOW_S)
    code, said = machine.ask("mkdumpdisk --grub=status")
    assert code == 1 and f"image: {IMAGE} is not there" in said
    said = machine.do(f"mkdumpdisk --grub --menu 0 {dump}", SLOW_S)
    status = machine.do(f"mkdumpdisk --grub=status {dump}")
    machine.do("grub-script-check /boot/grub/grub.cfg")
    return said, status


@pytest.fixture(scope="module")
def installed(tmp_path_factory, kernel, step):
    folder = tmp_path_factory.mktemp("grub")
    modules = matrix_kernels.modules(matrix_kernels.own_suite(), kernel, MODULES)
    root = debian.make_root(folder / "root.img", {
        "usr/local/sbin/mkdumpdisk": tools.program("mkdumpdisk"),
        "usr/local/lib/afterimage/afterimage.elf": tools.program("afterimage.elf"),
        **{f"opt/{file.name}": file for file in Path(modules).iterdir()}}, PACKAGES)
    dump = tools.make_disk(folder / "dump.img", "2G", "--level", "1")
    disks = {name: folder / f"{name}.img" for name in SYSTEMS}
    for disk in disks.values():
        with open(disk, "wb") as f:
            f.truncate(SYSTEM_BYTES)
    said, status = {}, {}
    others = tuple(Disk(path, name=name) for name, path in disks.items())
    with debian.Debian(folder, kernel, root, dump, others=others, limit_s=1200) as machine:
        machine.wait_ready()
        step("Debian runs")
        for name in MODULES:
            machine.do(f"test ! -e /opt/{name}.ko || insmod /opt/{name}.ko")
        node = find_disk(machine, "afterimage")
        for name in SYSTEMS:
            said[name], status[name] = install(machine, name, node)
            step(f"installed, with /boot on {name}")
            if name != SYSTEMS[-1]:
                machine.do(f"umount /boot && vgchange -q -an vg{name} && sync")
        removed = machine.do("cp -a /boot/grub/grub.cfg /opt && mkdumpdisk --grub=remove", SLOW_S)
        assert removed == "removed" and machine.ask(f"grep '{TITLE}' /boot/grub/grub.cfg")[0] == 1
        assert machine.ask(f"test -e {IMAGE}")[0] == 1
        machine.do(f"mkdumpdisk --grub --menu 0 {node}", SLOW_S)
        machine.do("cmp /opt/grub.cfg /boot/grub/grub.cfg && umount /boot && sync", SLOW_S)
    root.unlink()
    yield Installed(disks, dump, tools.dump_entry(dump)[2], said, status)
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", SYSTEMS)
def test_installed(installed, name):
    said = installed.said[name]
    assert re.search(r"menu +number 3 in /boot/grub/grub.cfg", said)
    assert ("asks for the passphrase" in said) == (name == "luks")
    assert f"number 3 in the menu, with dump={installed.uuid}" in installed.status[name]


def give_passphrase(machine):
    """GRUB's core asks for it on the screen, before it can read its settings."""
    deadline = time.monotonic() + GRUB_S
    while "Enter passphrase" not in "\n".join(screen.read_text_mode(machine).rows):
        assert time.monotonic() < deadline, "GRUB asks for no passphrase"
        time.sleep(STEP_S)
    machine.press(*PASSPHRASE, "ret")


def choose(machine):
    """The third entry, by key."""
    machine.wait_console(re.escape(TITLE), GRUB_S)
    machine.press("down", "down", "ret")


@pytest.mark.parametrize("name", SYSTEMS)
def test_entry_captures(installed, first, tmp_path, step, name):
    dump = tools.copy(installed.dump, tmp_path / "dump.img")
    system = Disk(installed.disks[name], name="system", words=",bootindex=0")
    with capture.power_on(tmp_path, dump, first.crash, others=(system,), limit_s=600) as machine:
        if name == "luks":
            give_passphrase(machine)
        choose(machine)
        result = capture.watch_image(machine, machine.started, door="multiboot")
    step(f"{name}: dump {result.state}, {result.kept_pages} pages")
    assert result.state == "complete", result.lines
    tools.getdump("verify", dump)
    assert tools.info(dump)["dump"]["via"] == "multiboot"
    assert first.crash.nonce in tools.getdump("dmesg", dump).stdout
