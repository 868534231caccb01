"""mkdumpdisk --kexec on a made-up system below --root: what it writes, what it runs, and
every refusal. Loop devices, which stand for the disk, need root."""

import json
import os
import re
import shutil
import subprocess

import pytest

from hosttools import check, done, number_of, refused, run
from kexectree import (BUILD, COPY, IMAGE, LINK, MIB, RECORD, RULE, SETTINGS, TOOL, UNIT, Tree)

SIZE = 100 * MIB
SERVICE = "afterimage-kexec.service"


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A dump disk; read only."""
    disk = tmp_path_factory.mktemp("disk") / "dump.img"
    check(TOOL, "--size", SIZE, "--yes", disk)
    return disk


@pytest.fixture
def tree(tmp_path, prepared):
    root = tmp_path / "root"
    root.mkdir()
    return Tree(root, prepared)


@pytest.fixture
def device(loop, prepared, tree):
    """The dump disk as a block device that looks like an NVMe disk of the tree."""
    dev = loop("-r", prepared)
    tree.detach()
    shutil.rmtree(tree.root / "sys/devices")
    tree.attach("nvme0n1", number=number_of(dev))
    return dev


# --- usage ---------------------------------------------------------------------------------


@pytest.mark.parametrize("args,words", [
    (("--kexec=foo", "x"), "--kexec: 'foo' is not known"),
    (("--kexec",), "no TARGET given"),
    (("--kexec", "a", "b"), "more than one TARGET"),
    (("--kexec", "--size", "1G", "x"), "--size is for preparing"),
    (("--kexec", "--force", "x"), "--force is for preparing"),
    (("--kexec", "-l", "1", "x"), "--level is for preparing"),
    (("--kexec=load", "--after", "halt"), "--after is for preparing"),
    (("--kexec=status", "x"), "--kexec=status takes no TARGET"),
    (("--kexec=load", "--console", "screen"), "--kexec=load takes no --console"),
    (("--kexec=remove", "--image", "x"), "--kexec=remove takes no --image"),
    (("--kexec", "--json", "x"), "no report as JSON"),
    (("--root", "/x", "y"), "--root is for --kexec"),
    (("--kexec=status", "--root", ""), "--root: '' is no directory"),
    (("--kexec=status", "--root", "/x/"), "without / at its end"),
])
def test_usage(args, words):
    refused(run(TOOL, *args), "", re.escape(words), "--help", code=2)


def test_help_has_kexec():
    text = check(TOOL, "--help")
    for word in ("--kexec TARGET", "--kexec=status", "--kexec=remove", "--kexec=load",
                 "--kexec=unload", "--root", "crashkernel=16M", SERVICE):
        assert word in text
    assert max(map(len, text.splitlines())) <= 90


def test_needs_root(tmp_path):
    if os.geteuid() != 0:
        refused(run(TOOL, "--kexec=status"), SERVICE, "needs root", "run this as root")
        return
    shutil.copy(TOOL, tmp_path / "mkdumpdisk")
    for folder in [tmp_path, *tmp_path.parents][:-1]:
        if os.stat(folder).st_uid == os.geteuid() and str(folder).startswith("/tmp/"):
            os.chmod(folder, 0o755)
    r = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", tmp_path / "mkdumpdisk",
                        "--kexec=load"], capture_output=True, text=True, check=False)
    refused(r, SERVICE, "needs root", "run this as root")


# --- install -------------------------------------------------------------------------------


def test_install(tree, device):
    out = done(tree.tool("--kexec", device, "--console", "serial:1:9600"))
    assert "/dev/nvme0n1p3" in out and tree.uuid in out
    assert "crashkernel  16M (the least that works: 4M)" in out and "16.0 MiB reserved" in out
    assert "update-grub" in out and "GRUB_CMDLINE_LINUX_DEFAULT" in out
    with open(IMAGE, "rb") as image, open(TOOL, "rb") as program:
        assert (tree.root / COPY / "afterimage.bzimage").read_bytes() == image.read()
        assert (tree.root / COPY / "mkdumpdisk").read_bytes() == program.read()
    assert os.access(tree.root / COPY / "mkdumpdisk", os.X_OK)
    lines = tree.read(SETTINGS).splitlines()
    assert lines[1:4] == [f"TARGET={tree.uuid}", "CONSOLE=serial:0x2f8:9600",
                          f"IMAGE=/{COPY}/afterimage.bzimage"]
    unit = tree.read(UNIT)
    assert f"\nExecStart=/{COPY}/mkdumpdisk --kexec=load\n" in unit
    assert f"\nExecStop=/{COPY}/mkdumpdisk --kexec=unload\n" in unit
    assert os.readlink(tree.root / LINK) == "/" + UNIT
    assert f"try-restart {SERVICE}" in tree.read(RULE)
    assert tree.calls() == []  # below --root nothing is started
    assert not [name for name in tree.files() if name.endswith(".new")]


def test_systemd_takes_the_unit(tree, device):
    """The unit, with the program where the unit says, is without fault to systemd itself."""
    done(tree.tool("--kexec", device))
    text = tree.read(UNIT).replace(f"/{COPY}/", f"{tree.root}/{COPY}/")
    (tree.root / SERVICE).write_text(text)
    r = run("systemd-analyze", "verify", "--recursive-errors=no", tree.root / SERVICE)
    assert r.returncode == 0 and r.stderr == "", r.stderr


def test_install_again_replaces(tree, device):
    done(tree.tool("--kexec", device))
    first = tree.files()
    tree.write(UNIT, "old")
    tree.write(SETTINGS, "garbage")
    (tree.root / (SETTINGS + ".new")).write_text("left by a crash")
    done(tree.tool("--kexec", device))
    assert tree.files() == first


def test_install_partition(tree, loop, prepared):
    """A partition is found in its disk."""
    dev = loop("-r", "-P", prepared)
    check("partx", "-u", dev)
    tree.detach()
    shutil.rmtree(tree.root / "sys/devices")
    tree.attach("nvme0n1", number=number_of(dev))
    for i in (1, 3):
        os.symlink(tree.root / f"sys/block/nvme0n1/nvme0n1p{i}",
                   tree.root / "sys/dev/block" / number_of(f"{dev}p{i}"))
    refused(tree.tool("--kexec", f"{dev}p1"), f"{dev}p1", "is not a dump partition", "the type")
    assert tree.uuid in done(tree.tool("--kexec", f"{dev}p3"))
    assert f"TARGET={tree.uuid}" in tree.read(SETTINGS)


def test_install_dry_run(tree, device):
    before = tree.files()
    out = done(tree.tool("--kexec", "--dry-run", device))
    assert "would be captured to /dev/nvme0n1p3" in out and "nothing was written" in out
    assert tree.files() == before


def test_install_without_memory_still_installs(tree, device):
    tree.write("sys/kernel/kexec_crash_size", "0\n")
    tree.write("proc/cmdline", "quiet\n")
    out = done(tree.tool("--kexec", device))
    assert "memory       none is reserved" in out and "next: put crashkernel=16M" in out
    assert tree.has(LINK)


def test_install_into_an_image_of_a_system(tree, device):
    """Without /sys nothing is known of a kernel, and nothing needs to be."""
    shutil.rmtree(tree.root / "sys/kernel")
    assert "memory" not in done(tree.tool("--kexec", device))
    assert tree.has(LINK)


def test_below_a_root_programs_are_copied(tmp_path, tree, device):
    """An installed one, too: it is not in that system."""
    prefix = tmp_path / "prefix"
    (prefix / "sbin").mkdir(parents=True)
    (prefix / "lib/afterimage").mkdir(parents=True)
    shutil.copy(TOOL, prefix / "sbin/mkdumpdisk")
    shutil.copy(IMAGE, prefix / "lib/afterimage/afterimage.bzimage")
    out = done(run(prefix / "sbin/mkdumpdisk", "--root", tree.root, "--kexec", "-n", device))
    assert f"/{COPY}/mkdumpdisk (a copy)" in out
    os.remove(prefix / "lib/afterimage/afterimage.bzimage")
    r = run(prefix / "sbin/mkdumpdisk", "--root", tree.root, "--kexec", "-n", device)
    refused(r, device, "afterimage.bzimage is neither in", "--image FILE")


def break_kernel(tree):
    (tree.root / "sys/kernel/kexec_crash_loaded").unlink()


def break_sysctl(tree):
    tree.write("proc/sys/kernel/kexec_load_disabled", "1\n")


def break_lockdown(tree):
    tree.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")


def break_confidentiality(tree):
    tree.write("sys/kernel/security/lockdown", "none integrity [confidentiality]\n")


def break_tools(tree):
    (tree.root / "usr/sbin/kexec").unlink()


def break_other(tree):
    tree.write("sys/kernel/kexec_crash_loaded", "1\n")


def break_kdump(tree):
    wants = tree.root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    os.symlink("/lib/systemd/system/kdump-tools.service", wants / "kdump-tools.service")


def break_kdump_loaded(tree):
    break_kdump(tree)
    break_other(tree)


SYSTEM_FAULTS = [
    (break_kernel, "/sys/kernel/kexec_crash_loaded", "built without kexec", "CONFIG_KEXEC"),
    (break_sysctl, "/proc/sys/kernel/kexec_load_disabled", "switched off", "sysctl.d"),
    (break_lockdown, "/sys/kernel/security/lockdown", r"locked down \(integrity\).*signed",
     "booting the dump disk after a reset"),
    (break_confidentiality, "/sys/kernel/security/lockdown", r"\(confidentiality\)", "Secure Boot"),
    (break_tools, "kexec", "not installed", "kexec-tools"),
    (break_other, "/sys/kernel/kexec_crash_loaded", "another crash kernel", "kexec -p -u"),
    (break_kdump, "kdump-tools.service", "enabled", "systemctl disable --now kdump-tools"),
    (break_kdump_loaded, "/sys/kernel/kexec_crash_loaded", "another.*kdump-tools",
     "systemctl disable --now kdump-tools"),
]


@pytest.mark.parametrize("fault,target,words,todo", SYSTEM_FAULTS)
def test_install_refuses_system(tree, device, fault, target, words, todo):
    fault(tree)
    before = tree.files()
    refused(tree.tool("--kexec", device), target, words, todo)
    assert tree.files() == before


def test_kdump_switched_off_does_not_matter(tree, device):
    break_kdump(tree)
    tree.write("etc/default/kdump-tools", "# comment\nUSE_KDUMP=0 # off\n")
    done(tree.tool("--kexec", device))


@pytest.mark.parametrize("kind,words", [
    ("scsi", "on a controller of another kind"), ("tcp", "over a network"), ("vmd", "VMD"),
    ("ide", "IDE mode"), ("virtio-scsi", "virtio-scsi"), ("usb", "USB")])
def test_install_refuses_attachment(tree, loop, prepared, kind, words):
    dev = loop("-r", prepared)
    tree.detach()
    shutil.rmtree(tree.root / "sys/devices")
    tree.attach("sda" if kind == "scsi" else "nvme0n1", kind, number_of(dev))
    before = tree.files()
    refused(tree.tool("--kexec", dev), dev, words, "NVMe, AHCI|VMD off|to AHCI|as virtio-blk")
    assert tree.files() == before


def test_install_takes_multipath(tree, loop, prepared):
    dev = loop("-r", prepared)
    tree.detach()
    shutil.rmtree(tree.root / "sys/devices")
    tree.attach("nvme0n1", "multipath", number_of(dev))
    done(tree.tool("--kexec", dev))


def test_loop_device_can_not_be_reached(tree, loop, prepared):
    """An image file behind a loop device, by the running system's own /sys."""
    dev = loop("-r", prepared)
    refused(tree.tool("--kexec", dev), dev, "made up by Linux", "use a disk itself, on NVMe")


