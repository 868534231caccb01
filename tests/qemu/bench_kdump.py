"""How long a dump takes, ours and kdump's, in the same guest on the same machine in one run:
4 GiB, two CPUs, about 750 MiB in use, NVMe disk, dump levels 1 and 31. The victim's initramfs
holds both; only crashkernel= and what is loaded differ. Both count from the kernel's panic
message, ours to the line that the dump is complete, printed after the device's flush, kdump's to
makedumpfile's end and sync; and ours without kexec: a hang, counted from the reset.
All RAM has its memory on the host from the start, as on a real machine: else who touches a page
first pays for it. Prints a table; judges nothing."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import capture
import kernels
import kexec
import tools
import victim
from machine import GIB, MachineError, Setup

RAM_BYTES = 4 * GIB
CPUS = 2
FILL_MIB = 600
RESERVED = {"kexec": "16M", "reset": "0", "kdump": "256M"}  # crashkernel=
CAPTURE_TIMEOUT_S = 240
LEVELS = (1, 31)
METHODS = {"kexec": ("lzf", "zlib"), "reset": ("lzf", "zlib"), "kdump": ("-l", "-c")}
DISK_BYTES = 6 * GIB
SPACE_BYTES = 16 * GIB
LIMIT_S = 500
PANIC = r"Kernel panic - not syncing"


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def make_cds(kernel, folder):
    """The victim's CD for each kind of dump."""
    cds = {}
    for kind, size in RESERVED.items():
        (folder / kind).mkdir()
        cds[kind] = victim.make_cd(kernel, folder / kind, f"crashkernel={size}", kdump=True,
                                   image=tools.program("afterimage.bzimage"))
    return cds


def ask(machine, command, pattern, timeout_s=90):
    """The match of @pattern in what a command of the victim prints."""
    start = len(machine.console())
    machine.type(command)
    return machine.wait_console(pattern, timeout_s, start)


def ready_victim(folder, cd, disk):
    """A machine with the memory filled, how many MiB of it are in use, and how many bytes are
    reserved."""
    setup = Setup(ram_file=folder / "ram", ram_bytes=RAM_BYTES, disk=disk, cd=cd, cpus=CPUS,
                  prealloc=True, limit_s=LIMIT_S)
    machine, _, _ = capture.start_victim(setup, say)
    try:
        ask(machine, f"fill {FILL_MIB}", f"^{capture.PROMPT}filled")
        used = ask(machine, "free -m", r"^Mem: +(\d+) +\d+ +(\d+)")
        reserved = ask(machine, "cat /sys/kernel/kexec_crash_size", r"^(\d+)\n")
    except BaseException:
        machine.close()
        raise
    return machine, int(used[1]) - int(used[2]), int(reserved[1])


def panic(machine):
    """Crashes the victim. Where its words begin, and when they came."""
    start = len(machine.console())
    machine.type("crash")
    machine.wait_console(PANIC, 30, start)
    return start, time.monotonic()


def by_kexec(machine):
    if said := kexec.load(machine, "kexec_load"):
        raise MachineError("the image was not loaded:\n" + said)
    start, started = panic(machine)
    return capture.watch_image(machine, started, start, CAPTURE_TIMEOUT_S, door="linux")


def by_reset(machine):
    capture.hang(machine)
    return capture.reset_and_capture(machine, CAPTURE_TIMEOUT_S)


def ours(folder, cd, kind, level, method):
    disk = tools.make_disk(folder / "ours.img", f"{DISK_BYTES // GIB}G", "--level", level,
                           "--compress", method)
    machine, used, reserved = ready_victim(folder, cd, disk)
    with machine:
        result = by_kexec(machine) if kind == "kexec" else by_reset(machine)
    if result.state != "complete":
        raise MachineError("our dump is not complete:\n" + "\n".join(result.lines))
    disk.unlink()
    return {"used": used, "reserved": reserved, "before": result.hello_s,
            "dump": result.seconds - result.hello_s, "bytes": result.written_bytes}


