"""Machines in automatic mode: a dump disk that comes first in the boot order, and a Debian with
systemd that boots from its own disk, by its own GRUB, with either firmware. Follows what the
image decides at every start, and brings the system down in every way it can come down."""

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
import tools
import uefi
import victim
from machine import MIB, MachineError

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
initrd /boot/initramfs
boot
"""
# Debian's has dozens of drivers and a udev to choose among them.
INIT = """\
#!/bin/busybox sh
busybox mount -t proc proc /proc
busybox mount -t devtmpfs dev /dev
for name in {modules}; do
	[ ! -e /$name.ko ] || busybox insmod /$name.ko
done
root=/dev/nvme0n1p1
until [ -e $root ]; do busybox sleep 0.05; done
busybox mount -t ext4 $root /root
busybox umount /proc
busybox mount -o move /dev /root/dev
exec busybox switch_root /root /sbin/init
"""
DRIVERS = ("crc64", "crc64_rocksoft_generic", "crc64-rocksoft", "crct10dif_common",
           "crct10dif_generic", "crc-t10dif", "t10-pi", "nvme-core", "nvme")
# What starts nothing that is needed here.
MASKED = ("systemd-udevd.service", "systemd-udev-trigger.service", "modprobe@.service",
          "systemd-udevd-control.socket", "systemd-udevd-kernel.socket",
          "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service",
          "systemd-sysusers.service", "systemd-sysctl.service", "systemd-modules-load.service",
          "systemd-tmpfiles-setup.service", "systemd-tmpfiles-setup-dev.service",
          "systemd-tmpfiles-clean.timer", "systemd-binfmt.service",
          "systemd-machine-id-commit.service")
TIMEOUT_S = 60
BIOS, UEFI = "bios", "uefi"  # firmware, by the names of the image's doors


def make_grub(platform, modules, folder, cmdline):
    """The file that GRUB's first part loads: it boots the kernel and asks nobody."""
    target, config = Path(folder) / f"grub-{platform}", Path(folder) / "grub.cfg"
    config.write_text(GRUB_CONFIG.format(cmdline=cmdline))
    subprocess.run(["grub-mkimage", "-O", platform, "-d", f"/usr/lib/grub/{platform}", "-p",
                    PREFIX, "-c", config, "-o", target, *GRUB_MODULES, *modules],
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
                shutil.copy(modules / f"{name}.ko", root)
        (root / "init").write_text(INIT.format(modules=" ".join(names)))
        (root / "init").chmod(0o755)
        victim.pack(root, target)
    return target


def make_guest(folder, words="", files=None):
    """The system's disk, which either firmware boots. @files as for debian.make_root."""
    kernel, modules = diskkernel.get()
    disk = debian.make_root(Path(folder) / "guest.img",
                            {"boot/vmlinuz": kernel.vmlinuz,
                             "boot/initramfs": make_initramfs(folder, modules), **(files or {})},
                            CORE_BYTES + ESP_BYTES, MASKED)
    subprocess.run(["/usr/sbin/sfdisk", "-q", "--append", disk], check=True, timeout=TIMEOUT_S,
                   text=True, capture_output=True, input=
                   f"start={CORE_START // SECTOR}, size={CORE_BYTES // SECTOR}, "
                   f"type={BIOS_BOOT_TYPE}\n"
                   f"start={ESP_START // SECTOR}, size={ESP_BYTES // SECTOR}, "
                   f"type={uefi.ESP_TYPE}\n")
    cmdline = debian.cmdline(words)
    add_bios_grub(disk, make_grub(victim.BIOS, ["biosdisk"], folder, cmdline))
    add_uefi_grub(disk, make_grub(victim.UEFI, ["fat"], folder, cmdline))
    return disk