def test_install_refuses_targets(tree, device, prepared, loop, tmp_path):
    blank = tmp_path / "blank"
    with open(blank, "wb") as f:
        f.truncate(SIZE)
    empty = loop(blank)
    tree.attach("nvme1n1", number=number_of(empty), disk=blank)
    before = tree.files()
    refused(tree.tool("--kexec", empty), empty, "not a dump disk", "prepare it first")
    refused(tree.tool("--kexec", prepared), prepared, "image file",
            "as a disk on NVMe, AHCI .SATA. or virtio-blk and name that")
    refused(tree.tool("--kexec", tmp_path), tmp_path, "is no disk", "name a dump disk")
    refused(tree.tool("--kexec", "/dev/null"), "/dev/null", "is no disk", "name a dump disk")
    refused(tree.tool("--kexec", "/dev/nothing"), "/dev/nothing", "not exist", "dump disk")
    refused(tree.tool("--kexec", "status"), "status", "does not exist", "mean --kexec=status")
    assert tree.files() == before


def test_install_refuses_old_table(tree, loop, prepared, tmp_path):
    """A table without its protective MBR is not looked at by the image either."""
    bare = tmp_path / "bare"
    shutil.copy(prepared, bare)
    with open(bare, "r+b") as f:
        f.write(bytes(512))
    dev = loop(bare)
    tree.attach("nvme1n1", number=number_of(dev), disk=bare)
    refused(tree.tool("--kexec", dev), dev, "not a dump disk", "prepare it first")


