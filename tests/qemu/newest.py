"""Readers newer than this Debian's, unpacked from Debian's sid into the cache folder and
run with their own loader and libraries; nothing of them is installed on the machine. Debian
12's own crash lists only a few tasks of the kernels it ships."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import kernels

SUITE = "sid"
PACKAGES = ("crash", "makedumpfile", "python3-drgn", "python3-libkdumpfile")
LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = f"{LIBRARIES}/ld-linux-x86-64.so.2"
TIMEOUT_S = 900


class ReaderError(Exception):
    """The readers can not be had; the text says why."""


def mirror():
    """The first mirror of the machine's own apt set-up."""
    found = kernels.mirrors()
    if not found:
        raise ReaderError("apt knows no mirror; run apt-get update")
    return found[0]


def unpack(target):
    """The packages and what they depend on, without installing anything."""
    print(f"newest: fetching {', '.join(PACKAGES)} of {SUITE}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temp:
        root = Path(temp) / "root"
        done = subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=extract", "--mode=chrootless",
             "--aptopt=Acquire::Check-Valid-Until \"false\"",
             "--include=" + ",".join(PACKAGES), SUITE, root, mirror()],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S)
        if done.returncode:
            raise ReaderError("mmdebstrap failed:\n" + done.stderr[-2000:])
        os.rename(root, target)


def root():
    """The folder with the newest suite's programs, filled if it is not there."""
    path = kernels.cache_dir() / "-".join(("readers", SUITE, *PACKAGES))
    with kernels.cache_lock():
        if not path.exists():
            unpack(path)
    return path


def command(program):
    """The words that start @program of the newest suite."""
    path = root()
    return [str(path / LOADER), "--library-path", str(path / LIBRARIES),
            str(path / "usr/bin" / program)]


def python():
    """The words that start its Python, whose modules include drgn and kdumpfile."""
    return ["env", f"PYTHONHOME={root()}/usr", "PYTHONDONTWRITEBYTECODE=1", *command("python3")]