def kdump(folder, cd, _, level, method):
    disk = folder / "kdump.img"
    with open(disk, "wb") as f:
        f.truncate(DISK_BYTES)
    machine, used, reserved = ready_victim(folder, cd, disk)
    with machine:
        ask(machine, f"kdump {method} -d {level}", f"^{capture.PROMPT}kdump loaded")
        _, started = panic(machine)
        machine.wait_console(f"{capture.PROMPT}capture kernel up", CAPTURE_TIMEOUT_S)
        up = time.monotonic()
        end = machine.wait_console(f"{capture.PROMPT}kdump (done|failed)", CAPTURE_TIMEOUT_S)
        ended = time.monotonic()
        if end[1] != "done":
            raise MachineError("kdump failed:\n" + machine.console()[-1500:])
    written = disk.stat().st_blocks * 512
    disk.unlink()
    return {"used": used, "reserved": reserved, "before": up - started, "dump": ended - up,
            "bytes": written}


NAMES = {"kexec": "afterimage by kexec, {}", "reset": "afterimage after a reset, {}",
         "kdump": "kdump, makedumpfile {}"}


def measure(folder, cds, kind, level, method):
    run = kdump if kind == "kdump" else ours
    say(f"{kind}, level {level}, {method}")
    row = run(folder, cds[kind], kind, level, method)
    return row | {"kind": kind, "how": NAMES[kind].format(method), "level": level,
                  "total": row["before"] + row["dump"]}


def print_level(rows, level):
    print(f"\n{f'level {level}':34} {'reserved':>9} {'in use':>9} {'to start':>9} {'dump':>8} "
          f"{'total':>8} {'on disk':>9}")
    best = {}
    for row in (row for row in rows if row["level"] == level):
        print(f"{row['how']:34} {row['reserved'] >> 20:5} MiB {row['used']:5} MiB "
              f"{row['before']:7.1f} s {row['dump']:6.1f} s {row['total']:6.1f} s "
              f"{row['bytes'] >> 20:5} MiB")
        best[row["kind"]] = min(row["total"], best.get(row["kind"], row["total"]))
    for kind in best.keys() - {"kdump"} if "kdump" in best else ():
        print(f"best against best, {NAMES[kind].split(',')[0]} takes "
              f"{best[kind] / best['kdump']:.2f} of kdump's time")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-reset", action="store_true", help="ours by kexec only")
    parser.add_argument("--quick", action="store_true", help="of each the faster compressor only")
    parser.add_argument("--only", choices=RESERVED, help="one kind of dump")
    parser.add_argument("--level", type=int, choices=LEVELS, help="one level")
    return parser.parse_args()


def chosen(options):
    """(kind, level, method) of every run."""
    kinds = [options.only] if options.only else list(RESERVED)
    if options.no_reset and not options.only:
        kinds.remove("reset")
    return [(kind, level, method) for level in LEVELS if options.level in (None, level)
            for kind in kinds for method in METHODS[kind][:1 if options.quick else None]]


def main():
    options = arguments()
    kernel = kernels.get()
    folder = Path(tempfile.mkdtemp(prefix="afterimage-bench-"))
    try:
        if shutil.disk_usage(folder).free < SPACE_BYTES:
            sys.exit(f"bench: {folder} has less than {SPACE_BYTES // GIB} GiB free; "
                     "set TMPDIR to a folder with more")
        cds = make_cds(kernel, folder)
        rows = [measure(folder, cds, *run) for run in chosen(options)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"Dump of a {RAM_BYTES // GIB} GiB guest, {CPUS} CPUs, kernel {kernel.release}, QEMU "
          "software emulation")
    for level in dict.fromkeys(row["level"] for row in rows):
        print_level(rows, level)


if __name__ == "__main__":
    main()
