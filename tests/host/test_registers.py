"""The processors' registers and the kernel's own account of its crash: from the log's notes to
getdump info, KDUMP, ELF and gdb."""
import json
import re
import struct
import subprocess

import pytest

import logimage as li
from dumpfiles import Elf, Kdump
from test_getdump import out

PRSTATUS_BYTES = 336
REGISTERS_AT, RIP, RSP = 112, 16, 19  # struct elf_prstatus; user_regs_struct
PSINFO_PID_AT = 24  # struct elf_prpsinfo
CRASHED = li.INFO + b"CRASHTIME=1763733723\n"


def rip(cpu):
    return 0xFFFFFFFF81000000 + 0x111 * cpu


def prstatus(cpu, pid=None):
    """The ELF note of one processor as Linux leaves it in crash_notes."""
    data = bytearray(PRSTATUS_BYTES)
    struct.pack_into("<I", data, 32, cpu + 1 if pid is None else pid)
    struct.pack_into("<Q", data, REGISTERS_AT + 8 * RIP, rip(cpu))
    struct.pack_into("<Q", data, REGISTERS_AT + 8 * RSP, 0xFFFFC90000000000 + 0x1000 * cpu)
    return struct.pack("<III8s", 5, len(data), 1, b"CORE") + data


def saved(tmp_path, notes, info=CRASHED, first=False, **fields):
    """A small dump with @notes, before vmcoreinfo if @first, in a log big enough for them."""
    log = li.Log(mib=18)
    d = log.dump(1, 0, **fields)
    d.note(li.KERNEL, struct.pack("<QqQQIIII", 0x1000, li.PHYS_BASE, li.PAGE_OFFSET, 0x2000, 4,
                                  1, 1, 0))
    registers = [(li.PRSTATUS, n) for n in notes]
    vmcoreinfo = [(li.VMCOREINFO, info)] if info else []
    for i, note in enumerate(registers + vmcoreinfo if first else vmcoreinfo + registers):
        d.note(*note)
        if i % 1000 == 999:
            d.index()
    d.note(li.MEMMAP, struct.pack("<QQII", 0, 16 * li.PAGE, 1, 0))
    d.classes([(0, 16, li.KEPT)])
    d.pages(range(16))
    d.end()
    return log.save(tmp_path / "disk.img")


def elf_notes(data):
    """(name, type, descriptor) of each note; they must fill @data."""
    found, at = [], 0
    while at < len(data):
        name, desc, kind = struct.unpack_from("<III", data, at)
        name_at, at = at + 12, at + 12 + (name + 3 & ~3)
        found.append((data[name_at:name_at + name], kind, data[at:at + desc]))
        assert len(found[-1][2]) == desc
        at += desc + 3 & ~3
    assert at == len(data)
    return found


def extracted(image, tmp_path, form):
    out("extract", image, "-f", form, "-o", tmp_path / form)
    return (Kdump if form == "kdump" else Elf)(tmp_path / form)


def check_notes(data, wanted, info=CRASHED):
    """@wanted in order, then vmcoreinfo: readers count from the first note."""
    notes = elf_notes(data)
    if info:
        assert notes.pop() == (b"VMCOREINFO\0", 0, info)
    assert [(name, kind) for name, kind, _ in notes] == [(b"CORE\0", 1)] * len(wanted)
    assert [desc for _, _, desc in notes] == [n[20:] for n in wanted]


@pytest.mark.parametrize("cpus", [0, 1, 4, 8192])
@pytest.mark.parametrize("first", [False, True])
def test_every_processor_in_order(tmp_path, cpus, first):
    notes = [prstatus(cpu) for cpu in range(cpus)]
    image = saved(tmp_path, notes, first=first)
    assert json.loads(out("info", image, "--json"))["dump"]["cpus_with_registers"] == cpus
    kdump = extracted(image, tmp_path, "kdump")
    check_notes(kdump.notes, notes)
    assert kdump.cpus == max(cpus, 1)
    assert kdump.vmcoreinfo == CRASHED
    assert len(kdump.pages) == 16 and kdump.pages[3] == li.page(3)
    elf = extracted(image, tmp_path, "elf")
    check_notes(elf.notes, notes)
    assert elf.phys(3) == li.page(3)


