"""The reservation that getdump prints, all the way to the kernel: into GRUB's settings file,
through GRUB's own scripts (10_linux, with the parts that look at this machine's disks taken
out), through GRUB, to /proc/cmdline and the kernel's memory map."""

import importlib.util
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

import capture
import tools
import victim
from machine import GIB, MIB, Setup

SCRIPT = Path("/etc/grub.d/10_linux")
LIBRARY = Path("/usr/share/grub/grub-mkconfig_lib")
SLOTS = 64
TIMEOUT_S = 60

# What 10_linux asks this machine's disks for.
STUBS = """\
. {library}
prepare_grub_to_access_device() {{ :; }}
make_system_path_relative_to_its_root() {{ echo /boot; }}
grub_get_device_id() {{ echo test; }}
uses_abstraction() {{ false; }}
"""
# As grub-mkconfig: the settings are read by sh and exported, the scripts make grub.cfg.
MKCONFIG = """\
set -e
export pkgdatadir={folder} GRUB_DEVICE=/dev/null GRUB_DEVICE_BOOT=/dev/null
. {folder}/default-grub
export GRUB_CMDLINE_LINUX GRUB_CMDLINE_LINUX_DEFAULT
sh {folder}/10_linux
"""
# What 00_header says, as far as the entry needs it.
HEADER = """\
set default=0
set timeout=0
set menuentry_id_option=--id
function load_video { true; }
"""


def load_surveylog():
    """The maker of records of the tools' tests."""
    folder = Path(__file__).parents[1] / "host"
    parts = []
    for name in ("logimage", "surveylog"):
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        importlib.sys.modules.setdefault(name, module)
        spec.loader.exec_module(module)
        parts.append(module)
    return parts[1]


def put_record(disk):
    log = load_surveylog()
    start, size, _ = tools.dump_entry(disk)[:3]
    uuid = tools.read_bytes(disk, start + 16, 16)
    tools.write_bytes(disk, start + size - (1 + SLOTS) * 512 - log.AREA,
                      log.record(log.OVMF, uuid=uuid))


def grub_config(folder, words):
    """grub.cfg as grub-mkconfig makes it when @words are in the settings."""
    (folder / "default-grub").write_text(
        "GRUB_DISTRIBUTOR=Test\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n"
        f"GRUB_CMDLINE_LINUX=\"console=ttyS0 panic=0 {words}\"\n")
    (folder / "grub-mkconfig_lib").write_text(STUBS.format(library=LIBRARY))
    script = SCRIPT.read_text()
    assert "/boot/vmlinuz-*" in script
    (folder / "10_linux").write_text(script.replace("/boot/vmlinuz-*",
                                                    f"{folder}/root/boot/vmlinuz-*"))
    made = subprocess.run(["sh", "-c", MKCONFIG.format(folder=folder)], capture_output=True,
                          text=True, timeout=TIMEOUT_S)
    assert made.returncode == 0, made.stderr
    return HEADER + made.stdout


@pytest.fixture(scope="module", name="booted")
def boot(tmp_path_factory, kernel, step):
    """What getdump said and the victim's own words for its command line and memory."""
    folder = tmp_path_factory.mktemp("reserve")
    disk = tools.make_disk(folder / "dump.img", "128M")
    put_record(disk)
    words = json.loads(tools.getdump("survey", disk, "--json").stdout)["reserve"]
    with tempfile.TemporaryDirectory(dir=folder) as temp:
        root = Path(temp) / "root"
        (root / "boot").mkdir(parents=True)
        shutil.copy(kernel.vmlinuz, root / "boot" / f"vmlinuz-{kernel.release}")
        victim.make_initramfs(root / "boot" / f"initrd.img-{kernel.release}")
        config = grub_config(Path(temp), words["grub"])
        cd = victim.make_grub_cd(root, config, folder / "victim.iso")
    step("booting with " + words["plain"])
    setup = Setup(ram_file=folder / "ram", disk=disk, cd=cd)
    machine, _, _ = capture.start_victim(setup, step)
    with machine:
        machine.type('say "cmdline: $(cat /proc/cmdline)"; cat /proc/iomem; say iomem done')
        machine.wait_console(rf"^{capture.PROMPT}iomem done", TIMEOUT_S)
        console = machine.console()
    yield words, config, console
    shutil.rmtree(folder)


def test_grub_is_told_to_leave_the_dollar_alone(booted):
    words, config, _ = booted
    escaped = words["plain"].replace("$", "\\$")
    assert config.count(f"panic=0 {escaped} quiet") == 2
    assert "grub.cfg" not in escaped and words["plain"] not in config


def test_the_kernel_gets_the_plain_words(booted):
    words, _, console = booted
    cmdline = re.search(rf"^{capture.PROMPT}cmdline: (.*?)\r?$", console, re.M)[1].split()
    assert words["plain"] == "memmap=8M$0x1000000,1M$0x3bb00000,36M$0x3dc00000"
    assert words["plain"] in cmdline


def test_the_kernel_keeps_off_these_regions(booted):
    words, _, console = booted
    found = [(int(a, 16), int(b, 16) + 1, name.strip()) for a, b, name in
             re.findall(r"^ *([0-9a-f]{8,})-([0-9a-f]{8,}) : (.*?)\r?$", console, re.M)]
    assert any(name == "Kernel code" for _, _, name in found)
    for region in words["regions"]:
        start = int(region["start"], 16)
        end = start + region["bytes"]
        assert end <= GIB and start % MIB == 0
        inside = {name for a, b, name in found if a < end and b > start}
        assert inside <= {"Reserved", "ACPI Tables", "ACPI Non-volatile Storage"}, inside
        assert any(name == "Reserved" and a <= start for a, b, name in found if b > start)
