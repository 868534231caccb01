"""mkdumpdisk --check on a real Debian: what it says of a machine with BIOS, with and without the
reservation that a survey asks for; and of one with UEFI whose kernel has asked the firmware to
wipe memory, before and after the command that it names."""

import json
import os
import re
import struct
import subprocess
from pathlib import Path

import pytest

import debian
import kernels
import tools
import uefi
from test_uefi_variety import MOR, MOR_OWNER

MIB = 1 << 20
FIND_DISK = """for d in /sys/block/nvme*; do read s <$d/device/serial; \
[ "$s" = afterimage ] && echo /dev/${d##*/}; done; true"""
LOST = ((16 * MIB, 7 * MIB), (960 * MIB, 3 * MIB))
WORDS = "memmap=7M$0x1000000,3M$0x3c000000"
SUPER_UUID, SUPER_BLOCKS, SURVEY_BLOCKS = 16, 32, 136
PIECE = 150
CHATTR = "/usr/bin/chattr"


def with_libraries(program):
    """The program and what it is linked with, but for the C library: where it belongs, and what
    to copy there."""
    text = subprocess.run(["ldd", program], capture_output=True, text=True, check=True,
                          timeout=60).stdout
    files = {program.lstrip("/"): program}
    for path in re.findall(r"=> (/\S+)", text):
        if "/libc.so" not in path:
            files["usr/lib/x86_64-linux-gnu/" + os.path.basename(path)] = os.path.realpath(path)
    return files


def efivarfs(kernel):
    """The kernel's module by which the firmware's variables can be seen."""
    module = kernels.cache_dir() / "modules" / f"{kernel.release}_{kernel.version}" / "efivarfs.ko"
    with kernels.cache_lock():
        if module.exists():
            return module
        module.parent.mkdir(parents=True, exist_ok=True)
        package = kernels.download(kernels.resolve(f"linux-image-{kernel.release}"),
                                   kernels.cache_dir())
        packed = module.with_suffix(".packed")
        kernels.extract(package, "*/efivarfs.ko*", packed)
        package.unlink()
        with open(packed, "rb") as f:
            xz = f.read(6) == b"\xfd7zXZ\0"
        if xz:
            with open(module, "wb") as out:
                subprocess.run(["xz", "-dc", packed], stdout=out, check=True, timeout=60)
            packed.unlink()
        else:
            os.replace(packed, module)
    return module


@pytest.fixture(scope="module")
def root_disk(tmp_path_factory, kernel):
    """The system with mkdumpdisk, efivarfs and chattr, whose package a small one lacks."""
    return debian.make_root(tmp_path_factory.mktemp("debian") / "root.img", {
        "usr/local/sbin/mkdumpdisk": tools.program("mkdumpdisk"),
        "usr/local/lib/efivarfs.ko": efivarfs(kernel), **with_libraries(CHATTR)},
                            masked=debian.NEEDLESS_UNITS)


@pytest.fixture
def boot(tmp_path, kernel, root_disk):
    """boot(disk, words, more): the system on a machine with the dump disk."""
    machines = []

    def start(disk, words="", more=()):
        for machine in machines:
            machine.close()
        Path(tmp_path / "ram").unlink(missing_ok=True)
        root = tools.copy(root_disk, tmp_path / "root.img")
        machines.append(debian.Debian(tmp_path, kernel, root, disk, words, more))
        machines[-1].wait_ready()
        return machines[-1], machines[-1].do(FIND_DISK)

    yield start
    for machine in machines:
        machine.close()


def look(machine, name, code, user=""):
    """The findings by name. They come in pieces, as the serial port damages long texts."""
    ended, _ = machine.ask(f"{user}mkdumpdisk --check --json {name} >/run/json")
    machine.do("tr -s '\\n ' ' ' </run/json >/run/line")
    text = "".join(machine.do(f"tail -c +{at + 1} /run/line | head -c {PIECE}")
                   for at in range(0, int(machine.do("wc -c </run/line")), PIECE))
    report = json.loads(text)
    assert ended == code and report["ok"] == (code == 0), report
    return {one["name"]: one for one in report["findings"]}


