"""A Debian 12 with systemd that boots from a disk of its own: its packages are unpacked into
the cache folder, not installed, and made into an ext4 file system without root's rights. It
takes commands on the serial port and is the same after a reboot."""

import contextlib
import hashlib
import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import kernels
import newest
from machine import Machine, Setup

SUITE = "bookworm"
PACKAGES = ("systemd-sysv", "udev", "kexec-tools", "kmod", "util-linux", "coreutils", "dash",
            "procps", "base-passwd", "efibootmgr", "mtools", "libfdisk1", "libblkid1",
            "libjson-c5", "libuuid1", "zlib1g")
NEEDLESS = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info",
            "usr/share/zoneinfo", "usr/lib/udev/hwdb.d", "lib/udev/hwdb.d", "var/cache",
            "var/lib/apt")
MASKED = ("serial-getty@ttyS0.service", "getty@tty1.service", "getty-static.service",
          "systemd-logind.service", "systemd-timesyncd.service", "systemd-hwdb-update.service",
          "systemd-user-sessions.service", "systemd-random-seed.service", "dev-hugepages.mount",
          "dev-mqueue.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount")
# What a test can do without that plugs nothing in: half of the time that a boot takes.
NEEDLESS_UNITS = (
    "systemd-udevd.service", "systemd-udev-trigger.service", "modprobe@.service",
    "systemd-udevd-control.socket", "systemd-udevd-kernel.socket",
    "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service",
    "systemd-sysusers.service", "systemd-sysctl.service", "systemd-modules-load.service",
    "systemd-tmpfiles-setup.service", "systemd-tmpfiles-setup-dev.service",
    "systemd-tmpfiles-clean.timer", "systemd-binfmt.service",
    "systemd-machine-id-commit.service")
ROOT_START = 1 << 20
ROOT_BYTES = 512 << 20
ROOT_UUID = "5d1b7c1e-6a0f-4b52-9a44-0c1d3f6a7e10"
TIMEOUT_S = 300
BOOT_TIMEOUT_S = 120
LIMIT_S = 600
PROMPT = "afterimage-test: "
REPEATS = 9
MAX_REPEATED = 2

SHELL = f"""\
#!/bin/sh
# Runs what comes in by the serial port, a line at a time, and prints its output in a frame with
# a number, the exit code and a checksum. The emulated port sometimes repeats a character: what
# tells of an end is told three times, and the output is printed again when asked for.
stty -echo
tell() {{ printf '%s\\n' "$1" "$1" "$1"; }}
echo "{PROMPT}boot $(cat /proc/sys/kernel/random/boot_id)" >/dev/kmsg
tell "{PROMPT}ready $(cat /proc/sys/kernel/random/boot_id)"
while read -r word line; do
	if [ "$line" != again ]; then
		out=$(sh -c "$line" </dev/null 2>&1)
		code=$?
		sum=$(printf '%s' "$out" | sha256sum)
	fi
	printf '%s\\n' "{PROMPT}begin $word" "$out"
	tell "{PROMPT}done $word $code ${{sum%% *}}"
done
"""
SHELL_UNIT = """\
[Unit]
After=basic.target afterimage-kexec.service
[Service]
ExecStart=/usr/local/bin/test-shell
StandardInput=tty
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
"""


class DebianError(Exception):
    """The system can not be made, or a command in it did not end well."""


def unpack(target, packages):
    print(f"debian: fetching a small {SUITE}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temp:
        root = Path(temp) / "root"
        done = subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=extract", "--mode=chrootless",
             "--include=" + ",".join(packages), SUITE, root, newest.mirror()],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900)
        if done.returncode:
            raise DebianError("mmdebstrap failed:\n" + done.stderr[-2000:])
        for name in NEEDLESS:
            shutil.rmtree(root / name, ignore_errors=True)
        os.rename(root, target)


def base(more=()):
    """The unpacked packages, as many as PACKAGES and @more name; the first of these names them."""
    name = "-".join((f"debian-{SUITE}", *more[:1]))
    root = kernels.cache_dir() / name
    stamp = kernels.cache_dir() / f"{name}.packages"
    packages = PACKAGES + tuple(more)
    wanted = " ".join(packages)
    with kernels.cache_lock():
        if not root.exists() or not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(root, ignore_errors=True)
            unpack(root, packages)
            stamp.write_text(wanted)
    return root


def write(root, path, text, mode=0o644):
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.write_text(text)
    target.chmod(mode)