@pytest.mark.parametrize("last", [False, True])
def test_one_superblock_will_do(tree, loop, prepared, tmp_path, last):
    hurt = tmp_path / "hurt"
    shutil.copy(prepared, hurt)
    part = tree.partitions["partitions"][2]
    with open(hurt, "r+b") as f:
        f.seek(512 * (part["start"] + (part["size"] - 1 if last else 0)))
        assert f.read(1) != b"\0"
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes(512))
    dev = loop(hurt)
    tree.attach("nvme1n1", number=number_of(dev), disk=hurt)
    assert tree.uuid in done(tree.tool("--kexec", dev))


def test_install_refuses_a_partition_cut_short(tree, loop, prepared, tmp_path):
    """The image does not take a superblock that tells of another size."""
    cut = tmp_path / "cut"
    shutil.copy(prepared, cut)
    part = tree.partitions["partitions"][2]
    check("sgdisk", "-d", "3", "-n", f"3:{part['start']}:{part['start'] + part['size'] - 9}",
          "-t", f"3:{part['type']}", cut)
    dev = loop(cut)
    tree.attach("nvme1n1", number=number_of(dev), disk=cut)
    refused(tree.tool("--kexec", dev), dev, "not a dump disk", "prepare it first")


def image_cases():
    with open(os.path.join(BUILD, "afterimage.bzimage"), "rb") as f:
        good = f.read()

    def patched(at, new):
        return good[:at] + new + good[at + len(new):]
    return [
        (b"", "too short"), (good[:1023], "too short"), (good[:5000], "cut short"),
        (patched(0x1F1, b"\xff")[:5000], "cut short"),
        (good[:-100], "cut short"), (good + bytes(17 * MIB), "Invalid argument"),
        (patched(0x1FE, b"\0\0"), "no afterimage.bzimage"),
        (patched(0x202, b"HdrT"), "no afterimage.bzimage"),
        (patched(0x20E, b"\xff\xff"), "Linux kernel or another"),
        (patched(0x206, b"\x0b\x02"), "damaged header"),
        (patched(0x236, b"\x03"), "damaged header"), (patched(0x211, b"\0"), "damaged header"),
        (patched(0x260, bytes(4)), "damaged header"),
        (patched(0x260, b"\xff\xff\xff\x7f"), "damaged header"),
    ]


