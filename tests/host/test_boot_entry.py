"""mkdumpdisk --boot-entry on a made-up system below --root: what it does to the firmware's
entries and to EFI system partitions, and every refusal. Loop devices, which stand for the disk,
and mounts need root."""

import json
import os
import re
import shutil
import subprocess

import pytest

from efifile import efi_file
from efitree import LABEL, MOUNTED, PATH, VARS, EfiTree, load_option
from hosttools import check, done, number_of, refused, run
from kexectree import BUILD, MIB, TOOL

SIZE = 100 * MIB
DUMP_TYPE = "3F5D8C62-6B0E-4E2C-9A41-AF7E1D0B5C90"
ESP_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
OURS = "EFI/afterimage/afterimage.efi"
SETTINGS = "EFI/afterimage/afterimage.cfg"
os.environ["PATH"] += ":/usr/sbin:/sbin"
os.environ["LC_ALL"] = "C"


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A dump disk; read only."""
    disk = tmp_path_factory.mktemp("disk") / "dump.img"
    check(TOOL, "--size", SIZE, "--yes", disk)
    return disk


@pytest.fixture(scope="session")
def bare(tmp_path_factory, prepared):
    """A disk with nothing but a dump partition: the one of a dump disk, without what is before
    it in the table."""
    disk = tmp_path_factory.mktemp("bare") / "bare.img"
    shutil.copy(prepared, disk)
    check("sgdisk", "-d", "1", "-d", "2", disk)
    return disk


@pytest.fixture
def tree(tmp_path, prepared):
    root = tmp_path / "root"
    root.mkdir()
    return EfiTree(root, prepared)


@pytest.fixture
def device(loop, prepared, tree):
    """A block device that looks like the tree's dump disk."""
    dev = loop("-r", prepared)
    tree.detach()
    shutil.rmtree(tree.root / "sys/devices")
    tree.attach("nvme0n1", number=number_of(dev))
    return dev


@pytest.fixture
def system(loop, bare, tree, tmp_path):
    """A dump partition on the disk nvme1n1, and the system's EFI system partition, mounted at
    /boot/efi: the device that looks like the dump partition, and the mount point."""
    tree.detach()
    esp_disk = tmp_path / "system.img"
    esp_disk.write_bytes(b"")
    os.truncate(esp_disk, 20 * MIB)
    check("sgdisk", "-n", "1:2048:4095", "-n", "2:4096:36863", "-t", f"2:{ESP_TYPE}", esp_disk)
    dev = loop("-r", bare)
    esp = loop("-r", esp_disk)
    parts = tree.know("nvme1n1", bare)
    folder = tree.attach("nvme1n1", disk=bare, partitions=parts)
    tree.number(number_of(dev), f"{folder}/nvme1n1p1")
    folder = tree.attach("sda", "scsi", disk=esp_disk, partitions=tree.know("sda", esp_disk))
    tree.number(number_of(esp), f"{folder}/sda2")
    point = tree.root / "boot/efi"
    point.mkdir(parents=True)
    check("mount", "-t", "tmpfs", "-o", "size=4M", "none", point)  # not every kernel has FAT
    tree.mounts(MOUNTED, f"40 19 {number_of(esp)} / /boot/efi rw,relatime shared:1 - vfat "
                         f"/dev/sda2 rw,fmask=0077\n")
    yield dev, point
    check("umount", point)


def state(tree, *args):
    r = tree.tool("--boot-entry=status", "--json", *args)
    assert r.stderr == ""
    found = json.loads(r.stdout)
    assert found["ok"] == (r.returncode == 0)
    return found


# --- usage ---------------------------------------------------------------------------------


