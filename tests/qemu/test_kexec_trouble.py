"""The kexec door against bad luck: what is loaded is damaged, reserved memory is too small, the
dump disk is not there, the machine crashes again and again. Most run on memory kept from one
panic; see kexec_kept.py. What depends on a machine in full swing has a victim of its own."""

import re
import subprocess
import time
import uuid

import pytest

import capture
import kexec
import kexec_kept
import tools
from machine import MIB, Disk, Setup

E_ELFCOREHDR, E_NO_DISK, E_NO_PARTITION, E_FULL = 16, 20, 30, 34
E_CMDLINE, E_RESERVED, E_TRAP, E_LOOP = 48, 49, 50, 51
GUESSED = "the loader's description of memory was damaged: it was guessed"
NO_REGISTERS = "the registers of some processors could not be read"
SILENCE_S = 5
INVALID = b"\x0f\x0b"  # ud2
INT2_RET = b"\xcd\x02\xc3"
HOUR_S = 3600
NOBODY = uuid.UUID(int=5)
SETUP_BYTES = 1024  # before the image in its file


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("trouble")


@pytest.fixture(scope="module")
def cd(kernel, folder):
    return kexec.make_cd(kernel, folder)


@pytest.fixture(scope="module")
def pattern(folder):
    """An unused dump disk, to be copied."""
    return tools.make_disk(folder / "pattern.img", "512M", "--level", "31")


@pytest.fixture
def disk(pattern, tmp_path):
    return tools.copy(pattern, tmp_path / "dump.img")


@pytest.fixture(scope="module")
def loader(folder):
    return kexec_kept.build_loader(folder)


@pytest.fixture(scope="module")
def kept(cd, loader, pattern, folder, step):
    """One victim's memory at its panic, with the image loaded."""
    setup = Setup(ram_file=folder / "ram", disk=tools.copy(pattern, folder / "kept.img"), cd=cd,
                  extra=kexec_kept.loader_options(loader))
    found = kexec_kept.keep(setup, loader, folder / "kept", step)
    (folder / "ram").unlink()
    step("memory kept at the panic, the image in it")
    return found


@pytest.fixture
def run(kept, disk, tmp_path, step):
    """run(changes, to=disk, **Setup's options): one capture of the kept memory."""
    def capture_it(changes, to=disk, **options):
        with kexec_kept.power_on(tmp_path, to, kept, changes, **options) as machine:
            result = kexec_kept.watch(machine)
        step(" ".join(result.lines[-2:]))
        return result
    return capture_it


def degraded(disk):
    return tools.info(disk)["dump"]["degraded"]


def check_complete(result, disk, kept, number=1):
    assert (result.state, result.number, result.action) == ("complete", number, "rebooting")
    found = tools.info(disk, number)["dump"]
    assert (found["state"], found["kernel"]) == ("complete", kept.crash.release)
    assert found["via"] == "linux" and found["panic"] == "sysrq triggered crash"
    tools.getdump("verify", disk, "-n", number)
    return found


def check_none(result, code, action="rebooting"):
    assert (result.state, result.code, result.action) == ("none", code, action)
    assert any(line.startswith(f"afterimage: E{code}: ") for line in result.lines)  # what to do


def check_guessed(result, disk, kept):
    """The list of memory was no good: memory was searched, and the dump says so."""
    warning = next(line for line in result.lines if f"E{E_ELFCOREHDR}" in line)
    assert "searching memory below" in warning
    found = check_complete(result, disk, kept)
    assert found["degraded"] == [GUESSED]
    assert found["pages"]["ram"] > 0.98 * kept.crash.ram_bytes / 4096
    return found


# --- elfcorehdr --------------------------------------------------------------------------

NOWHERE = {"missing": None, "no-number": "hello", "device": "0xfebf0000",
           "beyond": "0x4000000000", "old-memory": "0x10000000"}


