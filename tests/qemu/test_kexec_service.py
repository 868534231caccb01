"""mkdumpdisk --kexec on a real Debian with systemd: installed, there after a reboot, reloaded
when memory or processors change, it captures a crash, the machine comes up again, and it goes
without a trace. Then the refusals that only a real kernel can make."""

import re

import pytest

import capture
import debian
import tools

SERVICE = "afterimage-kexec.service"
STATUS = "mkdumpdisk --kexec=status"
LOADED = "cat /sys/kernel/kexec_crash_loaded"
SECOND_CPU = {"socket-id": 0, "core-id": 1, "thread-id": 0}
FILES = ("/etc/afterimage", "/etc/systemd/system/" + SERVICE, "/run/afterimage-kexec.loaded",
         "/etc/systemd/system/sysinit.target.wants/" + SERVICE,
         "/etc/udev/rules.d/90-afterimage-kexec.rules", "/usr/local/lib/afterimage-kexec")
FIND_DISK = """for d in /sys/block/nvme*; do read s <$d/device/serial; \
[ "$s" = afterimage ] && echo /dev/${d##*/}; done; true"""
# Takes memory away and gives it back: blocks from the top down, until one can be spared.
UNPLUG = """for m in $(ls -d /sys/devices/system/memory/memory[0-9]* | sort -Vr); do \
echo offline 2>/dev/null >$m/state && break; done; cat $m/state; echo online >$m/state"""


@pytest.fixture(scope="module")
def root_disk(tmp_path_factory):
    """The system with mkdumpdisk as `make install` puts it."""
    return debian.make_root(tmp_path_factory.mktemp("debian") / "root.img", {
        "usr/local/sbin/mkdumpdisk": tools.program("mkdumpdisk"),
        "usr/local/lib/afterimage/afterimage.bzimage": tools.program("afterimage.bzimage"),
        "opt/try/mkdumpdisk": tools.program("mkdumpdisk"),
        "opt/try/afterimage.bzimage": tools.program("afterimage.bzimage")})


@pytest.fixture
def boot(tmp_path, kernel, root_disk):
    """boot(words): a machine with its own copy of the system and a dump disk, ready."""
    machines = []

    def start(words):
        disk = tools.make_disk(tmp_path / "dump.img", "512M")
        root = tools.copy(root_disk, tmp_path / "root.img")
        machines.append(debian.Debian(tmp_path, kernel, root, disk, words))
        machines[0].wait_ready()
        return machines[0], disk

    yield start
    for machine in machines:
        machine.close()


def start_id(machine):
    """Another one after every start of the service."""
    return machine.do(f"systemctl show -P InvocationID {SERVICE}")


def wait_restart(machine, before):
    machine.wait_for(f"test $(systemctl show -P InvocationID {SERVICE}) != {before} && "
                     f"systemctl is-active {SERVICE}")
    machine.do("udevadm settle")


def check_well(machine, uuid):
    lines = machine.do(STATUS).splitlines()
    assert lines[:2] == ["memory: 16.0 MiB reserved", "image: loaded"]
    assert re.fullmatch(rf"target: /dev/nvme\dn1p3, UUID {uuid}, on NVMe", lines[2])
    assert machine.do(f"systemctl is-active {SERVICE}") == "active"
    assert machine.do(f"systemctl is-enabled {SERVICE}") == "enabled"
    assert machine.do(LOADED) == "1"


def check_gone(machine, disk_name):
    assert machine.do(LOADED) == "0"
    code, text = machine.ask(STATUS)
    assert code == 1 and "nothing is installed" in text and "image: not loaded" in text
    for path in FILES:
        assert machine.ask(f"test -e {path} -o -L {path}")[0] == 1, path
    assert machine.ask(f"systemctl cat {SERVICE}")[0] != 0
    assert tools.DONE == machine.ask("mkdumpdisk --kexec=remove")[0]  # nothing to do is fine
    assert "would be captured" in machine.do(f"mkdumpdisk --kexec --dry-run {disk_name}")


def crash(machine):
    """Panics, and follows the image until the machine has booted again."""
    machine.send("echo c >/proc/sysrq-trigger")
    machine.wait_console(r"^afterimage \S+ via linux(?=\n)", 60, machine.seen)
    found = machine.wait_console(capture.RESULT, capture.CAPTURE_TIMEOUT_S, machine.seen)
    assert found["state"] == "complete", found[0]
    machine.wait_ready()


