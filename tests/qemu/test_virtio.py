"""virtio disks in the shapes that hypervisors give them: transitional and modern, with tables of
descriptors and without, small queues, doorbells a page apart, blocks of 4096 bytes with DMA that
is to be remapped."""

import struct

import pytest

import capture
import faults
import tools
from machine import MIB, Disk
from test_host_check import crc32c

HEADER = struct.Struct("<4s8sIII16s24x")  # of the boot area, include/bootimage.h
CRC_AT, UUID_AT = 20, 24
SHAPES = {
    "transitional": "disable-legacy=off,indirect_desc=off,queue-size=64",
    "narrow": "page-per-vq=on,modern-pio-notify=on,queue-size=8",
}


def boot(folder, crash, disk, words):
    """@disk is the only one there is, and booted."""
    others = (Disk(disk, "virtio", words=f",bootindex=1,{words}"),)
    with capture.power_on(folder, None, crash, others=others) as machine:
        return capture.watch_image(machine, machine.started)


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(shape, small, tmp_path, step):
    disk = small.copy(tmp_path)
    result = boot(tmp_path, small.crash, disk, SHAPES[shape])
    step(f"{shape}: {result.lines[-2]}")
    assert "afterimage: dump disk virtio 00:02.0" in result.lines
    faults.check_complete(disk, small, result, tmp_path)


def ask_for(booted, disk):
    """Makes the image that is on the disk @booted look for the dump disk @disk."""
    start, _ = tools.dump_partition(disk, 4096)
    at = tools.read_bytes(booted, 0, MIB * 2).index(b"AFTRBOOT") - 4
    header = bytearray(tools.read_bytes(booted, at, HEADER.size))
    header[UUID_AT:UUID_AT + 16] = tools.read_bytes(disk, start + 16, 16)
    struct.pack_into("<I", header, CRC_AT, 0)
    struct.pack_into("<I", header, CRC_AT, crc32c(bytes(header)))
    tools.write_bytes(booted, at, header)


def test_blocks_of_4096_bytes(small, disk, tmp_path, step):
    """SeaBIOS boots no such disk: it boots another one, which the image can not drive."""
    path = tools.make_disk(tmp_path / "blocks.img", "192M", "--sector-size", "4096", "--level", "1")
    ask_for(disk, path)
    others = (Disk(path, "virtio", 4096, "blocks", words=",iommu_platform=on"),)
    with capture.power_on(tmp_path, disk, small.crash, controller="usb",
                          others=others, extra=("-device", "intel-iommu")) as machine:
        result = capture.watch_image(machine, machine.started)
    step(result.lines[-2])
    assert result.state == "complete", result.lines
    tools.getdump("verify", path)
    assert faults.check_true(path, small, tmp_path, 1) > 1000
