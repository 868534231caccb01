"""Automatic mode and the menu when a BIOS starts the dump disk: what is captured and what is
passed on, by the boot sector of another disk, which looks whether it is started as a BIOS
would. Times are from the image's first line."""

import os
import re
import struct
import subprocess
import time
from pathlib import Path

import pytest

import capture
import gdbstub
import screen
import tools
from machine import GIB, MIB, Disk, Machine, Setup
from test_host_check import crc32c

EVERYTHING = os.environ.get("AFTERIMAGE_MATRIX") == "all"
SIZE = "256M"
SIZES = [128 * MIB, GIB, 4 * GIB] if EVERYTHING else [128 * MIB]
BLOCKS = [512, 4096] if EVERYTHING else [512]
HELLO = r"^afterimage \S+ via bios\n"
AUTO = "^afterimage: automatic: "
OFFER = r"^afterimage: capture in \d+ s; keys: .*\n"
LOAD_PA = 0x8000
E_READ, E_TRIED, E_NO_NEXT = 26, 70, 72
MENU_S = 60
NO_KERNEL = "no old kernel in memory; booting on"
USB_KEYBOARD = ("-device", "qemu-xhci,id=keys", "-device", "usb-kbd,bus=keys.0")


@pytest.fixture(scope="module")
def mark(tmp_path_factory):
    """The other disk."""
    folder = tmp_path_factory.mktemp("mark")
    source = Path(__file__).parent / "guest" / "mark.S"
    subprocess.run(["gcc", "-c", "-m32", "-o", folder / "mark.o", source], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", folder / "mark.o", folder / "mark"],
                   check=True)
    os.truncate(folder / "mark", 1 << 20)
    return folder / "mark"


@pytest.fixture(scope="module")
def auto(tmp_path_factory):
    return tools.make_disk(tmp_path_factory.mktemp("auto") / "dump.img", SIZE, "--auto")


@pytest.fixture
def auto_disk(auto, tmp_path):
    return tools.copy(auto, tmp_path / "dump.img")


@pytest.fixture
def menu_disk(tmp_path):
    return tools.make_disk(tmp_path / "dump.img", SIZE, menu=MENU_S)


def start(folder, disk, crash=None, others=(), **options):
    """With the hung machine's memory, or with none; @others boot after the dump disk."""
    disks = tuple(Disk(path, kind, name=f"next{i}", words=f",bootindex={i + 2}")
                  for i, (path, kind) in enumerate(others))
    if crash:
        return capture.power_on(folder, disk, crash, private=True, others=disks, **options)
    ram = Path(folder) / "ram"
    ram.unlink(missing_ok=True)
    return Machine(Setup(ram_file=ram, disk=disk, others=disks, prealloc=True,
                         **{"ram_bytes": SIZES[0], **options}))


def wait_mark(machine, at=0, disk=1):
    """Until the other disk's boot sector has looked around; it finds no fault."""
    found = machine.wait_console(r"^mark (\d) (.*)!", 30, at)
    assert (found[1], found[2]) == (str(disk), "")


def passed_on(machine, says, disk=1, at=0):
    """The image says why it boots on, and nothing else, and does; how long that takes."""
    machine.wait_console(HELLO, 30, at)
    began = time.monotonic()
    wait_mark(machine, at, disk)
    took = time.monotonic() - began
    lines = re.findall(r"^afterimage: .*$", machine.console()[at:], re.M)
    assert lines[-1] == "afterimage: booting on"
    assert says in lines[-2]
    assert len(re.findall(HELLO, machine.console()[at:], re.M)) == 1
    return took


# --- automatic mode ----------------------------------------------------------------------


@pytest.mark.parametrize("block_bytes", BLOCKS)
def test_a_crash_is_captured_once(block_bytes, first, mark, tmp_path, step):
    disk = tools.make_disk(tmp_path / "dump.img", SIZE, "--auto", "--sector-size",
                           str(block_bytes))
    others = [(mark, "nvme")]
    with start(tmp_path, disk, first.crash, others, block_bytes=block_bytes) as machine:
        machine.wait_console(AUTO + r".*; capturing it\n", 30)
        done = machine.wait_console(capture.RESULT, 60)
        assert capture.parse_result(done)[0] == "complete", done[0]
        after = machine.wait_console(r"^afterimage: rebooting\n", 30)
        took = passed_on(machine, "nothing else to capture; booting on", at=after.end())
        assert re.search(AUTO + r".*; dump 1 has it\n", machine.console(), re.M)
    step(f"the next start is passed on after {took:.2f} s")
    assert len(tools.dumps(disk)) == 1


@pytest.mark.parametrize("ram_bytes", SIZES)
def test_nothing_in_memory(ram_bytes, auto_disk, mark, tmp_path, step):
    """A power-on; the first disk behind ours is another dump disk, the next has no code."""
    other = tools.copy(auto_disk, tmp_path / "other.img")
    data = tmp_path / "data.img"
    data.write_bytes(bytes(510) + b"\x55\xaa" + bytes(1 << 20))
    disks = [(other, "nvme"), (data, "virtio"), (mark, "ahci")]
    with start(tmp_path, auto_disk, others=disks, ram_bytes=ram_bytes) as machine:
        took = passed_on(machine, NO_KERNEL, disk=3)
    step(f"{ram_bytes // MIB} MiB: passed on after {took:.2f} s")
    assert not tools.dumps(auto_disk)


