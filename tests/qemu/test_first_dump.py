"""The main job: a real kernel hangs, the machine is reset, the dump disk captures, and
every reader opens what comes out, with every page as it was."""

import calendar
import shutil
import time

import pytest

import capture
import compare
import newest
import readers
import tools
import victim
from machine import Setup

MAX_CHANGED_HIGH = 64
MAX_IMAGE_BYTES = 160 << 10
LOW_PAGES = 256
GRAIN = 64 << 10  # of the reservation
CLOCK_TOLERANCE_S = 120
OURS = "overwritten by afterimage"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("extracted")
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def files(first, folder, step):
    """The dump in every format."""
    out = {kind: tools.extract(first.disk, kind, folder / f"dump.{kind}")
           for kind in ("raw", "kdump", "elf", "flat")}
    step("extracted as " + ", ".join(out))
    return out


@pytest.fixture(scope="module")
def info(first):
    return tools.info(first.disk)["dump"]


def check_drgn(report, kernel, nonce, user_pages=True):
    names = {name for _, name in report["tasks"]}
    assert names >= {"init", "kthreadd", *victim.PROCESSES}
    assert report["release"] == kernel.release
    assert report["nodename"] == "test-victim"
    assert kernel.release in report["banner"]
    assert report["current"] == ["sh"]  # the loop that hung the machine
    assert any(nonce in line for line in report["log"])
    if user_pages:
        assert report["init_cmdline"] == ["/bin/sh", "/init"]


def check_crash(report, kernel, nonce):
    # Debian 12's crash lists only a few tasks of kernels newer than it knows.
    assert report["tasks"], report["text"][:2000]
    assert report["release"] == kernel.release
    assert report["nodename"] == "test-victim"
    assert report["cpu_number"] == "0"
    assert int(report["jiffies"]) > 0
    assert any(nonce in line for line in report["log"])


def test_console_says_what_happened(first):
    result = first.result
    assert result.state == "complete" and result.number == 1
    assert result.action == "rebooting" and result.ended == "guest-reset"
    assert any(f"kernel {first.crash.release}" in line for line in result.lines)
    assert 0 < result.kept_pages < result.ram_pages


def test_image_is_small():
    assert tools.program("afterimage.mbr").stat().st_size <= MAX_IMAGE_BYTES


def test_dump_is_listed_and_verifies(first, info):
    assert first.crash.release in tools.getdump("list", first.disk).stdout
    tools.getdump("verify", first.disk)
    assert info["state"] == "complete" and info["number"] == 1
    assert tools.info(first.disk)["disk"]["uuid"] == tools.dump_entry(first.disk)[2]
    assert info["kernel"] == first.crash.release and info["host"] == "test-victim"
    assert info["pages"]["in_dump"] == first.result.kept_pages
    assert info["pages"]["ram"] == first.result.ram_pages
    assert info["pages"]["missing"] == 0
    taken = calendar.timegm(time.strptime(info["time"], "%Y-%m-%dT%H:%M:%SZ"))
    assert abs(taken - first.reset_at) < CLOCK_TOLERANCE_S


def test_every_page_is_as_it_was(first, files, info, step):
    found = compare.dump_against_ram(files["raw"], first.crash.ram, first.crash)
    step("dump against the memory at the hang: " + found.describe())
    assert len(found.high) <= MAX_CHANGED_HIGH
    assert info["classes"].get(OURS, 0) < LOW_PAGES
    total = found.equal + len(found.low) + len(found.high)
    assert total == sum((end - start) // compare.PAGE
                        for start, end in compare.whole_pages(first.crash.usable))


@pytest.fixture(scope="module")
def firmware_pages(first, step):
    """Pages above 1 MiB that firmware overwrites up to a boot sector that does nothing."""
    found = compare.truth_against_ram(first.crash, first.firmware_ram)
    step("firmware alone overwrites: " + found.describe())
    return set(found.high)


def test_no_page_above_1_mib_is_lost_to_the_image(first, files, firmware_pages):
    dump = compare.dump_against_ram(files["raw"], first.crash.ram, first.crash)
    # Firmware's memory grows by a page or two with the devices it finds: here also a CD.
    for page in set(dump.high) - firmware_pages:
        assert min(abs(page - known) for known in firmware_pages) <= 2, hex(page)
    after = compare.dump_against_ram(files["raw"], first.ram_after, first.crash)
    assert after.high == []


@pytest.mark.parametrize("kind", ["kdump", "elf"])
def test_crash_opens_it(kind, files, first, kernel, folder, step):
    va = readers.drgn(files[kind], kernel.vmlinux)["banner_va"]
    report = readers.crash(files[kind], kernel.vmlinux, folder, va)
    step(f"crash on {kind}: {len(report['tasks'])} tasks, {len(report['log'])} log lines")
    check_crash(report, kernel, first.crash.nonce)
    # The page tables in the dump lead to the banner's bytes.
    pa = int(report["pa"], 16)
    assert tools.read_bytes(files["raw"], pa, 64).startswith(
        f"Linux version {first.crash.release}".encode())


