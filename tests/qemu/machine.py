"""One QEMU machine: q35 with SeaBIOS (uefi.py has the words for other firmware), software
emulation, RAM in a file of the host, dump disks and, if wanted, the victim's CD. RAM
survives the machine's resets and is there to be compared when it is stopped. It ends with its
time limit, with the test that started it, or with the Python that runs it, whichever comes
first."""

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import png
from qmp import Qmp, QmpError

MIB = 1 << 20
GIB = 1 << 30
Q35_LOW_BYTES = 2 * GIB  # RAM below 4 GiB if there is more than Q35_ALL_LOW_BYTES
Q35_ALL_LOW_BYTES = 0xb0000000
PR_SET_PDEATHSIG = 1
POLL_S = 0.02
SEND_TIMEOUT_S = 10
KEY_S = 0.3  # between two keys: some loaders drop what comes faster


class MachineError(Exception):
    """The machine did not do what was waited for; the text holds its last lines."""


# Each kind's own controllers, the device that is the disk, and its bus. "usb" is what the image
# has no driver for; firmware boots it all the same. The "2" are second controllers of a kind; a
# disk in a "slot" can be pulled.
CONTROLLERS = {
    "nvme": ((), "nvme", ""),
    "ahci": ((), "ide-hd", "ide.1"),
    "ahci2": (("ich9-ahci,id=ahci2",), "ide-hd", "ahci2.0"),
    "virtio": ((), "virtio-blk-pci,disable-legacy=on", ""),
    "nvme-slot": (("pcie-root-port,id=port1,chassis=1",), "nvme", "port1"),
    "virtio-slot": (("pcie-root-port,id=port1,chassis=1",), "virtio-blk-pci,disable-legacy=on",
                    "port1"),
    "usb": (("qemu-xhci,id=xhci",), "usb-storage", "xhci.0"),
}


@dataclass(frozen=True)
class Disk:
    """A disk of the machine; @name is its device's id. @layers are filters of QEMU's, the nearest
    to the file first. @words are added to its device."""
    path: Path
    controller: str = "nvme"  # of CONTROLLERS
    block_bytes: int = 512  # QEMU's SATA disks have no other
    name: str = "dump"
    bus: str = ""  # another than the kind's first
    layers: tuple = ()
    words: str = ""
    flush: bool = False  # hand the guest's flushes on: needless for what only QEMU reads


@dataclass(frozen=True)
class Setup:
    """How a machine is built. Paths are the caller's; @ram_file is made if it is not there.
    With several NUMA nodes each has its own file, and the first has the processors."""
    ram_file: Path
    ram_bytes: int = GIB
    nodes: int = 1
    disk: Path | None = None
    cd: Path | None = None
    cpus: int = 1
    cpu_model: str = "qemu64"
    block_bytes: int = 512
    inject_error: dict | None = None  # blkdebug's rule for the dump disk
    controller: str = "nvme"  # of the dump disk
    layers: tuple = ()  # of the dump disk, like
    flush: bool = False  # this,
    words: str = ""  # and this
    others: tuple = ()  # Disk of each other disk; their controllers come after the dump disk's
    before: tuple = ()  # likewise; before it
    serial: bool = True  # without a port the console is a file that stays empty
    private: bool = False  # what the machine writes to its RAM is not written to the file
    prealloc: bool = False  # RAM takes its memory of the host at once, not when it is touched
    limit_s: int = 300
    extra: tuple = field(default=())

    def ram_files(self):
        if self.nodes == 1:
            return [Path(self.ram_file)]
        return [Path(f"{self.ram_file}.{node}") for node in range(self.nodes)]

    def dump_disk(self):
        rule = ({"driver": "blkdebug", "inject-error": [self.inject_error]},)
        layers = (rule if self.inject_error else ()) + self.layers
        return Disk(self.disk, self.controller, self.block_bytes, layers=layers,
                    words=self.words, flush=self.flush)


def end_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def disk_node(disk):
    node = {"driver": "file", "filename": str(disk.path)}
    for layer in disk.layers:
        child = "image" if layer["driver"] == "blkdebug" else "file"
        node = {**layer, child: node}
    return json.dumps({"driver": "raw", "node-name": disk.name, "file": node,
                       "cache": {"no-flush": not disk.flush}})


