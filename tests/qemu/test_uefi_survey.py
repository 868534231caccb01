"""A survey by UEFI firmware on a machine with 1 GiB: it does itself, its result is what really
happens to memory, and a victim with the reservation that it prints loses nothing. And the
counter-proof: without the reservation per-CPU data is lost, and the report says so."""

import json
import re
import shutil

import pytest

import compare
import excluded
import newest
import readers
import registers
import surveying
import tools
import uefi
import victim
import vmcore
from machine import GIB, Machine, Setup

PAGE = compare.PAGE
CYCLES = 2
MAX_LOST_BYTES = 96 << 20
OVERWRITTEN = "overwritten by firmware"
LOST_LINE = (r"afterimage: (?P<lost>\d+) pages \(\d+ MiB\) were overwritten by the reset; the old "
             r"kernel used (?P<used>\d+) of them(, and perhaps some of (?P<unknown>\d+) more)?")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("survey")
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def surveyed_disk(folder):
    disk = tools.make_disk(folder / "dump.img", "4G", "--level", "1")
    surveying.arm(disk, "--survey")
    return disk


@pytest.fixture(scope="module")
def survey(folder, surveyed_disk, step):
    setup = Setup(ram_file=folder / "ram", disk=surveyed_disk,
                  extra=(*uefi.flash(folder), "-S"))
    with Machine(setup) as machine:
        found = surveying.run(machine, machine.cont, surveyed_disk, [(0, GIB)], folder, CYCLES,
                              door="uefi")
    setup.ram_file.unlink()
    step(found.lines[-2])
    return found


def play(folder, name, kernel, disk, cmdline, step):
    """A victim on the surveyed machine, with the firmware's variables if they are there."""
    path = folder / name
    path.mkdir(exist_ok=True)
    step(f"{name}: {cmdline}")
    return uefi.play(path, disk, uefi.make_cd(kernel, path, cmdline), step)


@pytest.fixture(scope="module")
def reserved(survey, kernel, surveyed_disk, folder, step):
    (folder / "reserved").mkdir()
    shutil.copy(folder / uefi.VARIABLES, folder / "reserved")
    return play(folder, "reserved", kernel, surveyed_disk, survey.record["reserve"]["plain"],
                step)


@pytest.fixture(scope="module")
def exposed(reserved, kernel, surveyed_disk, folder, step):
    """Without a reservation, and with new variables: firmware's first boot, which starts Linux,
    and its second one arrange memory differently. Linux takes small things like VMCOREINFO from
    the memory that boot services used just before, where all is lost and no dump made; so that
    there is one, that memory is set aside for what can be moved."""
    return play(folder, "exposed", kernel, surveyed_disk, victim.MOVABLE, step)


@pytest.fixture(scope="module")
def files(reserved, folder):
    return {kind: tools.extract(reserved.disk, kind, folder / f"dump.{kind}", 1)
            for kind in ("raw", "kdump")}


# --- the survey --------------------------------------------------------------------------


def test_it_ended_with_a_result(survey, surveyed_disk):
    assert not any("no dump" in line or "complete" in line for line in survey.lines)
    assert survey.record["state"] == "done" and survey.record["cycles_done"] == CYCLES
    text = tools.getdump("survey", surveyed_disk).stdout
    reserve = survey.record["reserve"]
    assert reserve["plain"].startswith("memmap=") and reserve["plain"] in text
    assert reserve["grub"] in text and re.search(r"\\+\$0x", reserve["grub"])
    assert f"{reserve['mib']} MiB" in text


def test_record_is_the_truth(survey, reserved, step):
    """All that Linux could have used and that changed between the last filling and the end of
    the last boot is in it, with the reasons."""
    ram = excluded.ram_pages(reserved.crash.usable)
    truth = {page for page in survey.truth if ram >> page & 1}
    missing = sorted(page for page in truth if not surveying.inside(page, survey.lost))
    lost_bytes = sum(end - start for start, end, _ in survey.lost)
    step(f"{len(truth)} pages changed, {lost_bytes // PAGE} in {len(survey.lost)} ranges lost")
    assert truth and not missing, compare.ranges_text(missing)
    assert lost_bytes <= MAX_LOST_BYTES
    reasons = {reason for *_, why in survey.lost for reason in why}
    assert len(reasons) >= 3, reasons  # firmware's map, changed, ours


