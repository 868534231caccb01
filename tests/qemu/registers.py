"""The processors' registers at a panic: what the kernel left of them in its own memory
(crash_notes), read without any of the project's code, and what the readers of a dump make of
the notes that the dump took them from."""

import json
import re
import struct
import subprocess
from pathlib import Path

import readers
import vmcore

NT_PRSTATUS = 1
PID_AT, REGISTERS_AT = 32, 112  # struct elf_prstatus
NAMES = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs rflags rsp ss "
         "fs_base gs_base ds es fs gs").split()  # struct user_regs_struct
NOTE_BYTES = 356  # header, name, struct elf_prstatus
DRGN_SCRIPT = Path(__file__).parent / "drgn_registers.py"
KDUMPFILE_SCRIPT = Path(__file__).parent / "kdumpfile_registers.py"
GDB_NAMES = {"eflags": "rflags"}


# --- what the kernel left ----------------------------------------------------------------


def symbols(vmlinux, names):
    """Addresses that the kernel was linked for."""
    text = subprocess.run(["nm", vmlinux], capture_output=True, text=True, check=True,
                          timeout=120).stdout
    found = {name: int(address, 16) for address, name in
             re.findall(rf"^([0-9a-f]+) \w ({'|'.join(names)})$", text, re.M)}
    if set(found) != set(names):
        raise vmcore.VmcoreError(f"{vmlinux} has of {names} only {sorted(found)}")
    return found


class Kernel:
    """Memory of a panicked kernel by virtual address."""

    def __init__(self, ram_file, ram_bytes, release, vmlinux):
        self.ram = vmcore.Ram(ram_file, ram_bytes)
        self.kernel = vmcore.load_kernel(ram_file, ram_bytes, release)
        self.vmlinux = vmlinux
        self.offset = vmcore.number(self.kernel.info, "KERNELOFFSET", 16)

    def address(self, *names):
        found = symbols(self.vmlinux, names)
        return [found[name] + self.offset for name in names]

    def read(self, va, count):
        """At most to the end of @va's page."""
        return self.ram.read(vmcore.translate(self.ram, self.kernel, va), count)

    def word(self, va):
        return struct.unpack("<Q", self.read(va, 8))[0]

    def per_cpu_offsets(self, cpus):
        (table,) = self.address("__per_cpu_offset")
        return [self.word(table + 8 * cpu) for cpu in range(cpus)]

    def notes(self, cpus):
        """Of each processor its NT_PRSTATUS note as the kernel wrote it, None if it is empty."""
        (pointer,) = self.address("crash_notes")
        base = self.word(pointer)
        notes = []
        for offset in self.per_cpu_offsets(cpus):
            data = self.read((base + offset) % (1 << 64), NOTE_BYTES + 12)
            used = data[:4] != bytes(4)
            if used and data[NOTE_BYTES:] != bytes(12):
                raise vmcore.VmcoreError("a processor's notes are not one note")
            notes.append(data[:NOTE_BYTES] if used else None)
        return notes


def fields(note):
    """Task number and registers by name."""
    desc = note[20:]
    found = dict(zip(NAMES, struct.unpack_from(f"<{len(NAMES)}Q", desc, REGISTERS_AT)))
    return found | {"pid": struct.unpack_from("<I", desc, PID_AT)[0]}


# --- what the files hold -----------------------------------------------------------------


def split_notes(data):
    """The NT_PRSTATUS notes, whole."""
    at, found = 0, []
    while at + 12 <= len(data):
        name, desc, kind = struct.unpack_from("<III", data, at)
        end = at + 12 + (name + 3 & ~3) + (desc + 3 & ~3)
        if kind == NT_PRSTATUS and data[at + 12:at + 16] == b"CORE":
            found.append(data[at:end])
        at = end
    return found


def file_notes(path, kind):
    """Those of an ELF or KDUMP file, in its order."""
    with open(path, "rb") as f:
        if kind == "elf":
            f.seek(64)  # the first program header is that of the notes
            kind, _, place, _, _, count = struct.unpack("<IIQQQQ", f.read(40))
            assert kind == vmcore.PT_NOTE
        else:
            f.seek(vmcore.PAGE + 48)
            place, count = struct.unpack("<QQ", f.read(16))
        f.seek(place)
        return split_notes(f.read(count))


# --- what readers see --------------------------------------------------------------------


def parse_crash(text):
    """By processor: task, functions of its back trace, the registers crash found in the file."""
    cpus = {}
    for block in re.split(r"^(?=PID: )", text, flags=re.M)[1:]:
        head = re.match(r'PID: (\d+) +TASK: \w+ +CPU: (\d+) +COMMAND: "(.*)"', block)
        cpus[int(head[2])] = {"pid": int(head[1]), "comm": head[3], "text": block,
                              "frames": re.findall(r"#\d+ \[[0-9a-f]+\] (\S+) ", block)}
    # help -r: "CPU 0:" or "CPU 0: [OFFLINE]", then registers as upper-case names with values.
    for block in re.split(r"^(?=CPU \d+:)", text, flags=re.M)[1:]:
        cpu = int(re.match(r"CPU (\d+):", block)[1])
        if cpu in cpus:
            cpus[cpu]["registers"] = {name.lower(): int(value, 16) for name, value in
                                      re.findall(r"\b([A-Z][A-Z0-9_]+): +([0-9a-f]+)", block)}
    return cpus


def crash(dump, vmlinux, folder, program=("crash",)):
    """The words after PANIC: and what parse_crash finds."""
    commands = Path(folder) / "crash-registers"
    commands.write_text("sys\nbt -a\nhelp -r\nexit\n")
    text = readers.run(*program, "-s", "--no_scroll", "-i", commands, vmlinux, dump)
    panic = re.search(r"^ *PANIC: (.+)", text, re.M)
    return panic[1] if panic else None, parse_crash(text)


def gdb(elf, vmlinux):
    """By gdb's thread number: where it is by the kernel's symbols, and its registers."""
    offset = readers.kernel_offset(elf)
    text = readers.run("gdb", "-batch", "-nx", "-ex", f"core-file {elf}",
                       "-ex", f"symbol-file -o {offset:#x} {vmlinux}", "-ex", "info threads",
                       "-ex", "thread apply all -ascending info registers")
    threads = {int(number): {"place": place.strip(), "registers": {}} for number, place in
               re.findall(r"^[* ] (\d+) +(?:LWP|process|Thread) \S+ +(.*)$", text, re.M)}
    for block in re.split(r"^(?=Thread \d+ )", text, flags=re.M)[1:]:
        number = int(re.match(r"Thread (\d+) ", block)[1])
        threads[number]["registers"] = {
            GDB_NAMES.get(name, name): int(value, 16)
            for name, value in re.findall(r"^(\w+) +(0x[0-9a-f]+)", block, re.M)}
    return threads


def drgn(dump, vmlinux, python):
    """The report of drgn_registers.py, by the Python that the words @python start."""
    report = json.loads(readers.run(*python, DRGN_SCRIPT, dump, vmlinux))
    return report | {"cpus": {int(cpu): seen for cpu, seen in report["cpus"].items()}}


def kdumpfile(dump, python):
    """The registers as libkdumpfile reads them, by number of the note."""
    report = json.loads(readers.run(*python, KDUMPFILE_SCRIPT, dump))
    return {int(number): registers for number, registers in report.items()}