def test_a_capture_that_is_cut_short_is_not_begun_again(first, mark, tmp_path):
    """Before anything is on the disk. What low memory says of it survives the reset."""
    disk = tools.make_disk(tmp_path / "dump.img", SIZE, "--auto", "--level", "1")
    with gdbstub.Stub() as stub:
        with start(tmp_path, disk, first.crash, [(mark, "nvme")], extra=stub.options()) as machine:
            stub.connect()
            stub.go(gdbstub.symbol("writer_start"))
            at = len(machine.console())
            machine.reset(cont=False)
            stub.leave()
            machine.cont()
            passed_on(machine, f": E{E_TRIED} ", at=at)
            assert "complete" not in machine.console()
    assert not tools.dumps(disk)


def test_a_directory_that_can_not_be_read(first, auto_disk, mark, tmp_path):
    """What the disk has already is not known, so nothing is captured."""
    block = tools.dump_partition(auto_disk)[0] // 512
    rule = {"event": "read_aio", "errno": 5, "sector": block + 3}
    with start(tmp_path, auto_disk, first.crash, [(mark, "nvme")], inject_error=rule) as machine:
        passed_on(machine, f": E{E_READ} ")


def test_a_damaged_image(first, auto_disk, mark, tmp_path):
    """It says so once: a restart would lead to the same place."""
    with open(auto_disk, "r+b") as disk:
        lba, = struct.unpack_from("<Q", disk.read(512), 416)
        disk.seek(lba * 512)
        disk.seek(lba * 512 + disk.read(MIB).index(b"capturing it"))
        disk.write(b"C")
    with start(tmp_path, auto_disk, first.crash, [(mark, "nvme")]) as machine:
        passed_on(machine, "no dump: E")


def test_a_fault_in_the_decision(first, auto_disk, mark, tmp_path):
    """An exception while the old kernel is looked at would be the same after a restart."""
    symbols = subprocess.run(["nm", tools.BUILD / "afterimage-mbr.elf"], check=True,
                             capture_output=True, text=True).stdout
    at = int(re.search(r"^(\w+) T ending_find$", symbols, re.M)[1], 16) - LOAD_PA
    with open(auto_disk, "r+b") as disk:
        lba, = struct.unpack_from("<Q", disk.read(512), 416)
        disk.seek(lba * 512)
        image = bytearray(disk.read(MIB))
        image[at:at + 2] = b"\x0f\x0b"  # ud2
        size, = struct.unpack_from("<I", image, 16)
        struct.pack_into("<I", image, 48, crc32c(image[96:size]))
        struct.pack_into("<I", image, 20, 0)
        struct.pack_into("<I", image, 20, crc32c(image[:96]))
        disk.seek(lba * 512)
        disk.write(image)
    with start(tmp_path, auto_disk, first.crash, [(mark, "nvme")]) as machine:
        passed_on(machine, "exception 6 ")


def test_no_other_disk(auto_disk, tmp_path):
    """It is said, and the firmware goes on by itself."""
    with start(tmp_path, auto_disk) as machine:
        machine.wait_console(rf"^afterimage: E{E_NO_NEXT} .*\n", 30)
        deadline = time.monotonic() + 20
        while "No bootable device." not in (rows := screen.read_text_mode(machine).rows):
            assert time.monotonic() < deadline, rows
    assert any(f"E{E_NO_NEXT}" in row for row in rows)  # still to be seen


# --- the menu ----------------------------------------------------------------------------


def test_usb_key_boots_on(first, menu_disk, mark, tmp_path):
    with start(tmp_path, menu_disk, first.crash, [(mark, "nvme")], extra=USB_KEYBOARD) as machine:
        machine.wait_console(OFFER, 30)
        machine.press("x", "b")
        wait_mark(machine)
    assert not tools.dumps(menu_disk)


def test_level_by_ps2_keyboard(first, menu_disk, tmp_path):
    """With a mistake: 1, taken back; the screen shows what counts."""
    with start(tmp_path, menu_disk, first.crash) as machine:
        machine.wait_console(OFFER, 30)
        machine.press("l", "1", "backspace", "2", "9", "ret")
        result = capture.watch_image(machine, machine.started)
        rows = screen.read_text_mode(machine).rows
    assert "afterimage: level 0-31, then Enter: 29" in rows
    assert result.state == "complete", result.lines
    assert tools.info(menu_disk)["dump"]["level_asked"] == 29


def test_serial_key_switches_off(first, tmp_path):
    """Automatic mode leaves the choice to who is there."""
    disk = tools.make_disk(tmp_path / "menu.img", SIZE, "--auto", menu=MENU_S)
    with start(tmp_path, disk, first.crash) as machine:
        machine.wait_console(AUTO + r".*; capturing it\n" + OFFER[1:], 30)
        machine.send(b"o")
        assert machine.wait_end(20) == "guest-shutdown"
        assert "afterimage: powering off\n" in machine.console()
    assert not tools.dumps(disk)