@pytest.mark.parametrize("case", range(len(image_cases())))
def test_install_refuses_image(tree, device, tmp_path, case):
    data, words = image_cases()[case]
    image = tmp_path / "image"
    image.write_bytes(data)
    before = tree.files()
    refused(tree.tool("--kexec", "--image", image, device), image, words, "make|--image")
    assert tree.files() == before


def test_install_write_fails(tree, device):
    """A file where a folder must be: said so, nothing enabled."""
    tree.write("etc/systemd", "no folder")
    r = tree.tool("--kexec", device)
    assert r.returncode == 1 and "cannot be written: Not a directory" in r.stderr
    assert "not complete" in r.stderr and "--kexec=remove" in r.stderr


# --- load ----------------------------------------------------------------------------------


def expected_call(tree, flag, console="serial:0x3f8:115200,screen"):
    return ["-p", flag, f"--command-line=dump={tree.uuid} console={console}",
            f"{tree.root}/boot/afterimage.bzimage"]


def test_load(tree):
    tree.settings()
    out = done(tree.tool("--kexec=load"))
    assert tree.calls() == [expected_call(tree, "-s")]
    assert "kexec_file_load" in out and "/dev/nvme0n1p3" in out and "16.0 MiB reserved" in out
    assert tree.read(RECORD) == tree.uuid + "\n"


