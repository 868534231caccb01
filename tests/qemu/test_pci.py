"""Where the dump disk is among PCI's buses, and how they are reached."""

import struct

import capture
import kexec
import tools
import victim
from machine import Setup
from qtest import Qtest

# A machine without the ports of configuration space, nor timers that Linux could measure time by.
MICROVM = ("-M", "microvm,pcie=on,acpi=on,pit=on,pic=on,rtc=on")
MICROVM_WORDS = "acpi=off noapic nolapic lpj=4000000 tsc=unstable"
ECAM, FREE_BAR = 0xe0000000, 0xc0000000
NVME_CLASS = 0x010802
RSDP_PA = 0xe0000  # where it is searched for first; its tables follow
HEADER = "<4sIBB6s8sI4sI"


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


def test_no_ports(kernel, disk, tmp_path, step):
    """Configuration space is in memory alone, where MCFG says."""
    initramfs = tmp_path / "initramfs"
    victim.make_initramfs(initramfs, image=tools.program("afterimage.bzimage"))
    with Qtest() as port:
        extra = (*MICROVM, "-kernel", str(kernel.vmlinuz), "-initrd", str(initramfs), "-append",
                 f"console=ttyS0 panic=0 crashkernel=16M {MICROVM_WORDS}",
                 "-drive", f"if=none,id=ecam,format=raw,cache=unsafe,file={disk}",
                 "-device", "nvme,serial=ecam,drive=ecam", *port.options())
        setup = Setup(ram_file=tmp_path / "ram", extra=extra)
        loaded = kexec.start(setup, "kexec_load", step=step)
        with loaded.machine as machine:
            machine.stop()
            assign_bar(port, NVME_CLASS)
            port.write(RSDP_PA, tables(RSDP_PA, [(ECAM, 0, 0, 255)]))
            machine.cont()
            result = kexec.crash_and_capture(machine)
    step(result.lines[-2])
    print(result.lines)
    assert result.state == "complete", result.lines
    tools.getdump("verify", disk)
