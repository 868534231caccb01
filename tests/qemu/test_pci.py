"""Where the dump disk is among PCI's buses, and how they are reached."""

import re
import shutil
import struct

import pytest

import capture
import kexec
import tools
import victim
from machine import Disk, Machine, Setup, disk_words
from qtest import Qtest

# A machine without the ports of configuration space, nor timers that Linux could measure time by.
MICROVM = ("-M", "microvm,pcie=on,acpi=on,pit=on,pic=on,rtc=on")
MICROVM_WORDS = "acpi=off noapic nolapic lpj=4000000 tsc=unstable"
LIMIT_S = 60
ECAM, FREE_BAR = 0xe0000000, 0xc0000000
NVME_CLASS = 0x010802
RSDP_PA = 0xe0000  # of our own; its tables follow
RSDP_BYTES = 36
BIOS_PA, BIOS_BYTES = 0xf0000, 0x10000
HEADER = "<4sIBB6s8sI4sI"
INIT = f"""\
#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
hostname test-victim
kexec -c -p --command-line= /boot/afterimage.bzimage && echo image loaded >/dev/kmsg
until [ "$(devmem {RSDP_PA:#x} 32)" = 0x20445352 ]; do :; done
echo c >/proc/sysrq-trigger
"""


def sealed(data, at):
    data = bytearray(data)
    data[at] = -sum(data) & 0xff
    return bytes(data)


def table(signature, body):
    head = struct.pack(HEADER, signature, 36 + len(body), 1, 0, b"AFTER ", b"AFTERIMG", 1, b"TEST", 1)
    return sealed(head + body, 9)


def tables(pa, entries):
    """An RSDP for address @pa and what it leads to: MCFG with @entries, each address, segment,
    first and last bus."""
    xsdt_pa, mcfg_pa = pa + 64, pa + 128
    rsdp = sealed(struct.pack("<8sB6sBI", b"RSD PTR ", 0, b"AFTER ", 2, 0), 8)
    rsdp = sealed(rsdp + struct.pack("<IQI", 36, xsdt_pa, 0), 32)
    mcfg = b"".join(struct.pack("<QHBBI", *entry, 0) for entry in entries)
    return (rsdp.ljust(64, b"\0") + table(b"XSDT", struct.pack("<Q", mcfg_pa)).ljust(64, b"\0")
            + table(b"MCFG", bytes(8) + mcfg))


def assign_bar(port, class_code):
    """What firmware does where there is one: an address for the first BAR, of 64 bits, of the one
    function of its class on bus 0."""
    functions = [ECAM + slot * 0x8000 for slot in range(32)
                 if port.read32(ECAM + slot * 0x8000 + 8) >> 8 == class_code]
    assert len(functions) == 1
    port.write32(functions[0] + 0x10, FREE_BAR)
    port.write32(functions[0] + 0x14, 0)
    assert port.read32(functions[0] + 0x10) & ~0xf == FREE_BAR


def install_tables(port):
    """Puts our tables in place of firmware's, which have no MCFG."""
    bios = bytes.fromhex(port.run(f"read {BIOS_PA:#x} {BIOS_BYTES:#x}")[0].removeprefix("0x"))
    ours = tables(RSDP_PA, [(ECAM, 0, 0, 255)])
    port.write(BIOS_PA + bios.index(b"RSD PTR "), ours[:RSDP_BYTES])
    port.write(RSDP_PA, ours)


def start_script(root):
    """An init that loads the image, waits for the tables to come, and panics: it needs neither
    a console that interrupts nor a clock."""
    script = root / "init"
    script.write_text(INIT)
    script.chmod(0o755)


def make_initramfs(folder):
    root = folder / "root"
    root.mkdir()
    victim.fill_root(root, ["kexec"])
    start_script(root)
    shutil.copy(tools.program("afterimage.bzimage"), root / "boot" / "afterimage.bzimage")
    victim.pack(root, folder / "initramfs")
    return folder / "initramfs"


def test_no_ports(kernel, disk, tmp_path, step):
    """Configuration space is in memory alone, where MCFG says."""
    with Qtest() as port:
        extra = (*MICROVM, "-kernel", str(kernel.vmlinuz), "-initrd", str(make_initramfs(tmp_path)),
                 "-append", f"console=ttyS0 panic=0 crashkernel=16M {MICROVM_WORDS}",
                 *disk_words(Disk(disk)), *port.options())
        with Machine(Setup(ram_file=tmp_path / "ram", extra=extra, limit_s=LIMIT_S)) as machine:
            machine.wait_console("image loaded", LIMIT_S)
            machine.stop()
            assign_bar(port, NVME_CLASS)
            install_tables(port)
            machine.cont()
            result = kexec.follow_image(machine, 0)
    step(result.lines[-2])
    assert result.state == "complete", result.lines
    tools.getdump("verify", disk)


# --- places on a machine of the usual kind -----------------------------------------------

SWITCH = ("-device", "pcie-root-port,id=root,bus=pcie.0,chassis=1,slot=1",
          "-device", "x3130-upstream,id=up,bus=root",
          "-device", "xio3130-downstream,id=down,bus=up,chassis=2,slot=2")
EXTRA_ROOT = ("-device", "pxb-pcie,id=extra,bus_nr=128,bus=pcie.0",
              "-device", "pcie-root-port,id=root,bus=extra,chassis=1,slot=1")
CONVENTIONAL = ("-device", "pcie-root-port,id=root,bus=pcie.0,chassis=1,slot=1",
                "-device", "pcie-pci-bridge,id=bridge,bus=root",
                "-device", "ich9-ahci,id=far,bus=bridge,addr=1")
BIG_BAR = ("-object", "memory-backend-ram,id=big,size=4G,reserve=off",
           "-device", "ivshmem-plain,memdev=big")
PLACES = {  # kind and bus of the dump disk, what it takes, and its name
    "behind-a-switch": ("nvme", "down", SWITCH, r"nvme 03:00\.0 ns 1"),
    "extra-root-bus": ("nvme", "root", EXTRA_ROOT, r"nvme 81:00\.0 ns 1"),
    "conventional-pci": ("ahci", "far.0", CONVENTIONAL, r"ahci 02:01\.0 port 0"),
}


def check(result, name, disk, step):
    step(result.lines[-2])
    assert any(re.fullmatch(f"afterimage: dump disk {name}", line) for line in result.lines), (
        result.lines)
    assert result.state == "complete", result.lines
    tools.getdump("verify", disk)


@pytest.mark.parametrize("place", PLACES)
def test_places(place, first, disk, tmp_path, step):
    kind, bus, devices, name = PLACES[place]
    words = disk_words(Disk(disk, kind, bus=bus), 1)
    with capture.power_on(tmp_path, None, first.crash, extra=(*devices, *words)) as machine:
        result = capture.watch_image(machine, machine.started)
    check(result, name, disk, step)


def test_bar_above_4_gib(first, disk, tmp_path, step):
    """SeaBIOS does not boot such a disk, so GRUB starts the image."""
    with capture.power_on(tmp_path, None, first.crash, cd=kexec.make_grub_cd(tmp_path),
                          extra=(*BIG_BAR, *disk_words(Disk(disk)))) as machine:
        result = capture.watch_image(machine, machine.started, door="linux")
        found = machine.qmp.command("human-monitor-command", **{"command-line": "info pci"})
    nvme = next(text for text in found.split("Bus ") if "Class 0264" in text)
    assert re.search("BAR0: 64 bit memory at 0x[0-9a-f]{9}", nvme), found
    check(result, r"nvme 00:03\.0 ns 1", disk, step)
