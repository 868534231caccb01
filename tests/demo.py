"""make demo: the main job once, told to an administrator. A virtual machine with a real
Debian kernel hangs, is reset, its memory is captured by the dump disk, and the dump
answers what was going on. Everything it makes is in one temporary folder, removed at
the end."""

import shutil
import sys
import tempfile
import textwrap
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "qemu"))

import capture  # noqa: E402
import kernels  # noqa: E402
import readers  # noqa: E402
import tools  # noqa: E402
import victim  # noqa: E402
from machine import MachineError, Setup  # noqa: E402

LOG_LINES = 5
STARTED = time.monotonic()


def tell(text):
    print()
    for line in textwrap.wrap(text, 88):
        print(line)
    print(end="", flush=True)


def show(*lines):
    for line in lines:
        print("    " + line, flush=True)


def prepare(folder):
    kernel = kernels.get()
    tell("1. Prepare a dump disk. Here it is an image file; on a real machine it is an NVMe disk "
         "that you keep plugged in.")
    disk = folder / "dump.img"
    show(f"$ mkdumpdisk --size 4G --yes {disk.name}")
    tools.make_disk(disk, "4G", menu=3)
    return kernel, disk, victim.make_cd(kernel, folder)


def hang_and_capture(folder, kernel, disk, cd):
    tell(f"2. Boot a machine with Debian's kernel {kernel.release}. It knows nothing of the dump "
         "disk: no kdump, no reserved memory.")
    setup = Setup(ram_file=folder / "ram", disk=disk, cd=cd)
    machine, nonce, _ = capture.start_victim(setup, show)
    with machine:
        show(f"the machine is up; it wrote a line to its log that nobody could guess: {nonce}")
        tell("3. Now it hangs: a program of the highest priority takes the processor and never "
             "gives it back. No panic, no message.")
        capture.hang(machine)
        show("$ echo hello", "(no answer)")
        tell("4. Press reset, and boot the dump disk. Memory survives a reset; afterimage finds "
             "the kernel in it and writes it out. On the machine's console:")
        result = capture.reset_and_capture(machine)
    show(*result.lines)
    if result.state != "complete":
        raise MachineError("the dump is not complete")
    show(f"({result.seconds:.1f} seconds from the reset to the complete dump)")
    return nonce


def look_inside(folder, kernel, disk, nonce):
    tell("5. Back at the desk: fetch the dump as a file that crash, drgn and gdb open.")
    show(f"$ getdump list {disk.name}")
    show(*tools.getdump("list", disk).stdout.splitlines())
    target = folder / "hang.kdump"
    show(f"$ getdump extract {disk.name} -o {target.name}")
    tools.extract(disk, "kdump", target)
    tell("6. What was that machine doing? Read out of the dump with drgn and the kernel's debug "
         "file:")
    report = readers.drgn(target, kernel.vmlinux)
    show(f"kernel:    {report['release']} on {report['nodename']}",
         f"processor: was running '{report['current'][0]}', which is our loop",
         f"log, its last {LOG_LINES} lines:",
         *("  " + line for line in report["log"][-LOG_LINES:]))
    names = [f"{pid} {name}" for pid, name in report["tasks"]]
    show(f"processes, all {len(names)}:",
         *textwrap.wrap(", ".join(names), 84, initial_indent="  ", subsequent_indent="  "))
    if not any(nonce in line for line in report["log"]):
        raise MachineError("the line only this machine could have written is not in the dump")
    report = readers.crash(target, kernel.vmlinux, folder, int(report["banner_va"]))
    tell("crash opens the same file:")
    wanted = ("CPUS:", "DATE:", "UPTIME:", "NODENAME:", "RELEASE:", "VERSION:", "MEMORY:")
    show(*(line.strip() for line in report["text"].splitlines()
           if line.strip().startswith(wanted)))
    show(f"$ getdump clear {disk.name} -n 1      (fetched: the space may be used again)")
    tools.getdump("clear", disk, "-n", "1")


def main():
    folder = Path(tempfile.mkdtemp(prefix="afterimage-demo-"))
    try:
        kernel, disk, cd = prepare(folder)
        nonce = hang_and_capture(folder, kernel, disk, cd)
        look_inside(folder, kernel, disk, nonce)
    except (kernels.KernelError, MachineError, readers.ReaderError, tools.ToolError) as error:
        sys.exit(f"\ndemo: failed: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    tell(f"The line with {nonce} in the log above came out of the memory of a machine that could "
         f"not say anything any more. ({time.monotonic() - STARTED:.0f} s)")


if __name__ == "__main__":
    main()
