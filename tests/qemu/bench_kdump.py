"""How long a dump takes, ours and kdump's, in the same guest on the same machine in one
run: 4 GiB, two CPUs, about 750 MiB in use, NVMe disk, dump levels 1 and 31. Ours counts from
the reset to the completed header, kdump's from the panic to makedumpfile's end. All RAM has
its memory on the host from the start, as on a real machine: else who touches a page first pays
for it. Prints a table; judges nothing."""

import shutil
import sys
import tempfile
import time
from pathlib import Path

import capture
import kernels
import tools
import victim
from machine import GIB, MachineError, Setup

RAM_BYTES = 4 * GIB
CPUS = 2
FILL_MIB = 600
CRASHKERNEL = "crashkernel=256M"
KDUMP_TIMEOUT_S = 240
LEVELS = (1, 31)
KDUMP_METHODS = ("-l", "-c")
OUR_METHODS = ("lzf", "zlib")
DISK_SIZE = "6G"
SPACE_BYTES = 16 * GIB


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def ready_victim(folder, cd, disk, limit_s):
    """A machine with the memory filled, and how many MiB are in use."""
    setup = Setup(ram_file=folder / "ram", ram_bytes=RAM_BYTES, disk=disk, cd=cd, cpus=CPUS,
                  prealloc=True, limit_s=limit_s)
    machine, _, _ = capture.start_victim(setup, say)
    try:
        machine.type(f"fill {FILL_MIB}")
        machine.wait_console(f"^{capture.PROMPT}filled", 90)
        machine.type("free -m")
        used = machine.wait_console(r"^Mem: +(\d+) +\d+ +(\d+)", 20)
    except BaseException:
        machine.close()
        raise
    return machine, int(used[1]) - int(used[2])


def ours(folder, cd, level, method):
    disk = tools.make_disk(folder / "ours.img", DISK_SIZE, "--level", level, "--compress", method)
    machine, used = ready_victim(folder, cd, disk, 400)
    with machine:
        capture.hang(machine)
        result = capture.reset_and_capture(machine, KDUMP_TIMEOUT_S)
    if result.state != "complete":
        raise MachineError("our dump is not complete:\n" + "\n".join(result.lines))
    disk.unlink()
    return {"how": f"afterimage --level {level} --compress {method}", "level": level,
            "used": used, "before": result.hello_s, "dump": result.seconds - result.hello_s,
            "total": result.seconds, "bytes": result.written_bytes}


def kdump(folder, cd, level, method):
    options = f"{method} -d {level}"
    disk = folder / "kdump.img"
    with open(disk, "wb") as f:
        f.truncate(int(DISK_SIZE[:-1]) * GIB)
    machine, used = ready_victim(folder, cd, disk, 400)
    with machine:
        machine.type(f"kdump {options}")
        machine.wait_console(f"^{capture.PROMPT}kdump loaded", 60)
        machine.type("crash")
        machine.wait_console(r"Kernel panic", 30)
        started = time.monotonic()
        machine.wait_console(f"{capture.PROMPT}capture kernel up", KDUMP_TIMEOUT_S)
        up = time.monotonic()
        end = machine.wait_console(f"{capture.PROMPT}kdump (done|failed)", KDUMP_TIMEOUT_S)
        ended = time.monotonic()
        if end[1] != "done":
            raise MachineError("kdump failed:\n" + machine.console()[-1500:])
    written = disk.stat().st_blocks * 512
    disk.unlink()
    return {"how": f"kdump, makedumpfile {options}", "level": level, "used": used, "before": up - started,
            "dump": ended - up, "total": ended - started, "bytes": written}


def table(rows, kernel):
    print(f"Dump of a {RAM_BYTES // GIB} GiB guest, {CPUS} CPUs, kernel {kernel.release}, QEMU "
          "software emulation")
    print(f"{'':40} {'in use':>8} {'to start':>9} {'dump':>7} {'total':>7} {'on disk':>9}")
    for row in rows:
        print(f"{row['how']:40} {row['used']:4} MiB {row['before']:7.1f} s {row['dump']:5.1f} s "
              f"{row['total']:5.1f} s {row['bytes'] >> 20:5} MiB")
    for level in LEVELS:
        best = {name: min(r["total"] for r in rows
                          if r["level"] == level and r["how"].startswith(name))
                for name in ("afterimage", "kdump")}
        print(f"level {level}: afterimage takes {best['afterimage'] / best['kdump']:.2f} of kdump's "
              "time, best against best")


def main():
    kernel = kernels.get()
    folder = Path(tempfile.mkdtemp(prefix="afterimage-bench-"))
    rows = []
    try:
        if shutil.disk_usage(folder).free < SPACE_BYTES:
            sys.exit(f"bench: {folder} has less than {SPACE_BYTES // GIB} GiB free; "
                     "set TMPDIR to a folder with more")
        cd = victim.make_cd(kernel, folder, CRASHKERNEL, kdump=True)
        for level in LEVELS:
            for what, methods in ((ours, OUR_METHODS), (kdump, KDUMP_METHODS)):
                for method in methods:
                    say(f"{what.__name__}, level {level}, {method}")
                    rows.append(what(folder, cd, level, method))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    table(rows, kernel)


if __name__ == "__main__":
    main()
