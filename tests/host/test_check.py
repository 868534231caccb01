"""mkdumpdisk --check on made-up machines: each finding in both directions, what it says to do,
the exit code; and on this machine."""

import json
import os
import re
import shutil
import struct
import subprocess
import uuid

import pytest

from checktree import (EFIVARS, GIB, GLOBAL, MIB, MOR, MOR_LOCK, RELEASE, SECURE_BOOT, SETUP_MODE,
                       CheckTree, signed_pe)
from efitree import load_option
from hosttools import check, number_of, run
from kexectree import KINDS, TOOL, Tree
from logimage import crc32c

MITIGATION = "CONFIG_RESET_ATTACK_MITIGATION"


@pytest.fixture
def tree(tmp_path):
    return CheckTree(tmp_path / "root")


def says(found, state, words, todo=""):
    assert found["state"] == state, found
    assert re.search(words, found["text"]), found
    assert re.search(todo, found["todo"]), found
    return found


def others_are_well(found, *names):
    assert [n for n, one in found.items() if one["state"] != "ok"] == list(names)


# --- usage -----------------------------------------------------------------------------------


@pytest.mark.parametrize("args,words", [
    (("--check", "a", "b"), "more than one TARGET"),
    (("--survey", "3", "b"), "written behind =, like --survey=3"),
    (("--check", "--kexec", "a"), "--check and --kexec are two things"),
    (("--check", "--level", "1"), "--level is for preparing a disk, not for --check"),
    (("--check", "--force", "a"), "--force is for preparing"),
    (("--check", "--image", "x"), "--check takes no image"),
    (("--check", "--console", "screen"), "--check takes no image and no console"),
    (("--check=x",), "is not an option, or not with a value"),
    (("--root", "/x", "y"), "--root is for --kexec, --boot-entry, --grub, "
                            "--systemd-boot and --check"),
])
def test_usage(args, words):
    r = run(TOOL, *args)
    assert r.returncode == 2 and words in r.stderr and r.stdout == ""


def test_help():
    text = check(TOOL, "--help")
    assert "-x, --check" in text and "--check [TARGET]" in text and "warnings or not" in text


# --- a machine without fault -------------------------------------------------------------------


def test_nothing_stops_it(tree):
    found = tree.check()
    others_are_well(found)
    assert list(found) == ["overwrite request", "encryption", "kernel", "boot", "secure boot",
                           "dma remapping", "target"]
    says(found["overwrite request"], "ok", "not asked to wipe memory$")
    says(found["encryption"], "ok", "not encrypted$")
    says(found["kernel"], "ok", RELEASE)
    says(found["boot"], "ok", r"UEFI, so \\EFI\\BOOT\\BOOTX64.EFI")
    says(found["secure boot"], "ok", "^off$")
    says(found["dma remapping"], "ok", "^not in use$")
    assert tree.tool().stdout.splitlines()[-1] == \
        "nothing seen stops a capture after a reset; 0 warnings"


def test_bios(tmp_path):
    found = CheckTree(tmp_path / "root", uefi=False).check()
    others_are_well(found)
    assert "secure boot" not in found
    says(found["overwrite request"], "ok", "booted by BIOS")
    says(found["boot"], "ok", "BIOS, so the boot sector")


def test_nothing_known(tmp_path):
    """An empty root: no fault is made up, and what is not known is said."""
    root = tmp_path / "root"
    root.mkdir()
    r = run(TOOL, "--root", root, "--check", "--json")
    assert r.returncode == 0
    found = {one["name"]: one for one in json.loads(r.stdout)["findings"]}
    says(found["kernel"], "warning", "nothing can be seen of the kernel", "mount /sys")
    says(found["encryption"], "warning", "flags can not be read", "mount /proc")
    says(found["overwrite request"], "warning", "can not be seen", "mount /sys")
    says(found["boot"], "warning", "can not be seen", "mount /sys")
    assert "dma remapping" not in found and "secure boot" not in found


def test_root_that_is_not_there(tmp_path):
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "no", tmp_path / "file"):
        r = run(TOOL, "--root", root, "--check")
        assert (r.returncode, r.stdout) == (1, "")
        assert r.stderr == f"mkdumpdisk: {root}: is no folder that can be seen; give --root the " \
                           "folder in which the system's files lie\n"


# --- memory ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1, 0x11])
def test_overwrite_request(tree, value):
    tree.variable(MOR, value)
    found = tree.check()
    others_are_well(found, "overwrite request")
    one = says(found["overwrite request"], "stops", f"will wipe all memory .* is 0x{value:02x}$",
               "your decision.*chattr -i .V; printf .*service")
    # The command that it names does what it says.
    command = re.search(r"(V=\S+; chattr.*>\$V)\.", one["todo"])[1]
    (tree.root / "bin").mkdir()
    tree.write("bin/chattr", "#!/bin/sh\nexit 0\n").chmod(0o755)
    command = command.replace("V=/", f"V={tree.root}/")
    subprocess.run(["sh", "-c", command], check=True,
                   env=os.environ | {"PATH": f"{tree.root}/bin:{os.environ['PATH']}"})
    assert (tree.root / MOR).read_bytes() == b"\x07\0\0\0\0"
    says(tree.check()["overwrite request"], "ok", "not asked")


@pytest.mark.parametrize("lock", [1, 2])
def test_overwrite_request_locked(tree, lock):
    tree.variable(MOR, 0x11)
    tree.variable(MOR_LOCK, lock)
    one = says(tree.check()["overwrite request"], "stops", "0x11 and locked", "lock opens at a reset")
    assert "printf" not in one["todo"]
    tree.variable(MOR, 0x10)
    says(tree.check()["overwrite request"], "ok", "not asked")


