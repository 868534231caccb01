"""mkdumpdisk --check on made-up machines: each finding in both directions, what it says to do,
the exit code; and on this machine."""

import json
import os
import re
import struct
import subprocess

import pytest

from checktree import (EFIVARS, GIB, GLOBAL, MIB, MOR, MOR_LOCK, RELEASE, SECURE_BOOT, SETUP_MODE,
                       CheckTree)
from hosttools import check, run
from kexectree import TOOL

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
    (("--check", "--kexec", "a"), "--check and --kexec are two things"),
    (("--check", "--level", "1"), "--level is for preparing a disk, not for --check"),
    (("--check", "--force", "a"), "--force is for preparing"),
    (("--check", "--image", "x"), "--check takes no --image"),
    (("--check", "--console", "screen"), "--check takes no --console"),
    (("--check=x",), "is not an option, or not with a value"),
    (("--root", "/x", "y"), "--root is for --kexec and --check"),
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
    tree.flags("tdx_guest", "AuthenticAMD") if False else tree.replace(
        "proc/cpuinfo", " sev ", " tdx_guest ")
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


def test_here_without_root():
    """As nobody it sees less, and still says something of everything."""
    if os.geteuid() != 0:
        assert findings_here()
        return
    program = os.path.realpath(TOOL)
    for folder in [program, *map(str, __import__("pathlib").Path(program).parents)]:
        if not os.stat(folder).st_mode & 0o005:
            with open(program, "rb") as f:
                data = f.read()
            program = "/tmp/afterimage-check-test"
            with open(program, "wb") as f:
                f.write(data)
            os.chmod(program, 0o755)
            break
    r = run("setpriv", "--reuid=65534", "--clear-groups", program, "--check", "--json")
    assert r.returncode in (0, 1), r.stderr
    names = {one["name"] for one in json.loads(r.stdout)["findings"]}
    assert names == set(findings_here())


def test_full_standard_output(tree):
    with open("/dev/full", "w", encoding="ascii") as full:
        r = subprocess.run([TOOL, "--root", tree.root, "--check"], stdout=full,
                           stderr=subprocess.PIPE, text=True, check=False)
    assert r.returncode == 1 and "cannot be written" in r.stderr


assert GLOBAL and EFIVARS and GIB and MIB