def test_registers_without_vmcoreinfo(tmp_path):
    notes = [prstatus(0), prstatus(1)]
    image = saved(tmp_path, notes, info=None)
    kdump = extracted(image, tmp_path, "kdump")
    check_notes(kdump.notes, notes, None)
    assert (kdump.cpus, kdump.vmcoreinfo) == (2, b"")


def test_damaged_notes_are_left_out(tmp_path):
    good = [prstatus(0), prstatus(1)]
    bad = [b"", b"\5\0\0\0", good[0][:12], good[0][:100], good[0][:8] + b"\2" + good[0][9:],
           b"\xff" * 12 + good[0][12:], struct.pack("<II", 5, 0xFFFFFFFF) + good[0][8:]]
    image = saved(tmp_path, [good[0], *bad, good[1]])
    kdump = extracted(image, tmp_path, "kdump")
    check_notes(kdump.notes, good)
    assert kdump.cpus == 2


@pytest.mark.parametrize("pids", [[7, 8, 9], [0, 0, 7], [0, 0, 0]])
def test_gdb_shows_all_registers(tmp_path, pids):
    """Idle processors all run the task with the number 0."""
    notes = [prstatus(cpu, pid) for cpu, pid in enumerate(pids)]
    extracted(saved(tmp_path, notes), tmp_path, "elf")
    done = subprocess.run(["gdb", "-batch", "-nx", "-ex", f"core-file {tmp_path / 'elf'}", "-ex",
                           "thread apply all -ascending p/x $rip"], capture_output=True,
                          text=True, timeout=60, stdin=subprocess.DEVNULL, check=True)
    assert [int(x, 16) for x in re.findall(r"= (0x\w+)$", done.stdout, re.M)] == \
        [rip(cpu) for cpu in range(3)], done.stdout + done.stderr


def test_idle_processors_keep_their_number(tmp_path):
    notes = [prstatus(cpu, pid) for cpu, pid in enumerate([0, 0, 7])]
    image = saved(tmp_path, notes)
    check_notes(extracted(image, tmp_path, "kdump").notes, notes)
    # In ELF files as well; what gdb goes by is in notes of another kind.
    found = elf_notes(extracted(image, tmp_path, "elf").notes)
    assert [kind for _, kind, _ in found] == [3, 1, 3, 1, 1, 0]
    assert [desc for _, kind, desc in found if kind == 1] == [n[20:] for n in notes]
    assert [(name, struct.unpack_from("<I", desc, PSINFO_PID_AT)[0])
            for name, kind, desc in found if kind == 3] == [(b"CORE\0", 1 << 22),
                                                           (b"CORE\0", (1 << 22) + 1)]


# --- why and when ------------------------------------------------------------------------


def both(image):
    """The fields of info as JSON and as text."""
    text = dict(re.findall(r"^(\w+): (.*)$", out("info", image), re.M))
    return json.loads(out("info", image, "--json"))["dump"], text


def test_panic_and_time_of_the_crash(tmp_path):
    found = both(saved(tmp_path, [prstatus(0)], panic=b"sysrq triggered \x1bcrash"))
    for fields in found:
        assert fields["panic"] == "sysrq triggered ?crash"
        assert fields["crash_time"] == "2025-11-21T14:02:03Z"


@pytest.mark.parametrize("info", [
    None, li.INFO, li.INFO + b"CRASHTIME=\n", li.INFO + b"CRASHTIME=-5\n",
    li.INFO + b"CRASHTIME=0\n", li.INFO + b"CRASHTIME=12x\n", li.INFO + b"XCRASHTIME=12\n",
    li.INFO + b"CRASHTIME=99999999999999999999\n"])
def test_no_time_of_a_crash(tmp_path, info):
    for fields in both(saved(tmp_path, [], info=info)):
        assert fields["panic"] == ""
        assert fields["crash_time"] == ""


def test_time_of_the_crash_beyond_the_calendar(tmp_path):
    image = saved(tmp_path, [], info=li.INFO + b"CRASHTIME=9223372036854775807\n")
    for fields in both(image):
        assert fields["crash_time"] == "unknown"


def test_time_does_not_depend_on_the_zone(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    for fields in both(saved(tmp_path, [])):
        assert fields["crash_time"] == "2025-11-21T14:02:03Z"
