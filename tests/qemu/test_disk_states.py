"""The image against bad luck: each state of memory and dump disk has its own message and
code, and whatever was on the disk before stays there. All run on the first victim's
memory; see capture.py."""

import dataclasses
import struct
import subprocess
import time

import pytest

import capture
import compare
import readers
import tools
from machine import MIB, Disk, disk_node

E_NO_KERNEL, E_VMCOREINFO, E_WIPED, E_NO_DISK, E_WRITE = 10, 11, 17, 20, 27
E_NO_PARTITION, E_SUPERBLOCK, E_FULL = 30, 32, 34
E_READ, E_BOOT_HEADER, E_CPU, E_IMAGE = 26, 44, 45, 47
BOOT_LOCATE = 416  # in the boot sector: where the boot area begins
BLOCK = 512
MAX_CHANGED_HIGH = 64
CUT_MIB = 15
# mkdumpdisk keeps less than this for tables, boot area and EFI system partition.
OVERHEAD_MIB = 68


@pytest.fixture
def changed_memory(first, tmp_path):
    """The victim's memory with bytes replaced: changed_memory({offset: bytes})."""
    def change(pieces):
        ram = tools.copy(first.crash.ram, tmp_path / "changed-ram")
        for offset, data in pieces.items():
            tools.write_bytes(ram, offset, data)
        return dataclasses.replace(first.crash, ram=ram)
    return change


def partition_bytes(disk, block_bytes=BLOCK):
    start, length = tools.dump_partition(disk, block_bytes)
    return tools.read_bytes(disk, start, length)


def outside_partition(disk):
    """The disk's bytes before and after the dump partition."""
    start, length = tools.dump_partition(disk)
    end = start + length
    return tools.read_bytes(disk, 0, start), tools.read_bytes(disk, end, disk.stat().st_size - end)


def dump_bytes(disk, number):
    """A dump's place on the disk, and what is there."""
    found = tools.info(disk, number)["dump"]
    start, _ = tools.dump_partition(disk)
    start += found["first_block"] * BLOCK
    return start, tools.read_bytes(disk, start, found["bytes"])


def check_complete(disk, result, number=1, verify=tools.DONE, action="rebooting"):
    assert (result.state, result.number, result.action) == ("complete", number, action)
    assert tools.info(disk, number)["dump"]["state"] == "complete"
    return tools.getdump("verify", disk, "-n", number, expect=verify)


def check_no_dump(result, code, action="rebooting"):
    assert (result.state, result.code, result.action) == ("none", code, action)
    assert any(line.startswith(f"afterimage: E{code}: ") for line in result.lines)  # what to do


def check_usable_part(disk, folder, number=1):
    """An incomplete dump is listed as that, what is there is good, and comes out with code 3."""
    found = tools.info(disk, number)["dump"]
    assert found["state"] == "incomplete"
    assert "incomplete" in tools.getdump("list", disk).stdout
    assert found["damaged_chunks"] == 0
    raw = tools.extract(disk, "raw", folder / "part.raw", number, expect=tools.INCOMPLETE)
    return found, raw


def check_part_is_true(raw, found, crash):
    """Every page of a part equals the memory; a page that is missing reads as zero."""
    differ = compare.dump_against_ram(raw, crash.ram, crash).high
    with open(raw, "rb") as f:
        wrong = [p for p in differ if any(compare.read_at(f, p * compare.PAGE, compare.PAGE))]
    assert len(wrong) <= MAX_CHANGED_HIGH, compare.ranges_text(wrong)
    assert found["pages"]["in_dump"] > 0
    assert found["pages"]["in_dump"] + found["pages"]["missing"] <= crash.ram_bytes // compare.PAGE


def check_readers_open_part(disk, raw, folder, first):
    """As far as the contents allow: whose dump it is, and the pages that are there."""
    part = {kind: tools.extract(disk, kind, folder / f"part.{kind}", expect=tools.INCOMPLETE)
            for kind in ("kdump", "elf")}
    assert readers.crash_release(part["kdump"]) == first.crash.release
    with open(raw, "rb") as f:
        pa = next(pa for pa in range(MIB, first.crash.ram_bytes, compare.PAGE)
                  if any(compare.read_at(f, pa, compare.PAGE)))
        assert readers.drgn_page(part["elf"], pa) == compare.read_at(f, pa, compare.PAGE)


# --- memory ------------------------------------------------------------------------------


def test_machine_that_was_powered_off(disk, run_image):
    """Nothing in memory at all: no dump, and the disk is left as it was."""
    before = partition_bytes(disk)
    check_no_dump(run_image(disk, crash=None), E_WIPED)
    assert partition_bytes(disk) == before