def disk_words(disk, boot_index=None):
    """QEMU's words for @disk and, where it is not the machine's own, its controller."""
    controllers, device, bus = CONTROLLERS[disk.controller]
    if disk.bus or bus:
        device += f",bus={disk.bus or bus}"
    sizes = f"logical_block_size={disk.block_bytes},physical_block_size={disk.block_bytes}"
    boot = f",bootindex={boot_index}" if boot_index else ""
    serial = "afterimage" if disk.name == "dump" else f"afterimage-{disk.name}"
    words = [word for controller in controllers for word in ("-device", controller)]
    return words + ["-blockdev", disk_node(disk),
                    "-device", f"{device},id={disk.name},drive={disk.name},"
                               f"serial={serial},write-cache=on,{sizes}{boot}"
                               f"{disk.words}"]


def memory_words(setup):
    size = setup.ram_bytes // setup.nodes
    words = []
    for node, file in enumerate(setup.ram_files()):
        name = f"ram{node}" if setup.nodes > 1 else "ram"
        words += ["-object", f"memory-backend-file,id={name},size={size},"
                             f"share={'off' if setup.private else 'on'},"
                             f"prealloc={'on' if setup.prealloc else 'off'},mem-path={file}"]
        if setup.nodes > 1:
            cpus = f",cpus=0-{setup.cpus - 1}" if node == 0 else ""
            words += ["-numa", f"node,nodeid={node},memdev={name}{cpus}"]
    return words


def command_line(setup, folder):
    threads = "single" if setup.cpus == 1 else "multi"
    line = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
            "-machine", "q35" + (",memory-backend=ram" if setup.nodes == 1 else ""),
            "-accel", f"tcg,thread={threads}",
            "-cpu", setup.cpu_model, "-smp", str(setup.cpus), "-m", f"{setup.ram_bytes // MIB}M",
            *memory_words(setup), "-vga", "std", "-boot", "menu=off,strict=on", "-action", "shutdown=pause,panic=none",
            "-chardev", f"socket,id=console,path={folder}/console,server=on,wait=off,"
                        f"logfile={folder}/console.log",
            "-qmp", f"unix:{folder}/qmp,server=on,wait=off"]
    if setup.serial:
        line += ["-serial", "chardev:console"]
    for disk in setup.before:
        line += disk_words(disk)
    if setup.disk:
        line += disk_words(setup.dump_disk(), 1)
    for disk in setup.others:
        line += disk_words(disk)
    if setup.cd:
        line += ["-drive", f"if=none,id=cd,media=cdrom,readonly=on,format=raw,file={setup.cd}",
                 "-device", "ide-cd,id=cd,drive=cd,bus=ide.0,bootindex=0"]
    return line + list(setup.extra)


