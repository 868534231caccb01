"""The programs people open dumps with: crash, drgn, gdb and makedumpfile. Each is run on
one file, within a time limit, and what it prints is taken apart; judging it is the
tests' part."""

import json
import re
import subprocess
import sys
from pathlib import Path

TIMEOUT_S = 180
DRGN_REPORT = Path(__file__).parent / "drgn_report.py"
CRASH_COMMANDS = ("sys", "ps", "p cpu_number:0", "p jiffies", "vtop {va:x}", "log", "exit")


class ReaderError(Exception):
    """A reader refused the file; the text is what it printed."""


def run(*args, **kwargs):
    args = [str(a) for a in args]
    try:
        done = subprocess.run(args, capture_output=True, text=True, errors="replace",
                              timeout=TIMEOUT_S, **({"stdin": subprocess.DEVNULL} | kwargs))
    except subprocess.TimeoutExpired as error:
        raise ReaderError(f"{args[0]} did not end in {TIMEOUT_S} s") from error
    if done.returncode:
        raise ReaderError(f"{' '.join(args)} ended with {done.returncode}:\n"
                          f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def crash(dump, vmlinux, folder, va, program=("crash",)):
    """What crash, started by the words @program, shows: release, node, tasks' names, CPU 0's number out of its per-CPU data,
    jiffies, the physical address of @va by the page tables, and the log."""
    commands = Path(folder) / "crash-commands"
    commands.write_text("\n".join(CRASH_COMMANDS).format(va=va) + "\n")
    text = run(*program, "-s", "--no_scroll", "-i", commands, vmlinux, dump)

    def find(pattern):
        found = re.search(pattern, text, re.M)
        return found[1] if found else None

    return {
        "release": find(r"^ *RELEASE: (\S+)"),
        "nodename": find(r"^ *NODENAME: (\S+)"),
        "memory": find(r"^ *MEMORY: (.+)"),
        "partial": "[PARTIAL DUMP]" in text or "[INCOMPLETE]" in text,
        "tasks": re.findall(r"^>? +\d+ +-?\d+ +\d+ +[0-9a-f]{16} .* (\S+)$", text, re.M),
        "cpu_number": find(r"per_cpu\(cpu_number, 0\) = \$\d+ = (\d+)"),
        "jiffies": find(r"^jiffies = \$?\d* ?=? ?(\d+)"),
        "pa": find(r"^[0-9a-f]{16} +([0-9a-f]+) *$"),
        "log": re.findall(r"^\[ *\d+\.\d+\] .*$", text, re.M),
        "text": text,
    }


def crash_traces(dump, vmlinux, folder, program=("crash",)):
    """What crash shows of the panic and of every processor's active task."""
    commands = Path(folder) / "crash-traces"
    commands.write_text("sys\nbt -a\nexit\n")
    return run(*program, "-s", "--no_scroll", "-i", commands, vmlinux, dump)


def gdb_registers(elf):
    """Instruction pointer and flags of every processor, as gdb takes them from the notes."""
    values = [re.findall(r"^\$\d+ = (0x[0-9a-f]+)$",
                         run("gdb", "-batch", "-nx", "-ex", f"core-file {elf}", "-ex",
                             f"thread apply all -ascending -q p/x ${name}"), re.M)
              for name in ("rip", "eflags")]
    return [(int(rip, 16), int(flags, 16)) for rip, flags in zip(*values, strict=True)]


def crash_release(dump):
    """Whose dump crash takes the file for, by its headers alone."""
    return run("crash", "--osrelease", dump).strip()


def drgn_page(dump, pa):
    """The page at physical address @pa as drgn reads it."""
    script = ("import drgn, sys; p = drgn.Program(); p.set_core_dump(sys.argv[1]); "
              "print(p.read(int(sys.argv[2]), 4096, physical=True).hex())")
    return bytes.fromhex(run(sys.executable, "-c", script, dump, pa))


def drgn(dump, vmlinux):
    """The report of drgn_report.py."""
    return json.loads(run(sys.executable, DRGN_REPORT, dump, vmlinux))


def kernel_offset(elf):
    """KASLR's shift, from the vmcoreinfo note at the start of an ELF dump."""
    with open(elf, "rb") as f:
        found = re.search(rb"KERNELOFFSET=([0-9a-f]+)\n", f.read(4 << 20))
    if not found:
        raise ReaderError(f"{elf}: no vmcoreinfo note in its first 4 MiB")
    return int(found[1], 16)


def gdb(elf, vmlinux):
    """What gdb reads from an ELF dump with the kernel's symbols moved to where it ran."""
    offset = kernel_offset(elf)
    text = run("gdb", "-batch", "-nx", "-ex", f"core-file {elf}", "-ex", "info files",
               "-ex", f"symbol-file -o {offset:#x} {vmlinux}", "-ex", "x/s &linux_banner",
               "-ex", "p init_uts_ns.name.release", "-ex", "p init_task.comm")

    def find(pattern):
        found = re.search(pattern, text)
        return found[1] if found else None

    return {
        "loads": len(re.findall(r"is load\d+", text)),
        "banner": find(r'<linux_banner>:\s*"([^"]*)'),
        "release": find(r'\$1 = "([^"]*)"'),
        "init_task": find(r'\$2 = "([^"\\]*)'),
        "text": text,
    }


def makedumpfile_dmesg(dump, folder, program=("makedumpfile",)):
    target = Path(folder) / "makedumpfile-dmesg"
    run(*program, "-f", "--message-level", "4", "--dump-dmesg", dump, target)
    return target.read_text(errors="replace").splitlines()


def makedumpfile_filter(dump, target, program=("makedumpfile",), level=31):
    """Filters @dump again, as an administrator does to make it smaller."""
    run(*program, "-f", "--message-level", "4", "-c", "-d", level, dump, target)
    return Path(target)


def makedumpfile_join(flat, target):
    """Turns a flattened dump into a plain one."""
    with open(flat, "rb") as stream:
        run("makedumpfile", "-f", "--message-level", "4", "-R", target, stdin=stream)
    return Path(target)
