"""Machine checks while the image reads old memory: an error in a page costs that page, an
error that leaves the processor's state in doubt ends the capture in words. The debugger
port stops the machine at a point of the capture, QEMU's mce command makes the error."""

import contextlib
import struct

import pytest

import capture
import compare
import gdbstub
import matrix
import tools
from machine import GIB, MIB

E_UNREADABLE, E_TRAP = 15, 50
MAX_CHANGED_HIGH = 64
MAX_STOPS = 5000
MAX_PAGES, MAX_CHECKS = 64, 256  # that the image goes on after
PAGE = compare.PAGE
WINDOW_VA, WINDOW_BYTES, WINDOWS = 16 * MIB, 2 * MIB, 4
BANK = 9
SOME = None if matrix.everything() else 1  # of the ways to tell of an error

VALID, UNCORRECTED, ENABLED = 1 << 63, 1 << 61, 1 << 60
MISC_VALID, ADDRESS_VALID, CONTEXT_CORRUPT = 1 << 59, 1 << 58, 1 << 57
SIGNALLED, BIT_55 = 1 << 56, 1 << 55
CACHE_READ = 0x134
MISC_PAGE = 0x8c  # a physical address, valid to 4 KiB
RESTARTABLE, IN_PROGRESS = 1, 4

AMD = VALID | UNCORRECTED | ENABLED | MISC_VALID | ADDRESS_VALID | CACHE_READ
INTEL_REQUIRED = AMD | SIGNALLED | BIT_55
INTEL_MODEL = "qemu64,vendor=GenuineIntel,family=6,model=85"


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    """An unused dump disk whose dumps leave out nothing but zeros."""
    return tools.make_disk(tmp_path_factory.mktemp("blank") / "dump.img", "512M", "--level", "1")


@pytest.fixture
def debugged(first, disk, tmp_path):
    """debugged(crash=..., **Setup's options): a machine that waits, and its debugger port."""
    with contextlib.ExitStack() as stack:
        def start(**options):
            stub = stack.enter_context(gdbstub.Stub())
            machine = stack.enter_context(capture.power_on(
                tmp_path, disk, first.crash, extra=stub.options(), **options))
            stub.connect()
            return machine, stub
        yield start


def log_error(machine, pa, status, global_status=RESTARTABLE | IN_PROGRESS, bank=BANK):
    """Into a bank of the stopped machine's processor."""
    said = machine.qmp.command("human-monitor-command", **{
        "command-line": f"mce 0 {bank} {status:#x} {global_status:#x} {pa:#x} {MISC_PAGE:#x}"})
    assert not said


def machine_check(machine, stub, pa, status, global_status=RESTARTABLE | IN_PROGRESS):
    """Until the handler begins. It returns to where the machine stood or, as the emulator
    likes, a few instructions later."""
    log_error(machine, pa, status, global_status)
    stub.go(gdbstub.symbol("mce_survive"))


def finish(machine, stub):
    stub.leave()
    return capture.watch_image(machine, machine.started)


def truth(first, pa, count=PAGE):
    with open(first.crash.ram, "rb") as f:
        return compare.read_at(f, pa, count)


def is_like_no_other(first, pa):
    """Not zeros, and not what the windows before it have in the same place."""
    page = truth(first, pa)
    others = (truth(first, pa - n * WINDOW_BYTES) for n in range(1, WINDOWS))
    return any(page) and all(page != other for other in others)


def go_to_page(stub, suits):
    """Until the capture has just read a page that suits; its address."""
    stub.go(gdbstub.symbol("capture_run"))
    ask = gdbstub.symbol("phys_unreadable")
    for _ in range(MAX_STOPS):
        stub.go(ask)
        if suits(stub.argument()):
            return stub.argument()
    raise AssertionError("no page suits")


def go_to_data(first, stub):
    """Until the capture has just read a page that is followed by two others with contents, in
    a window that shows 2 MiB of RAM; the address of the page behind it, not read yet."""
    def suits(pa):
        return pa >= WINDOW_BYTES and pa % WINDOW_BYTES < WINDOW_BYTES - 2 * PAGE and all(
            any(truth(first, pa + n * PAGE)) for n in range(3))
    return go_to_page(stub, suits) + PAGE


def window_at(stub, pa, data):
    """Where the processor sees the page at @pa."""
    places = [WINDOW_VA + n * WINDOW_BYTES + pa % WINDOW_BYTES for n in range(WINDOWS)]
    found = [va for va in places if stub.read(va, PAGE) == data]
    assert len(found) == 1
    return found[0]


def unreadable_pages(disk):
    """How many: found before their class was recorded or, in a later pass, after it."""
    found = tools.info(disk)["dump"]
    later = sum(counts["unreadable"] for counts in found["contents"].values())
    return found["classes"].get("unreadable", 0) + later