def states(found):
    return {name: one["state"] for name, one in found.items() if one["state"] != "ok"}


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def put_survey(disk, ranges, ram_bytes):
    """The record of a survey by BIOS that is done, as the image would write it."""
    start, _ = tools.dump_partition(disk)
    first = tools.read_bytes(disk, start, 512)
    blocks, slots = struct.unpack_from("<QI", first, SUPER_BLOCKS)
    room = struct.unpack_from("<I", first, SURVEY_BLOCKS)[0]
    data = b"".join(struct.pack("<QQII", at, size, 2, 0) for at, size in ranges)
    pages = ram_bytes // 4096
    v = struct.pack("<8sII16sIIII", b"AFTRSRV1", 1, 4, first[SUPER_UUID:SUPER_UUID + 16], 0, 1,
                    2, 2)
    v += struct.pack("<QQQQQQQIII", 1, 1, 1, pages, pages, pages,
                     sum(size for _, size in ranges) // 4096, len(ranges), 0, crc32c(data))
    v += bytes(512 - len(v))
    v = v[:508] + struct.pack("<I", crc32c(v))
    tools.write_bytes(disk, start + (blocks - 1 - slots - room) * 512,
                      v + bytes(4096 - 512) + data)


def test_bios(boot, kernel, tmp_path, step):
    disk = tools.make_disk(tmp_path / "dump.img", "512M")
    machine, name = boot(disk)
    found = look(machine, name, 0)
    assert states(found) == {"machine": "warning", "survey": "warning"}, found
    assert "QEMU" in found["machine"]["text"]
    assert kernel.release in found["kernel"]["text"]
    assert "by BIOS" in found["boot"]["text"]
    assert found["disk"]["text"] == "is on NVMe, as the image needs it"
    assert re.match(r"4\d\d\.\d MiB, enough for what level 31 keeps", found["room"]["text"])
    assert "none was made" in found["survey"]["text"]
    assert states(look(machine, name + "p3", 0)) == states(found)
    found = look(machine, name + "p1", 1)
    assert "has no dump partition" in found["target"]["text"]
    code, text = machine.ask(f"setpriv --reuid=65534 --clear-groups mkdumpdisk --check {name}")
    assert code == 1 and "run this as root" in text
    look(machine, "", 0, "setpriv --reuid=65534 --clear-groups ")
    step("looked at by root and by nobody")


def test_reservation(boot, tmp_path, step):
    disk = tools.make_disk(tmp_path / "dump.img", "512M")
    put_survey(disk, LOST, 1 << 30)
    machine, name = boot(disk)
    survey = look(machine, name, 0)["survey"]
    assert survey["state"] == "warning" and "2 pieces, 10.0 MiB" in survey["text"], survey
    assert f"add {WORDS} to the kernel command line" in survey["todo"]
    step(survey["todo"])
    machine, name = boot(disk, WORDS)
    assert WORDS in machine.do("cat /proc/cmdline")
    for user in ("", "setpriv --reuid=65534 --regid=6 --clear-groups "):
        machine.do(f"chgrp 6 {name}*; chmod g+r {name}*")
        survey = look(machine, name, 0, user)["survey"]
        assert survey["state"] == "ok", survey
    step(survey["text"])
    machine, name = boot(disk, "memmap=7M$0x1000000")
    survey = look(machine, name, 0)["survey"]
    assert "add memmap=3M$0x3c000000 to" in survey["todo"], survey


def test_overwrite_request(boot, tmp_path, step):
    disk = tools.make_disk(tmp_path / "dump.img", "512M")
    with uefi.tpm(tmp_path) as words:
        more = (*uefi.flash(tmp_path, uefi.SECURE_OFF), *words)
        uefi.add_variable(tmp_path, MOR, MOR_OWNER, b"\0")
        machine, name = boot(disk, more=more)
        machine.do("insmod /usr/local/lib/efivarfs.ko; "
                   "mount -t efivarfs efivarfs /sys/firmware/efi/efivars")
        found = look(machine, name, 1)
        assert states(found) == {"overwrite request": "stops", "machine": "warning",
                                 "survey": "warning"}, found
        one = found["overwrite request"]
        assert one["text"].endswith("MemoryOverwriteRequestControl is 0x01"), one
        assert found["secure boot"]["text"] == "off (setup mode: no keys)"
        assert found["boot"]["text"].startswith("by UEFI"), found["boot"]
        step(one["text"])
        command = re.search(r"(V=\S+; chattr.*>\$V)\.", one["todo"])[1]
        machine.do(command)
        found = look(machine, name, 0)
        assert found["overwrite request"]["text"].startswith("the firmware is not asked to wipe")
        machine.close()
        assert uefi.variable(tmp_path, MOR) == b"\0"
