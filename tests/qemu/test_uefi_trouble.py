"""Machines with UEFI that are not as they should be: no screen, no serial port, no settings or
wrong ones, several dump disks, an NVMe controller that firmware leaves running."""

import itertools
import re
import time
import uuid

import pytest

import capture
import gdbstub
import panicking
import png
import tools
import uefi

E_NO_PARTITION = 30
DISK_SIZE = "512M"
SETTINGS = r"afterimage: \EFI\afterimage\afterimage.cfg is "
NVME_CC = 0x14  # NVMe 1.4 s3.1.5
CC_ENABLED = 1
END_TIMEOUT_S = 120
MARGIN_PIXELS, LINE_PIXELS = 8, 16
MIN_LINES, MAX_LINES = 5, 30


@pytest.fixture
def disks(tmp_path):
    """Two dump disks; firmware boots the second, whose controller comes later on the bus."""
    return [tools.make_disk(tmp_path / f"{name}.img", DISK_SIZE) for name in ("dump", "other")]


def two_disks(booted):
    """QEMU's words for a second dump disk, which firmware tries first."""
    return ("-drive", f"if=none,id=other,format=raw,file={booted}",
            "-device", "nvme,serial=other,id=other,drive=other,bootindex=0")


def dumps(disk):
    done = tools.getdump("info", disk, expect=None)
    return [] if done.returncode else [tools.info(disk)["dump"]["state"]]


def settings(disk, text, folder):
    """Puts @text into the settings of @disk; None takes the file away."""
    if text is None:
        uefi.on_esp(disk, "mdel", uefi.SETTINGS_FILE)
        return
    file = folder / "settings"
    file.write_bytes(text)
    uefi.put(disk, file, uefi.SETTINGS_FILE)


def named(disk):
    return f"dump={tools.dump_entry(disk)[2]} console=serial:0:115200,screen\n".encode()


def test_the_booted_disk_wins(uefi_first, disks, tmp_path, step):
    """Of two, without settings, and on a machine without a screen."""
    settings(disks[1], None, tmp_path)
    result = uefi.capture_kept(tmp_path, disks[0], uefi_first.crash,
                               extra=("-vga", "none", *two_disks(disks[1])))
    step("; ".join(result.lines[1:3]))
    assert result.state == "complete", result.lines
    assert any(line.startswith(SETTINGS + "not there") for line in result.lines)
    assert (dumps(disks[0]), dumps(disks[1])) == ([], ["complete"])
    assert tools.info(disks[1])["dump"]["degraded"]
    assert any(line.startswith("afterimage: another dump disk, nvme ") for line in result.lines)


def lines_of_text(machine, picture):
    """How many of the screen's first lines are not empty, by the image's font and margin."""
    machine.qmp.command("screendump", filename=str(picture))
    *_, rows = png.lines(picture.read_bytes())
    bright = [sum(value > 128 for value in row[1::3]) for row in rows]
    lines = [sum(bright[y:y + LINE_PIXELS])
             for y in range(MARGIN_PIXELS, len(rows) - LINE_PIXELS, LINE_PIXELS)]
    assert sum(bright[:MARGIN_PIXELS]) == 0
    return len(list(itertools.takewhile(lambda n: n, lines)))


def test_the_named_disk_is_another_one(uefi_first, disks, tmp_path, step):
    """And there is no serial port: the screen has the text, the disk the result."""
    settings(disks[1], named(disks[0]), tmp_path)
    with uefi.power_on(tmp_path, disks[0], uefi_first.crash, serial=False,
                       extra=two_disks(disks[1])) as machine:
        machine.freeze_at_reboot()
        assert machine.wait_end(END_TIMEOUT_S) == "guest-reset"
        lines = lines_of_text(machine, tmp_path / "screen.ppm")
        assert machine.console() == ""
    step(f"no serial port; {lines} lines on the screen")
    assert MIN_LINES <= lines <= MAX_LINES
    assert (dumps(disks[0]), dumps(disks[1])) == (["complete"], [])


def nvme_enabled(machine):
    """Is the dump disk's controller enabled?"""
    text = panicking.hmp(machine, "info pci")
    found = re.search(r'id "dump"', text)
    device = text[:found.start()].rsplit("  Bus ", 1)[1]
    bar = int(re.search(r"BAR0: 64 bit memory at (0x[0-9a-f]+)", device)[1], 16)
    word = int(panicking.hmp(machine, f"xp /1wx {bar + NVME_CC:#x}").split()[-1], 16)
    return bool(word & CC_ENABLED)


def test_damaged_settings_and_a_controller_left_running(uefi_first, disks, tmp_path):
    """Firmware's driver has started the controller and does not stop it."""
    disk = disks[1]
    settings(disk, b"\xff\x00\x01 dump=nonsense" * 50, tmp_path)
    with gdbstub.Stub() as stub:
        with uefi.power_on(tmp_path, disk, uefi_first.crash, extra=stub.options()) as machine:
            stub.connect()
            stub.go(gdbstub.symbol("door_efi", "efi"))
            assert nvme_enabled(machine)
            stub.leave()
            machine.cont()
            result = capture.watch_image(machine, time.monotonic(), door="uefi")
    assert result.state == "complete", result.lines
    assert any(line.startswith(SETTINGS + "damaged") for line in result.lines)
    assert dumps(disk) == ["complete"]


def test_the_named_disk_is_missing(uefi_first, disks, tmp_path):
    settings(disks[0], f"dump={uuid.uuid4()} console=serial:0:115200\n".encode(), tmp_path)
    result = uefi.capture_kept(tmp_path, disks[0], uefi_first.crash)
    assert (result.state, result.code) == ("none", E_NO_PARTITION), result.lines
    assert dumps(disks[0]) == []