def test_service(boot, kernel, step):
    machine, disk = boot("crashkernel=16M panic=1")
    uuid = tools.dump_entry(disk)[2]
    name = machine.do(FIND_DISK)
    step(f"booted; dump disk {name}")
    out = machine.do(f"mkdumpdisk --kexec {name}")
    assert "crashkernel  16M" in out and "the image is loaded" in out and "(a copy)" not in out
    check_well(machine, uuid)

    machine.send("systemctl reboot")
    machine.wait_ready()
    step("rebooted")
    check_well(machine, uuid)
    log = machine.do(f"journalctl -b -q -o cat -u {SERVICE}")
    assert f"loaded by kexec_file_load; a crash is captured to {name[:-3]}" in log
    assert len(re.findall("loaded by", log)) == 1  # no restart for udev's own events at boot

    before = start_id(machine)
    assert machine.do(UNPLUG) == "offline"
    wait_restart(machine, before)
    step("reloaded after memory went and came")
    before = start_id(machine)
    machine.qmp.command("device_add", driver="qemu64-x86_64-cpu", **SECOND_CPU)
    wait_restart(machine, before)
    machine.do("echo 1 >/sys/devices/system/cpu/cpu1/online")
    check_well(machine, uuid)
    step("reloaded after a processor came; crashing")

    crash(machine)
    step("captured and up again")
    check_well(machine, uuid)
    machine.do("mkdumpdisk --kexec=remove")
    check_gone(machine, name)
    machine.do(UNPLUG)  # nobody reacts any more
    machine.do("udevadm settle; sleep 1")
    assert machine.do(LOADED) == "0"
    machine.close()
    dump = tools.info(disk)["dump"]
    assert dump["state"] == "complete" and dump["kernel"] == kernel.release
    assert dump["host"] == "test-debian" and "sysrq" in dump["panic"].lower()
    assert dump["cpus_with_registers"] == 2
    tools.getdump("verify", disk)


def restart(machine):
    """Exit code of a restart, and what the service last said of it."""
    code, _ = machine.ask(f"systemctl restart {SERVICE}")
    return code, machine.do("journalctl -b -q -o cat -t mkdumpdisk -n 1")


def test_refusals(boot, step):
    """A program that is not installed is copied; with the least memory all works, with less it
    says so; and what the kernel does not allow."""
    machine, _ = boot("crashkernel=4M")
    name = machine.do(FIND_DISK)
    out = machine.do(f"/opt/try/mkdumpdisk --kexec {name}")
    assert "/usr/local/lib/afterimage-kexec/mkdumpdisk (a copy)" in out and "4.0 MiB" in out
    machine.do("rm -r /opt/try /usr/local/sbin/mkdumpdisk")
    machine.do(f"systemctl restart {SERVICE}")
    assert machine.do(LOADED) == "1"
    machine.do(f"systemctl stop {SERVICE}")
    assert machine.do(LOADED) == "0"
    step("loaded in 4 MiB, unloaded")

    machine.do("kexec -p -s --command-line=x /usr/local/lib/afterimage-kexec/afterimage.bzimage")
    code, log = restart(machine)
    assert code == 1 and "another crash kernel is loaded already" in log
    assert machine.do(LOADED) == "1"
    machine.do("kexec -p -u")
    machine.do(f"echo {2 << 20} >/sys/kernel/kexec_crash_size")
    code, log = restart(machine)
    assert code == 1
    assert "2.0 MiB reserved, too small: the image needs 4 MiB; set crashkernel=16M" in log
    machine.do("echo 0 >/sys/kernel/kexec_crash_size")
    code, log = restart(machine)
    assert code == 1 and "none is reserved although crashkernel=" in log
    step("another's, too small, none: refused")

    tool = "/usr/local/lib/afterimage-kexec/mkdumpdisk"
    machine.do("echo integrity >/sys/kernel/security/lockdown")
    code, log = restart(machine)
    assert code == 1 and "locked down (integrity)" in log
    code, text = machine.ask(f"{tool} --kexec {name}")
    assert code == 1 and "locked down (integrity)" in text
    machine.do("echo 1 >/proc/sys/kernel/kexec_load_disabled")
    code, log = restart(machine)
    assert code == 1 and "switched off until the next boot" in log
    machine.do(f"{tool} --kexec=remove")
    assert machine.ask(f"systemctl is-failed {SERVICE}")[1] != "failed"
    for path in FILES:
        assert machine.ask(f"test -e {path} -o -L {path}")[0] == 1, path
    step("lockdown, disabled: refused; removed")
