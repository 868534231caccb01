"""A survey by BIOS, from the arming to a dump in which nothing of the old kernel is missing."""

import shutil

import pytest

import capture
import compare
import newest
import readers
import surveying
import tools
import victim
from machine import Setup

E_SURVEY_CRASH, E_SURVEY_LOST = 55, 56
LOW_END = compare.LOW_END
MAX_LOST = 2 << 20
MAX_OTHER_PAGES = 4


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
def survey(kernel, folder, surveyed_disk, step):
    """Linux runs, is rebooted in order, and the dump disk starts instead of it, three times."""
    cd = victim.make_cd(kernel, folder)
    machine, *_ = capture.start_victim(Setup(ram_file=folder / "ram", disk=surveyed_disk, cd=cd),
                                       step)
    with machine:
        usable = capture.parse_usable(machine.console())
        step("Linux is up; rebooting it in order")
        found = surveying.run(machine, lambda: machine.type("reboot -f"), surveyed_disk, usable,
                              folder)
    (folder / "ram").unlink()
    step(found.lines[-2])
    return found


@pytest.fixture(scope="module")
def reserved(survey, kernel, surveyed_disk, folder, step):
    """The same machine with the printed reservation, hung and captured."""
    cd = victim.make_cd(kernel, folder, survey.record["reserve"]["plain"])
    machine, nonce, release = capture.start_victim(
        Setup(ram_file=folder / "ram", disk=surveyed_disk, cd=cd), step)
    with machine:
        capture.hang(machine)
        crash = capture.keep_truth(machine, folder / "truth", nonce, release)
        result = capture.reset_and_capture(machine)
    step(f"off {survey.record['reserve']['plain']}: dump {result.state}")
    assert result.state == "complete"
    return crash, result


def test_no_dump_was_made_of_it(survey, surveyed_disk):
    assert not any("no dump" in line or "complete" in line for line in survey.lines)
    assert survey.record["state"] == "done" and survey.record["cycles_done"] == 2


def test_record_is_the_truth(survey, step):
    """What changed between the last filling and the end of the last boot is in it, and above
    1 MiB, where the image does not work, hardly anything else: SeaBIOS's stack, and so the
    cycle before, may have reached a page farther."""
    step("changed: " + compare.ranges_text(sorted(survey.truth)))
    assert survey.truth
    missing = [p for p in survey.truth if not surveying.inside(p, survey.lost)]
    assert not missing, compare.ranges_text(sorted(missing))
    high = {page for start, end, _ in survey.lost if start >= LOW_END
            for page in range(start // compare.PAGE, end // compare.PAGE)}
    truth = {p for p in survey.truth if p * compare.PAGE >= LOW_END}
    assert truth <= high and len(high - truth) <= MAX_OTHER_PAGES
    assert sum(end - start for start, end, _ in survey.lost) < MAX_LOST
    assert any("ours" in why or "image" in " ".join(why) for *_, why in survey.lost)


def test_nothing_of_the_old_kernel_is_lost(survey, reserved, surveyed_disk, folder, step):
    crash, result = reserved
    raw = tools.extract(surveyed_disk, "raw", folder / "raw")
    found = compare.dump_against_ram(raw, crash.ram, crash)
    step("dump against the memory at the hang: " + found.describe())
    kept_off = [(int(r["start"], 16), int(r["start"], 16) + r["bytes"])
                for r in survey.record["reserve"]["regions"]]
    assert all(surveying.inside(p, survey.lost) for p in found.low)
    assert all(surveying.inside(p, kept_off) for p in found.high)
    assert "user-defined physical RAM map" in crash.console
    assert any("MiB of" in line and "lost at every reset" in line for line in result.lines)
    (folder / "raw").unlink()


def test_crash_lists_every_process(reserved, kernel, surveyed_disk, folder, step):
    dump = tools.extract(surveyed_disk, "kdump", folder / "dump.kdump")
    by_drgn = readers.drgn(dump, kernel.vmlinux)
    report = readers.crash(dump, kernel.vmlinux, folder, by_drgn["banner_va"],
                           newest.command("crash"))
    step(f"crash: {len(report['tasks'])} tasks")
    assert {name for _, name in by_drgn["tasks"]} >= {"init", "kthreadd", *victim.PROCESSES}
    listed = sorted(name.strip("[]") for name in report["tasks"])
    assert listed == sorted([name for _, name in by_drgn["tasks"]] + ["swapper/0"])


def test_crash_comes_first(disk, first, run_image):
    """Armed, but what is in memory hung: captured, and the survey is over."""
    surveying.arm(disk, "--survey")
    result = run_image(disk)
    assert result.state == "complete"
    assert any(f"survey: E{E_SURVEY_CRASH} " in line for line in result.lines)


def test_cut_short(disk, tmp_path):
    """Power fails while memory is filled: the next start says so and is an ordinary one."""
    surveying.arm(disk, "--survey")
    with capture.power_on(tmp_path, disk) as machine:
        machine.wait_console(r"^afterimage: dump disk ", capture.BOOT_TIMEOUT_S)
        machine.wait_console(r"^afterimage: survey: filling", capture.BOOT_TIMEOUT_S)
        machine.kill()
    result = capture.capture(tmp_path, disk)
    assert (result.state, result.code) == ("none", 17)
    assert any(f"survey: E{E_SURVEY_LOST} " in line for line in result.lines)