@pytest.mark.parametrize("where", NOWHERE)
def test_elfcorehdr_nowhere(where, kept, disk, run):
    """Not there, no number, or an address where none can be."""
    word = NOWHERE[where]
    words = "" if word is None else f"elfcorehdr={word}"
    check_guessed(run(kept.with_words(words, elfcorehdr=False)), disk, kept)


def first_loads_bytes(headers, count):
    """The headers with another size of the old kernel's biggest piece of RAM."""
    biggest = max((h for h in headers if h[0] == kexec_kept.PT_LOAD), key=lambda h: h[6])
    biggest[6] = count
    return headers


def without_loads(headers):
    return [h for h in headers if h[0] == kexec_kept.PT_NOTE]


DAMAGE = {  # what is done to the program headers, and what e_phnum says
    "no-headers": (lambda h: h, 0),
    "65535-headers": (lambda h: h, 65535),
    "no-memory": (lambda h: without_loads(h) * 100, None),
    "2-to-the-60": (lambda h: first_loads_bytes(h, 1 << 60), None),
    "2-to-the-46": (lambda h: first_loads_bytes(h, 1 << 46), None),
    "low-memory-only": (lambda h: h[:3], None),
    "beyond-the-processor": (lambda h: [*h, [kexec_kept.PT_LOAD, 7, 1 << 50, 0, 1 << 50, MIB, MIB,
                                             0]], None),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_elfcorehdr_damaged(damage, kept, disk, run):
    """Counts and sizes that can not be; registers are saved where their notes are still found."""
    change, phnum = DAMAGE[damage]
    result = run(kept.with_headers(change(kept.headers()), phnum))
    found = check_guessed(result, disk, kept)
    kept_notes = ("2-to-the-60", "2-to-the-46", "low-memory-only", "beyond-the-processor")
    assert found["cpus_with_registers"] == (1 if damage in kept_notes else 0)


def test_elfcorehdr_wiped(kept, disk, run):
    check_guessed(run({kept.layout.core: bytes(4096)}), disk, kept)


def odd_headers(headers):
    """What is not used or said twice: nothing in it is wrong."""
    load = [kexec_kept.PT_LOAD, 7, MIB, 0, MIB, 300 * MIB, 300 * MIB, 0]
    empty = [kexec_kept.PT_LOAD, 7, 0, 0, 0, 0, 0, 0]
    return [[0] * 8, empty, load, load, *headers, load, empty]


def test_elfcorehdr_odd_but_good(kept, disk, run):
    """Headers that overlap, are empty, or are not used, and a count far beyond them."""
    found = check_complete(run(kept.with_headers(odd_headers(kept.headers()), 65534)), disk, kept)
    assert found["degraded"] == [] and found["cpus_with_registers"] == 1


def test_notes_damaged(kept, disk, run):
    """Registers are lost, nothing else is."""
    headers = kept.headers()
    note = headers[0]
    assert note[0] == kexec_kept.PT_NOTE
    nowhere = [kexec_kept.PT_NOTE, 0, 1 << 51, 0, 1 << 51, 4096, 1 << 60, 0]
    changes = kept.with_headers([nowhere, *headers]) | {note[2]: b"\xff" * 64}
    found = check_complete(run(changes), disk, kept)
    assert found["degraded"] == [NO_REGISTERS] and found["cpus_with_registers"] == 0


def test_panic_with_elfcorehdr_wiped(cd, loader, disk, tmp_path, kept, step):
    """The same with a machine in full swing."""
    setup = Setup(ram_file=tmp_path / "ram", disk=disk, cd=cd,
                  extra=kexec_kept.loader_options(loader))
    machine, _, _ = capture.start_victim(setup, step)
    with machine:
        layout = kexec_kept.run_loader(machine, loader)
        kexec_kept.write_ram(machine, {layout.core: bytes(4096)})
        start = len(machine.console())
        machine.type("crash")
        check_guessed(kexec_kept.watch(machine, start), disk, kept)


# --- reserved memory ---------------------------------------------------------------------

def all_memory(kept):
    """What `kexec --pass-memmap-cmdline` has in the zero page: not just what was reserved."""
    end = max(h[4] + h[6] for h in kept.headers() if h[0] == kexec_kept.PT_LOAD)
    return kept.with_e820([(0, 0x9f000, 1), (MIB, end - MIB, 1)])


def test_loader_names_all_memory(kept, disk, run):
    """The image takes no more than itself for its own; the rest is the old kernel's."""
    found = check_complete(run(all_memory(kept)), disk, kept)
    assert found["degraded"] == [] and found["cpus_with_registers"] == 1
    ram = sum(h[6] for h in kept.headers() if h[0] == kexec_kept.PT_LOAD and h[4] >= MIB)
    assert found["pages"]["in_dump"] + found["pages"]["zero"] + found["pages"]["excluded"] > (
        0.98 * ram / 4096)
    assert found["pages"]["in_dump"] > 4096


def test_loader_names_all_memory_and_elfcorehdr_is_wiped(kept, disk, run):
    found = check_guessed(run(all_memory(kept) | {kept.layout.core: bytes(4096)}), disk, kept)
    assert found["pages"]["in_dump"] > 4096


TOO_SMALL = {
    "cut": lambda l: [(0, 0x9f000, 1), (l.first, MIB // 2, 1)],
    "no-map": lambda l: [],
}


@pytest.mark.parametrize("how", TOO_SMALL)
def test_image_not_inside_the_reserved_memory(how, kept, disk, run):
    check_none(run(kept.with_e820(TOO_SMALL[how](kept.layout))), E_RESERVED)


def test_reserved_memory_too_small_to_load(cd, disk, tmp_path, step):
    """The loader says so; what is big enough for kexec_load need not be for the other call."""
    setup = Setup(ram_file=tmp_path / "ram", disk=disk, cd=cd)
    machine, _, _ = capture.start_victim(setup, step)
    with machine:
        for mib, calls in ((2, {"kexec_load": "", "kexec_file_load": "Cannot assign requested"}),
                           (1, {"kexec_load": "Could not find a free area of memory",
                                "kexec_file_load": "Cannot assign requested"})):
            machine.type("kexec -p -u; kexec -s -p -u")
            machine.type(f"echo {mib * MIB} >/sys/kernel/kexec_crash_size; say shrunk $?")
            machine.wait_console(rf"^{capture.PROMPT}shrunk 0\n", 20)
            for call, text in calls.items():
                said = kexec.load(machine, call)
                assert text in said and bool(said) == bool(text), said


# --- the image is damaged after it was loaded --------------------------------------------


def damage_image(machine):
    """Turns one bit of the loaded image."""
    code = tools.program("afterimage.bzimage").read_bytes()[SETUP_BYTES:]
    machine.stop()
    at = machine.setup.ram_file.read_bytes().rfind(code[:16384])
    assert at > 0
    where = at + len(code) // 2
    old, = tools.read_bytes(machine.setup.ram_file, where, 1)
    tools.write_bytes(machine.setup.ram_file, where, bytes([old ^ 1]))
    machine.cont()


@pytest.mark.parametrize("options, told", [("-c --console-serial", True), ("-s", False)])
def test_purgatory_refuses(options, told, cd, disk, tmp_path, step):
    """Nothing more is heard, but with kexec_load if a console was asked for; the reset button
    and the dump disk still save everything, the panic included."""
    setup = Setup(ram_file=tmp_path / "ram", disk=disk, cd=cd)
    machine, _, release = capture.start_victim(setup, step)
    with machine:
        machine.type(f"kexec {options} -p --command-line=x /boot/afterimage.bzimage && say in")
        machine.wait_console(rf"^{capture.PROMPT}in\n", 30)
        damage_image(machine)
        start = len(machine.console())
        machine.type("crash")
        machine.wait_console("Kernel panic - not syncing: sysrq triggered crash", 20, start)
        time.sleep(SILENCE_S)
        said = machine.console()[start:]
        assert "\nafterimage " not in said and machine.process.poll() is None
        assert ("sha256 digests do not match" in said) == told
        result = capture.reset_and_capture(machine)
    step(result.lines[-2])
    check_saved_by_bios(result, disk, release)


def check_saved_by_bios(result, disk, release):
    assert (result.state, result.action) == ("complete", "rebooting")
    found = tools.info(disk)["dump"]
    assert (found["via"], found["kernel"]) == ("bios", release)
    assert found["panic"] == "sysrq triggered crash" and found["crash_time"]
    assert found["degraded"] == []


# --- a kernel that crashed before, or twice ----------------------------------------------


def test_dump_disk_saves_what_the_first_capture_did_not(cd, disk, tmp_path, step):
    """The image ends without a dump and restarts the machine by itself, into the dump disk."""
    setup = Setup(ram_file=tmp_path / "ram", disk=disk, cd=cd)
    loaded = kexec.start(setup, "kexec_load", f"dump={NOBODY}", step)
    with loaded.machine as machine:
        machine.boot_next("dump")
        start = len(machine.console())
        machine.type("crash")
        text = rf"no dump: E{E_NO_PARTITION} .*\nafterimage: rebooting\n"
        at = machine.wait_console(text, 30, start).end()
        result = capture.watch_image(machine, time.monotonic(), at)
    check_saved_by_bios(result, disk, loaded.release)


def test_two_processors_panic_at_once(cd, disk, tmp_path, step):
    """One of them is the first, and both leave their registers."""
    setup = Setup(ram_file=tmp_path / "ram", disk=disk, cd=cd, cpus=2)
    loaded = kexec.start(setup, "kexec_load", step=step)
    with loaded.machine as machine:
        start = len(machine.console())
        machine.type("echo 1 >/proc/sys/kernel/sysrq; for c in 0 1; do taskset -c $c sh -c 'while "
                     "[ ! -e /go ]; do :; done; echo c >/proc/sysrq-trigger' & done; sleep 1; "
                     "touch /go")
        result = kexec_kept.watch(machine, start)
    assert result.state == "complete"
    # Not on the console: the processor that has it may be the one that was stopped.
    assert tools.getdump("dmesg", disk).stdout.count("Kernel panic - not syncing") == 1
    assert tools.info(disk)["dump"]["cpus_with_registers"] == 2


# --- ACPI --------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["0x8000000000000", "0x10000000"])
def test_rsdp_nowhere(address, kept, disk, run):
    """An address that the processor has not, and one of the old kernel's memory."""
    check_complete(run(kept.with_words(f"acpi_rsdp={address}")), disk, kept)


# --- the target --------------------------------------------------------------------------


def test_uuid_is_none(kept, run):
    check_none(run(kept.with_words("dump=12345678-1234")), E_CMDLINE)


def test_uuid_not_found(kept, disk, run):
    """Another dump disk's partition is not taken instead."""
    check_none(run(kept.with_words(f"dump={NOBODY}")), E_NO_PARTITION)
    assert not tools.getdump("list", disk).stdout


@pytest.mark.parametrize("named", [True, False], ids=["named", "any"])
def test_second_of_two_dump_disks(named, kept, disk, run, tmp_path):
    second = tools.make_disk(tmp_path / "second.img", "512M")
    target = tools.dump_entry(second)[2]
    result = run(kept.with_words(f"dump={target}" if named else ""),
                 others=(Disk(second, name="second"),))
    check_complete(result, second if named else disk, kept)
    assert not tools.getdump("list", disk if named else second).stdout


def test_no_nvme_disk(kept, disk, run):
    check_none(run({}, controller="usb"), E_NO_DISK)


def test_disk_full(kept, run, tmp_path):
    """What fitted is a dump, the kernel's own pages first."""
    small = tools.make_disk(tmp_path / "small.img", "88M", "--level", "1")
    result = run({}, to=small)
    assert (result.state, result.code, result.action) == ("incomplete", E_FULL, "rebooting")
    assert tools.info(small)["dump"]["kernel"] == kept.crash.release
    tools.getdump("verify", small, expect=tools.INCOMPLETE)


@pytest.mark.parametrize("after, said, ended", [("halt", "halted", "halted"),
                                                ("poweroff", "powering off", "guest-shutdown")])
def test_action_afterwards(after, said, ended, run, tmp_path):
    disk = tools.make_disk(tmp_path / "after.img", "512M", "--after", after)
    result = run({}, to=disk)
    assert (result.state, result.action, result.ended) == ("complete", said, ended)


# --- console -----------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["console=serial", "console=ttyS0,115200n8",
                                   "console=tty0 console=ttyS0", "console=hvc0"])
def test_serial_console(words, kept, disk, run):
    """Whoever loads it with the old kernel's words hears it; words it does not know are none."""
    check_complete(run(kept.with_words(words)), disk, kept)


def test_screen_alone(kept, disk, tmp_path):
    """Nothing on the serial port, and a dump all the same."""
    words = kept.with_words("console=screen")
    with kexec_kept.power_on(tmp_path, disk, kept, words) as machine:
        deadline = time.monotonic() + capture.CAPTURE_TIMEOUT_S
        while "complete" not in tools.getdump("list", disk, expect=None).stdout:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert "afterimage" not in machine.console()


# --- the image itself --------------------------------------------------------------------


def symbol_offset(name):
    """Where a function lies in the image."""
    text = subprocess.run(["nm", tools.program("afterimage-bzimage.elf")], capture_output=True,
                          text=True, check=True, timeout=60).stdout
    at = {n: int(re.search(rf"^(\w+) \w {n}$", text, re.M)[1], 16) for n in (name, "image_start")}
    return at[name] - at["image_start"]


@pytest.mark.parametrize("where", ["dump_main", "capture_run"])
def test_exception_inside_the_image(where, kept, run):
    """Before anything was written, and with a dump begun: it is told, and the machine restarts."""
    result = run({kept.layout.image + symbol_offset(where): INVALID})
    assert (result.code, result.action, result.ended) == (E_TRAP, "rebooting", "guest-reset")
    assert result.state == ("none" if where == "dump_main" else "incomplete")
    assert "exception 6" in result.lines[-2]


def test_nmi_before_the_first_word(kept, disk, run):
    """An NMI in place of the clock's measurement; without it the image takes a fast clock."""
    check_complete(run({kept.layout.image + symbol_offset("clock_init"): INT2_RET}), disk, kept)


# --- the same crash again and again ------------------------------------------------------

BEGIN_S = 1_790_000_000


def at_time(seconds):
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(BEGIN_S + seconds))
    return {"extra": ("-rtc", f"base={stamp}")}


def test_third_capture_within_an_hour(kept, disk, run):
    """It is a dump like the others, but the machine stops, until somebody has looked."""
    for seconds in (0, 300):
        assert run({}, **at_time(seconds)).action == "rebooting"
    third = run({}, **at_time(600))
    assert (third.state, third.action) == ("complete", "halted")
    assert any(f"E{E_LOOP}" in line for line in third.lines)
    tools.getdump("clear", disk, "--all")
    check_complete(run({}, **at_time(900)), disk, kept, 4)


def test_captures_more_than_an_hour_apart(kept, disk, run):
    for i in range(3):
        result = run({}, **at_time(i * (HOUR_S // 2 + 60)))
        check_complete(result, disk, kept, i + 1)
        assert not any(f"E{E_LOOP}" in line for line in result.lines)
