"""Machines with UEFI firmware: Debian's OVMF in QEMU's flash with variables of their own, a
TPM where wanted, a victim that GRUB boots from a CD, and the image on the dump disk's EFI
system partition. Everything else is as with SeaBIOS: machine.py, capture.py."""

import contextlib
import json
import re
import shutil
import struct
import subprocess
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import capture
import compare
import gdbstub
import machine
import panicking
import victim
from machine import MIB, Machine, MachineError, Setup

OVMF = Path("/usr/share/OVMF")
KEYS = Path("/usr/share/ovmf")
KEY_PASSWORD = "snakeoil"  # of the package's test key, which is no secret
ESP_TYPE = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
BOOT_FILE = "::/EFI/BOOT/BOOTX64.EFI"
IMAGE_FILE = "::/EFI/afterimage/afterimage.efi"
SETTINGS_FILE = "::/EFI/afterimage/afterimage.cfg"
# A variable in flash: mark, state, attributes, count, time, key index, sizes, owner's GUID, name,
# value (edk2's authenticated format).
VARIABLES = "variables.fd"
VARIABLE_STORE, VARIABLE_STORE_HEADER = uuid.UUID("aaf32c78-947b-439a-a180-2e144ec37792"), 28
VARIABLE_MARK, VARIABLE_ADDED = b"\xaa\x55", 0x3f
VARIABLE_SIZES, VARIABLE_HEADER = 36, 60
LASTING_ANYWHERE = 7  # attributes: non-volatile, to boot services and at runtime
PAGE = compare.PAGE
PATTERN = 0xa5c3e1870f1e2d3c  # with an address in it no text and no pointer
NEAR_BYTES = 4 * MIB
OWN_BYTES = 1 << 20  # the image with its arena
TIMEOUT_S = 60


@dataclass(frozen=True)
class Firmware:
    code: str
    variables: str  # what a machine's own are copied from
    words: tuple = ()


NORMAL = Firmware("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd")
SMALL = Firmware("OVMF_CODE.fd", "OVMF_VARS.fd")  # for 2 MiB of flash
# Code that only system management mode may write variables of; the package's test key is
# enrolled, and Secure Boot is on.
SMM = ("-machine", "smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on")
SECURE = Firmware("OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.snakeoil.fd", SMM)
SECURE_OFF = Firmware("OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.fd", SMM)


def flash(folder, firmware=NORMAL):
    """QEMU's words for @firmware, whose variables are in @folder: new ones if there are none."""
    variables_file = Path(folder) / VARIABLES
    if not variables_file.exists():
        shutil.copyfile(OVMF / firmware.variables, variables_file)
    return (*firmware.words,
            "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={OVMF / firmware.code}",
            "-drive", f"if=pflash,unit=1,format=raw,file={variables_file}")


def make_cd(kernel, folder, cmdline="", **options):
    """The victim's CD, for UEFI."""
    return victim.make_cd(kernel, folder, cmdline, platform=victim.UEFI, **options)


# --- a TPM -------------------------------------------------------------------------------


