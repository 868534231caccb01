"""A dump disk that UEFI firmware starts before all else: a crash is captured once, anything else
is passed on to the next boot option. The rest of it is test_auto_uefi_matrix.py."""

import pytest

import auto_uefi
import tools
from machine import MIB

SIZE = "512M"
MENU_S = 60
PICTURE = "menu-uefi.png"


@pytest.fixture(scope="module")
def next_disk(tmp_path_factory):
    return auto_uefi.make_next(tmp_path_factory.mktemp("next"))


@pytest.fixture
def auto_disk(tmp_path):
    return tools.make_disk(tmp_path / "dump.img", SIZE, "--auto")


def test_a_crash_is_captured_once(uefi_first, auto_disk, next_disk, tmp_path, step):
    with auto_uefi.start(tmp_path, auto_disk, next_disk, uefi_first) as machine:
        at, (state, number, *_) = auto_uefi.captured(machine)
        assert (state, number) == ("complete", 1)
        assert len(auto_uefi.tried(tmp_path)) == 8
        ours, _ = auto_uefi.passed_on(machine, "nothing else to capture; booting on", at)
        assert any(line.endswith("; dump 1 has it") for line in auto_uefi.said(machine, at))
    step(f"the next start is passed on after {ours:.2f} s")
    assert auto_uefi.tried(tmp_path) is None
    assert tools.dumps(auto_disk) == [1]
    assert tools.info(auto_disk)["dump"]["via"] == "uefi"


def test_nothing_in_memory(auto_disk, next_disk, tmp_path, step):
    with auto_uefi.start(tmp_path, auto_disk, next_disk) as machine:
        ours, till_next = auto_uefi.passed_on(machine, "no old kernel in memory; booting on")
    step(f"passed on after {ours:.2f} s; {till_next:.2f} s until the next option runs")
    assert auto_uefi.tried(tmp_path) is None


def test_a_key_boots_on(next_disk, tmp_path):
    disk = tools.make_disk(tmp_path / "dump.img", SIZE, menu=MENU_S)
    with auto_uefi.start(tmp_path, disk, next_disk, ram_bytes=256 * MIB) as machine:
        machine.wait_console(auto_uefi.OFFER, auto_uefi.TIMEOUT_S)
        machine.screenshot(tools.BUILD / PICTURE)
        machine.press("x", "down", "b")
        machine.wait_console(auto_uefi.MARK, MENU_S / 2)
        assert auto_uefi.said(machine)[-1] == "afterimage: booting on"