@pytest.mark.parametrize("args,words", [
    (("--boot-entry=foo", "x"), "--boot-entry: 'foo' is not known"),
    (("--boot-entry",), "no TARGET given"),
    (("--boot-entry=status",), "no TARGET given"),
    (("--boot-entry", "a", "b"), "more than one TARGET"),
    (("--boot-entry", "--size", "1G", "x"), "--size is for preparing"),
    (("--boot-entry", "-l", "1", "x"), "--level is for preparing a disk, not for --boot-entry"),
    (("--boot-entry", "--force", "x"), "--force is for preparing"),
    (("--boot-entry", "--label", "a", "x"), "--label is for preparing"),
    (("--boot-entry", "--kexec", "x"), "--boot-entry and --kexec are two things"),
    (("--boot-entry", "--image", "i", "x"), "it takes --efi-image"),
    (("--boot-entry=remove", "--efi-image", "i", "x"), "=remove takes no --efi-image"),
    (("--boot-entry=status", "--console", "screen", "x"), "=status takes no --console"),
    (("--boot-entry", "--json", "--dry-run", "x"), "no report as JSON"),
    (("--kexec", "--efi-image", "i", "x"), "--efi-image is not for --kexec"),
    (("--root", "/x", "y"), "--root is for --kexec, --boot-entry, --grub, "
                            "--systemd-boot and --check"),
])
def test_usage(args, words):
    refused(run(TOOL, *args), "", re.escape(words), "--help", code=2)


