"""NVMe as machines have it: several namespaces, one of them in a format that can not be used,
controllers behind bridges, a namespace that two controllers share. GRUB loads the image from a
CD: firmware boots from the first namespace of a controller only."""

import json
import re
import shutil

import pytest

import kexec
import tools
from machine import Machine, Setup

E_FORMAT = 28


def block(name, path):
    return ["-blockdev", json.dumps({"driver": "raw", "node-name": name,
                                     "file": {"driver": "file", "filename": str(path)}})]


def devices(*lines):
    return [word for line in lines for word in ("-device", line)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A dump disk, and a CD that starts the image for it and its copies."""
    folder = tmp_path_factory.mktemp("nvme")
    disk = tools.make_disk(folder / "dump.img", "512M")
    yield disk, kexec.make_grub_cd(folder, f"dump={tools.dump_entry(disk)[2]}")
    shutil.rmtree(folder)


@pytest.fixture
def disk(made, tmp_path):
    return tools.copy(made[0], tmp_path / "dump.img")


@pytest.fixture
def run(first, made, tmp_path, step):
    """Captures the kept memory with these words for QEMU."""
    def capture_on(words):
        ram = tools.copy(first.crash.ram, tmp_path / "ram")
        setup = Setup(ram_file=ram, ram_bytes=first.crash.ram_bytes, cd=made[1],
                      extra=tuple(words))
        with Machine(setup) as machine:
            result = kexec.follow_image(machine, 0)
        step(result.lines[-2])
        return result
    return capture_on


def other_disk(path):
    path.touch()
    with open(path, "r+b") as f:
        f.truncate(64 << 20)
    return path


def test_two_paths_to_the_third_namespace(disk, tmp_path, run):
    before = tools.read_bytes(disk, 0, tools.dump_partition(disk)[0])
    words = block("one", other_disk(tmp_path / "one")) + block("two", other_disk(tmp_path / "two"))
    words += block("dump", disk) + devices(
        "pcie-root-port,id=root,chassis=1,slot=1", "x3130-upstream,id=up,bus=root",
        "xio3130-downstream,id=down,bus=up,chassis=2,slot=1", "nvme-subsys,id=s,nqn=s",
        "nvme,id=far,serial=afterimage,subsys=s,bus=down", "nvme,id=near,serial=afterimage,subsys=s",
        "nvme-ns,bus=far,drive=one,nsid=1,ms=8", "nvme-ns,bus=far,drive=two,nsid=2",
        "nvme-ns,bus=far,drive=dump,nsid=7")
    result = run(words)
    assert result.state == "complete", result.lines
    text = "\n".join(result.lines)
    near = re.search(r"dump disk nvme (00:\S+) ns 7$", text, re.M)[1]
    far = re.search(r"nvme (\S+) ns 7 is another path to the dump disk$", text, re.M)[1]
    assert int(far.split(":")[0], 16) >= 3  # behind three bridges
    for name in near, far:
        assert f"afterimage: nvme {name} ns 1: E{E_FORMAT} the disk has a format that is not " \
            "supported" in result.lines
    assert "is present and not used" not in text
    tools.getdump("verify", disk)
    assert tools.read_bytes(disk, 0, len(before)) == before


def test_format_with_metadata(disk, run):
    words = block("dump", disk) + devices("nvme,id=n,serial=afterimage",
                                          "nvme-ns,bus=n,drive=dump,nsid=1,ms=8")
    result = run(words)
    assert (result.state, result.code) == ("none", E_FORMAT)
    assert any(f" ns 1: E{E_FORMAT} " in line for line in result.lines)
    assert any("without metadata" in line for line in result.lines)  # what to do
