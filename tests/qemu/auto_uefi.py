"""Automatic mode and the menu with UEFI firmware: a machine that has a dump disk and a next boot
option, a small program that says that it runs, and what is said on the way there."""

import re
import shutil
import subprocess
import time
from pathlib import Path

import capture
import uefi
from machine import MIB, Machine, Setup

GUEST = Path(__file__).parent / "guest"
GNU_EFI = Path("/usr/include/efi")
CRT0, SCRIPT = "/usr/lib/crt0-efi-x86_64.o", "/usr/lib/elf_x86_64_efi.lds"
SECTIONS = (".text", ".data", ".dynamic", ".dynsym", ".rela", ".reloc")
NEXT_BYTES = 34 * MIB
TRIED = "AfterimageTried"
STARTED = r"^BdsDxe: starting Boot.*\n"
AUTO = "^afterimage: automatic: "
OFFER = r"^afterimage: capture in \d+ s; keys: d now, l other level, b boot on, o switch off\n"
MARK = r"^the next boot option runs\n"
TIMEOUT_S = 60


def run(*words):
    subprocess.run(words, check=True, capture_output=True, timeout=TIMEOUT_S)


def make_next(folder):
    """A disk without partitions whose EFI file system has the program in guest/next.c."""
    code, linked, program = (folder / f"next.{kind}" for kind in ("o", "so", "efi"))
    disk = folder / "next.img"
    run("gcc", "-std=c11", "-isystem", GNU_EFI, "-isystem", GNU_EFI / "x86_64",
        "-DGNU_EFI_USE_MS_ABI", "-fshort-wchar", "-Os", "-ffreestanding", "-fpic",
        "-fno-stack-protector", "-fcf-protection=none", "-mno-red-zone", "-mgeneral-regs-only",
        "-c", "-o", code, GUEST / "next.c")
    run("ld", "-nostdlib", "-znocombreloc", "-shared", "-Bsymbolic", "-T", SCRIPT, "-o", linked,
        CRT0, code, "-L/usr/lib", "-lgnuefi")
    run("objcopy", *(word for section in SECTIONS for word in ("-j", section)),
        "--target", "efi-app-x86_64", "--subsystem", "10", linked, program)
    run("mformat", "-C", "-i", disk, "-T", str(NEXT_BYTES // 512), "::")
    run("mmd", "-i", disk, "::/EFI", "::/EFI/BOOT")
    run("mcopy", "-i", disk, program, uefi.BOOT_FILE)
    return disk


def start(folder, disk, next_disk, story=None, **options):
    """With a hung machine's memory and what its firmware remembers, or with neither."""
    if story and not (folder / uefi.VARIABLES).exists():
        shutil.copyfile(story.folder / uefi.VARIABLES, folder / uefi.VARIABLES)
    words = (*uefi.flash(folder), *options.pop("extra", ()),
             "-drive", f"if=none,id=next,format=raw,readonly=on,file={next_disk}",
             "-device", "virtio-blk-pci,id=next,drive=next,bootindex=2")
    if story:
        return capture.power_on(folder, disk, story.crash, private=True, extra=words, **options)
    ram = Path(folder) / "ram"
    ram.unlink(missing_ok=True)
    return Machine(Setup(ram_file=ram, disk=disk, extra=words, prealloc=True, **options))


def said(machine, at=0):
    return re.findall(r"^afterimage.*$", machine.console()[at:], re.M)


def passed_on(machine, says, at=0):
    """The dump disk is started, says why it boots on, and nothing else, and does. How long that
    takes until firmware has control again, and until the next option runs."""
    machine.wait_console(STARTED, TIMEOUT_S, at)
    began = time.monotonic()
    machine.wait_console(r"^BdsDxe: failed to start Boot.*: Not Found\n", TIMEOUT_S, at)
    ours = time.monotonic() - began
    machine.wait_console(MARK, TIMEOUT_S, at)
    assert says in said(machine, at)[-2]
    assert said(machine, at)[-1] == "afterimage: booting on"
    assert "via uefi" not in machine.console()[at:]
    return ours, time.monotonic() - began


def captured(machine, at=0, pattern=AUTO + r".*; capturing it\n"):
    """One start that ends with a capture and a restart; where the console's text of the next start
    begins, and the result's state, number, code, reason and counts."""
    machine.wait_console(pattern, TIMEOUT_S, at)
    machine.wait_console(r"^afterimage \S+ via uefi\n", TIMEOUT_S, at)
    done = machine.wait_console(capture.RESULT, capture.CAPTURE_TIMEOUT_S, at)
    end = machine.wait_console(r"^afterimage: rebooting\n", TIMEOUT_S, at).end()
    return end, capture.parse_result(done)


def tried(folder):
    """The crash that a capture was begun of, as firmware remembers it; None if of none."""
    return uefi.variable(folder, TRIED)