def test_load_again(tree):
    """As after memory was plugged: ours is replaced."""
    tree.settings()
    done(tree.tool("--kexec=load"))
    done(tree.tool("--kexec=load"))
    assert len(tree.calls()) == 2


@pytest.mark.parametrize("console", ["screen", "serial:0x2f8:9600"])
def test_load_console(tree, console):
    tree.settings(CONSOLE=console)
    done(tree.tool("--kexec=load"))
    assert tree.calls() == [expected_call(tree, "-s", console)]


def test_load_falls_back(tree):
    tree.settings()
    tree.write("kexec.fail", "-s")
    assert "by kexec_load;" in done(tree.tool("--kexec=load"))
    assert tree.calls() == [expected_call(tree, "-s"), expected_call(tree, "-c")]


def test_load_both_fail(tree):
    image = tree.settings()
    tree.write("kexec.fail", "-s -c")
    refused(tree.tool("--kexec=load"), image,
            "kexec_file_load: syscall -p/-s said no, by kexec_load: syscall -p/-c said no", "log")
    assert not tree.has(RECORD)


def test_load_fails_without_a_word(tree):
    tree.settings()
    tree.write("usr/sbin/kexec", "#!/bin/sh\nexit 7\n")
    refused(tree.tool("--kexec=load"), "", "load: exit code 7, by kexec_load: exit code 7", "log")
    tree.write("usr/sbin/kexec", "no program")
    refused(tree.tool("--kexec=load"), "", "load: it could not be run", "log")


def test_load_claims_success(tree):
    tree.settings()
    tree.write("kexec.fail", "quiet")
    refused(tree.tool("--kexec=load"), "", "nothing is loaded", "log")
    assert not tree.has(RECORD)


def test_load_dry_run(tree):
    tree.settings()
    out = done(tree.tool("--kexec=load", "--dry-run"))
    assert f"-p -s --command-line='dump={tree.uuid} console=serial" in out
    assert tree.calls() == [] and not tree.has(RECORD)


@pytest.mark.parametrize("fault,target,words,todo", SYSTEM_FAULTS)
def test_load_refuses_system(tree, fault, target, words, todo):
    tree.settings()
    fault(tree)
    refused(tree.tool("--kexec=load"), target, words, todo)
    assert tree.calls() == [] and not tree.has(RECORD)


@pytest.mark.parametrize("size,cmdline,words,todo", [
    (0, "quiet", "none is reserved", "add crashkernel=16M"),
    (0, "crashkernel=64T", "although crashkernel=", "crashkernel=16M"),
    (2 * MIB, "crashkernel=2M", "2.0 MiB reserved, too small: the image needs 4 MiB",
     "crashkernel=16M"),
    (4 * MIB - 1, "crashkernel=4M", "too small", "crashkernel=16M")])
def test_load_memory(tree, size, cmdline, words, todo):
    tree.settings()
    tree.write("sys/kernel/kexec_crash_size", f"{size}\n")
    tree.write("proc/cmdline", cmdline + "\n")
    refused(tree.tool("--kexec=load"), "/sys/kernel/kexec_crash_size", words, todo)
    assert tree.calls() == []


def test_load_least_memory(tree):
    tree.settings()
    tree.write("sys/kernel/kexec_crash_size", f"{4 * MIB}\n")
    done(tree.tool("--kexec=load"))


def test_load_target_missing(tree):
    tree.settings()
    tree.detach()
    refused(tree.tool("--kexec=load"), tree.uuid, "no disk has", "attach that disk")
    assert tree.calls() == []


