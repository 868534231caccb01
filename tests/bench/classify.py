"""Classification of all pages, ours next to makedumpfile's, on the same memory in one run:
`classify.py [RAMFILE]`, the memory of a hung 4 GiB guest if none is given. Prints a table; judges
nothing."""

import mmap
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests/qemu"))

import bench_kdump
import capture
import kernels
import newest
import tools
import vmcore
import victim

ROUNDS = 7
TIMEOUT_S = 600
LEVEL = "31"
DISK_BYTES = 1 << 30


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def hung_guest(folder):
    """The memory of a guest that was busy and hangs."""
    kernel = kernels.get()
    cd = victim.make_cd(kernel, folder)
    disk = folder / "disk.img"
    with open(disk, "wb") as f:
        f.truncate(DISK_BYTES)
    machine, _ = bench_kdump.ready_victim(folder, cd, disk, 400)
    with machine:
        capture.hang(machine)
        return capture.keep_truth(machine, folder / "truth", "", kernel.release)


def given_file(path):
    """A RAM file of a q35 machine without memory above 4 GiB."""
    size = path.stat().st_size
    with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as ram:
        found = {text[1].decode() for text in re.finditer(rb"OSRELEASE=(\S+)\nBUILD-ID=", ram)
                 if text.start() % vmcore.PAGE == 0}
    if len(found) != 1:
        sys.exit(f"bench: {path} holds {len(found)} kernels")
    return capture.Crash(path, size, "", found.pop(), ((0, 0x9f000), (1 << 20, size)), "")


def run(line):
    done = subprocess.run(list(map(str, line)), capture_output=True, text=True, errors="replace",
                          timeout=TIMEOUT_S, stdin=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(f"bench: {line[0]} failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
    return done.stdout


def timed(line):
    """Seconds by the clock and of CPU time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    run(line)
    wall = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def makedumpfile(program, core, target):
    """Version, median times of a whole run, and what it says its filter took."""
    def line(level):
        return [*program, "-f", "--message-level", level, "-d", LEVEL, core, target]

    version = re.search(r"version (\S+)", run([*program, "-v"]))[1]
    timed(line("0"))
    times = [timed(line("0")) for _ in range(ROUNDS)]
    steps = [sum(map(float, re.findall(r"\[Excluding unnecessary pages\] *: ([0-9.]+) seconds",
                                       run(line("31"))))) for _ in range(ROUNDS)]
    target.unlink()
    return (version, *(statistics.median(column) for column in zip(*times)),
            statistics.median(steps))


def ours(crash, folder):
    """Seconds for all pages, and what the program printed."""
    ranges = folder / "ranges"
    ranges.write_text("".join(f"{first:x} {end - 1:x}\n" for first, end in crash.usable))
    text = run([tools.program("host/bench_classify"), "-m", ranges, crash.ram])
    return float(re.search(r"([0-9.]+) ms for all", text)[1]) / 1e3, text


def main():
    folder = Path(tempfile.mkdtemp(prefix="afterimage-classify-"))
    try:
        say("memory of a hung guest")
        crash = given_file(Path(sys.argv[1])) if len(sys.argv) > 1 else hung_guest(folder)
        core = folder / "vmcore"
        vmcore.make(crash, core)
        programs = [newest.command("makedumpfile")]
        if installed := shutil.which("makedumpfile"):
            programs.append([installed])
        say("classification")
        seconds, text = ours(crash, folder)
        print(text, end="")
        for program in programs:
            say("makedumpfile")
            version, wall, cpu, step = makedumpfile(program, core, folder / "out")
            print(f"makedumpfile {version} --message-level 0 -d {LEVEL}: {wall * 1e3:.1f} ms, "
                  f"{cpu * 1e3:.1f} ms of CPU time; excluding pages, as it says itself: "
                  f"{step * 1e3:.1f} ms")
            print(f"ratio: our classification takes {seconds / cpu:.3f} of its CPU time, "
                  f"{seconds / step:.3f} of its time for excluding pages")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