def set_up(root, masked):
    """What the packages' scripts would have done, as far as it is needed."""
    for name in ("passwd", "group"):
        write(root, f"etc/{name}", (root / f"usr/share/base-passwd/{name}.master").read_text())
    write(root, "etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    write(root, "etc/hostname", "test-debian\n")
    write(root, "etc/fstab", "")
    write(root, "usr/local/bin/test-shell", SHELL, 0o755)
    write(root, "etc/systemd/system/test-shell.service", SHELL_UNIT)
    units = root / "etc/systemd/system"
    (units / "multi-user.target.wants").mkdir(parents=True, exist_ok=True)
    links = {"default.target": "/lib/systemd/system/multi-user.target",
             "multi-user.target.wants/test-shell.service":
                 "/etc/systemd/system/test-shell.service"}
    links |= {name: "/dev/null" for name in (*MASKED, *masked)}
    for name, to in links.items():
        (units / name).unlink(missing_ok=True)
        os.symlink(to, units / name)


def make_root(disk, files, more=(), room_bytes=0, masked=()):
    """A disk with one partition, in it the system, with @more packages and without the units
    @masked, and @files, each a path in it and what to copy there; after it there is room for
    others of @room_bytes."""
    with tempfile.TemporaryDirectory(dir=Path(disk).parent) as temp:
        root = Path(temp) / "root"
        subprocess.run(["cp", "-a", "--reflink=auto", base(more), root], check=True,
                       timeout=TIMEOUT_S)
        set_up(root, masked)
        for path, source in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, root / path)
        with open(disk, "wb") as f:
            f.truncate(ROOT_BYTES + 2 * ROOT_START + room_bytes)
        table = f"label: gpt\nstart={ROOT_START // 512}, size={ROOT_BYTES // 512}, " \
                f"uuid={ROOT_UUID}\n"
        for line, given in (
                (["/usr/sbin/sfdisk", "-q", disk], table),
                (["/usr/sbin/mke2fs", "-q", "-t", "ext4", "-O", "^metadata_csum,^64bit", "-d",
                  root, "-E", f"offset={ROOT_START},root_owner=0:0", disk,
                  f"{ROOT_BYTES >> 10}k"], None)):
            done = subprocess.run(line, input=given, capture_output=True, text=True,
                                  timeout=TIMEOUT_S, check=False)
            if done.returncode:
                raise DebianError(f"{line[0]}: {done.stderr}")
    return Path(disk)


def without_repeats(text, digest):
    """@text less up to MAX_REPEATED of the characters that follow their like: what has the
    SHA-256 @digest. None if nothing of it has."""
    doubled = [i for i in range(1, len(text)) if text[i] == text[i - 1]]
    for count in range(MAX_REPEATED + 1):
        for places in itertools.combinations(doubled, count):
            parts = [text[a:b] for a, b in zip((0, *(i + 1 for i in places)),
                                               (*places, len(text)), strict=True)]
            if hashlib.sha256("".join(parts).encode()).hexdigest() == digest:
                return "".join(parts)
    return None


def drain(line):
    """Takes what comes, until the end; the log has it."""
    with contextlib.suppress(OSError):
        while line.recv(65536):
            pass


def cmdline(words=""):
    """The kernel's, @words included."""
    return f"root=PARTUUID={ROOT_UUID} rw console=ttyS0 loglevel=1 " \
           f"systemd.show_status=0 panic=0 net.ifnames=0 {words}".rstrip()


class Debian(Machine):
    """The running system. Its kernel comes from outside, so a reset boots it again, or, with
    @kernel None, from a medium that is among the @options, or from its own disk, for which
    @root_words are. A second processor can be plugged."""

    def __init__(self, folder, kernel, root_disk, dump_disk, words="", extra=(), root_words="",
                 **options):
        node = "driver=raw,node-name=root,cache.no-flush=on,file.driver=file," \
               f"file.filename={root_disk}"
        boot = ("-kernel", str(kernel.vmlinuz), "-append", cmdline(words)) if kernel else ()
        super().__init__(Setup(
            ram_file=Path(folder) / "ram", disk=dump_disk, extra=(
                *boot, "-blockdev", node,
                "-device", "nvme,serial=root,drive=root" + root_words, "-smp", "1,maxcpus=2",
                *extra),
            **({"limit_s": LIMIT_S} | options)))
        self.seen = 0
        self.asked = 0
        self.connect()

    def wait_ready(self, timeout_s=BOOT_TIMEOUT_S):
        """Until it takes commands; the boot's id. What it printed before is not looked at
        again."""
        found = self.wait_console(rf"{PROMPT}ready (\S+)(?=\n)", timeout_s, self.seen)
        self.seen = found.end()
        return found[1]

    def connect(self):
        """One connection for good: what the guest has not taken from the port when it closes
        would be lost, and nobody would take what the guest prints."""
        self.line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.line.connect(str(self.folder / "console"))
        threading.Thread(target=drain, args=(self.line,), daemon=True).start()

    def close(self):
        super().close()
        self.line.close()

    def send(self, command):
        """Starts @command; does not wait."""
        self.seen = len(self.console())
        self.asked += 1
        self.line.sendall(f"{self.asked} {command}\n".encode())

    def ask(self, command, timeout_s=60):
        """Exit code and output of @command; when a character was repeated on the way, it is
        printed once more."""
        for text in (command, *["again"] * REPEATS):
            self.send(text)
            end = self.wait_console(rf"{PROMPT}done {self.asked} (\d+) ([0-9a-f]{{64}})(?=\n)",
                                    timeout_s, self.seen)
            said = self.console()[self.seen:end.start()]
            self.seen = end.end()
            output = said.partition(f"{PROMPT}begin {self.asked}\n")[2].rstrip("\n")
            whole = without_repeats(output, end[2])
            if whole is not None:
                return int(end[1]), whole
        raise DebianError(f"{command}: its output came damaged {1 + REPEATS} times:\n{output}")

    def do(self, command, timeout_s=60):
        """Output of @command, which must end well."""
        code, text = self.ask(command, timeout_s)
        if code:
            raise DebianError(f"{command} ended with {code}:\n{text}")
        return text

    def wait_for(self, command, timeout_s=120):
        """Until @command, tried again and again, ends well; its output."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            code, text = self.ask(command)
            if not code:
                return text
            time.sleep(0.5)
        return self.do(command)
