"""Automatic mode and the menu with UEFI firmware, all of it: captures that fail, keys of both
kinds of console, surveys."""

import re
import time

import pytest

import auto_uefi
import surveying
import tools
from auto_uefi import AUTO, OFFER, TIMEOUT_S
from machine import MIB

SIZE = "512M"
TOO_SMALL = "100M"  # for a dump of every page
E_TRIED = 70
MENU_S = 60
WRITES_FAIL = {"event": "none", "iotype": "write", "errno": 5}
PICTURE = "menu-uefi-level.png"


@pytest.fixture(scope="module")
def next_disk(tmp_path_factory):
    return auto_uefi.make_next(tmp_path_factory.mktemp("next"))


def make_disk(folder, *options, size=SIZE, menu=0):
    return tools.make_disk(folder / "dump.img", size, *options, menu=menu)


def test_a_capture_that_fails_is_not_tried_again(uefi_first, next_disk, tmp_path):
    """Nothing can be written to the disk. Then somebody tries it again by hand."""
    disk = make_disk(tmp_path, "--auto", menu=2)
    with auto_uefi.start(tmp_path, disk, next_disk, uefi_first,
                         inject_error=WRITES_FAIL) as machine:
        at, (state, *_) = auto_uefi.captured(machine)
        assert state in ("none", "incomplete")
        auto_uefi.passed_on(machine, f"E{E_TRIED} ", at)
    crash = auto_uefi.tried(tmp_path)
    assert len(crash) == 8 and tools.dumps(disk) == []
    with auto_uefi.start(tmp_path, disk, next_disk, uefi_first) as machine:
        auto_uefi.passed_on(machine, f"E{E_TRIED} ")
    assert auto_uefi.tried(tmp_path) == crash
    with auto_uefi.start(tmp_path, disk, next_disk, uefi_first) as machine:
        machine.wait_console(auto_uefi.STARTED, TIMEOUT_S)
        machine.press("d")
        at, (state, number, *_) = auto_uefi.captured(machine, pattern=AUTO)
        assert (state, number) == ("complete", 1)
        auto_uefi.passed_on(machine, "nothing else to capture", at)
    assert auto_uefi.tried(tmp_path) is None


def test_a_part_of_it_is_enough(uefi_first, next_disk, tmp_path):
    disk = make_disk(tmp_path, "--auto", "--level", "0", size=TOO_SMALL)
    with auto_uefi.start(tmp_path, disk, next_disk, uefi_first) as machine:
        at, (state, number, *_) = auto_uefi.captured(machine)
        assert (state, number) == ("incomplete", 1)
        auto_uefi.passed_on(machine, "nothing else to capture", at)
    assert auto_uefi.tried(tmp_path) is None
    assert tools.dumps(disk) == [1]


def test_two_copies_of_the_directory(uefi_first, next_disk, tmp_path):
    """The one in front is damaged after the capture, and the superblock there."""
    disk = make_disk(tmp_path, "--auto")
    with auto_uefi.start(tmp_path, disk, next_disk, uefi_first) as machine:
        auto_uefi.captured(machine)
    start, _ = tools.dump_partition(disk)
    tools.write_bytes(disk, start + 100, b"\xff" * 1000)
    with auto_uefi.start(tmp_path, disk, next_disk, uefi_first) as machine:
        auto_uefi.passed_on(machine, "nothing else to capture")


def test_a_disk_with_big_blocks(uefi_first, next_disk, tmp_path):
    disk = make_disk(tmp_path, "--auto", "--sector-size", "4096")
    with auto_uefi.start(tmp_path, disk, next_disk, uefi_first, block_bytes=4096) as machine:
        at, (state, *_) = auto_uefi.captured(machine)
        assert state == "complete"
        auto_uefi.passed_on(machine, "nothing else to capture", at)


@pytest.mark.parametrize("by", ["keyboard", "serial"])
def test_another_level(by, uefi_first, next_disk, tmp_path):
    disk = make_disk(tmp_path, "--level", "31", menu=MENU_S)
    with auto_uefi.start(tmp_path, disk, next_disk, uefi_first) as machine:
        machine.wait_console(OFFER, TIMEOUT_S)
        if by == "serial":
            machine.send(b"l1\x7f2\b7\r")
        else:
            machine.press("l", "1", "2", "backspace", "backspace", "7")
            machine.wait_console(r"level 0-31, then Enter: 1.*7", TIMEOUT_S)
            machine.screenshot(tools.BUILD / PICTURE)
            machine.press("ret")
        _, (state, *_) = auto_uefi.captured(machine, pattern="level 0-31, then Enter: ")
    assert state == "complete"
    assert tools.info(disk)["dump"]["level_asked"] == 7


@pytest.mark.parametrize("by", ["keyboard", "serial"])
def test_dump_now_and_switch_off(by, next_disk, tmp_path):
    disk = make_disk(tmp_path, menu=MENU_S)

    def press(key):
        if by == "serial":
            machine.send(key.encode())
        else:
            machine.press(key)

    with auto_uefi.start(tmp_path, disk, next_disk, ram_bytes=256 * MIB) as machine:
        machine.wait_console(OFFER, TIMEOUT_S)
        press("d")
        machine.wait_console(r"^afterimage \S+ via uefi\n", MENU_S / 2)
        at = machine.wait_console(r"^afterimage: rebooting\n", TIMEOUT_S).end()
        machine.wait_console(OFFER, TIMEOUT_S, at)
        press("o")
        assert machine.wait_end(TIMEOUT_S) == "guest-shutdown"
        assert auto_uefi.said(machine)[-1] == "afterimage: powering off"


def test_nobody_at_the_menu(next_disk, tmp_path):
    """The capture begins by itself."""
    disk = make_disk(tmp_path, menu=3)
    with auto_uefi.start(tmp_path, disk, next_disk, ram_bytes=256 * MIB) as machine:
        machine.wait_console(OFFER, TIMEOUT_S)
        machine.wait_console(r"^afterimage \S+ via uefi\n", TIMEOUT_S)


def test_a_survey_goes_on(next_disk, tmp_path):
    """Also with a menu: nobody is asked, no boot option comes in between. Memory then holds the
    survey's pattern, which is no kernel."""
    disk = make_disk(tmp_path, "--auto", menu=MENU_S)
    surveying.arm(disk, "--survey=1")
    with auto_uefi.start(tmp_path, disk, next_disk, ram_bytes=256 * MIB) as machine:
        at = 0
        for says in (r"cycle 1 of 1: \d+ MiB filled", "done: "):
            machine.wait_console(AUTO + "a survey is under way\n", TIMEOUT_S, at)
            machine.wait_console(rf"^afterimage: survey: {says}", TIMEOUT_S, at)
            at = machine.wait_console(r"^afterimage: rebooting\n", TIMEOUT_S, at).end()
        auto_uefi.passed_on(machine, "no old kernel in memory", at)
        assert not re.search(OFFER, machine.console(), re.M)


def test_without_a_serial_port(next_disk, tmp_path):
    """What is pressed before the menu is there counts."""
    disk = make_disk(tmp_path, menu=MENU_S)
    with auto_uefi.start(tmp_path, disk, next_disk, ram_bytes=256 * MIB,
                         serial=False) as machine:
        deadline = time.monotonic() + TIMEOUT_S
        ended = None
        while not ended and time.monotonic() < deadline:
            machine.press("o")
            ended = machine.qmp.wait_event("SHUTDOWN", 0.5)
    assert ended and ended["data"]["reason"] == "guest-shutdown"