def test_kernel_that_asks_for_it(tree):
    tree.write(f"boot/config-{RELEASE}", f"CONFIG_X=y\n{MITIGATION}=y\n")
    says(tree.check()["overwrite request"], "ok", "now; this kernel asks for it at every boot")
    tree.variable(MOR, 1)
    says(tree.check()["overwrite request"], "stops", f"sets it at every boot .{MITIGATION}")
    tree.write(f"boot/config-{RELEASE}", f"# {MITIGATION} is not set\n{MITIGATION}_X=y\n")
    one = tree.check()["overwrite request"]
    assert "every boot (" not in one["text"]


def test_overwrite_variable_missing_or_cut(tree):
    tree.write(MOR, b"\x07\0\0\0")
    says(tree.check()["overwrite request"], "warning", "can not be read", "as root")
    tree.remove(MOR)
    says(tree.check()["overwrite request"], "ok", "no MemoryOverwriteRequestControl")


@pytest.mark.parametrize("folder", [False, True])
def test_variables_not_mounted(tree, folder):
    shutil.rmtree(tree.root / EFIVARS)
    if folder:
        (tree.root / EFIVARS).mkdir()
    found = tree.check()
    others_are_well(found, "overwrite request", "secure boot")
    for name in ("overwrite request", "secure boot"):
        says(found[name], "warning", "can not be (seen|read)", "mount -t efivarfs")


def test_tme_by_register(tree):
    tree.flags("tme")
    says(tree.check()["encryption"], "warning", "whether it is on", "modprobe msr")
    tree.msr(tme=3)
    says(tree.check()["encryption"], "stops", "Intel TME .* changes at every reset", "--kexec")
    tree.msr(tme=3 | 1 << 31)
    says(tree.check()["encryption"], "ok", "bypasses")
    for off in (0, 1, 2):
        tree.msr(tme=off)
        says(tree.check()["encryption"], "ok", "not encrypted$")


def test_tme_by_log(tree):
    tree.flags("tme")
    tree.write("dev/kmsg", "6,1,2,-;x86/tme: enabled by BIOS\n")
    says(tree.check()["encryption"], "stops", "Intel TME")
    tree.write("dev/kmsg", "6,1,2,-;x86/tme: not enabled by BIOS\n")
    says(tree.check()["encryption"], "ok", "not encrypted$")


def test_sme(tree):
    tree.flags("sme", "AuthenticAMD")
    says(tree.check()["encryption"], "ok", "does not see TSME")
    tree.replace("proc/cmdline", "quiet", "mem_encrypt=on quiet")
    says(tree.check()["encryption"], "stops", "AMD SME", "mem_encrypt=off")
    tree.msr(syscfg=0)
    says(tree.check()["encryption"], "ok", "not encrypted")
    tree.msr(syscfg=1 << 23)
    says(tree.check()["encryption"], "stops", "AMD SME")
    tree.replace("proc/cmdline", "mem_encrypt=on", "mem_encrypt=off")
    says(tree.check()["encryption"], "ok", "not encrypted")
    for line in ("AMD Secure Memory Encryption (SME) active",
                 "AMD Memory Encryption Features active: SME",
                 "Memory Encryption Features active: AMD SME"):
        tree.write("dev/kmsg", f"6,1,2,-;{line}\n")
        says(tree.check()["encryption"], "stops", "AMD SME")


def test_confidential_guests(tree):
    for line in ("AMD Secure Encrypted Virtualization (SEV) active",
                 "AMD Memory Encryption Features active: SEV SEV-ES",
                 "Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP"):
        tree.write("dev/kmsg", f"6,1,2,-;{line}\n")
        says(tree.check()["encryption"], "stops", "confidential guest .AMD SEV", "kdump")
    tree.write("dev/kmsg", "6,1,2,-;Memory Encryption Features active: Intel TDX\n")
    says(tree.check()["encryption"], "stops", "confidential guest .Intel TDX")
    tree.remove("dev/kmsg")
    says(tree.check()["encryption"], "ok", "")
    tree.flags("sev hypervisor", "AuthenticAMD")
    tree.msr(sev=0)
    says(tree.check()["encryption"], "ok", "not encrypted$")
    tree.msr(sev=1)
    says(tree.check()["encryption"], "stops", "AMD SEV")
    tree.msr(sev=0)
    (tree.root / "sys/devices/virtual/misc/sev-guest").mkdir(parents=True)
    says(tree.check()["encryption"], "stops", "AMD SEV")
    os.rmdir(tree.root / "sys/devices/virtual/misc/sev-guest")
    tree.replace("proc/cpuinfo", " sev ", " tdx_guest ")
    says(tree.check()["encryption"], "stops", "Intel TDX")


def test_virtual_machine(tree):
    tree.flags("hypervisor")
    says(tree.check()["machine"], "warning", "virtual machine .of an unknown kind", "reset")
    tree.write("sys/class/dmi/id/product_name", "KVM\n")
    says(tree.check()["machine"], "warning", r"\(KVM\)")
    tree.write("sys/class/dmi/id/sys_vendor", "QEMU\033[2J\n")
    says(tree.check()["machine"], "warning", r"\(QEMU\?\[2J, KVM\)")
    tree.write("sys/hypervisor/type", "xen\n")
    others_are_well(tree.check(), "machine")
    says(tree.check()["machine"], "warning", r"\(xen\)")


# --- kernel ------------------------------------------------------------------------------------