def found_in(memory, text, replacement):
    """Every place of @text, with what shall stand there."""
    pieces, at = {}, -1
    while (at := memory.find(text, at + 1)) >= 0:
        pieces[at] = replacement
    assert pieces
    return pieces


def check_all_kept(disk, result, crash, folder):
    """The kernel can not be verified: everything is kept, and the operator is told why."""
    check_complete(disk, result)
    assert any(line.startswith("afterimage: E1") for line in result.lines)
    assert tools.info(disk)["dump"]["degraded"]
    raw = tools.extract(disk, "raw", folder / "raw")
    assert len(compare.dump_against_ram(raw, crash.ram, crash).high) <= MAX_CHANGED_HIGH


def test_vmcoreinfo_destroyed(first, disk, run_image, changed_memory, tmp_path):
    pieces = found_in(first.crash.ram.read_bytes(), b"OSRELEASE=", b"osrelease:")
    memory = changed_memory(pieces)
    result = run_image(disk, crash=memory)
    assert any(line.startswith(f"afterimage: E{E_VMCOREINFO} ") for line in result.lines)
    check_all_kept(disk, result, memory, tmp_path)


def without_vmcoreinfo(first):
    memory = first.crash.ram.read_bytes()
    return found_in(memory, b"OSRELEASE=", b"osrelease:") | found_in(
        memory, b"VMCOREINFO\0", b"vmcoreinfo\1")


def test_no_trace_of_vmcoreinfo(first, disk, run_image, changed_memory, tmp_path):
    """The kernel's constants still say that it ran here."""
    memory = changed_memory(without_vmcoreinfo(first))
    result = run_image(disk, crash=memory)
    release = tools.info(first.disk)["dump"]["kernel"]
    assert any(line.startswith(f"afterimage: Linux {release} ran here; ")
               for line in result.lines)
    check_all_kept(disk, result, memory, tmp_path)
    assert tools.info(disk)["dump"]["kernel"] == release


def test_no_trace_of_a_kernel(first, disk, run_image, changed_memory):
    pieces = without_vmcoreinfo(first) | found_in(
        first.crash.ram.read_bytes(), b"Linux version ", b"linux ")
    check_no_dump(run_image(disk, crash=changed_memory(pieces)), E_NO_KERNEL)


@pytest.mark.parametrize("filler", [b"\0", b"\xff"], ids=["empty", "outside-ram"])
def test_page_tables_destroyed(filler, first, disk, run_image, changed_memory, tmp_path):
    root = int(tools.info(first.disk)["dump"]["page_table"], 16)
    memory = changed_memory({root: filler * compare.PAGE})
    check_all_kept(disk, run_image(disk, crash=memory), memory, tmp_path)


# --- the disk ----------------------------------------------------------------------------


def test_writes_stay_inside_the_partition(disk, run_image):
    before = outside_partition(disk)
    check_complete(disk, run_image(disk))
    assert outside_partition(disk) == before


def test_no_dump_partition(disk, run_image):
    """The partition has another type: nothing on the disk changes."""
    out = subprocess.run(["sgdisk", "-p", disk], capture_output=True, text=True, check=True,
                         timeout=60).stdout
    last = [line.split()[0] for line in out.splitlines() if line.strip()[:1].isdigit()][-1]
    subprocess.run(["sgdisk", "-t", f"{last}:8300", disk], check=True, timeout=60,
                   capture_output=True)
    pristine = tools.copy(disk, disk.with_name("pristine.img"))
    check_no_dump(run_image(disk), E_NO_PARTITION)
    assert compare.bytes_equal(disk, pristine)


def test_boot_area_out_of_reach(disk, tmp_path):
    """The boot sector can not read the image: it says so and lets the BIOS go on."""
    tools.write_bytes(disk, BOOT_LOCATE, struct.pack("<Q", 1 << 40))
    with capture.power_on(tmp_path, disk) as machine:
        machine.wait_console(rf"^afterimage: no dump: E{E_READ} .*\n", 20)


def test_boot_sector_not_filled_in(disk, tmp_path):
    tools.write_bytes(disk, BOOT_LOCATE, bytes(16))
    with capture.power_on(tmp_path, disk) as machine:
        machine.wait_console(rf"^afterimage: no dump: E{E_BOOT_HEADER} .*\n", 20)


def test_processor_without_64_bit_mode(disk, tmp_path):
    with capture.power_on(tmp_path, disk, cpu_model="qemu32") as machine:
        machine.wait_console(rf"^afterimage: no dump: E{E_CPU} .*\n", 20)
        machine.wait_console(r"^afterimage: halted\n", 20)


