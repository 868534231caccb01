"""The kexec door in 4 MiB of reserved memory, in a small and, in the long run, in a big guest: the
image takes the same memory in both."""

import shutil

import pytest

import imagemem
import kexec
import matrix
import tools
from machine import GIB, Setup

CRASHKERNEL = "4M"
SIZES = {"small": (GIB, 1)}  # RAM, which is sparse, and processors
if matrix.everything():
    SIZES["big"] = (24 * GIB, 4)
STACK_MARGIN = 2  # the stack is this many times what was used
COMPRESS = "zlib"  # which takes most


def play(size, kernel, folder, step):
    ram_bytes, cpus = SIZES[size]
    disk = tools.make_disk(folder / "dump.img", "4G", "--compress", COMPRESS)
    setup = Setup(ram_file=folder / "ram", ram_bytes=ram_bytes, disk=disk, cpus=cpus,
                  cd=kexec.make_cd(kernel, folder, crashkernel=CRASHKERNEL))
    loaded = kexec.start(setup, "kexec_load", step=step)
    with loaded.machine as machine:
        result = kexec.crash_and_capture(machine)
        use = imagemem.read(folder / "ram")
    step(f"{ram_bytes // GIB} GiB, {cpus} processors: dump {result.state}; {use}")
    return result, use


@pytest.fixture(scope="module")
def stories(tmp_path_factory, kernel, step):
    found = {}
    for size in SIZES:
        folder = tmp_path_factory.mktemp(size)
        found[size] = play(size, kernel, folder, step)
        shutil.rmtree(folder)
    return found


@pytest.mark.parametrize("size", SIZES)
def test_dump_is_complete(size, stories):
    result, _ = stories[size]
    ram_bytes, _ = SIZES[size]
    assert result.state == "complete"
    assert not any("no memory" in line or "uncompressed" in line for line in result.lines)
    assert result.ram_pages > 0.98 * ram_bytes / imagemem.PAGE


def test_memory_does_not_grow(stories):
    uses = [use for _, use in stories.values()]
    assert len({use.arena_used for use in uses}) == 1
    for use in uses:
        assert 0 < use.arena_used < use.arena_bytes
        assert 0 < use.stack_used * STACK_MARGIN <= use.stack_bytes
