"""What a kernel still writes between the first instruction of panic() and the image: pages
that change, named by what the victim keeps there. Its memory is asked for before the panic
and, for what depends on the moment, at the breakpoint there."""

import re

import compare
import gdbstub
import kexec
from machine import MachineError

PAGE = compare.PAGE
STACK_BYTES = 16 << 10
PER_CPU_BYTES = 256 << 10  # more than static and first dynamic data of one processor


def hmp(machine, line):
    return machine.qmp.command("human-monitor-command", **{"command-line": line})


def pa_of(machine, va):
    """By the page tables of the stopped machine's first processor."""
    found = re.match(r"gpa: (0x[0-9a-f]+)", hmp(machine, f"gva2gpa {va:#x}"))
    if not found:
        raise MachineError(f"{va:#x} is not mapped")
    return int(found[1], 16)


def known_places(machine):
    """What a running victim says of its memory: (name, first byte, end), the first name
    counts."""
    places = []
    for file, name in (("/sys/kernel/vmcoreinfo", "vmcoreinfo"),
                       ("/sys/devices/system/cpu/cpu0/crash_notes", "crash_notes")):
        words = re.findall(r"^(?:0x)?([0-9a-f]{4,})\b", kexec.ask(machine, f"cat {file}"), re.M)
        start = int(words[-1], 16)
        places.append((name, start, start + PAGE))
    for name in ("Kernel data", "Kernel bss"):
        places += [(name, *range_) for range_ in kexec.ranges(machine, name)]
    return places


def places_at_panic(machine, stub):
    """Of a victim with one processor, stopped at panic(): its stack and per-CPU data."""
    stack = stub.registers()[gdbstub.RSP] // STACK_BYTES * STACK_BYTES
    places = [("stack", pa, pa + PAGE) for pa in
              (pa_of(machine, stack + at) for at in range(0, STACK_BYTES, PAGE))]
    per_cpu = re.search(r"^GS =[0-9a-f]{4} ([0-9a-f]+)", hmp(machine, "info registers"), re.M)
    start = pa_of(machine, int(per_cpu[1], 16))
    return [*places, ("per-CPU data", start, start + PER_CPU_BYTES)]


def name_page(page, places):
    for name, start, end in places:
        if start // PAGE <= page < -(-end // PAGE):
            return name
    return "other"


def describe(pages, places):
    """Page counts by name."""
    counts = {}
    for page in pages:
        name = name_page(page, places)
        counts[name] = counts.get(name, 0) + 1
    return counts
