"""Disks too small for what the level asks for: the most useful classes are in the dump, what
is not is said on the console and by getdump, and crash opens what there is. All on the
first victim's memory, uncompressed, so that sizes are known beforehand."""

import re

import pytest

import compare
import excluded
import newest
import readers
import tools
from machine import MIB
from test_disk_states import E_FULL, OVERHEAD_MIB

ALWAYS = ("kept", "metadata lost")
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
    """A dump disk whose partition has @room bytes, to the next MiB."""
    tools.make_disk(path, f"{OVERHEAD_MIB + 32}M")
    others = path.stat().st_size - tools.dump_partition(path)[1]
    path.unlink()
    size = -(-int(others + room) // MIB)
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


def test_disk_full_among_cache_pages(first, memory, kernel, run_image, tmp_path, step):
    """Five sixths of the cache fit: the dump ends there, and what it lacks is named."""
    before = (*ALWAYS, "user", "private cache")
    cache = contents(memory, "cache")
    assert cache.bit_count() * compare.PAGE > 8 * MIB
    room = bytes_of(memory, before) + 5 / 6 * bytes_of(memory, ["cache"])
    disk = small_disk(tmp_path / "dump.img", room)
    result = run_image(disk)
    assert (result.state, result.code) == ("incomplete", E_FULL)
    info, kdump, found = found_in(disk, tmp_path)
    step(f"incomplete: {info['incomplete_classes']}, dropped: {info['dropped_classes']}")
    assert "cache" in info["incomplete_classes"]
    assert not set(info["incomplete_classes"]) & set(before)
    assert any("not all pages were written" in line and "cache" in line for line in result.lines)
    listed = tools.getdump("list", disk, expect=None).stdout
    assert re.search(r"E34 .*; cut short: .*\bcache", listed), listed
    check_all_there(memory, found, before)
    assert 0 < (found.kept & cache).bit_count() < cache.bit_count()
    assert not found.kept & contents(memory, "free") & ~excluded.span(0, 256)
    check_tasks(kdump, first, kernel, tmp_path)


def test_classes_that_can_not_fit_are_dropped(first, memory, kernel, run_image, tmp_path, step):
    """No room for the cache: it is left out beforehand, and the dump is closed in order."""
    room = bytes_of(memory, (*ALWAYS, "user", "private cache")) + 2 * MIB
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