def test_nothing_is_armed_any_more(survey, surveyed_disk):
    record = json.loads(tools.getdump("survey", surveyed_disk, "--json").stdout)
    assert record["state"] == "done"


# --- with the reservation ----------------------------------------------------------------


def used_pages(story, folder):
    """Pages that the hung kernel's own page map says are in use, of the RAM that it had."""
    told = re.findall(r"user: \[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\] usable$", story.crash.console,
                      re.M) if "user-defined physical RAM map" in story.crash.console else None
    ranges = ([(int(first, 16), int(last, 16) + 1) for first, last in told] if told
              else story.crash.usable)
    classes = excluded.by_classes(story.crash.ram, story.crash, folder)
    return excluded.ram_pages(ranges) & ~classes.get("free", 0)


def test_no_page_that_linux_used_is_lost(survey, reserved, files, folder, step):
    found = compare.dump_against_ram(files["raw"], reserved.crash.ram, reserved.crash)
    differ = set(found.low + found.high)
    used = used_pages(reserved, folder)
    step(f"{len(differ)} pages differ, {used.bit_count()} were in use")
    assert used.bit_count() > 10000
    assert [hex(page * PAGE) for page in differ if used >> page & 1] == []
    assert all(surveying.inside(page, survey.lost) for page in differ)


def test_crash_lists_every_process(reserved, files, kernel, folder, step):
    by_drgn = readers.drgn(files["kdump"], kernel.vmlinux)
    report = readers.crash(files["kdump"], kernel.vmlinux, folder, by_drgn["banner_va"],
                           newest.command("crash"))
    step(f"crash: {len(report['tasks'])} tasks")
    assert {name for _, name in by_drgn["tasks"]} >= {"init", "kthreadd", *victim.PROCESSES}
    listed = sorted(name.strip("[]") for name in report["tasks"])
    assert listed == sorted([name for _, name in by_drgn["tasks"]] + ["swapper/0"])


def test_report_says_that_nothing_was_in_use(reserved):
    lines = [line for line in reserved.result.lines if "overwritten by the reset" in line]
    assert lines and all("used none of them" in line or "used 0 of them" in line
                         for line in lines), reserved.result.lines


# --- and without -------------------------------------------------------------------------


def per_cpu_pages(story, vmlinux):
    kernel = registers.Kernel(story.crash.ram, story.crash.ram_bytes, story.crash.release,
                              vmlinux)
    (base,) = kernel.per_cpu_offsets(1)
    found = registers.symbols(vmlinux, ["__per_cpu_start", "__per_cpu_end"])
    return [vmcore.translate(kernel.ram, kernel.kernel, base + at) // PAGE
            for at in range(found["__per_cpu_start"], found["__per_cpu_end"], PAGE)]


def why(disk, pages, number):
    text = tools.getdump("why", disk, "--json", "-n", number,
                         *(hex(page * PAGE) for page in pages)).stdout
    return json.loads(text)["addresses"]


def test_report_names_what_is_lost(exposed, kernel, folder, step):
    lost = set(compare.truth_against_ram(exposed.crash, exposed.before).high)
    used = used_pages(exposed, folder)
    (said,) = filter(None, (re.fullmatch(LOST_LINE, line) for line in exposed.result.lines))
    per_cpu = [page for page in per_cpu_pages(exposed, kernel.vmlinux) if page in lost]
    lost_used = [page for page in lost if used >> page & 1]
    step(f"{len(lost)} pages lost, {len(lost_used)} of them in use, {len(per_cpu)} of them "
         f"per-CPU data; {said[0]}")
    assert per_cpu
    # Where the page map itself is lost, nobody knows.
    assert int(said["used"]) + int(said["unknown"] or 0) >= len(lost_used) > 0
    for entry in why(exposed.disk, sorted(set(per_cpu + lost_used)), 2):
        assert entry["class"].startswith("overwritten"), entry
    info = tools.info(exposed.disk, 2)["dump"]
    assert info["classes"][OVERWRITTEN] >= len(per_cpu)