@pytest.mark.parametrize("kind", ["kdump", "elf"])
def test_newest_crash_lists_every_process(kind, files, first, kernel, folder, step):
    drgn_report = readers.drgn(files[kind], kernel.vmlinux)
    report = readers.crash(files[kind], kernel.vmlinux, folder, drgn_report["banner_va"],
                           newest.command("crash"))
    step(f"newest crash on {kind}: {len(report['tasks'])} tasks")
    check_crash(report, kernel, first.crash.nonce)
    # crash lists the idle task of the one processor too, and kernel threads in brackets.
    listed = sorted(name.strip("[]") for name in report["tasks"])
    assert listed == sorted([name for _, name in drgn_report["tasks"]] + ["swapper/0"])


@pytest.mark.parametrize("kind", ["kdump", "elf"])
def test_drgn_opens_it(kind, files, first, kernel, step):
    report = readers.drgn(files[kind], kernel.vmlinux)
    step(f"drgn on {kind}: {len(report['tasks'])} tasks")
    check_drgn(report, kernel, first.crash.nonce)


def test_gdb_opens_the_elf_file(files, first, kernel):
    report = readers.gdb(files["elf"], kernel.vmlinux)
    assert report["loads"] >= 2
    assert report["banner"].startswith(f"Linux version {first.crash.release}")
    assert report["release"].startswith(first.crash.release)
    assert report["init_task"] == "swapper/0"


@pytest.mark.parametrize("kind", ["kdump", "elf"])
def test_makedumpfile_takes_it(kind, files, first, kernel, folder):
    lines = readers.makedumpfile_dmesg(files[kind], folder)
    assert any(first.crash.nonce in line for line in lines)
    again = readers.makedumpfile_filter(files[kind], folder / f"again.{kind}", level=1)
    check_drgn(readers.drgn(again, kernel.vmlinux), kernel, first.crash.nonce)


@pytest.fixture(scope="module")
def reserved(kernel, firmware_pages, folder, step):
    """A dump of a victim that was told to stay off the place firmware overwrites. Without
    that a part of Linux's page map is lost, and makedumpfile, believing what stands there
    now, may leave pages out that are in use."""
    start = min(firmware_pages) * compare.PAGE // GRAIN * GRAIN
    size = -(-(max(firmware_pages) + 1) * compare.PAGE // GRAIN) * GRAIN - start
    disk = tools.make_disk(folder / "reserved.img", "1G", "--level", "1")
    (folder / "reserved").mkdir()
    cd = victim.make_cd(kernel, folder / "reserved", f"memmap={size >> 10}K${start:#x}")
    machine, nonce, _ = capture.start_victim(
        Setup(ram_file=folder / "ram", disk=disk, cd=cd), step)
    with machine:
        capture.hang(machine)
        result = capture.reset_and_capture(machine)
        assert "user-defined physical RAM map" in machine.console()
    (folder / "ram").unlink()
    step(f"victim off {start:#x}-{start + size:#x}: dump {result.state}")
    assert result.state == "complete"
    return disk, nonce


@pytest.mark.parametrize("age", ["debian-12", "newest"])
@pytest.mark.parametrize("kind", ["kdump", "elf"])
def test_makedumpfile_filters_it_again(kind, age, reserved, kernel, folder):
    disk, nonce = reserved
    command = newest.command("makedumpfile") if age == "newest" else ["makedumpfile"]
    whole = folder / f"reserved.{kind}"
    if not whole.exists():
        tools.extract(disk, kind, whole)
    smaller = readers.makedumpfile_filter(whole, folder / f"filtered.{age}.{kind}", command)
    assert smaller.stat().st_blocks < whole.stat().st_blocks
    check_drgn(readers.drgn(smaller, kernel.vmlinux), kernel, nonce, user_pages=False)


def test_flat_file_joins_to_the_same_dump(files, first, kernel, folder):
    joined = readers.makedumpfile_join(files["flat"], folder / "joined")
    check_drgn(readers.drgn(joined, kernel.vmlinux), kernel, first.crash.nonce)


@pytest.mark.parametrize("method", ["zstd", "lzo", "none"])
def test_other_compressors_of_the_kdump_file(method, first, kernel, folder):
    target = tools.extract(first.disk, "kdump", folder / f"dump.{method}", compress=method)
    check_drgn(readers.drgn(target, kernel.vmlinux), kernel, first.crash.nonce)


@pytest.mark.parametrize("method", ["zlib", "none"])
def test_other_compressors_of_the_image(method, first, firmware_pages, run_image, tmp_path,
                                        step):
    """And, with exactly the devices of the firmware-only run, exactly its pages are lost."""
    disk = tools.make_disk(tmp_path / "dump.img", "2G", "--level", "1", "--compress", method)
    assert run_image(disk).state == "complete"
    assert tools.info(disk)["dump"]["compress"] == method
    raw = tools.extract(disk, "raw", tmp_path / "raw")
    found = compare.dump_against_ram(raw, first.crash.ram, first.crash)
    step(f"{method}: {found.describe()}")
    assert set(found.high) <= firmware_pages
