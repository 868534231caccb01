"""Size of each driver: lines of code in its .c files, blank lines and comments not counted, and the
bytes of text in the image's objects. Headers hold no code but names, layouts and declarations; their
lines are told apart. `codesize.py BUILD` prints a table; `codesize.py
--check` prints the drivers that are longer than they may be, and fails if there are any."""

import re
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
LINES_MAX = 800
# A string or character is kept: what looks like a comment in it is none.
TOKENS = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)


def without_comments(text):
    def kept(found):
        token = found[0]
        return " " + "\n" * token.count("\n") if token[0] == "/" else token
    return TOKENS.sub(kept, text)


def lines_of(text):
    return sum(1 for line in without_comments(text).splitlines() if line.strip())


def drivers():
    """Each driver's folder, its lines of code, and those of its headers."""
    found = []
    for folder in sorted(p for p in (TREE / "drivers").iterdir() if p.is_dir()):
        lines = {file: lines_of(file.read_text()) for file in folder.glob("*.[ch]")}
        names = sum(n for file, n in lines.items() if file.suffix == ".h")
        found.append((folder, sum(lines.values()) - names, names))
    return found


def text_bytes(build, folder):
    """Code and constants, as `size` counts them; None if it is not built."""
    objects = sorted((Path(build) / "metal/drivers" / folder.name).glob("*.o"))
    if not objects:
        return None
    out = subprocess.run(["size", *objects], capture_output=True, text=True, check=True,
                         timeout=60).stdout
    return sum(int(line.split()[0]) for line in out.splitlines()[1:])


def check():
    found = drivers()
    long = [(folder, lines) for folder, lines, _ in found if lines >= LINES_MAX]
    for folder, lines in long:
        print(f"{folder.relative_to(TREE)}: {lines} lines of code, must be below {LINES_MAX}")
    if not found:
        print("no drivers found")
    return not long and bool(found)


def print_table(build):
    print(f"{'driver':8} {'lines':>6} {'headers':>10} {'text, bytes':>12}   "
          f"(limit: below {LINES_MAX} lines)")
    for folder, lines, names in drivers():
        text = text_bytes(build, folder)
        print(f"{folder.name:8} {lines:6} {names:10} "
              f"{text if text is not None else 'not built':>12}")


def main():
    if sys.argv[1:] == ["--check"]:
        sys.exit(not check())
    print_table(sys.argv[1] if sys.argv[1:] else "build")


if __name__ == "__main__":
    main()