class Machine:
    """Runs from the start; a context manager whose end ends QEMU and removes its sockets and
    console log."""

    def __init__(self, setup):
        self.setup = setup
        self.folder = Path(tempfile.mkdtemp(prefix="afterimage-qemu-"))
        self.console_log = self.folder / "console.log"
        self.qmp = None
        with open(self.folder / "errors", "wb") as errors:
            self.process = subprocess.Popen(
                command_line(setup, self.folder), stdin=subprocess.DEVNULL, stdout=errors,
                stderr=errors, preexec_fn=end_with_parent)
        self.started = time.monotonic()
        self.timer = threading.Timer(setup.limit_s, self.kill)
        self.timer.daemon = True
        self.timer.start()
        try:
            self.qmp = Qmp(self.folder / "qmp")
        except QmpError as error:
            text = (self.folder / "errors").read_text()
            self.close()
            raise MachineError(f"QEMU did not start: {text or error}") from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.timer.cancel()
        if self.qmp:
            self.qmp.close()
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self):
        """What a power cut is to the disk; safe to repeat."""
        self.process.kill()
        self.process.wait()

    # --- the console ---------------------------------------------------------------------

    def console(self):
        """Everything printed since power on, with plain line ends."""
        if not self.console_log.exists():
            return ""
        text = self.console_log.read_bytes().decode("utf-8", "replace")
        return text.replace("\r", "")

    def wait_console(self, pattern, timeout_s, start=0):
        """The match of @pattern in the console's text from character @start on."""
        deadline = time.monotonic() + timeout_s
        expression = re.compile(pattern, re.M)
        while True:
            ended = self.process.poll() is not None
            text = self.console()
            if found := expression.search(text, start):
                return found
            if ended or time.monotonic() > deadline:
                why = "QEMU ended" if ended else f"not in {timeout_s} s"
                raise MachineError(f"console: no {pattern!r}: {why}; last lines:\n" +
                                   "\n".join(text[start:].splitlines()[-15:]))
            time.sleep(POLL_S)

    def type(self, line):
        """Sends a line to the serial console."""
        self.send(line.encode() + b"\n")

    def press(self, *keys):
        """Presses keys of the keyboard, by QEMU's names, one after the other."""
        for key in keys:
            self.qmp.command("send-key", keys=[{"type": "qcode", "data": key}])
            time.sleep(KEY_S)

    def send(self, data):
        """Sends bytes to the serial console, and waits until the port has taken them: QEMU
        drops what a closed connection still holds. Nobody may read them: not an error."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.connect(str(self.folder / "console"))
            s.settimeout(SEND_TIMEOUT_S)
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + SEND_TIMEOUT_S
            with contextlib.suppress(TimeoutError, ConnectionError):
                while time.monotonic() < deadline and s.recv(65536):
                    pass  # what the console prints, until QEMU has read all

    # --- the machine ---------------------------------------------------------------------

    def stop(self):
        self.qmp.command("stop")

    def running(self):
        return self.qmp.command("query-status")["running"]

    def cont(self):
        self.qmp.command("cont")

    def boot_next(self, device):
        """Which of "dump" and "cd" the next reset boots; the other is not tried."""
        for index, name in enumerate(("dump", "cd")):
            if name == "dump" and self.setup.disk or name == "cd" and self.setup.cd:
                self.qmp.command("qom-set", path=f"/machine/peripheral/{name}",
                                 property="bootindex",
                                 value=10 + index if name == device else -1)

    def reset(self, cont=True):
        """The reset button, RAM preserved; a stopped machine runs on if @cont."""
        self.qmp.events.clear()
        self.qmp.command("system_reset")
        if not self.qmp.wait_event("RESET", 20):
            raise MachineError("QEMU did not reset the machine")
        if cont:
            self.cont()

    def freeze_at_reboot(self):
        """From now on a reset made by the guest pauses the machine instead. Not for the time
        firmware runs: SeaBIOS, finding that it ran before, resets a few times on its own."""
        self.qmp.command("set-action", reboot="shutdown")

    def wait_end(self, timeout_s):
        """Until the guest resets or powers off, and the machine is paused before firmware
        runs again; returns QEMU's reason."""
        event = self.qmp.wait_event("SHUTDOWN", timeout_s)
        if not event:
            raise MachineError(f"the machine neither rebooted nor powered off in {timeout_s} s; "
                               "last lines:\n" + "\n".join(self.console().splitlines()[-15:]))
        return event["data"]["reason"]

    def screenshot(self, target):
        picture = self.folder / "screen.ppm"
        self.qmp.command("screendump", filename=str(picture))
        Path(target).write_bytes(png.from_ppm(picture.read_bytes()))

    def save_ram(self, target):
        """Copies the RAM of the stopped machine into one file; holes stay holes."""
        first, *others = self.setup.ram_files()
        subprocess.run(["cp", "--reflink=auto", "--sparse=auto", first, target],
                       check=True, timeout=120)
        for node, file in enumerate(others, 1):
            at = node * (self.setup.ram_bytes // self.setup.nodes)
            subprocess.run(["dd", "status=none", f"if={file}", f"of={target}", "bs=1M",
                            f"seek={at // MIB}", "conv=sparse,notrunc"], check=True, timeout=120)
        os.truncate(target, self.setup.ram_bytes)


def ram_offset(pa, ram_bytes):
    """Where the RAM at physical address @pa lies in the RAM file; None if it is no RAM."""
    low = ram_bytes if ram_bytes <= Q35_ALL_LOW_BYTES else Q35_LOW_BYTES
    if pa < low:
        return pa
    if 4 * GIB <= pa < 4 * GIB + ram_bytes - low:
        return pa - 4 * GIB + low
    return None
