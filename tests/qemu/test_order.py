"""Disks too small for what the level asks for: the most useful classes are in the dump, what
is not is said on the console and by getdump, and crash opens what there is. All on the
first victim's memory, uncompressed, so that sizes are known beforehand."""

import pytest

import compare
import excluded
import newest
import readers
import tools
from machine import MIB
from test_disk_states import E_FULL, OVERHEAD_MIB

ALWAYS = ("kept", "metadata lost")
LATER = ("user", "private cache", "cache")  # in this order; free pages are mostly zero
FIRMWARE_PAGES = 64
CHUNK_PAGES = 16


@pytest.fixture(scope="module")
def memory(first, tmp_path_factory):
    """The page sets of the memory at the hang."""
    return excluded.of_ram(first.crash.ram, first.crash, tmp_path_factory.mktemp("memory"))


def contents(memory, name):
    """The pages of a class that are not zero."""
    return memory.classes.get(name, 0) & memory.ram & ~memory.zero


def bytes_of(memory, names):
    """What they take on the disk: at best 16 pages and one block of header in a chunk."""
    pages = sum(contents(memory, name).bit_count() for name in names)
    return pages * compare.PAGE * (1 + 1 / 8 / CHUNK_PAGES)


def small_disk(path, room):
    size = OVERHEAD_MIB + -(-int(room) // MIB)
    return tools.make_disk(path, f"{size}M", "--level", "1", "--compress", "none")


def found_in(disk, folder):
    """What getdump says of the dump, and the page sets of its extraction."""
    info = tools.info(disk)["dump"]
    kdump = tools.extract(disk, "kdump", folder / "kdump", expect=None, compress="lzo")
    return info, kdump, excluded.read_kdump(kdump)


def check_tasks(kdump, first, kernel, folder):
    """The newest crash opens the file and lists every process of the whole dump."""
    whole = tools.extract(first.disk, "elf", folder / "whole")
    report = readers.drgn(whole, kernel.vmlinux)
    whole.unlink()
    seen = readers.crash(kdump, kernel.vmlinux, folder, report["banner_va"],
                         newest.command("crash"))
    listed = sorted(name.strip("[]") for name in seen["tasks"])
    assert listed == sorted([name for _, name in report["tasks"]] + ["swapper/0"])


def check_all_there(memory, found, names):
    """All pages of these classes, but for those that only firmware's traces make zero."""
    for name in names:
        lost = contents(memory, name) & ~found.kept >> 256 << 256
        assert lost.bit_count() <= FIRMWARE_PAGES, (name, excluded.text_of(lost, memory.classes))


def test_disk_full_among_user_pages(first, memory, kernel, run_image, tmp_path, step):
    """Nine tenths of the user pages fit: the dump ends there, and what it lacks is named."""
    room = bytes_of(memory, ALWAYS) + 0.9 * bytes_of(memory, ["user"])
    disk = small_disk(tmp_path / "dump.img", room)
    result = run_image(disk)
    assert (result.state, result.code) == ("incomplete", E_FULL)
    info, kdump, found = found_in(disk, tmp_path)
    step(f"incomplete: {info['incomplete_classes']}, dropped: {info['dropped_classes']}")
    assert set(info["incomplete_classes"]) >= {"user"}
    assert not set(info["incomplete_classes"]) & set(ALWAYS)
    assert any("not all pages were written" in line and "user" in line for line in result.lines)
    check_all_there(memory, found, ALWAYS)
    user = contents(memory, "user")
    assert 0 < (found.kept & user).bit_count() < user.bit_count()
    for name in ("private cache", "cache"):
        assert not found.kept & contents(memory, name), name
    check_tasks(kdump, first, kernel, tmp_path)


def test_classes_that_can_not_fit_are_dropped(first, memory, kernel, run_image, tmp_path, step):
    """No room for the cache: it is left out beforehand, and the dump is closed in order."""
    room = bytes_of(memory, ALWAYS) + bytes_of(memory, ["user", "private cache"]) + 2 * MIB
    assert bytes_of(memory, ["cache"]) > 8 * MIB
    disk = small_disk(tmp_path / "dump.img", room)
    result = run_image(disk)
    info, kdump, found = found_in(disk, tmp_path)
    step(f"{result.state}; incomplete: {info['incomplete_classes']}, "
         f"dropped: {info['dropped_classes']}")
    assert "cache" in info["dropped_classes"]
    assert any("cache pages left out" in line for line in result.lines)
    assert "cache" in tools.getdump("info", disk, expect=None).stdout
    check_all_there(memory, found, (*ALWAYS, "user", "private cache"))
    assert not found.kept & contents(memory, "cache")
    check_tasks(kdump, first, kernel, tmp_path)