def test_kernel(tree):
    tree.write("proc/sys/kernel/osrelease", "5.10.0-32-amd64\n")
    says(tree.check()["kernel"], "ok", "5.10.0-32")
    for old in ("5.9.16", "4.19.0-27-amd64"):
        tree.write("proc/sys/kernel/osrelease", old + "\n")
        says(tree.check()["kernel"], "warning", f"^{old} is older", "README.md")
    tree.remove("proc/sys/kernel/osrelease")
    says(tree.check()["kernel"], "warning", "version can not be seen")
    tree.remove("sys/kernel/vmcoreinfo")
    found = tree.check()
    others_are_well(found, "kernel")
    says(found["kernel"], "stops", "has no /sys/kernel/vmcoreinfo", "CONFIG_VMCORE_INFO")


# --- boot --------------------------------------------------------------------------------------


def test_secure_boot(tree):
    tree.variable(SETUP_MODE, 1)
    says(tree.check()["secure boot"], "ok", "^off .setup mode")
    tree.variable(SETUP_MODE, 0)
    tree.variable(SECURE_BOOT, 1)
    found = tree.check()
    others_are_well(found, "secure boot")
    says(found["secure boot"], "warning", "^on: ", "sbsign")
    tree.write(SECURE_BOOT, b"")
    says(tree.check()["secure boot"], "warning", "can not be read")
    tree.remove(SECURE_BOOT)
    says(tree.check()["secure boot"], "ok", "^off$")


def test_dma_remapping(tree):
    table = bytearray(b"DMAR" + struct.pack("<I", 64) + bytes(56))
    table[37] = 4
    tree.write("sys/firmware/acpi/tables/DMAR", bytes(table))
    says(tree.check()["dma remapping"], "ok", "not in use; the firmware restricts DMA")
    for name in ("dmar0", "dmar1"):
        (tree.root / "sys/class/iommu" / name).mkdir()
    says(tree.check()["dma remapping"], "ok", "2 units.*switches it off, also where the firmware")
    table[37] = 3
    tree.write("sys/firmware/acpi/tables/DMAR", bytes(table))
    says(tree.check()["dma remapping"], "ok", "2 units.*switches it off$")


# --- the target ----------------------------------------------------------------------------------

SIZE = 128 * MIB
ESP_AT = 2 * MIB
DUMP_AT = 66 * MIB


@pytest.fixture
def disk(tmp_path):
    """A dump disk without anything for UEFI to start."""
    image = tmp_path / "dump.img"
    check(TOOL, "--size", SIZE, "--yes", image)
    run("mdel", "-i", f"{image}@@{ESP_AT}", "::/EFI/BOOT/BOOTX64.EFI")
    return image


def put_loader(image, data, name="BOOTX64.EFI", folder="BOOT"):
    esp = f"{image}@@{ESP_AT}"
    source = image.parent / "loader"
    source.write_bytes(data)
    for made in ("EFI", f"EFI/{folder}"):
        run("mmd", "-D", "s", "-i", esp, f"::/{made}")
    check("mcopy", "-o", "-i", esp, source, f"::/EFI/{folder}/{name}")


def test_target_image(tree, disk):
    put_loader(disk, signed_pe(False))
    found = tree.check(disk)
    others_are_well(found, "disk", "room", "survey")
    uuid = json.loads(check("sfdisk", "--json", disk))["partitiontable"]["partitions"][2]["uuid"]
    says(found["target"], "ok", f"dump partition with UUID {uuid.lower()}$")
    says(found["disk"], "warning", "is an image file", "copy it to a disk on NVMe, AHCI")
    says(found["boot"], "ok", "by UEFI; the firmware has no boot entry for the disk")
    assert tree.check(disk) == found  # nothing was written


@pytest.mark.parametrize("sector", [512, 4096])
def test_what_uefi_starts(tree, tmp_path, sector):
    image = tmp_path / f"{sector}.img"
    check(TOOL, "--size", SIZE, "--yes", "--sector-size", sector, image)
    run("mdeltree", "-i", f"{image}@@{ESP_AT}", "::/EFI")
    tree.variable(SECURE_BOOT, 1)
    found = tree.check(image)
    says(found["boot"], "stops", r"no \\EFI\\BOOT\\BOOTX64.EFI in its", "prepare the disk again")
    says(found["secure boot"], "warning", "only what is signed")
    for i in range(100):  # more than a cluster of entries
        if i % 20 == 0:
            put_loader(image, b"x", f"long name of file {i}.efi")
    put_loader(image, b"x", "BOOTIA32.EFI")
    says(tree.check(image)["boot"], "stops", r"no \\EFI\\BOOT\\BOOTX64.EFI in its")
    put_loader(image, b"no program")
    says(tree.check(image)["boot"], "stops", "is no program for it")
    put_loader(image, signed_pe(False) + bytes(100000))
    found = tree.check(image)
    says(found["boot"], "ok", "by UEFI")
    says(found["secure boot"], "stops", "is not signed: the firmware refuses", "sbsign")
    put_loader(image, signed_pe() + bytes(100000))
    says(tree.check(image)["secure boot"], "ok", "on, and .* is signed; whether")
    tree.variable(SECURE_BOOT, 0)
    says(tree.check(image)["secure boot"], "ok", "^off$")


def test_signed_by_sbsign(tree, disk):
    """What Debian's own tool makes of a real program counts as signed."""
    program = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"
    candidates = [program, "/usr/lib/shim/fbx64.efi", "/usr/lib/shim/mmx64.efi",
                  os.path.join(os.path.dirname(TOOL), "afterimage.efi")]
    source = next((name for name in candidates if os.path.exists(name)), None)
    if not source:
        pytest.skip("no EFI program here")
    key, cert, out = (disk.parent / name for name in ("key", "cert", "signed"))
    check("openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=t/",
          "-keyout", key, "-out", cert)
    tree.variable(SECURE_BOOT, 1)
    with open(source, "rb") as f:
        put_loader(disk, f.read())
    says(tree.check(disk)["secure boot"], "stops", "is not signed")
    check("sbsign", "--key", key, "--cert", cert, "--output", out, source)
    put_loader(disk, out.read_bytes())
    says(tree.check(disk)["secure boot"], "ok", "is signed")