def test_boot_area_wiped(disk, tmp_path):
    """The boot sector does not jump into what is no image."""
    lba, = struct.unpack("<Q", tools.read_bytes(disk, BOOT_LOCATE, 8))
    tools.write_bytes(disk, lba * BLOCK, bytes(MIB // 2))
    with capture.power_on(tmp_path, disk) as machine:
        machine.wait_console(rf"^afterimage: no dump: E{E_BOOT_HEADER} .*\n", 20)


def test_image_damaged(disk, tmp_path):
    """One wrong bit in the image's last bytes, which nothing executes, and it does not start."""
    lba, = struct.unpack("<Q", tools.read_bytes(disk, BOOT_LOCATE, 8))
    at = lba * BLOCK + tools.program("afterimage.mbr").stat().st_size - BLOCK - 1
    last, = tools.read_bytes(disk, at, 1)
    tools.write_bytes(disk, at, bytes([last ^ 1]))
    with capture.power_on(tmp_path, disk) as machine:
        machine.wait_console(rf"^afterimage: no dump: E{E_IMAGE} .*\n", 20)
        machine.wait_console(r"^afterimage: rebooting\n", 20)


def test_disk_behind_many_others(first, disk, tmp_path):
    """As in a server full of NVMe disks: every controller is looked at, the last one counts."""
    others = [f"nvme,serial=other{i},addr={5 + i // 8:x}.{i % 8},multifunction=on"
              for i in range(20)]
    node = disk_node(Disk(disk))
    extra = ["-blockdev", node,
             "-device", "nvme,serial=afterimage,drive=dump,bootindex=1,addr=10.0"]
    for device in others:
        extra += ["-device", device]
    with capture.power_on(tmp_path, None, first.crash, extra=tuple(extra)) as machine:
        machine.freeze_at_reboot()
        result = capture.watch_image(machine, machine.started)
    (tmp_path / "ram").unlink()
    check_complete(disk, result)


@pytest.mark.parametrize("which", ["first", "last"])
def test_one_superblock_damaged(which, disk, run_image):
    """The other one serves."""
    start, length = tools.dump_partition(disk)
    tools.write_bytes(disk, start if which == "first" else start + length - BLOCK, bytes(BLOCK))
    verified = check_complete(disk, run_image(disk), verify=tools.FAILED)
    assert "dump 1: good" in verified.stdout and f"{which} superblock" in verified.stderr
    found = tools.info(disk)
    assert found["disk"][f"{which}_superblock"] != "good"
    assert found["dump"]["degraded"]


def test_both_superblocks_damaged(disk, run_image):
    start, length = tools.dump_partition(disk)
    for at in (start, start + length - BLOCK):
        tools.write_bytes(disk, at + 100, b"\xff")
    before = partition_bytes(disk)
    check_no_dump(run_image(disk), E_SUPERBLOCK)
    assert partition_bytes(disk) == before


def fill_disk(disk, run_image):
    """Captures until the disk is full; the results, of which the last stopped in order."""
    results = [run_image(disk)]
    while results[-1].state == "complete" and len(results) < 7:
        results.append(run_image(disk))
    assert results[-1].state in ("none", "incomplete") and results[-1].code == E_FULL
    return results


def test_several_dumps_then_full_then_cleared(run_image, tmp_path):
    """Dumps that were not fetched are never touched; the space of one that was is reused."""
    disk = tools.make_disk(tmp_path / "dump.img", f"{OVERHEAD_MIB + 170}M", "--level", "1")
    whole = [r.number for r in fill_disk(disk, run_image) if r.state == "complete"]
    assert whole[:3] == [1, 2, 3]
    kept = {number: dump_bytes(disk, number) for number in whole}
    check_no_dump(run_image(disk), E_FULL, "halted")  # the third within an hour, and more
    for number, (start, data) in kept.items():
        assert tools.read_bytes(disk, start, len(data)) == data
        tools.getdump("verify", disk, "-n", number)

    # Two, for what one takes depends on how many pages went out raw to save time.
    for number in whole[:2]:
        tools.getdump("clear", disk, "-n", number)
    result = run_image(disk)
    assert result.number is not None and result.number > max(whole)
    check_complete(disk, result, result.number, action="halted")
    for number in whole[2:]:
        start, data = kept[number]
        assert tools.read_bytes(disk, start, len(data)) == data
        tools.getdump("verify", disk, "-n", number)


def test_disk_smaller_than_the_dump(first, run_image, tmp_path):
    """Closed in order with what fitted; the part extracts, is true, and readers open it."""
    disk = tools.make_disk(tmp_path / "dump.img", f"{OVERHEAD_MIB + 20}M", "--level", "1")
    result = run_image(disk)
    assert (result.state, result.code, result.number) == ("incomplete", E_FULL, 1)
    found, raw = check_usable_part(disk, tmp_path)
    assert found["pages"]["missing"] > 0
    check_part_is_true(raw, found, first.crash)
    check_readers_open_part(disk, raw, tmp_path, first)


def test_disk_image_cut_short(first, tmp_path):
    """A copy of the dump disk that ends in the middle of the dump."""
    start, data = dump_bytes(first.disk, 1)
    cut = tools.copy(first.disk, tmp_path / "cut.img")
    with open(cut, "r+b") as f:
        f.truncate(start + len(data) // 2)
    found, raw = check_usable_part(cut, tmp_path)
    check_part_is_true(raw, found, first.crash)


def test_halt_afterwards(run_image, tmp_path):
    disk = tools.make_disk(tmp_path / "dump.img", "512M", "--after", "halt")
    result = run_image(disk)
    assert (result.state, result.action) == ("complete", "halted")


def test_power_off_afterwards(run_image, tmp_path):
    """By S5, with the tables that SeaBIOS has for this machine."""
    disk = tools.make_disk(tmp_path / "dump.img", "512M", "--after", "poweroff")
    result = run_image(disk)
    assert (result.state, result.action, result.ended) == ("complete", "powering off",
                                                           "guest-shutdown")


# --- the device --------------------------------------------------------------------------


def test_no_nvme_device(disk, run_image):
    """The disk boots through another controller, which the image has no driver for."""
    before = partition_bytes(disk)
    check_no_dump(run_image(disk, controller="usb"), E_NO_DISK)
    assert partition_bytes(disk) == before


def test_write_error_in_the_middle(first, disk, run_image, tmp_path):
    start, _ = tools.dump_partition(disk)
    bad = (start + 40 * MIB) // BLOCK
    rule = {"event": "none", "iotype": "write", "errno": 5, "sector": bad}
    result = run_image(disk, inject_error=rule)
    assert (result.state, result.number) == ("incomplete", 1)
    assert result.written_bytes > 30 * MIB
    found, raw = check_usable_part(disk, tmp_path)
    assert f"E{result.code} " in found["reason"]
    check_part_is_true(raw, found, first.crash)


def test_write_error_at_the_first_write(disk, run_image):
    """Nothing can be written at all; the message says so and the machine goes on."""
    rule = {"event": "none", "iotype": "write", "errno": 5}
    result = run_image(disk, inject_error=rule)
    assert result.state in ("none", "incomplete") and result.code != 0
    assert result.action == "rebooting"


# --- cut short ---------------------------------------------------------------------------


def wait_written(disk, start_blocks, want_bytes, machine):
    """Until the disk file has grown by @want_bytes."""
    deadline = time.monotonic() + 60
    while (disk.stat().st_blocks - start_blocks) * 512 < want_bytes:
        assert time.monotonic() < deadline, machine.console()
        assert machine.process.poll() is None
        time.sleep(0.005)


def test_power_cut(first, disk, tmp_path, step):
    """The machine dies while it writes: readers open what there is. At other moments and on other
    kinds of disks: test_power_cuts.py."""
    before = disk.stat().st_blocks
    with capture.power_on(tmp_path, disk, first.crash) as machine:
        wait_written(disk, before, CUT_MIB * MIB, machine)
        machine.kill()
        assert "afterimage: dump 1" not in machine.console()
    found, raw = check_usable_part(disk, tmp_path)
    step(f"cut at {CUT_MIB} MiB: {found['bytes'] >> 20} MiB good, {found.get('reason')}")
    check_readers_open_part(disk, raw, tmp_path, first)
    done = tools.getdump("verify", disk, expect=None)
    assert done.returncode in (tools.DONE, tools.INCOMPLETE), done.stderr
    check_part_is_true(raw, found, first.crash)


def test_reset_pressed_again(first, disk, tmp_path, step):
    """Reset in the middle of a capture: the next capture keeps the first part and is complete."""
    before = disk.stat().st_blocks
    with capture.power_on(tmp_path, disk, first.crash) as machine:
        wait_written(disk, before, 20 * MIB, machine)
        result = capture.reset_and_capture(machine)
    step(result.lines[-2])
    check_complete(disk, result, 2)
    assert tools.info(disk, 1)["dump"]["state"] == "incomplete"
    raw = tools.extract(disk, "raw", tmp_path / "raw", 2)
    assert len(compare.dump_against_ram(raw, first.crash.ram, first.crash).high) <= MAX_CHANGED_HIGH