@contextlib.contextmanager
def tpm(folder):
    """A TPM 2.0; QEMU's words for it. QEMU ends it; if it never ran, the end of the block."""
    with tempfile.TemporaryDirectory(dir=folder) as state:
        process = subprocess.Popen(
            [victim.find_program("swtpm"), "socket", "--tpm2", "--tpmstate", f"dir={state}",
             "--ctrl", f"type=unixio,path={state}/control", "--terminate"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=machine.end_with_parent)
        try:
            deadline = time.monotonic() + TIMEOUT_S
            while not Path(state, "control").exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise MachineError("swtpm did not start")
                time.sleep(0.02)
            yield ("-chardev", f"socket,id=tpm,path={state}/control",
                   "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-tis,tpmdev=tpm0")
        finally:
            process.kill()
            process.wait()


# --- the EFI system partition ------------------------------------------------------------


def esp(disk):
    """mtools' name of the EFI system partition of the disk image @disk."""
    text = subprocess.run(["sfdisk", "--json", disk], capture_output=True, text=True, check=True,
                          timeout=TIMEOUT_S).stdout
    table = json.loads(text)["partitiontable"]
    starts = [entry["start"] for entry in table["partitions"]
              if entry["type"].lower() == ESP_TYPE]
    if len(starts) != 1:
        raise MachineError(f"{disk} has {len(starts)} EFI system partitions")
    return f"{disk}@@{starts[0] * table.get('sectorsize', 512)}"


def on_esp(disk, command, *words):
    """Runs mtools' @command on the disk's EFI system partition."""
    return subprocess.run([command, "-i", esp(disk), *words], capture_output=True, text=True,
                          check=True, timeout=TIMEOUT_S).stdout


def put(disk, source, *targets):
    """Copies the file @source over the files @targets of the partition."""
    for target in targets:
        on_esp(disk, "mcopy", "-o", source, target)


def sign(image, target):
    """A copy of @image signed with the firmware package's test key."""
    with tempfile.TemporaryDirectory(dir=target.parent) as temp:
        key = Path(temp) / "key"
        subprocess.run(["openssl", "rsa", "-in", KEYS / "PkKek-1-snakeoil.key", "-passin",
                        f"pass:{KEY_PASSWORD}", "-out", key], capture_output=True, check=True,
                       timeout=TIMEOUT_S)
        subprocess.run(["sbsign", "--key", key, "--cert", KEYS / "PkKek-1-snakeoil.pem",
                        "--output", target, image], capture_output=True, check=True,
                       timeout=TIMEOUT_S)
    return target


# --- variables ---------------------------------------------------------------------------


def variables(data):
    """Of the flash image @data, what it holds: name, place of the value, value. The last is the
    place for another one."""
    (at,) = (found.start() for found in re.finditer(re.escape(VARIABLE_STORE.bytes_le), data))
    at += VARIABLE_STORE_HEADER
    while data[at:at + 2] == VARIABLE_MARK:
        name_bytes, count = struct.unpack_from("<II", data, at + VARIABLE_SIZES)
        start = at + VARIABLE_HEADER
        value = start + name_bytes
        if data[at + 2] == VARIABLE_ADDED:
            name = data[start:value].decode("utf-16-le").rstrip("\0")
            yield name, value, data[value:value + count]
        at = -(-(value + count) // 4) * 4
    yield None, at, b""


def variable(folder, name):
    """The bytes of the firmware's variable @name; None if it has none."""
    data = (Path(folder) / VARIABLES).read_bytes()
    found = [value for other, _, value in variables(data) if other == name]
    return found[-1] if found else None


def add_variable(folder, name, guid, value):
    """Before the machine starts: a variable that lasts and that an operating system may set."""
    data = bytearray((Path(folder) / VARIABLES).read_bytes())
    *_, (_, at, _) = variables(data)
    text = (name + "\0").encode("utf-16-le")
    header = VARIABLE_MARK + bytes([VARIABLE_ADDED, 0]) + struct.pack("<I", LASTING_ANYWHERE)
    header += bytes(VARIABLE_SIZES - len(header)) + struct.pack("<II", len(text), len(value))
    data[at:at + VARIABLE_HEADER + len(text) + len(value)] = header + guid.bytes_le + text + value
    (Path(folder) / VARIABLES).write_bytes(data)


# --- stories -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Story:
    """A hang, a reset and a capture."""
    lost: set  # pages of its RAM that measure() found beforehand
    crash: capture.Crash
    before: Path  # RAM when the image's first function begins
    after: Path  # and when it had ended
    own: tuple  # first byte and end of the image's memory
    result: capture.Capture
    disk: Path
    folder: Path


def hang_victim(machine, nonce, release, folder):
    capture.hang(machine)
    return capture.keep_truth(machine, folder / "truth", nonce, release)


def stop_at_image(machine, stub, folder):
    """Lets a machine that was just reset run up to the image's first function. RAM there, and
    first byte and end of the image's own."""
    stub.connect()
    stub.go(gdbstub.symbol("door_efi", "efi"))
    machine.save_ram(folder / "before")
    own_pa = panicking.pa_of(machine, gdbstub.symbol("image_start", "efi"))
    stub.leave()
    machine.cont()
    return folder / "before", (own_pa, own_pa + OWN_BYTES)


def pattern(at):
    """What write_pattern() writes to the page at @at of a RAM file."""
    return struct.pack("<Q", at ^ PATTERN) * (PAGE // 8)


def write_pattern(file, size):
    """Every page of a RAM file different from every other and from what firmware writes."""
    with open(file, "r+b") as ram:
        for at in range(0, size, MIB):
            ram.write(b"".join(pattern(at + page) for page in range(0, MIB, PAGE)))


def measure(folder, disk, extra=(), **options):
    """The pages that a warm reset up to the image's first function changes, of 1 GiB of RAM, and
    all that the image works in. The first boot makes up the firmware's mind: it notes how much
    memory of each type it takes, and reserves that the next time."""
    with gdbstub.Stub() as stub:
        setup = Setup(ram_file=folder / "ram", disk=disk,
                      extra=(*(extra or flash(folder)), *stub.options()), **options)
        with Machine(setup) as m:
            stub.connect()
            entry = gdbstub.symbol("door_efi", "efi")
            stub.go(entry)
            write_pattern(setup.ram_file, setup.ram_bytes)
            m.reset(cont=False)
            stub.go(entry)
            own_pa = panicking.pa_of(m, gdbstub.symbol("image_start", "efi"))
            with open(setup.ram_file, "rb") as ram:
                changed = {at // PAGE for at in range(0, setup.ram_bytes, PAGE)
                           if ram.read(PAGE) != pattern(at)}
    setup.ram_file.unlink()
    return changed | set(range(own_pa // PAGE, (own_pa + OWN_BYTES) // PAGE))


def reservation(pages):
    """Ranges (first byte, end) above 1 MiB that hold @pages, as an administrator would write
    them: whole MiB, what is close together as one."""
    ranges = []
    for first, last in compare.ranges(sorted(pages)):
        start, end = first * PAGE // MIB * MIB, -(-(last + 1) * PAGE // MIB) * MIB
        if end <= MIB:
            continue
        if ranges and start - ranges[-1][1] <= NEAR_BYTES:
            ranges[-1][1] = end
        else:
            ranges.append([max(start, MIB), end])
    return [tuple(r) for r in ranges]


def memmap_word(ranges):
    """The kernel argument that keeps Linux off them."""
    return "memmap=" + ",".join(f"{(end - start) // MIB}M${start:#x}" for start, end in ranges)


def play(folder, disk, cd, step, lost=frozenset(), extra=(), **options):
    """The victim that is on @cd hangs, its machine is reset and boots @disk."""
    with gdbstub.Stub() as stub:
        setup = Setup(ram_file=folder / "ram", disk=disk, cd=cd,
                      extra=(*(extra or flash(folder)), *stub.options(running=True)), **options)
        machine, nonce, release = capture.start_victim(setup, step)
        with machine:
            crash = hang_victim(machine, nonce, release, folder)
            step(f"victim {nonce} hangs; its memory is kept")
            start = len(machine.console())
            machine.boot_next("dump")
            machine.reset(cont=False)
            before, own = stop_at_image(machine, stub, folder)
            result = capture.watch_image(machine, time.monotonic(), start, door="uefi")
            machine.save_ram(folder / "after")
    (folder / "ram").unlink()
    step(f"image at {own[0]:#x}: {result.lines[-2]}")
    return Story(lost, crash, before, folder / "after", own, result, disk, folder)


def power_on(folder, disk, crash=None, firmware=NORMAL, extra=(), **options):
    """A machine about to boot @disk, with the victim's memory or, without one, empty."""
    return capture.power_on(folder, disk, crash, extra=(*flash(folder, firmware), *extra),
                            **options)


def capture_kept(folder, disk, crash=None, **options):
    """One capture from kept memory, by the machine's power button."""
    with power_on(folder, disk, crash, **options) as m:
        result = capture.watch_image(m, m.started, door="uefi")
    (Path(folder) / "ram").unlink()
    return result
