"""The UEFI door's main job: a real kernel hangs, the machine is reset, firmware starts the
image from the dump disk's EFI system partition, and every page is followed: from the hang to
the image's first function, from there into the dump and to the image's end."""

import shutil

import pytest

import compare
import newest
import readers
import tools
import uefi
import victim
from machine import GIB, MIB
from test_first_dump import check_crash, check_drgn

PAGE = compare.PAGE
BIG = 4 * GIB + 512 * MIB
OURS = "overwritten by afterimage"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("extracted")
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def files(uefi_first, folder):
    return {kind: tools.extract(uefi_first.disk, kind, folder / f"dump.{kind}")
            for kind in ("raw", "kdump", "elf")}


@pytest.fixture(scope="module")
def big(tmp_path_factory, kernel, step):
    """Memory on both sides of 4 GiB, two processors, a victim that keeps off nothing."""
    path = tmp_path_factory.mktemp("big")
    disk = tools.make_disk(path / "dump.img", "6G", "--level", "1")
    yield uefi.play(path, disk, uefi.make_cd(kernel, path), step, ram_bytes=BIG, cpus=2)
    shutil.rmtree(path)


@pytest.fixture(params=["uefi_first", "big"])
def story(request):
    return request.getfixturevalue(request.param)


def inside(page, ranges):
    return any(start <= page * PAGE < end for start, end in ranges)


def check_console(story):
    result = story.result
    assert result.state == "complete" and result.number == 1
    assert result.action == "rebooting" and result.ended == "guest-reset"
    assert f"afterimage: kernel {story.crash.release} of host test-victim" in result.lines
    assert any(line.startswith("afterimage: dump disk nvme") for line in result.lines)


def check_info(story):
    info = tools.info(story.disk)["dump"]
    assert info["via"] == "uefi" and info["state"] == "complete"
    assert info["pages"]["in_dump"] == story.result.kept_pages
    assert info["pages"]["ram"] == story.result.ram_pages
    assert info["pages"]["missing"] == 0
    assert info["degraded"] == []
    assert 0 < info["classes"][OURS] <= uefi.OWN_BYTES // PAGE
    assert story.crash.nonce in tools.getdump("dmesg", story.disk).stdout


def test_dump_is_complete(story):
    check_console(story)
    check_info(story)
    tools.getdump("verify", story.disk)


def test_the_image_writes_to_its_own_memory_alone(story, step):
    """Byte for byte, all of the machine's RAM, from its first function on; and to every byte
    of it firmware has written before."""
    start, end = story.own
    changed = list(compare.changed_bytes(story.before, story.after, story.crash.ram_bytes))
    step(f"the image wrote to {len(changed)} pages of its own {(end - start) // PAGE}")
    assert [f"{a:#x}-{b:#x}" for a, b in changed if a < start or b > end] == []
    assert changed


def describe(found):
    """In short: firmware's traces are many pieces."""
    pieces = compare.ranges(found.high)
    return (f"dump against the memory at the hang: {found.equal} pages equal, {len(found.low)} "
            f"differ below 1 MiB, {len(found.high)} above in {len(pieces)} pieces")


def check_raw(story, raw):
    found = compare.dump_against_ram(raw, story.before, story.crash)
    assert [hex(page * PAGE) for page in found.low + found.high
            if not inside(page, [story.own])] == []


def test_every_page_is_as_the_image_found_it(uefi_first, files):
    check_raw(uefi_first, files["raw"])


def test_no_page_outside_the_reservation_is_lost(uefi_first, files, step):
    found = compare.dump_against_ram(files["raw"], uefi_first.crash.ram, uefi_first.crash)
    step(describe(found))
    reserved = uefi.reservation(uefi_first.lost)
    assert [hex(page * PAGE) for page in found.low + found.high
            if not inside(page, reserved)] == []


@pytest.mark.parametrize("kind", ["kdump", "elf"])
def test_readers_open_it(kind, files, uefi_first, kernel, folder, step):
    report = readers.drgn(files[kind], kernel.vmlinux)
    check_drgn(report, kernel, uefi_first.crash.nonce)
    shown = readers.crash(files[kind], kernel.vmlinux, folder, report["banner_va"],
                          newest.command("crash"))
    step(f"crash on {kind}: {len(shown['tasks'])} tasks")
    check_crash(shown, kernel, uefi_first.crash.nonce)
    listed = sorted(name.strip("[]") for name in shown["tasks"])
    assert listed == sorted([name for _, name in report["tasks"]] + ["swapper/0"])


def test_gdb_opens_the_elf_file(files, uefi_first, kernel):
    report = readers.gdb(files["elf"], kernel.vmlinux)
    assert report["banner"].startswith(f"Linux version {uefi_first.crash.release}")
    assert report["init_task"] == "swapper/0"


def test_memory_above_4_gib(big, kernel, folder, step):
    assert any(end > 4 * GIB for _, end in big.crash.usable)
    raw = tools.extract(big.disk, "raw", folder / "big.raw")
    check_raw(big, raw)
    found = compare.dump_against_ram(raw, big.crash.ram, big.crash)
    step(describe(found))
    assert all(page * PAGE < 4 * GIB for page in found.high)
    raw.unlink()
    report = readers.drgn(tools.extract(big.disk, "kdump", folder / "big.kdump"), kernel.vmlinux)
    assert {name for _, name in report["tasks"]} >= set(victim.PROCESSES)
    assert len(report["current"]) == 2
    assert any(big.crash.nonce in line for line in report["log"])
