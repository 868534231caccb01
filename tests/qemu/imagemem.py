"""What the image that kexec loaded used of its own memory, read from the machine's RAM file
when it has ended: nothing else writes there."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import tools
from machine import MIB, MachineError

SETUP_BYTES = 1024  # of the file, before what is loaded
PAGE = 4096
EXPRESSIONS = ("&image_start", "&arena_first", "&arena_limit", "&session.arena.used",
               "(char *)&stack_hole + 4096", "&stack_end")


@dataclass(frozen=True)
class Use:
    arena_bytes: int
    arena_used: int
    stack_bytes: int
    stack_used: int


def addresses():
    """Of EXPRESSIONS in the image, by its debug information."""
    words = [word for e in EXPRESSIONS for word in ("-ex", f"p/x (unsigned long)({e})")]
    done = subprocess.run(["gdb", "-batch", "-nx", *words, tools.program("afterimage-bzimage.elf")],
                          capture_output=True, text=True, timeout=60, check=True)
    found = [int(value, 16) for value in re.findall(r"^\$\d+ = (0x[0-9a-f]+)$", done.stdout, re.M)]
    if len(found) != len(EXPRESSIONS):
        raise MachineError("the image has no debug information: " + done.stderr)
    return found


def find_image(ram):
    """Its place in the open RAM file."""
    with open(tools.program("afterimage.bzimage"), "rb") as f:
        f.seek(SETUP_BYTES)
        first_page = f.read(PAGE)
    places = []
    for at in range(0, ram.seek(0, 2), MIB):
        ram.seek(at)
        if ram.read(PAGE) == first_page:
            places.append(at)
    if len(places) != 1:
        raise MachineError(f"the image is in {len(places)} places")
    return places[0]


def read(ram_file):
    start, arena, limit, used, stack, stack_end = addresses()
    with open(Path(ram_file), "rb") as ram:
        image = find_image(ram)

        def at(address, count):
            ram.seek(image + address - start)
            return ram.read(count)

        untouched = re.match(rb"\0*", at(stack, stack_end - stack))[0]
        return Use(limit - arena, int.from_bytes(at(used, 8), "little"), stack_end - stack,
                   stack_end - stack - len(untouched))