def test_damaged_esp(tree, disk):
    with open(disk, "r+b") as f:
        f.seek(ESP_AT)
        f.write(b"\xff" * 4096)
    says(tree.check(disk)["boot"], "warning", "EFI system partition can not be read")


def test_boot_entry(tree, disk):
    put_loader(disk, signed_pe())
    parts = json.loads(check("sfdisk", "--json", disk))["partitiontable"]["partitions"]
    path = "\\EFI\\afterimage\\afterimage.efi"
    other = b"\7\0\0\0" + load_option("other", str(uuid.uuid4()), 2, path)
    ours = b"\7\0\0\0" + load_option("dump disk", parts[1]["uuid"], 2, path)
    tree.write(f"{EFIVARS}/Boot0001-{GLOBAL}", other)
    tree.write(f"{EFIVARS}/BootOrder-{GLOBAL}", ours)
    tree.write(f"{EFIVARS}/Boot0002-{GLOBAL}", ours[:60])
    says(tree.check(disk)["boot"], "ok", "has no boot entry.*boot menu or run mkdumpdisk --boot-entry")
    tree.write(f"{EFIVARS}/Boot00AF-{GLOBAL}", ours)
    says(tree.check(disk)["boot"], "ok", "boot entry Boot00AF is the disk's")


def test_bios_target(tmp_path, disk):
    tree = CheckTree(tmp_path / "root", uefi=False)
    says(tree.check(disk)["boot"], "ok", "by BIOS, through the disk's boot sector")
    with open(disk, "r+b") as f:
        f.write(bytes(440))
    says(tree.check(disk)["boot"], "warning", "does not start the image by itself", "GRUB's linux")


def test_system_disk(tree, disk):
    """A dump partition on a disk that starts something else."""
    put_loader(disk, signed_pe(False))
    with open(disk, "r+b") as f:
        f.write(bytes(440))
    parts = json.loads(check("sfdisk", "--json", disk))["partitiontable"]["partitions"]
    system = load_option("debian", parts[1]["uuid"], 2, "\\EFI\\debian\\shimx64.efi")
    ours = load_option("x", parts[1]["uuid"], 2, "\\EFI\\afterimage\\afterimage.efi")
    tree.write(f"{EFIVARS}/Boot0001-{GLOBAL}", b"\7\0\0\0" + system)
    tree.variable(SECURE_BOOT, 1)
    found = tree.check(disk)
    says(found["boot"], "warning", "does not start the image", "run mkdumpdisk --boot-entry on it,")
    says(found["secure boot"], "warning", "only what is signed")
    tree.write(f"{EFIVARS}/Boot0002-{GLOBAL}", b"\7\0\0\0" + ours)
    says(tree.check(disk)["boot"], "ok", "boot entry Boot0002 is the image's")


# --- what the image does when it is started -----------------------------------------------------


def boot_entry(tree, disk, number, active=True, path="\\EFI\\afterimage\\afterimage.efi",
               sector=512):
    """For the disk's second partition."""
    with open(disk, "rb") as f:
        f.seek(2 * sector + 128 + 16)
        guid = str(uuid.UUID(bytes_le=f.read(16)))
    tree.write(f"{EFIVARS}/Boot{number:04X}-{GLOBAL}",
               b"\7\0\0\0" + load_option("x", guid, 2, path, active))


def boot_order(tree, *numbers):
    tree.write(f"{EFIVARS}/BootOrder-{GLOBAL}",
               b"\7\0\0\0" + struct.pack(f"<{len(numbers)}H", *numbers))


def prepare(image, *args):
    check(TOOL, "--size", SIZE, "--yes", "--force", *args, image)
    return image


@pytest.mark.parametrize("sector", [512, 4096])
def test_automatic_by_uefi(tree, tmp_path, sector):
    disk = prepare(tmp_path / "d.img", "--auto", "--sector-size", sector)

    def entry(number, **facts):
        boot_entry(tree, disk, number, sector=sector, **facts)

    def start():
        return tree.check(disk)["start"]

    not_first = ("warning", "automatic, but not first in the", "--boot-entry=first")
    says(start(), *not_first)
    entry(3)
    says(start(), *not_first)
    boot_order(tree, 1, 3)
    says(start(), *not_first)
    boot_order(tree, 3, 1)
    says(start(), "ok", "automatic, and first in the firmware's boot order$")
    entry(3, active=False)
    says(start(), *not_first)
    entry(7)  # several: the best counts
    entry(9, path="\\EFI\\BOOT\\BOOTX64.EFI")
    boot_order(tree, 9, 1, 7, 3)
    says(start(), "ok", "first in the")
    says(tree.check(disk)["boot"], "ok", "boot entry Boot0009 is the disk's")
    boot_order(tree, 7, 1, 9)
    says(start(), "ok", "first in the")
    says(tree.check(disk)["boot"], "ok", "boot entry Boot0007 is the disk's")
    boot_order(tree, 1, 7, 9)
    says(start(), *not_first)
    tree.write("proc/sys/kernel/osrelease", "5.10.0-32-amd64\n")
    boot_order(tree, 7)
    says(start(), "ok", "of a kernel before 6.0 only its log tells how it ended")


@pytest.mark.parametrize("after,words", [("halt", "stands still"), ("poweroff", "switched off")])
def test_automatic_and_not_back(tree, tmp_path, after, words):
    disk = prepare(tmp_path / "d.img", "--auto", "--after", after)
    says(tree.check(disk)["start"], "warning", words, "fetch and clear.*--after reboot")