def test_load_waits_for_the_disk(tree):
    """As a service, at boot; the disk comes a little later."""
    tree.settings()
    tree.detach()
    shutil.rmtree(tree.root / "sys/devices")
    with subprocess.Popen([TOOL, "--root", tree.root, "--kexec=load"],
                          env=os.environ | {"INVOCATION_ID": "1"}, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as p:
        with pytest.raises(subprocess.TimeoutExpired):
            p.wait(1)
        tree.attach("nvme0n1")
        assert p.wait(10) == 0
    assert len(tree.calls()) == 1


def test_load_target_of_other_uuid(tree):
    other = "00000000-0000-4000-8000-000000000001"
    tree.settings(TARGET=other)
    refused(tree.tool("--kexec=load"), other, "no disk has", "attach that disk")


def test_load_target_on_sata(tree):
    tree.settings()
    tree.detach()
    tree.attach("sda", "scsi")
    refused(tree.tool("--kexec=load"), "/dev/sda3", "of another kind", "attach it")
    tree.attach("nvme0n2")  # a copy that the image can reach is as good
    done(tree.tool("--kexec=load"))


def test_load_image_missing_or_damaged(tree):
    image = tree.settings()
    image.unlink()
    refused(tree.tool("--kexec=load"), image, "No such file", "install it again")
    shutil.copy("/bin/true", image)
    refused(tree.tool("--kexec=load"), image, "no afterimage", "install it again")
    assert tree.calls() == []


def test_load_copy_damaged(tree, device):
    done(tree.tool("--kexec", device))
    copy = tree.root / COPY / "afterimage.bzimage"
    data = bytearray(copy.read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)
    refused(tree.tool("--kexec=load"), copy, "is damaged", "install it again")
    assert tree.calls() == []


@pytest.mark.parametrize("text,words", [
    (None, "nothing is installed"), ("", "incomplete"), ("TARGET=x\n", "line 1 is wrong"),
    ("CONSOLE=screen\nIMAGE=afterimage\n", "line 2 is wrong"),
    ("# x\n\nnonsense\n", "line 3 is wrong"), ("IMAGE=/" + "x" * 3000 + "\n", "line 1"),
    ("IMAGE_CRC32C=xyz\n", "line 1"), ("IMAGE_CRC32C=123456789\n", "line 1"),
    ("TARGET=" + "9" * 5000, "line 1")])
def test_load_settings(tree, text, words):
    if text is not None:
        tree.write(SETTINGS, text)
    refused(tree.tool("--kexec=load"), tree.root / SETTINGS, words, "--kexec TARGET")
    assert tree.calls() == []


def test_settings_by_hand_are_checked(tree):
    tree.settings(CONSOLE="modem")
    r = tree.tool("--kexec=load")
    assert r.returncode == 1 and "'modem' is not serial" in r.stderr
    assert "line 3 is wrong" in r.stderr and tree.calls() == []


# --- unload --------------------------------------------------------------------------------


def test_unload(tree):
    tree.settings()
    done(tree.tool("--kexec=load"))
    assert done(tree.tool("--kexec=unload")) == ""
    assert tree.calls()[1:] == [["-p", "-u", "-s"]]
    assert not tree.has(RECORD)
    done(tree.tool("--kexec=unload"))
    assert len(tree.calls()) == 2


def test_unload_falls_back_and_fails(tree):
    tree.settings()
    done(tree.tool("--kexec=load"))
    tree.write("kexec.fail", "-s")
    done(tree.tool("--kexec=unload"))
    assert tree.calls()[1:] == [["-p", "-u", "-s"], ["-p", "-u", "-c"]]
    (tree.root / "kexec.fail").unlink()
    done(tree.tool("--kexec=load"))
    tree.write("kexec.fail", "-u")
    refused(tree.tool("--kexec=unload"), "", "can not be unloaded", "log")
    assert tree.has(RECORD)


def test_unload_leaves_others(tree):
    break_other(tree)
    assert "it stays" in done(tree.tool("--kexec=unload"))
    assert tree.calls() == []


# --- status --------------------------------------------------------------------------------


def status(tree, *args):
    r = tree.tool("--kexec=status", *args)
    return r.returncode, r.stdout.splitlines()


def test_status_well(tree):
    tree.settings()
    done(tree.tool("--kexec=load"))
    assert status(tree) == (0, ["memory: 16.0 MiB reserved", "image: loaded",
                                f"target: /dev/nvme0n1p3, UUID {tree.uuid}, on NVMe"])
    report = json.loads(done(tree.tool("--kexec=status", "--json")))
    assert report["ok"] and all(report[k]["ok"] for k in ("memory", "image", "target"))
    assert report["target"]["text"].startswith("/dev/nvme0n1p3")


def test_status_nothing(tree):
    tree.write("sys/kernel/kexec_crash_size", "0\n")
    tree.write("proc/cmdline", "quiet\n")
    code, lines = status(tree)
    assert code == 1 and len(lines) == 3
    assert lines[0].startswith("memory: none is reserved; add crashkernel=16M")
    assert lines[1] == "image: not loaded: nothing is installed; run mkdumpdisk --kexec TARGET"
    assert lines[2].startswith("target: none: nothing is installed")


@pytest.mark.parametrize("harm,line,words", [
    (lambda t: t.write("sys/kernel/kexec_crash_size", "2097152\n"), 0, "too small.*16M"),
    (break_kernel, 0, "built without kexec"),
    (lambda t: t.write("sys/kernel/kexec_crash_loaded", "0\n"), 1,
     "not loaded; run systemctl restart"),
    (lambda t: (t.write("sys/kernel/kexec_crash_loaded", "0\n"),
                t.write("sys/kernel/kexec_crash_size", "0\n")), 1, "not loaded: it has no memory"),
    (lambda t: (t.write("sys/kernel/kexec_crash_loaded", "0\n"), break_lockdown(t)), 1,
     "not loaded: the kernel is locked down; "),
    (lambda t: (t.write("sys/kernel/kexec_crash_loaded", "0\n"), break_kdump(t)), 1,
     "not loaded: kdump-tools.service is enabled instead; "),
    (break_kdump, 1, "may have replaced it; run systemctl disable --now kdump-tools"),
    (lambda t: (t.root / SETTINGS).unlink(), 1, "loaded, but nothing is installed; run"),
    (lambda t: (t.root / RECORD).unlink(), 1, "another crash kernel is loaded; unload"),
    (lambda t: (break_kdump(t), (t.root / RECORD).unlink()), 1, "perhaps by kdump-tools"),
    (lambda t: t.detach(), 2, "no disk has the dump partition"),
    (lambda t: (t.detach(), t.attach("sda", "scsi")), 2,
     "/dev/sda3 is on a controller of another kind.*; attach it"),
    (lambda t: t.write(SETTINGS, "x"), 2, "damaged; install it again"),
])
def test_status_ill(tree, harm, line, words):
    tree.settings()
    done(tree.tool("--kexec=load"))
    harm(tree)
    code, lines = status(tree)
    assert code == 1 and len(lines) == 3
    assert re.search(words, lines[line]), lines
    report = json.loads(tree.tool("--kexec=status", "--json").stdout)
    assert not report["ok"] and not report[("memory", "image", "target")[line]]["ok"]


# --- remove --------------------------------------------------------------------------------


def test_remove(tree, device):
    before = tree.files()
    done(tree.tool("--kexec", device))
    out = done(tree.tool("--kexec=remove", "--dry-run"))
    assert out.count("would remove") == 6 and f"{tree.root}/{UNIT}" in out
    assert tree.has(UNIT)
    assert "removed" in done(tree.tool("--kexec=remove"))
    assert tree.files() == before
    assert not tree.has("etc/afterimage") and not tree.has(COPY)
    assert "nothing is installed" in done(tree.tool("--kexec=remove"))


def test_remove_keeps_what_is_not_ours(tree, device):
    done(tree.tool("--kexec", device))
    tree.write("etc/afterimage/notes", "mine")
    done(tree.tool("--kexec=remove"))
    assert tree.read("etc/afterimage/notes") == "mine"


def test_remove_after_half_an_installation(tree):
    tree.write(RULE, "x")
    for name in (SETTINGS, RULE, f"{COPY}/mkdumpdisk"):
        tree.write(name + ".new", "left by a crash")
    assert "removed" in done(tree.tool("--kexec=remove"))
    assert not [name for name in tree.files() if "afterimage" in name]
    assert not tree.has("etc/afterimage") and not tree.has(COPY)
