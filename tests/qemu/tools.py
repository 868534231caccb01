"""The project's own programs as the tests call them, and what the tests know of a dump
disk's layout without them."""

import json
import os
import re
import struct
import subprocess
import uuid
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
BUILD = TREE / os.environ.get("BUILD", "build")
TIMEOUT_S = 300
DONE, FAILED, USAGE, INCOMPLETE = range(4)
DUMP_TYPE = uuid.UUID("3f5d8c62-6b0e-4e2c-9a41-af7e1d0b5c90")
GIB = 1 << 30


class ToolError(Exception):
    """A program ended with another code than expected; the text is what it printed."""


def program(name):
    path = BUILD / name
    if not path.exists():
        raise ToolError(f"{path} is not there; run make")
    return path


def run(name, *args, expect=DONE):
    """Runs build/@name, which must end with @expect (None: anything)."""
    line = [str(program(name)), *map(str, args)]
    done = subprocess.run(line, capture_output=True, text=True, errors="replace",
                          timeout=TIMEOUT_S, stdin=subprocess.DEVNULL)
    if expect is not None and done.returncode != expect:
        raise ToolError(f"{' '.join(line)} ended with {done.returncode}, not {expect}:\n"
                        f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done


def make_disk(path, size="4G", *options, menu=0):
    """A new dump disk in the file @path; nobody waits for keys that no test presses."""
    run("mkdumpdisk", "--size", size, "--yes", "--menu", menu, *options, path)
    return Path(path)


def getdump(command, source, *options, expect=DONE):
    return run("getdump", command, source, *options, expect=expect)


def info(source, number=None):
    """getdump's account of the dump as a dictionary."""
    options = ["-n", number] if number else []
    return json.loads(getdump("info", source, "--json", *options, expect=None).stdout)


def dumps(source):
    """Numbers of the dumps on a disk, the oldest first."""
    text = getdump("list", source).stdout
    return [int(number) for number in re.findall(r"^ *(\d+) ", text, re.M)]


def extract(source, kind, target, number=None, expect=DONE, compress=None):
    options = ["-n", number] if number else []
    options += ["-c", compress] if compress else []
    getdump("extract", source, "-f", kind, "-o", target, *options, expect=expect)
    return Path(target)


def copy(source, target):
    """A copy of a disk or RAM file; holes stay holes."""
    subprocess.run(["cp", "--reflink=auto", "--sparse=auto", source, target], check=True,
                   timeout=TIMEOUT_S)
    return Path(target)


def dump_partition(disk, block_bytes=512):
    """First byte and length of the dump partition."""
    return dump_entry(disk, block_bytes)[:2]


def dump_entry(disk, block_bytes=512):
    """First byte, length and UUID of the dump partition, read from the GPT independently of
    the project's own code (UEFI 2.10 s5.3)."""
    with open(disk, "rb") as f:
        f.seek(block_bytes)
        header = f.read(92)
        if header[:8] != b"EFI PART":
            raise ToolError(f"{disk} holds no GPT")
        table_lba, count, size = struct.unpack_from("<QII", header, 72)
        f.seek(table_lba * block_bytes)
        for _ in range(count):
            entry = f.read(size)
            if entry[:16] == DUMP_TYPE.bytes_le:
                first, last = struct.unpack_from("<QQ", entry, 32)
                return (first * block_bytes, (last - first + 1) * block_bytes,
                        str(uuid.UUID(bytes_le=entry[16:32])))
    raise ToolError(f"{disk} holds no dump partition")


def read_bytes(path, offset, count):
    with open(path, "rb") as f:
        f.seek(offset)
        return f.read(count)


def write_bytes(path, offset, data):
    with open(path, "r+b") as f:
        f.seek(offset)
        f.write(data)