@pytest.mark.parametrize("args,words", [
    ([], "captures whenever it is started, after 3 s for a key on the console$"),
    (["--menu", "0"], "captures whenever it is started, and asks nobody$")])
def test_by_hand(tree, tmp_path, args, words):
    disk = prepare(tmp_path / "d.img", *args)
    says(tree.check(disk)["start"], "ok", words)
    boot_entry(tree, disk, 3)
    boot_order(tree, 3, 1)
    says(tree.check(disk)["start"], "warning", "every start of the machine ends in a capture",
         "--boot-entry=last on it, or mkdumpdisk --settings --auto")
    bios = CheckTree(tmp_path / "bios", uefi=False)
    says(bios.check(disk)["start"], "ok", words)


def test_settings_of_uefi_are_what_counts_there(tree, tmp_path):
    """They may have been edited; what is in the boot area is BIOS's."""
    disk = prepare(tmp_path / "d.img", "--auto")
    put_loader(disk, b"dump=x menu=5\n", "afterimage.cfg", "afterimage")
    says(tree.check(disk)["start"], "ok", "after 5 s for a key")
    run("mdel", "-i", f"{disk}@@{ESP_AT}", "::/EFI/afterimage/afterimage.cfg")
    assert "start" not in tree.check(disk)
    bios = CheckTree(tmp_path / "bios", uefi=False)
    says(bios.check(disk)["start"], "ok", "automatic; that BIOS starts this disk first can not")


def patch(disk, at, data):
    with open(disk, "r+b") as f:
        f.seek(at)
        f.write(data)


def seal_boot_area(disk):
    with open(disk, "r+b") as f:
        f.seek(MIB)
        header = bytearray(f.read(96))
        header[20:24] = bytes(4)
        header[20:24] = struct.pack("<I", crc32c(bytes(header)))
        f.seek(MIB)
        f.write(header)


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("at,data,sealed,state,words", [
    (53, b"\x09", False, "warning", "settings are damaged"),
    (53, b"\x09", True, "ok", "after 9 s for a key"),
    (20, b"\0\0\0\0", False, "warning", "settings are damaged"),
    (16, b"\xff\xff\xff\xff", True, "warning", "settings are damaged"),
    (16, b"\x5f\0\0\0", True, "warning", "settings are damaged"),
    (12, b"\1\0\0\0", True, "warning", "of another version"),
    (24, b"\x11\x22", True, "warning", "for another dump partition, or this one was moved"),
    (54, b"\x01", True, "warning", "was moved"), (64, b"\x01", True, "warning", "was moved"),
    (96 + 5000, b"\xa5\x5a\xa5", False, "stops", "image in the boot area is damaged"),
    (4, b"X", False, "warning", "boot area can not be read"),
])
def test_boot_area(tmp_path, sector, at, data, sealed, state, words):
    tree = CheckTree(tmp_path / "root", uefi=False)
    disk = prepare(tmp_path / "d.img", "--sector-size", sector)
    patch(disk, MIB + at, data)
    if sealed:
        seal_boot_area(disk)
    says(tree.check(disk)["start"], state, words, "" if state == "ok" else "prepare the disk again")
    assert "start" not in tree.check()


def test_boot_area_elsewhere(tmp_path):
    """The boot sector leads out of the disk, or says other blocks."""
    tree = CheckTree(tmp_path / "root", uefi=False)
    for at, data in ((416, b"\xff" * 8), (416, b"\xff\xff\xff\x0f"), (426, b"\0\x10")):
        disk = prepare(tmp_path / "d.img")
        patch(disk, at, data)
        says(tree.check(disk)["start"], "warning", "can not be read", "prepare the disk again")


def test_no_dump_disk(tree, tmp_path):
    empty = tmp_path / "empty"
    for size in (0, 100, SIZE):
        with open(empty, "wb") as f:
            f.truncate(size)
        found = tree.check(empty)
        says(found["target"], "stops", "no dump partition that the image would find", "mkdumpdisk")
        assert "room" not in found


@pytest.mark.parametrize("target,words", [
    ("/nowhere/x", "does not exist; name a dump disk"),
    ("/dev/null", "is no disk; name"),
    ("/", "is no disk; name"),
])
def test_refused(tree, target, words):
    r = tree.tool(target)
    assert r.returncode == 1 and r.stdout == "" and words in r.stderr


# --- room ----------------------------------------------------------------------------------------


def fill(image, dumps, overwrite=False):
    """Headers of closed dumps, each (first block, blocks), in both copies."""
    with open(image, "r+b") as f:
        f.seek(DUMP_AT)
        sup = bytearray(f.read(512))
        blocks, slots = struct.unpack_from("<QI", sup, 32)
        if overwrite:
            struct.pack_into("<I", sup, 56, 1)
            seal(sup)
            for at in (0, blocks - 1):
                f.seek(DUMP_AT + at * 512)
                f.write(sup)
        for i, (start, used) in enumerate(dumps):
            h = bytearray(512)
            struct.pack_into("<8sII", h, 0, b"AFTRDMP1", 1, 1)
            h[16:32] = sup[16:32]
            h[32:48] = os.urandom(16)
            struct.pack_into("<IIII", h, 48, i + 1, 2, 0, 0)
            struct.pack_into("<QQQQQ", h, 64, start, used, used, 3, used - 1)
            seal(h)
            for at in (1 + i, blocks - 1 - slots + i):
                f.seek(DUMP_AT + at * 512)
                f.write(h)
    return blocks, slots


def seal(block):
    struct.pack_into("<I", block, 508, 0)
    struct.pack_into("<I", block, 508, crc32c(block))


def room(tree, image, state, words, todo=""):
    return says(tree.check(image)["room"], state, words, todo)


