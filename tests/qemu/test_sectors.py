"""Every kind of disk by itself and beside others: block sizes, two controllers of a kind, and
several dump disks, of which the one that is named is taken."""

import re

import pytest

import capture
import compare
import faults
import kexec
import tools
from machine import Disk

NVME, AHCI, VIRTIO = faults.KINDS
SECOND = {NVME: NVME, AHCI: "ahci2", VIRTIO: VIRTIO}  # another controller of the kind
PLACE = {NVME: r"nvme 00:0[0-9a-f]\.0 ns 1", AHCI: r"ahci 00:1f\.2 port \d",
         "ahci2": r"ahci 00:0[0-9a-f]\.0 port \d", VIRTIO: r"virtio 00:0[0-9a-f]\.0"}
SIZE = "140M"
MAX_GRUB_PAGES = 1024  # that firmware and GRUB overwrite


def make_disk(path, *options):
    return tools.make_disk(path, SIZE, "--level", "31", *options)


def run(folder, small, disk, kind=NVME, **options):
    with faults.power_on(folder, disk, small, kind, **options) as machine:
        door = "linux" if options.get("cd") else "bios"
        return capture.watch_image(machine, machine.started, door=door)


def check(disk, small, result, folder, lost=faults.MAX_CHANGED_HIGH):
    """The dump that @small's memory makes, on a disk that held nothing; @lost pages above 1 MiB
    may have been overwritten before."""
    assert (result.state, result.number) == ("complete", 1), result.lines
    tools.getdump("verify", disk)
    pages = faults.check_true(disk, small, folder, 1, lost)
    assert result.kept_pages >= pages > small.kept_pages // 2


def dump_disk(result):
    """Where the image says that the dump disk is."""
    found = [line for line in result.lines if line.startswith("afterimage: dump disk ")]
    assert len(found) == 1, result.lines
    return found[0]


def not_used(result):
    """How many other dump disks the image names."""
    return sum(line.endswith(" is present and not used") for line in result.lines)


# --- block sizes -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [NVME, AHCI] if faults.EVERYTHING else [NVME])
def test_physical_blocks_of_4096_bytes(kind, small, tmp_path, step):
    """A SATA disk of QEMU's has such blocks only inside; of virtio's see below: SeaBIOS does not
    boot from them."""
    block = 4096 if kind == NVME else 512
    disk = make_disk(tmp_path / "dump.img", "--sector-size", str(block))
    words = "" if kind == NVME else ",physical_block_size=4096"
    result = run(tmp_path, small, disk, kind, block_bytes=block, words=words)
    step(f"{dump_disk(result)}: {result.lines[-2]}")
    check(disk, small, result, tmp_path)


# --- several controllers and disks -------------------------------------------------------


@pytest.mark.parametrize("kind", faults.kinds(AHCI))
def test_two_controllers(kind, small, tmp_path, step):
    """Both of one kind, each with a dump disk: the one that was booted is the second."""
    disk, other = make_disk(tmp_path / "dump.img"), make_disk(tmp_path / "other.img")
    pristine = tools.copy(other, tmp_path / "pristine.img")
    result = run(tmp_path, small, disk, SECOND[kind],
                 before=(Disk(other, kind, name="other"),))
    step("; ".join(result.lines[1:3]))
    assert re.fullmatch(rf"afterimage: dump disk {PLACE[SECOND[kind]]}", dump_disk(result))
    check(disk, small, result, tmp_path)
    assert not_used(result) == 1 and compare.bytes_equal(other, pristine)


@pytest.mark.parametrize("named", faults.kinds(VIRTIO))
def test_uuid_decides(named, small, tmp_path, step):
    """Three dump disks, one of each kind: GRUB hands over the UUID of one. Where a disk can have
    blocks of 4096 bytes, it has."""
    block = {NVME: 4096, AHCI: 512, VIRTIO: 4096}
    disks = {kind: make_disk(tmp_path / f"{kind}.img", "--sector-size", str(block[kind]))
             for kind in faults.KINDS}
    pristine = {kind: tools.copy(disk, tmp_path / f"{kind}.pristine")
                for kind, disk in disks.items()}
    cd = kexec.make_grub_cd(tmp_path, f"dump={tools.dump_entry(disks[named], block[named])[2]}")
    others = tuple(Disk(disks[kind], kind, block[kind], name=kind) for kind in faults.KINDS)
    result = run(tmp_path, small, None, cd=cd, others=others)
    step("; ".join(result.lines[1:4]))
    check(disks[named], small, result, tmp_path, MAX_GRUB_PAGES)
    assert not_used(result) == 2
    assert all(compare.bytes_equal(disks[kind], pristine[kind])
               for kind in faults.KINDS if kind != named)
