"""What linux/ending.c says of a RAM file, by build/host/ending."""

import re
from dataclasses import dataclass

import excluded
import tools

LINE = re.compile(r"^(crash|orderly|unknown)(: .*): ([0-9a-f]{16})$", re.M)
SYMBOL = re.compile(r"^(\w+) ([0-9a-f]+)$", re.M)


@dataclass(frozen=True)
class Ending:
    why: str  # "crash: was still running ..."
    run: str  # crash_id
    symbols: dict

    @property
    def why_and_run(self):
        return self.why, self.run


def look(ram, crash, folder, *names):
    """@names: of symbols whose addresses are asked for, too."""
    text = tools.run("host/ending", "-m", excluded.write_ranges(crash, folder), ram, *names).stdout
    found = LINE.search(text)
    return Ending(found[1] + found[2], found[3],
                  {name: int(va, 16) for name, va in SYMBOL.findall(text)})