def test_room(tree, disk):
    """1.5 GiB of memory, of which the kernel keeps 200 MB at level 31; 61 MiB of disk."""
    room(tree, disk, "warning", r"^6\d\.\d MiB; level 31 keeps up to 216.* of 1.5 GiB at present",
         "^use a larger disk$")
    tree.replace("proc/meminfo", "MemFree: 1000000", "MemFree: 1200000")
    room(tree, disk, "ok", r"^6\d\.\d MiB, enough for what level 31 keeps at present \(2")
    tree.ranges = [(MIB, 33 * MIB - 1)]
    tree.memory()
    room(tree, disk, "ok", r"enough for all memory \(32.0 MiB\)")
    tree.write("proc/iomem", "00000000-00000000 : System RAM\n")
    tree.replace("proc/meminfo", "MemTotal: 1500000", "MemTotal: 20480")
    room(tree, disk, "ok", r"enough for all memory \(20.0 MiB\)")
    tree.remove("proc/meminfo")
    room(tree, disk, "warning", "how much memory there is can not be seen", "mount /proc")


@pytest.mark.parametrize("level,words", [
    (0, "level 0 keeps up to 1.5 GiB"), (1, "level 1 keeps up to 1.5 GiB"),
    (2, "level 2 keeps up to 1.5 GiB"), (4, "level 4 keeps up to 1.4 GiB"),
    (8, "level 8 keeps up to 1.3 GiB"), (16, "level 16 keeps up to 559"),
])
def test_room_by_level(tree, tmp_path, level, words):
    image = tmp_path / "l.img"
    check(TOOL, "--size", SIZE, "--yes", "--level", level, image)
    room(tree, image, "warning", words, "or prepare it with --level 31")


def test_room_taken(tree, disk):
    tree.ranges = [(MIB, 33 * MIB - 1)]
    tree.memory()
    tree.replace("proc/meminfo", "MemFree: 1000000", "MemFree: 0")
    first = 1 + 64
    fill(disk, [(first, 80 * 1024)])
    room(tree, disk, "warning", r"^2\d\.\d MiB; level", "fetch the dumps .* clear them, or use")
    blocks, slots = fill(disk, [(first, 80 * 1024)])
    with open(disk, "rb") as f:
        f.seek(DUMP_AT + 136)
        survey = struct.unpack("<I", f.read(4))[0]
    end = blocks - 1 - slots - survey
    fill(disk, [(first, end - first - 2048)])
    room(tree, disk, "warning", "^1.0 MiB")
    fill(disk, [(first, end - first - 2047)])
    room(tree, disk, "stops", "the disk is full with 1 dump that is not cleared", "getdump")
    fill(disk, [(first + 2 * i, 2) for i in range(slots)])
    room(tree, disk, "stops", "the dump directory is full with 64 dumps that are not cleared")
    fill(disk, [], overwrite=True)
    room(tree, disk, "ok", "enough for all memory")


# --- survey --------------------------------------------------------------------------------------

IDLE, ARMED, FILLING, FILLED, DONE, ENDED = range(6)
CONFIRMED = 1
BIOS, UEFI, LINUX = 1, 2, 4
E_SURVEY_CRASH = 55


def put_survey(image, state, ranges=(), door=UEFI, ram=3 * 512 * MIB, flags=0, reason=0,
               damage=False):
    """A record as the image would write it; @ranges: pairs of start and size."""
    with open(image, "r+b") as f:
        f.seek(DUMP_AT)
        sup = f.read(512)
        blocks, slots = struct.unpack_from("<QI", sup, 32)
        survey_blocks = struct.unpack_from("<I", sup, 136)[0]
        data = b"".join(struct.pack("<QQII", at, n, 2, 0) for at, n in ranges)
        v = bytearray(512)
        struct.pack_into("<8sII16sIIII", v, 0, b"AFTRSRV1", 1, state, sup[16:32], flags, door, 2,
                         2)
        struct.pack_into("<QQQQQQQIIII", v, 48, 1, 1700000000, 1700000001, ram // 4096,
                         (ram + (3 << 30)) // 4096, ram // 4096, sum(n for _, n in ranges) // 4096,
                         len(ranges), 0, crc32c(data), reason)
        seal(v)
        if damage:
            v[100] ^= 1
        f.seek(DUMP_AT + (blocks - 1 - slots - survey_blocks) * 512)
        f.write(bytes(v) + bytes(4096 - 512) + data)


def survey(tree, image, state, words, todo=""):
    return says(tree.check(image)["survey"], state, words, todo)


def test_survey_missing_or_damaged(tree, disk):
    survey(tree, disk, "warning", "none was made", "^run mkdumpdisk --survey")
    put_survey(disk, DONE, damage=True)
    survey(tree, disk, "warning", "can not be used: ", "--survey on it again")


def test_disk_without_room_for_a_survey(tree, disk):
    with open(disk, "r+b") as f:
        f.seek(DUMP_AT)
        sup = bytearray(f.read(512))
        struct.pack_into("<I", sup, 136, 0)
        seal(sup)
        blocks = struct.unpack_from("<Q", sup, 32)[0]
        for at in (0, blocks - 1):
            f.seek(DUMP_AT + at * 512)
            f.write(sup)
    survey(tree, disk, "warning", "has no room for one", "prepare the disk again")


LOST = ((0x1000000, 0x704000), (0x3dca0000, 0x2360000))
KEPT = ((0x1000000, 8 * MIB), (0x3dc00000, 36 * MIB))
WORDS = "memmap=8M$0x1000000,36M$0x3dc00000"