def test_help():
    text = check(TOOL, "--help")
    for word in ("--boot-entry TARGET", "--efi-image FILE", "first", "last", "next", "remove",
                 "status"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 90


# --- on a dump disk ------------------------------------------------------------------------


def test_add(tree, device):
    out = done(tree.tool("--boot-entry", device))
    assert tree.calls() == [["-C", "-d", "/dev/nvme0n1", "-p", "2", "-L", LABEL, "-l", PATH]]
    assert tree.firmware.entries() == [0, 1, 2] and tree.firmware.order() == [2, 0]
    assert "boot entry Boot0001" in out and "partition 2 of /dev/nvme0n1\n" in out
    assert f"UUID {tree.uuid}" in out and "not in it" in out and "as ever" in out
    found = state(tree, device)
    assert found["ok"] and found["entry"] == "0001" and found["order"] == ["0002", "0000"]
    assert found["position"] == 0 and not found["next"] and found["uuid"] == tree.uuid
    assert found["efi_partition"] == {
        "disk": "/dev/nvme0n1", "partition": 2, "system": False,
        "guid": tree.partitions["partitions"][1]["uuid"].lower()}


def test_again_is_the_same(tree, device):
    done(tree.tool("--boot-entry", device))
    first = tree.firmware.get("Boot0001")
    done(tree.tool("--boot-entry=add", device))
    assert len(tree.calls()) == 1 and tree.firmware.entries() == [0, 1, 2]
    assert tree.firmware.get("Boot0001") == first


@pytest.mark.parametrize("action,order", [("first", [1, 2, 0]), ("last", [2, 0, 1])])
def test_order(tree, device, action, order):
    out = done(tree.tool(f"--boot-entry={action}", device))
    assert tree.firmware.order() == order and f"{order.index(1) + 1} of 3" in out
    count = len(tree.calls())
    done(tree.tool(f"--boot-entry={action}", device))
    assert len(tree.calls()) == count
    done(tree.tool("--boot-entry", device))
    assert len(tree.calls()) == count and tree.firmware.order() == order


def test_moves_in_order(tree, device):
    for action, order in (("first", [1, 2, 0]), ("last", [2, 0, 1]), ("first", [1, 2, 0])):
        done(tree.tool(f"--boot-entry={action}", device))
        assert tree.firmware.order() == order


def test_no_order_at_all(tree, device):
    os.unlink(tree.firmware.file("BootOrder"))
    done(tree.tool("--boot-entry=first", device))
    assert tree.firmware.order() == [1]


def test_order_too_long(tree, device):
    """None of it may be lost."""
    order = list(range(100, 356))
    tree.firmware.set_order(*order)
    refused(tree.tool("--boot-entry=first", device), device,
            "boot order has 256 entries or more", "efibootmgr -B")
    assert tree.firmware.order() == order
    tree.firmware.set_order(*order[1:])
    done(tree.tool("--boot-entry=first", device))
    assert tree.firmware.order()[1:] == order[1:]


def test_next(tree, device):
    out = done(tree.tool("--boot-entry=next", device))
    assert tree.firmware.next() == 1 and tree.firmware.order() == [2, 0]
    assert "this entry, once" in out and state(tree, device)["next"]


def test_remove(tree, device):
    done(tree.tool("--boot-entry=next", device))
    done(tree.tool("--boot-entry=first", device))
    out = done(tree.tool("--boot-entry=remove", device))
    assert "removed" in out
    assert tree.firmware.entries() == [0, 2] and tree.firmware.order() == [2, 0]
    assert tree.firmware.next() is None
    count = len(tree.calls())
    done(tree.tool("--boot-entry=remove", device))
    assert len(tree.calls()) == count
    r = tree.tool("--boot-entry=status", device)
    assert r.returncode == 1 and "there is none; add one" in r.stdout
    found = state(tree, device)
    assert found["entry"] is None and not found["ok"]


def test_remove_keeps_the_next_boot_of_others(tree, device):
    tree.firmware.set("BootNext", b"\2\0")
    done(tree.tool("--boot-entry", device))
    done(tree.tool("--boot-entry=remove", device))
    assert tree.firmware.next() == 2


def entry(tree, number, **changes):
    facts = {"label": "x", "guid": tree.partitions["partitions"][1]["uuid"], "number": 2,
             "path": PATH} | changes
    tree.firmware.set(f"Boot{number:04X}", load_option(**facts))


def test_several_of_ours(tree, device):
    """Someone else's label, the other case: ours by partition and file; all of them go."""
    entry(tree, 0x1f)
    entry(tree, 7, path=PATH.lower())
    done(tree.tool("--boot-entry=next", device))
    assert tree.firmware.next() == 7
    assert ["-C"] not in [c[:1] for c in tree.calls()]
    done(tree.tool("--boot-entry=remove", device))
    assert tree.firmware.entries() == [0, 2]


def test_entries_of_other_disks_stay(tree, device):
    entry(tree, 9, guid="00000000-1111-2222-3333-444444444444")
    entry(tree, 10, path="\\EFI\\BOOT\\BOOTX64.EFI")
    tree.firmware.set("Boot000B", b"damaged")
    tree.firmware.set("Boot000C", b"")
    done(tree.tool("--boot-entry", device))
    assert "others      1 for other disks" in done(tree.tool("--boot-entry=status", device))
    assert "efibootmgr -b 0009 -B" in done(tree.tool("--boot-entry=status", device))
    assert state(tree, device)["others"] == 1
    done(tree.tool("--boot-entry=remove", device))
    assert tree.firmware.entries() == [0, 2, 9, 10, 11, 12]


def test_switched_off(tree, device):
    entry(tree, 1, active=False)
    r = tree.tool("--boot-entry=status", device)
    assert r.returncode == 1 and "switched off" in r.stdout
    done(tree.tool("--boot-entry", device))
    assert tree.calls() == [["-b", "0001", "-a"]] and state(tree, device)["active"]


@pytest.mark.parametrize("action,lines", [
    ("add", ["-C -d /dev/nvme0n1 -p 2 -L 'afterimage dump disk' "
             "-l '\\EFI\\afterimage\\afterimage.efi'"]),
    ("first", ["-C", "-o XXXX,0002,0000"]), ("next", ["-C", "-n XXXX"]), ("remove", [])])
def test_dry_run(tree, device, action, lines):
    out = done(tree.tool(f"--boot-entry={action}", "--dry-run", device)).splitlines()
    assert len(out) == len(lines) + 1 and out[-1] == "nothing was changed (--dry-run)"
    for line, words in zip(out, lines):
        assert line.startswith(f"would run: efibootmgr {words}")
    assert tree.calls() == [] and tree.firmware.entries() == [0, 2]


def test_partition_of_a_dump_disk(tree, loop, prepared):
    """Its disk has an EFI system partition of its own: that one is used."""
    dev = loop("-r", prepared)
    folder = os.path.relpath(os.readlink(tree.root / "sys/block/nvme0n1"), tree.root)
    tree.number(number_of(dev), f"{folder}/nvme0n1p3")
    done(tree.tool("--boot-entry", dev))
    assert tree.calls()[0][1:5] == ["-d", "/dev/nvme0n1", "-p", "2"]
    refused(tree.tool("--boot-entry", "--console", "screen", dev), dev,
            "has its files since it was prepared; --console is for", "--settings")


# --- refusals ------------------------------------------------------------------------------


def test_needs_root(tmp_path):
    shutil.copy(TOOL, tmp_path / "mkdumpdisk")
    for folder in [tmp_path, *tmp_path.parents][:-1]:
        if os.stat(folder).st_uid == os.geteuid() and str(folder).startswith("/tmp/"):
            os.chmod(folder, 0o755)
    user = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    r = subprocess.run([*user, tmp_path / "mkdumpdisk", "--boot-entry", "/dev/x"],
                       capture_output=True, text=True, check=False)
    refused(r, "/dev/x", "needs root", "run this as root")


def test_targets(tree, prepared, tmp_path):
    refused(tree.tool("--boot-entry", prepared), prepared, "is an image file", "attach it")
    refused(tree.tool("--boot-entry", tmp_path / "none"), tmp_path / "none", "does not exist",
            "name a dump disk")
    refused(tree.tool("--boot-entry", "next"), "next", "does not exist",
            "did you mean --boot-entry=next")
    refused(tree.tool("--boot-entry", "/dev/null"), "/dev/null", "is no disk", "name a dump disk")


def test_not_a_dump_disk(tree, loop, tmp_path):
    empty = tmp_path / "empty"
    empty.write_bytes(bytes(MIB))
    dev = loop("-r", empty)
    tree.attach("nvme1n1", number=number_of(dev), disk=empty)
    refused(tree.tool("--boot-entry", dev), dev, "is not a dump disk", "without --boot-entry")


def test_disk_that_the_image_can_not_reach(tree, loop, prepared):
    dev = loop("-r", prepared)
    tree.detach()
    tree.attach("sda", "scsi", number=number_of(dev))
    refused(tree.tool("--boot-entry", dev), dev, "on a controller of another kind", "attach it to NVMe, AHCI")


def test_no_uefi(tree, device):
    shutil.rmtree(tree.root / "sys/firmware/efi")
    refused(tree.tool("--boot-entry", device), device, "not started by UEFI", "boot menu")


@pytest.mark.parametrize("change,words,todo", [
    (lambda t: shutil.rmtree(t.root / VARS), "does not offer", "efi=noruntime"),
    (lambda t: t.mounts(), "are not mounted", "mount -t efivarfs"),
    (lambda t: t.mounts(MOUNTED.replace("rw,", "ro,")), "mounted read-only", "remount,rw"),
    (lambda t: t.mounts(MOUNTED.replace("efivarfs rw\n", "efivarfs ro,x\n")), "mounted read-only",
     "remount,rw")])
def test_variables(tree, device, change, words, todo):
    change(tree)
    refused(tree.tool("--boot-entry", device), "/" + VARS, words, todo)
    assert tree.calls() == []


def test_status_of_read_only_variables(tree, device):
    done(tree.tool("--boot-entry", device))
    tree.mounts(MOUNTED.replace("rw,", "ro,"))
    os.unlink(tree.root / "usr/bin/efibootmgr")
    done(tree.tool("--boot-entry=status", device))


@pytest.mark.parametrize("program,package", [("efibootmgr", "efibootmgr"), ("mdir", "mtools")])
def test_missing_program(tree, device, program, package):
    os.unlink(tree.root / "usr/bin" / program)
    refused(tree.tool("--boot-entry", device), device, f"the program {program} is missing",
            f"install the package {package}")


def test_variables_are_full(tree, device):
    tree.write("efibootmgr.fail", "Could not prepare Boot variable: No space left on device")
    refused(tree.tool("--boot-entry", device), "/" + VARS, "memory for variables is full",
            "efibootmgr -b XXXX -B")


def test_efibootmgr_fails(tree, device):
    tree.write("efibootmgr.fail", "Could not do that")
    refused(tree.tool("--boot-entry", device), "efibootmgr", "failed: Could not do that",
            "efibootmgr -v")
    done(tree.tool("--boot-entry=remove", device))  # nothing to do


def test_firmware_forgets(tree, device):
    tree.write("efibootmgr.fail", "")
    refused(tree.tool("--boot-entry", device), device, "did not keep the boot entry", "firmware")


def test_every_call_can_fail(tree, device):
    """Nothing half-done that the next try does not put right."""
    done(tree.tool("--boot-entry=next", device))
    tree.write("efibootmgr.fail", "no")
    for action in ("first", "last", "next", "remove"):
        r = tree.tool(f"--boot-entry={action}", device)
        assert r.returncode == 1 and "failed: no" in r.stderr and r.stdout == ""
    assert state(tree, device)["ok"]


def test_empty_efi_partition(tree, loop, prepared, tmp_path):
    disk = tmp_path / "emptied.img"
    shutil.copy(prepared, disk)
    check("mdel", "-i", f"{disk}@@2M", "::/EFI/afterimage/afterimage.efi")
    dev = loop("-r", disk)
    tree.detach()
    tree.attach("nvme1n1", number=number_of(dev), disk=disk)
    refused(tree.tool("--boot-entry", dev), dev, "has no /EFI/afterimage/afterimage.efi",
            "prepare the disk again")
    assert tree.calls() == []


# --- a dump partition, started from the system's EFI system partition ----------------------


def test_whole_disk_without_its_own(tree, loop, bare):
    dev = loop("-r", bare)
    tree.detach()
    tree.attach("nvme1n1", number=number_of(dev), disk=bare, partitions=tree.know("nvme1n1", bare))
    refused(tree.tool("--boot-entry", dev), dev, "has no EFI system partition of afterimage",
            "name its dump partition")


def test_system(tree, system):
    dev, point = system
    out = done(tree.tool("--boot-entry=first", "--console", "serial:1:9600", dev))
    assert tree.calls()[0][1:5] == ["-d", "/dev/sda", "-p", "2"]
    assert "partition 2 of /dev/sda, the system's" in out
    with open(os.path.join(BUILD, "afterimage.efi"), "rb") as f:
        assert (point / OURS).read_bytes() == f.read()
    assert (point / SETTINGS).read_text() == \
        f"dump={tree.uuid} console=serial:0x2f8:9600 menu=3\n"
    assert sorted(os.listdir(point / "EFI/afterimage")) == ["afterimage.cfg", "afterimage.efi"]
    assert not (point / "EFI/BOOT").exists()
    found = state(tree, dev)
    assert found["ok"] and found["efi_partition"]["system"] and found["position"] == 1

    (point / SETTINGS).unlink()
    r = tree.tool("--boot-entry=status", dev)
    assert r.returncode == 1 and "afterimage.cfg is not there" in r.stdout
    (point / SETTINGS).write_text("dump=00000000-1111-2222-3333-444444444444\n")
    r = tree.tool("--boot-entry=status", dev)
    assert r.returncode == 1 and "for the dump partition 00000000-1111" in r.stdout
    refused(tree.tool("--boot-entry=remove", dev), dev,
            "is not what the boot entry is for: that is .* 00000000-1111", "name that one")
    assert (point / OURS).exists() and 1 in tree.firmware.entries()

    done(tree.tool("--boot-entry", dev))
    assert (point / SETTINGS).read_text().startswith(f"dump={tree.uuid} console=serial:0x3f8")
    (point / "EFI/other").mkdir()
    done(tree.tool("--boot-entry=remove", dev))
    assert os.listdir(point / "EFI") == ["other"] and tree.firmware.entries() == [0, 2]
    assert tree.firmware.order() == [2, 0]


def test_system_automatic(tree, system):
    dev, point = system
    done(tree.tool("--boot-entry=first", "--auto", "--menu", "0", dev))
    assert (point / SETTINGS).read_text() == \
        f"dump={tree.uuid} console=serial:0x3f8:115200,screen menu=0 auto\n"


@pytest.mark.parametrize("option", [("--auto",), ("--auto=off",), ("--menu", "9")])
def test_choosing_is_for_files(tree, device, option):
    refused(tree.tool("--boot-entry", *option, device), device,
            f"files since it was prepared; {option[0].partition('=')[0]} is for a dump partition",
            "change it with mkdumpdisk --settings")
    assert tree.calls() == []


def test_system_with_a_signed_file(tree, system, tmp_path):
    dev, point = system
    signed = sign(os.path.join(BUILD, "afterimage.efi"), tmp_path)
    done(tree.tool("--boot-entry", "--efi-image", signed, dev))
    assert (point / OURS).read_bytes() == signed.read_bytes()


def test_system_dry_run(tree, system):
    dev, point = system
    out = done(tree.tool("--boot-entry", "--dry-run", dev))
    assert "would write: /boot/efi/EFI/afterimage/afterimage.efi\n" in out
    assert f"afterimage.cfg: dump={tree.uuid} console=" in out
    assert os.listdir(point) == []
    done(tree.tool("--boot-entry", dev))
    out = done(tree.tool("--boot-entry=remove", "--dry-run", dev))
    assert "would remove: /boot/efi/EFI/afterimage\n" in out and (point / OURS).exists()


def test_system_is_full(tree, system):
    """From no room at all up to nearly enough: nothing is left behind, no entry is made, and
    what was installed before stays whole."""
    dev, point = system
    image = os.path.getsize(os.path.join(BUILD, "afterimage.efi"))
    filler = point / "filler"
    free = os.statvfs(point).f_bavail * os.statvfs(point).f_bsize
    for left in (0, 8192, image // 2, image + 4096):
        filler.write_bytes(bytes(free - left))
        refused(tree.tool("--boot-entry", dev), point, "cannot be written: No space left",
                "make room")
        assert not (point / "EFI/afterimage").exists()
        assert tree.calls() == []
    filler.unlink()
    done(tree.tool("--boot-entry", dev))
    before = (point / OURS).read_bytes(), (point / SETTINGS).read_bytes()
    free = os.statvfs(point).f_bavail * os.statvfs(point).f_bsize
    filler.write_bytes(bytes(free - 4096))
    refused(tree.tool("--boot-entry", "--console", "screen", dev), point, "No space left",
            "make room")
    assert ((point / OURS).read_bytes(), (point / SETTINGS).read_bytes()) == before
    assert sorted(os.listdir(point / "EFI/afterimage")) == ["afterimage.cfg", "afterimage.efi"]


def test_every_write_to_the_system_can_fail(tree, system, shim):
    """Each of the two files is written, flushed, and its folder flushed; no entry leads to half."""
    dev, point = system
    for n in range(1, 10):
        env = dict(os.environ, LD_PRELOAD=str(shim), FAIL_AT=str(n), FAIL_PROGRAM="mkdumpdisk")
        r = run(TOOL, "--root", tree.root, "--boot-entry", dev, env=env)
        if r.returncode == 0:
            break
        refused(r, point, "cannot be written: Input/output error", "check the disk")
        assert not (point / "EFI/afterimage").exists() and tree.calls() == []
    assert n == 7 and state(tree, dev)["ok"]


def test_system_is_read_only(tree, system):
    dev, point = system
    check("mount", "-o", "remount,ro", point)
    refused(tree.tool("--boot-entry", dev), point, "cannot be written: Read-only", "writable")


@pytest.mark.parametrize("change", [
    lambda line: "", lambda line: line.replace("vfat", "ext4"),
    lambda line: line.replace("/ /boot/efi", "/sub /boot/efi"),
    lambda line: line.replace("/boot/efi", "/mnt")])
def test_system_not_found(tree, system, change):
    dev, point = system
    *_, line = tree.read("proc/self/mountinfo").splitlines()
    tree.mounts(MOUNTED, change(line + "\n"))
    refused(tree.tool("--boot-entry", dev), dev, "mounted neither at /boot/efi nor", "mount it")
    assert os.listdir(point) == []


def test_system_elsewhere(tree, system):
    """At /efi; and at /boot/efi is something that is no EFI system partition."""
    dev, point = system
    *_, line = tree.read("proc/self/mountinfo").splitlines()
    other = line.split()[2]
    tree.mounts(MOUNTED, line.replace(other, "7:250") + "\n",
                line.replace("/boot/efi", "/efi") + "\n")
    os.symlink(point, tree.root / "efi")
    done(tree.tool("--boot-entry", dev))
    assert (point / OURS).exists()


# --- the dump disk's files -----------------------------------------------------------------


def sign(image, folder):
    key, cert, out = folder / "key.pem", folder / "cert.pem", folder / "signed.efi"
    check("openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test",
          "-keyout", key, "-out", cert)
    check("sbsign", "--key", key, "--cert", cert, "--output", out, image)
    return out


def contents(disk, path):
    return subprocess.run(["mtype", "-i", f"{disk}@@2M", f"::/{path}"], check=True,
                          capture_output=True).stdout


@pytest.mark.parametrize("sector", [512, 4096])
def test_files(tmp_path, sector):
    disk = tmp_path / "disk.img"
    done(run(TOOL, "--size", "100M", "--sector-size", sector, "--console", "screen", "--yes", disk))
    with open(os.path.join(BUILD, "afterimage.efi"), "rb") as f:
        image = f.read()
    names = check("mdir", "-/", "-b", "-i", f"{disk}@@2M", "::").split()
    assert sorted(names) == ["::/EFI/", "::/EFI/BOOT/", "::/EFI/BOOT/BOOTX64.EFI",
                             "::/EFI/afterimage/", f"::/{SETTINGS}", f"::/{OURS}"]
    assert contents(disk, "EFI/BOOT/BOOTX64.EFI") == image
    assert contents(disk, OURS) == image
    with open(disk, "rb") as f:
        f.seek(66 * MIB + 16)
        raw = f.read(16)
    text = check("blkid", "-p", "-O", "2M", "-o", "value", "-s", "UUID", disk).strip()
    uuid = contents(disk, SETTINGS).decode().split()[0].removeprefix("dump=")
    assert contents(disk, SETTINGS).decode() == f"dump={uuid} console=screen menu=3\n"
    assert raw[:4][::-1].hex() == uuid[:8] == text.replace("-", "").lower()


def test_files_are_reproducible(tmp_path, monkeypatch):
    """Time zone, clock and the user's mtools set-up leave no trace; only the UUID differs."""
    areas = []
    (tmp_path / ".mtoolsrc").write_text('drive c: file="/nowhere"\nMTOOLS_LOWER_CASE=1\n')
    for zone in ("UTC0", "AAA-11"):
        monkeypatch.setenv("TZ", zone)
        monkeypatch.setenv("HOME", str(tmp_path))
        disk = tmp_path / f"{zone}.img"
        done(run(TOOL, "--size", "100M", "--yes", disk))
        with open(disk, "rb") as f:
            f.seek(2 * MIB)
            area = bytearray(f.read(64 * MIB))
        own = area.index(contents(disk, SETTINGS)[:41])
        area[own:own + 41] = bytes(41)
        for boot in (0, 6 * 512):
            area[boot + 67:boot + 71] = bytes(4)
        areas.append(area)
    assert areas[0] == areas[1]


def test_signed_file(tmp_path):
    signed = sign(os.path.join(BUILD, "afterimage.efi"), tmp_path)
    disk = tmp_path / "disk.img"
    done(run(TOOL, "--size", "100M", "--efi-image", signed, "--yes", disk))
    assert contents(disk, OURS) == signed.read_bytes()
    signed.write_bytes(signed.read_bytes()[:-8])
    refused(run(TOOL, "--size", "100M", "--force", "--efi-image", signed, "--yes", disk), signed,
            "is cut short", "--efi-image FILE")


@pytest.mark.parametrize("change,words", [
    (lambda d: d[:-1], "is cut short"), (lambda d: d[:63], "is too short"),
    (lambda d: b"", "is too short"), (lambda d: b"ZM" + d[2:], "is no EFI application"),
    (lambda d: d.replace(b"\x64\x86", b"\x4c\x01", 1), "another processor"),
    (lambda d: d + bytes(16 * MIB), "Invalid argument"),
    (lambda d: d.replace(b"afterimage", b"grub-image"), "another EFI application"),
    (lambda d: d[:0xDC] + b"\x0b" + d[0xDD:], "no EFI application")])
def test_damaged_file(tmp_path, change, words):
    disk, image = tmp_path / "disk.img", tmp_path / "x.efi"
    image.write_bytes(change(efi_file()))
    refused(run(TOOL, "--size", "100M", "--efi-image", image, "--yes", disk), image, words,
            "--efi-image FILE")
    assert not disk.exists()


def test_largest_file(tmp_path):
    disk, image = tmp_path / "disk.img", tmp_path / "x.efi"
    image.write_bytes(efi_file(16 * MIB))
    done(run(TOOL, "--size", "100M", "--efi-image", image, "--yes", disk))
    assert contents(disk, "EFI/BOOT/BOOTX64.EFI") == image.read_bytes()


def test_missing_mtools(tmp_path, shim):
    disk = tmp_path / "disk.img"
    r = run(TOOL, "--size", "100M", "--yes", disk,
            env=dict(os.environ, LD_PRELOAD=str(shim), HIDE_PROGRAM="mmd"))
    refused(r, disk, "the program mmd is missing", "install the package mtools")
    assert not disk.exists()