def check_lost(first, disk, result, lost, folder):
    """The dump is complete, the pages @lost are unreadable and all others as they were."""
    assert (result.state, result.action) == ("complete", "rebooting"), result.lines
    tools.getdump("verify", disk)
    assert unreadable_pages(disk) == len(lost)
    raw = tools.extract(disk, "raw", folder / "raw")
    with open(raw, "rb") as f:
        for pa in lost:
            assert not any(compare.read_at(f, pa, PAGE)), hex(pa)
    differ = set(compare.dump_against_ram(raw, first.crash.ram, first.crash).high)
    differ -= {pa // PAGE for pa in lost}
    assert len(differ) <= MAX_CHANGED_HIGH, compare.ranges_text(sorted(differ))


def check_told(disk, result, *words):
    """The capture ended with what the processor said, and what was written is a dump."""
    assert (result.state, result.code, result.action) == ("incomplete", E_TRAP, "rebooting")
    assert ": exception 18 " in result.reason
    for word in words:
        assert word in result.reason
    assert tools.info(disk)["dump"]["state"] == "incomplete"
    assert tools.info(disk)["dump"]["damaged_chunks"] == 0


# --- errors that cost a page ---------------------------------------------------------------


@pytest.mark.parametrize("status, model", [
    (AMD, "qemu64"), (INTEL_REQUIRED, INTEL_MODEL)][:SOME], ids=["amd", "intel"][:SOME])
def test_page_in_a_window(status, model, first, disk, debugged, tmp_path, step):
    """The page is shown by a window as one of a large page's 512: it becomes zeros there, so
    that a read that failed can end, and the 511 others stay what they are."""
    machine, stub = debugged(cpu_model=model)
    pa = go_to_data(first, stub)
    step(f"machine check at {pa:#x}")
    va = window_at(stub, pa, truth(first, pa))
    machine_check(machine, stub, pa + 0x123, status)
    stub.go(gdbstub.symbol("writer_classes"))
    assert stub.read(va, PAGE) == bytes(PAGE)
    assert stub.read(va - PAGE, PAGE) == truth(first, pa - PAGE)
    assert stub.read(va + PAGE, PAGE) == truth(first, pa + PAGE)
    check_lost(first, disk, finish(machine, stub), [pa], tmp_path)


def test_before_the_kernel_is_searched(first, disk, debugged, tmp_path):
    """Pages that were lost before any window showed them: the first of a window that is not
    all RAM, three of another, the last page of RAM; one of them twice. An address that is no
    RAM costs nothing."""
    end = max(end for _, end in compare.whole_pages(first.crash.usable))
    middle = next(pa for pa in range(64 * MIB + PAGE, GIB, WINDOW_BYTES)
                  if any(truth(first, pa)) and is_like_no_other(first, pa + PAGE))
    base = middle - PAGE
    lost = [MIB, base, middle, base + WINDOW_BYTES - PAGE, end - PAGE]
    machine, stub = debugged()
    at = gdbstub.symbol("physmem_view")
    stub.go(gdbstub.symbol("oldkernel_find"))
    for pa in [*lost, middle + 0x800, 64 * GIB]:
        machine_check(machine, stub, pa, AMD)
        stub.go(at)
    while stub.registers()[gdbstub.RSI] // WINDOW_BYTES != middle // WINDOW_BYTES + 1:
        stub.go(at)
    va = window_at(stub, middle + PAGE, truth(first, middle + PAGE)) - PAGE
    assert stub.read(va, PAGE) == stub.read(va - PAGE, PAGE) == bytes(PAGE)
    check_lost(first, disk, finish(machine, stub), lost, tmp_path)


def test_interrupted_program_goes_on(first, disk, debugged, tmp_path):
    """Every register is what it was; flags and stack come back with iretq."""
    machine, stub = debugged()
    pa = go_to_data(first, stub)
    machine_check(machine, stub, pa, AMD)
    frame = struct.unpack("<14Q", stub.read(gdbstub.symbol("mce_stack_end") - 14 * 8, 14 * 8))
    (*_, rip, _, _, rsp, _), rdi = frame, frame[4]
    before = stub.registers()
    before[gdbstub.RDI], before[gdbstub.RSP] = rdi, rsp
    stub.go(rip)
    if stub.registers()[gdbstub.RSP] != rsp:  # the handler has asked the same function
        stub.go(rip)
    assert stub.registers() == before
    check_lost(first, disk, finish(machine, stub), [pa], tmp_path)


@pytest.mark.parametrize("key, said", [
    ("vmcoreinfo_at", "afterimage: kernel "),
    ("page_table", f"afterimage: E{E_UNREADABLE} ")], ids=["vmcoreinfo", "page-tables"])
def test_page_of_the_kernels_description(key, said, first, disk, debugged, tmp_path):
    """The page that names the kernel is lost: another copy serves. The root of its page tables
    is lost: it can not be verified, and everything is kept."""
    pa = int(tools.info(first.disk)["dump"][key], 16) // PAGE * PAGE
    machine, stub = debugged()
    stub.go(gdbstub.symbol("oldkernel_find"))
    machine_check(machine, stub, pa, AMD)
    result = finish(machine, stub)
    assert any(line.startswith(said) for line in result.lines)
    check_lost(first, disk, result, [pa], tmp_path)


def test_nmi_during_a_machine_check(first, disk, debugged, tmp_path):
    """Somebody presses the button while the handler works: each has its own stack."""
    machine, stub = debugged()
    pa = go_to_data(first, stub)
    machine_check(machine, stub, pa, AMD)
    machine.qmp.command("inject-nmi")
    stub.go(gdbstub.symbol("trap_ignore"))
    check_lost(first, disk, finish(machine, stub), [pa], tmp_path)


def test_corrected_error(first, disk, debugged, tmp_path):
    """Logged in the bank, and no business of a reader: the page is good."""
    machine, stub = debugged()
    pa = go_to_data(first, stub)
    log_error(machine, pa, AMD & ~UNCORRECTED, bank=BANK - 1)
    machine_check(machine, stub, pa + PAGE, AMD)
    check_lost(first, disk, finish(machine, stub), [pa + PAGE], tmp_path)


# --- errors that end the capture -----------------------------------------------------------


@pytest.mark.parametrize("status, model", [
    (AMD | CONTEXT_CORRUPT, "qemu64"), (AMD | BIT_55, "qemu64"),
    (INTEL_REQUIRED & ~ADDRESS_VALID, INTEL_MODEL)][:SOME],
    ids=["context", "amd-task-context", "intel-no-address"][:SOME])
def test_state_in_doubt(status, model, first, disk, debugged):
    """Told with all that the processor says, not a silent reset and the next attempt."""
    machine, stub = debugged(cpu_model=model)
    pa = go_to_data(first, stub)
    machine_check(machine, stub, pa, status)
    address = pa if status & ADDRESS_VALID else 0
    check_told(disk, finish(machine, stub), f" bank {BANK} ", f" status {status:x} ",
               f" address {address:x}")


def test_no_way_back(first, disk, debugged):
    """The bank is harmless, but the interrupted program can not go on."""
    machine, stub = debugged()
    pa = go_to_data(first, stub)
    machine_check(machine, stub, pa, AMD, IN_PROGRESS)
    result = finish(machine, stub)
    check_told(disk, result)
    assert result.reason.endswith(" machine check status 4")


def test_too_many_pages(first, disk, debugged):
    """A module that failed altogether: one page more than there is room for."""
    machine, stub = debugged()
    at = gdbstub.symbol("physmem_view")
    stub.go(gdbstub.symbol("capture_run"))
    for n in range(MAX_PAGES):
        machine_check(machine, stub, 512 * MIB + n * PAGE, AMD)
        stub.go(at)
    machine_check(machine, stub, 768 * MIB, AMD)
    check_told(disk, finish(machine, stub), f" address {768 * MIB:x}")


def test_error_that_comes_back(first, disk, debugged):
    """The same page again and again, although nothing shows it any more: not for ever."""
    machine, stub = debugged()
    at = gdbstub.symbol("physmem_view")
    stub.go(gdbstub.symbol("capture_run"))
    for _ in range(MAX_CHECKS):
        machine_check(machine, stub, 512 * MIB, AMD)
        stub.go(at)
    machine_check(machine, stub, 512 * MIB, AMD)
    result = finish(machine, stub)
    check_told(disk, result)
    assert result.reason.endswith(" machine check status 5")


def test_error_from_before_the_reset(first, disk, debugged):
    """A fatal error stays in its bank; the next run of the image tells it, clears it, and can
    go on after an error of its own."""
    machine, stub = debugged()
    pa = go_to_data(first, stub)
    status = AMD | CONTEXT_CORRUPT
    machine_check(machine, stub, pa, status)
    stub.go(gdbstub.symbol("capture_run"))
    start = machine.wait_console(r"^afterimage: rebooting\n", 20).end()
    machine.wait_console(rf"^afterimage: earlier hardware error: bank {BANK} "
                         rf"status {status:x} address {pa:x}\n", 20, start)
    machine_check(machine, stub, pa, AMD)
    stub.leave()
    result = capture.watch_image(machine, machine.started, start)
    assert (result.state, result.number) == ("complete", 2)
    assert unreadable_pages(disk) == 1