def test_survey_and_reservation(tree, disk):
    put_survey(disk, DONE, LOST)
    one = survey(tree, disk, "warning", "Linux uses memory .*: 2 pieces, 44.0 MiB$", "getdump survey")
    assert f"add {WORDS} to the kernel command line" in one["todo"]
    tree.memory(KEPT[0])
    one = survey(tree, disk, "warning", "1 piece, 36.0 MiB$")
    assert "add memmap=36M$0x3dc00000 to" in one["todo"]
    tree.memory(*KEPT)
    survey(tree, disk, "ok", "done, and Linux is kept off")
    tree.memory((0x1000000, 7 * MIB), (0x3dc00000, 36 * MIB))
    survey(tree, disk, "warning", "1 piece, 8.0 MiB$")


def test_kernel_in_lost_memory(tree, disk):
    """Linux was told to keep off, but the kernel had chosen its place before."""
    put_survey(disk, DONE, LOST)
    tree.memory(*KEPT)
    text = (tree.root / "proc/iomem").read_text()
    iomem = "".join(line for line in text.splitlines(True) if "Kernel" not in line)
    tree.write("proc/iomem", iomem + "01600000-023fffff : Kernel code\n"
                                     "02400000-02ffffff : Kernel data\n")
    survey(tree, disk, "warning", "kernel's own code and data, at 0x1600000,", "docs/survey.md")
    tree.write("proc/iomem", iomem + "0000e00000-0000efffff : Kernel code\n"
                                     "01100000-011fffff : Kernel bss\n")
    survey(tree, disk, "warning", "at 0xe00000,")
    tree.write("proc/iomem", iomem + "02600000-033fffff : Kernel code\n"
                                     "03400000-03ffffff : Kernel data\n")
    survey(tree, disk, "ok", "kept off")


def test_reservation_by_words(tree, disk):
    """Where the kernel hides its list of memory."""
    put_survey(disk, DONE, LOST)
    tree.write("proc/iomem", "00000000-00000000 : System RAM\n")
    survey(tree, disk, "warning", "2 pieces, 44.0 MiB$")
    tree.write("proc/cmdline", f"quiet {WORDS} root=/dev/x\n")
    survey(tree, disk, "ok", "kept off")
    tree.write("proc/cmdline", "memmap=7M$0x1000000 memmap=48M$0x3dc00000\n")
    survey(tree, disk, "warning", "1 piece, 8.0 MiB$")


def test_long_reservation(tree, disk):
    put_survey(disk, DONE, [(0x1000000 + i * 16 * MIB, 4096) for i in range(60)])
    one = survey(tree, disk, "warning", "60 pieces", "add to the kernel command line what getdump")
    assert "memmap" not in one["todo"]


def test_nothing_lost(tree, disk):
    put_survey(disk, DONE)
    survey(tree, disk, "ok", "kept off")


def test_survey_of_another_machine(tree, disk):
    put_survey(disk, DONE, door=BIOS)
    survey(tree, disk, "warning", "booting by bios, and this machine boots by uefi", "of no use")
    put_survey(disk, DONE, door=LINUX)
    survey(tree, disk, "ok", "kept off")
    for ram in (GIB, 2 * GIB):
        put_survey(disk, DONE, ram=ram)
        survey(tree, disk, "warning", "was made with .* of memory, and there are 1.5 GiB now")
    put_survey(disk, DONE, ram=1600 * MIB)
    survey(tree, disk, "ok", "kept off")
    tree.remove("proc/iomem")
    tree.remove("proc/meminfo")
    survey(tree, disk, "ok", "kept off")


@pytest.mark.parametrize("state,flags,verdict,words", [
    (ARMED, 0, "warning", "is armed: .* unless there is a crash in it$"),
    (ARMED, CONFIRMED, "stops", "is armed: .* whether there is a crash in it or not$"),
    (FILLING, 0, "warning", "is under way"),
    (FILLED, 0, "warning", "is under way"),
])
def test_survey_not_done(tree, disk, state, flags, verdict, words):
    put_survey(disk, state, flags=flags)
    survey(tree, disk, verdict, words, "mkdumpdisk --survey=off")


def test_survey_ended(tree, disk):
    put_survey(disk, ENDED, reason=E_SURVEY_CRASH)
    survey(tree, disk, "warning", "ended without a result: ..", "again")
    put_survey(disk, ENDED)
    survey(tree, disk, "warning", "ended without a result: no reason")


# --- attachment: loop devices, which stand for disks, need root ----------------------------------


class DiskTree(CheckTree, Tree):
    """Shows a disk as well."""

    def __init__(self, root, disk):
        CheckTree.__init__(self, root)
        self.disk = disk
        self.partitions = json.loads(check("sfdisk", "--json", disk))["partitiontable"]
        for folder in ("sys/block", "dev"):
            (root / folder).mkdir(exist_ok=True)


DISK_NAMES = {"nvme": "nvme0n1", "virtio": "vda"}
ANOTHER_PLACE = "attach it to NVMe, AHCI .SATA. or virtio-blk"
AHCI_MODE = "switch the controller to AHCI in the firmware setup"


@pytest.mark.parametrize("kind,state,words", [
    ("nvme", "ok", "is on NVMe, as the image needs it"),
    ("sata", "ok", "is on AHCI .SATA., as the image needs it"),
    ("virtio", "ok", "is on virtio-blk, as the image needs it"),
    ("scsi", "stops", "is on a controller of another kind, which the image can not drive"),
])
def test_attachment(tmp_path, disk, loop, kind, state, words):
    put_loader(disk, signed_pe())
    dev = loop("-r", disk)
    tree = DiskTree(tmp_path / "root", disk)
    name = DISK_NAMES.get(kind, "sda")
    tree.attach(name, kind, number=number_of(dev))
    found = tree.check(dev)
    says(found["disk"], state, words, ANOTHER_PLACE if state == "stops" else "^$")
    assert "room" in found and found["target"]["state"] == "ok"
    if state == "ok":
        tree.write(f"sys/block/{name}/removable", "1\n")
        says(tree.check(dev)["disk"], "warning", "removable", "when the machine is reset")
        tree.write(f"sys/block/{name}/removable", "0\n")
        says(tree.check(dev)["disk"], "ok", words)


def test_every_attachment(tmp_path, disk, loop):
    """What the image drives, and of everything else what it is and what to do."""
    dev = loop("-r", disk)
    reached = {"nvme": "NVMe", "multipath": "NVMe", "sata": "AHCI .SATA.", "virtio": "virtio-blk",
               "virtio-both": "virtio-blk", "virtio-user": "virtio-blk",
               "virtio-hidden": "virtio-blk"}
    refused = {
        "tcp": ("on NVMe over a network", ANOTHER_PLACE),
        "vmd": ("behind an Intel VMD controller", "switch VMD off"),
        "sata-vmd": ("behind an Intel VMD controller", "switch VMD off"),
        "ide": ("on SATA in IDE mode", AHCI_MODE), "raid": ("on SATA in RAID mode", AHCI_MODE),
        "sil": ("on a SATA controller without AHCI", ANOTHER_PLACE),
        "multiplier": ("behind a SATA port multiplier", "a port of its own"),
        "scsi": ("on a controller of another kind", ANOTHER_PLACE),
        "usb": ("on USB", ANOTHER_PLACE), "usb-ata": ("on USB", ANOTHER_PLACE),
        "card": ("an SD card or eMMC", ANOTHER_PLACE), "iscsi": ("on iSCSI", ANOTHER_PLACE),
        "dm": ("made up by Linux", "use a disk itself"),
        "virtio-old": ("on virtio from before 1.0", "disable-modern=off"),
        "virtio-bare": ("on virtio from before 1.0", "disable-modern=off"),
        "virtio-loop": ("on virtio from before 1.0", "disable-modern=off"),
        "virtio-net": ("on virtio without PCI", ANOTHER_PLACE),
        "virtio-other": ("on virtio without PCI", ANOTHER_PLACE),
        "virtio-mmio": ("on virtio without PCI", ANOTHER_PLACE),
        "virtio-scsi": ("on virtio-scsi", "virtio-blk"),
    }
    assert set(KINDS) == set(reached) | set(refused)
    (tmp_path / "usb1/ata1/host").mkdir(parents=True)  # what the root is called does not count
    tree = DiskTree(tmp_path / "usb1/ata1/host/virtio1", disk)
    (tree.root / "sys/dev/block").mkdir(parents=True)
    for kind in KINDS:
        name = DISK_NAMES.get(kind, "sdb")
        tree.attach(name, kind, number=number_of(dev))
        found = tree.check(dev)["disk"]
        if kind in reached:
            says(found, "ok", f"is on {reached[kind]}, as the image needs it", "^$")
        else:
            what, todo = refused[kind]
            says(found, "stops", f"^is {what}.*, which the image can not drive$", todo)
        tree.detach(name)
        (tree.root / "sys/dev/block" / number_of(dev)).unlink()
        shutil.rmtree(tree.root / "sys/devices")


def test_partition(tmp_path, disk, loop):
    dev = loop("-r", "-P", disk)
    check("partx", "-u", dev)
    tree = DiskTree(tmp_path / "root", disk)
    tree.attach("nvme0n1", number=number_of(dev))
    for i in (1, 3):
        os.symlink(tree.root / f"sys/block/nvme0n1/nvme0n1p{i}",
                   tree.root / "sys/dev/block" / number_of(f"{dev}p{i}"))
    says(tree.check(f"{dev}p1")["target"], "stops", "no dump partition")
    found = tree.check(f"{dev}p3")
    says(found["target"], "ok", "dump partition with UUID")
    says(found["boot"], "stops", "BOOTX64.EFI")


def test_loop_device_can_not_be_reached(tree, disk, loop):
    says(tree.check(loop("-r", disk))["disk"], "stops", "is made up by Linux .loop")


# --- this machine ------------------------------------------------------------------------------


def findings_here(*command):
    r = run(*command, TOOL, "--check", "--json")
    assert r.returncode in (0, 1) and r.stderr == "", r.stderr
    report = json.loads(r.stdout)
    assert r.returncode == (0 if report["ok"] else 1)
    return {one["name"]: one for one in report["findings"]}


def test_here():
    found = findings_here()
    assert os.uname().release in found["kernel"]["text"]
    with open("/proc/cpuinfo", encoding="ascii") as f:
        virtual = " hypervisor" in f.read()
    assert ("machine" in found) == virtual
    assert ("secure boot" in found) == os.path.isdir("/sys/firmware/efi")


def test_here_without_root(tmp_path):
    """As nobody it sees less, and still says something of everything."""
    if os.geteuid() != 0:
        assert findings_here()
        return
    program = shutil.copy(TOOL, tmp_path / "mkdumpdisk")
    for folder in [tmp_path, *tmp_path.parents][:-1]:
        if str(folder).startswith("/tmp/"):
            os.chmod(folder, 0o755)
    r = run("setpriv", "--reuid=65534", "--clear-groups", program, "--check", "--json")
    assert r.returncode in (0, 1), r.stderr
    names = {one["name"] for one in json.loads(r.stdout)["findings"]}
    assert names == set(findings_here())


def test_full_standard_output(tree):
    with open("/dev/full", "w", encoding="ascii") as full:
        r = subprocess.run([TOOL, "--root", tree.root, "--check"], stdout=full,
                           stderr=subprocess.PIPE, text=True, check=False)
    assert r.returncode == 1 and "cannot be written" in r.stderr

