"""mkdumpdisk --systemd-boot on a made-up system below --root: what it puts on the EFI system
partition, what it leaves alone, and every refusal. Loop devices, which stand for the disks, and
mounts need root."""

import json
import os
import shutil
import uuid

import pytest

from efifile import efi_file
from efitree import MOUNTED, PATH, EfiTree, load_option
from hosttools import check, done, number_of, refused, run
from kexectree import BUILD, MIB, TOOL

SIZE = 100 * MIB
ESP_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
XBOOTLDR_TYPE = "BC13C2FF-59E6-4262-A352-B275FD6F7172"
OURS = "EFI/afterimage/afterimage.efi"
SETTINGS = "EFI/afterimage/afterimage.cfg"
LOADER = "EFI/systemd/systemd-bootx64.efi"
ENTRY = "loader/entries/afterimage.conf"
CHOSEN = "LoaderEntryDefault-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
OTHER = "00000000-1111-2222-3333-444444444444"
PLAIN = "title x\nlinux /vmlinuz\n"
DEBIAN = "title Debian\nsort-key debian\nlinux /vmlinuz\n"
os.environ["PATH"] += ":/usr/sbin:/sbin"
os.environ["LC_ALL"] = "C"


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A dump disk; read only."""
    disk = tmp_path_factory.mktemp("disk") / "dump.img"
    check(TOOL, "--size", SIZE, "--yes", disk)
    return disk


@pytest.fixture(scope="session")
def system_disk(tmp_path_factory):
    """The system's: its EFI system partition is the second, the extended one the third."""
    disk = tmp_path_factory.mktemp("system") / "system.img"
    disk.write_bytes(b"")
    os.truncate(disk, 30 * MIB)
    check("sgdisk", "-n", "1:2048:4095", "-n", "2:4096:36863", "-t", f"2:{ESP_TYPE}",
          "-n", "3:36864:40959", "-t", f"3:{XBOOTLDR_TYPE}", disk)
    return disk


class System:
    """The made-up system: a dump disk, its own disk, and systemd-boot where @esp is mounted."""

    def __init__(self, tree, dev, folders, numbers):
        self.tree, self.dev, self.folders, self.numbers = tree, dev, folders, numbers

    def mount(self, **points):
        """Shows the partitions esp and xbootldr as mounted at these points."""
        self.tree.mounts(MOUNTED, *(
            f"4{i} 19 {self.numbers[name]} / {point} rw,relatime shared:1 - vfat /dev/sda rw\n"
            for i, (name, point) in enumerate(points.items())))
        for name, point in points.items():
            target = self.tree.root / point[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_symlink():
                target.unlink()
            target.symlink_to(self.folders[name])

    def put(self, path, text="", name="esp"):
        target = self.folders[name] / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())
        return target

    def has(self, path, name="esp"):
        return (self.folders[name] / path).exists()

    def read(self, path):
        return (self.folders["esp"] / path).read_text()

    def files(self):
        return sorted(os.path.relpath(os.path.join(folder, n), self.folders["esp"])
                      for folder, _, names in os.walk(self.folders["esp"]) for n in names)

    def tool(self, action="", *args, **kw):
        return self.tree.tool("--systemd-boot" + (f"={action}" if action else ""), *args, **kw)

    def install(self, *args):
        return self.tool("", *args, self.dev)

    def status(self, *args):
        """The state; text and exit code must agree."""
        r = self.tool("status", "--json", *args)
        text = self.tool("status", *args)
        assert r.stderr == text.stderr == "" and r.returncode == text.returncode
        found = json.loads(r.stdout)
        assert found["ok"] == (r.returncode == 0) == (found["text"] == "")
        assert found["text"] in text.stdout
        return found


@pytest.fixture
def system(loop, prepared, system_disk, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    tree = EfiTree(root, prepared)
    tree.detach()
    shutil.rmtree(root / "sys/devices")
    dev = loop("-r", prepared)
    tree.attach("nvme0n1", number=number_of(dev))
    folder = tree.attach("sda", "scsi", disk=system_disk, partitions=tree.know("sda", system_disk))
    numbers = {}
    for name, part in (("esp", "sda2"), ("xbootldr", "sda3")):
        numbers[name] = number_of(loop("-r", system_disk))
        tree.number(numbers[name], f"{folder}/{part}")
    folders = {"esp": tmp_path / "esp", "xbootldr": tmp_path / "xbootldr"}
    folders["esp"].mkdir()
    folders["xbootldr"].mkdir()
    check("mount", "-t", "tmpfs", "-o", "size=4M", "none", folders["esp"])
    s = System(tree, dev, folders, numbers)
    s.mount(esp="/efi")
    s.put(LOADER)
    s.put("loader/entries/debian-6.1.conf", DEBIAN)
    s.put("vmlinuz")
    s.put("vmlinuz", name="xbootldr")
    yield s
    check("umount", folders["esp"])


# --- what it does --------------------------------------------------------------------------


def test_install(system):
    before = system.files()
    out = done(system.install())
    assert "entry \"Dump memory of the crashed system\", /efi/loader/entries/afterimage.conf" in out
    assert "on partition 2 of /dev/sda\n" in out and f"UUID {system.tree.uuid}" in out
    assert "but" not in out
    assert system.files() == sorted(before + [OURS, SETTINGS, ENTRY])
    with open(os.path.join(BUILD, "afterimage.efi"), "rb") as f:
        assert (system.folders["esp"] / OURS).read_bytes() == f.read()
    assert system.read(SETTINGS) == (
        f"dump={system.tree.uuid} console=serial:0x3f8:115200,screen menu=3\n")
    lines = [line.split(None, 1) for line in system.read(ENTRY).splitlines() if line[0] != "#"]
    assert lines == [["title", "Dump memory of the crashed system"], ["architecture", "x64"],
                     ["efi", "/" + OURS]]
    assert system.tree.calls() == []
    found = system.status()
    assert found["ok"] and found["entry"] == "/efi/" + ENTRY and found["uuid"] == system.tree.uuid
    assert found["dump_partition"] == "/dev/nvme0n1p3" and found["boot_entry"] is None
    assert found["loader"] and found["image"] and found["settings"]
    assert system.status(system.dev)["ok"]


def test_settings(system):
    done(system.install("--console", "serial:1:9600", "--menu", "9", "--auto"))
    assert system.read(SETTINGS) == (
        f"dump={system.tree.uuid} console=serial:0x2f8:9600 menu=9 auto\n")


def test_own_efi_image(system, tmp_path):
    image = tmp_path / "x.efi"
    image.write_bytes(efi_file(mark=b"mine"))
    done(system.install("--efi-image", image))
    assert (system.folders["esp"] / OURS).read_bytes() == image.read_bytes()


def test_twice(system):
    done(system.install())
    first = {name: system.read(name) for name in (ENTRY, SETTINGS)}
    done(system.install())
    assert {name: system.read(name) for name in (ENTRY, SETTINGS)} == first
    done(system.install("--menu", "0"))
    assert system.read(SETTINGS).endswith(" menu=0\n")


@pytest.mark.parametrize("target", [True, False])
def test_remove(system, target):
    before = system.files()
    done(system.install())
    args = [system.dev] if target else []
    assert done(system.tool("remove", *args)) == "systemd-boot: entry: removed\n"
    assert system.files() == before and not system.has("EFI/afterimage")
    done(system.tool("remove", *args))  # nothing left to do
    found = system.status()
    assert not found["ok"] and "there is none; add one" in found["text"]
    assert found["entry"] is None and found["uuid"] is None


def test_remove_without_systemd_boot(system):
    """What was put there is found and taken away although systemd-boot has gone."""
    done(system.install())
    (system.folders["esp"] / LOADER).unlink()
    assert "bootctl install" in system.status()["text"]
    done(system.tool("remove"))
    assert not system.has(ENTRY) and not system.has(OURS)


def test_dry_run(system):
    before = system.files()
    out = done(system.install("--dry-run"))
    assert out.splitlines() == [
        f"would write: /efi/{OURS}",
        f"would write: /efi/{SETTINGS}: dump={system.tree.uuid} "
        "console=serial:0x3f8:115200,screen menu=3",
        f"would write: /efi/{ENTRY}", "nothing was changed (--dry-run)"]
    assert system.files() == before
    done(system.install())
    out = done(system.tool("remove", "--dry-run"))
    assert out.splitlines() == [f"would remove: /efi/{ENTRY}", "would remove: /efi/EFI/afterimage",
                                "nothing was changed (--dry-run)"]
    assert system.status()["ok"]


# --- where systemd-boot is -----------------------------------------------------------------


@pytest.mark.parametrize("point", ["/efi", "/boot", "/boot/efi"])
def test_esp_at(system, point):
    system.mount(esp=point)
    if point != "/efi":
        (system.tree.root / "efi").unlink()
    done(system.install())
    assert system.has(ENTRY) and system.status()["entry"] == f"{point}/{ENTRY}"


@pytest.mark.parametrize("point", ["/efi", "/boot/efi"])
def test_extended_partition(system, point):
    """Entry and application go to the EFI system partition, whatever is on the other; the
    system's entries are found on the other one."""
    if point == "/boot/efi":  # below the other's mount point
        (system.folders["xbootldr"] / "efi").symlink_to(system.folders["esp"])
        system.mount(esp="/mnt", xbootldr="/boot")
        line = next(x for x in system.tree.read("proc/self/mountinfo").splitlines() if "/mnt" in x)
        other = next(x for x in system.tree.read("proc/self/mountinfo").splitlines()
                     if " /boot " in x)
        system.tree.mounts(MOUNTED, line.replace("/mnt", point) + "\n", other + "\n")
    else:
        system.mount(esp=point, xbootldr="/boot")
    (system.folders["esp"] / "loader/entries/debian-6.1.conf").unlink()
    refused(system.install(), system.dev, "has no entry, and would start a dump", "kernel-install")
    system.put("loader/entries/debian-6.1.conf", DEBIAN, "xbootldr")
    done(system.install())
    assert system.has(ENTRY) and system.has(OURS) and not system.has(ENTRY, "xbootldr")
    assert not system.has("EFI", "xbootldr")
    assert system.status()["entry"] == f"{point}/{ENTRY}"
    done(system.tool("remove"))
    assert system.has("loader/entries/debian-6.1.conf", "xbootldr")


def test_boot_is_a_folder(system):
    """Entries in a /boot that is no extended partition are not systemd-boot's."""
    system.tree.write("boot/loader/entries/debian.conf", DEBIAN)
    (system.folders["esp"] / "loader/entries/debian-6.1.conf").unlink()
    refused(system.install(), system.dev, "has no entry", "kernel-install")


# --- what it does not touch ----------------------------------------------------------------


def own_entry(system, **changes):
    facts = {"label": "x", "number": 2, "path": PATH,
             "guid": system.tree.guids["/dev/sda"][1]} | changes
    system.tree.firmware.set("Boot0007", load_option(**facts))


def test_boot_entry_keeps_the_files(system):
    done(system.install())
    own_entry(system)
    assert system.status()["boot_entry"] == "0007"
    assert "shared with the firmware's boot entry Boot0007" in done(system.tool("status"))
    out = done(system.tool("remove"))
    assert "removed" in out and "kept        /efi/EFI/afterimage" in out and "Boot0007" in out
    assert system.has(OURS) and system.has(SETTINGS) and not system.has(ENTRY)
    own_entry(system, guid=str(uuid.uuid4()))  # another partition's
    done(system.tool("remove"))
    assert not system.has(OURS)


def test_boot_entry_of_another_partition(system):
    system.put(SETTINGS, f"dump={OTHER}\n")
    system.put(OURS, efi_file())
    own_entry(system)
    refused(system.install(), system.dev, f"can not have .*for the dump partition {OTHER}",
            "--boot-entry=remove")
    refused(system.tool("remove", system.dev), system.dev, f"is not what .*{OTHER}",
            "name that one")
    assert system.read(SETTINGS) == f"dump={OTHER}\n" and not system.has(ENTRY)
    os.unlink(system.tree.firmware.file("Boot0007"))
    done(system.install())
    assert system.read(SETTINGS).startswith(f"dump={system.tree.uuid} ")


@pytest.fixture
def bare(loop, system, prepared, tmp_path):
    """A dump partition on a disk of its own; the same one by UUID, or another."""
    disk = tmp_path / "bare.img"
    shutil.copy(prepared, disk)
    check("sgdisk", "-d", "1", "-d", "2", disk)
    dev = loop("-r", disk)
    parts = system.tree.know("nvme1n1", disk)
    folder = system.tree.attach("nvme1n1", disk=disk, partitions=parts)
    system.tree.number(number_of(dev), f"{folder}/nvme1n1p1")
    return dev


def test_boot_entry_of_the_same_partition(system, bare):
    """One application, two ways to it: each goes without harm to the other."""
    done(system.install())
    out = done(system.tree.tool("--boot-entry", bare))
    assert "the system's" in out and system.status()["boot_entry"] == "0001"
    out = done(system.tree.tool("--boot-entry=remove", bare))
    assert "kept        /efi/EFI/afterimage: systemd-boot's entry starts it" in out
    assert system.status()["ok"] and system.status()["boot_entry"] is None
    done(system.tool("remove"))
    assert not system.has(OURS)


def test_boot_entry_for_another(system, bare):
    done(system.install())
    settings = system.read(SETTINGS).replace(system.tree.uuid, OTHER)
    system.put(SETTINGS, settings)
    refused(system.tree.tool("--boot-entry", bare), bare,
            f"can not have .*systemd-boot's entry starts it for the dump partition {OTHER}",
            "--systemd-boot=remove")
    assert system.tree.calls() == [] and system.read(SETTINGS) == settings


# --- what stands in the way ----------------------------------------------------------------


def test_needs_root(tmp_path):
    shutil.copy(TOOL, tmp_path / "mkdumpdisk")
    for folder in [tmp_path, *tmp_path.parents][:-1]:
        if os.stat(folder).st_uid == os.geteuid() and str(folder).startswith("/tmp/"):
            os.chmod(folder, 0o755)
    user = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    for args, name in ((["/dev/x"], "/dev/x"), ([], "systemd-boot")):
        r = run(*user, tmp_path / "mkdumpdisk",
                "--systemd-boot" if args else "--systemd-boot=status", *args)
        refused(r, name, "needs root", "run this as root")


def test_targets(system, prepared, tmp_path):
    refused(system.tool("", prepared), prepared, "is an image file", "attach it")
    refused(system.tool("", tmp_path / "none"), tmp_path / "none", "does not exist", "name a")
    refused(system.tool("", "status"), "status", "does not exist", "mean --systemd-boot=status")


def test_not_mounted(system):
    system.tree.mounts(MOUNTED)
    for action in ("", "remove"):
        refused(system.tool(action, system.dev), system.dev, "mounted neither at /efi nor at /boot",
                "mount it at /efi, or use --boot-entry")
    assert "mounted neither" in system.status()["text"]


@pytest.mark.parametrize("what", ["EFI/systemd", "loader"])
def test_no_systemd_boot(system, what):
    shutil.rmtree(system.folders["esp"] / what)
    refused(system.install(), system.dev, "systemd-boot is not on the EFI system partition at /efi",
            "bootctl install, or use --boot-entry")
    assert not system.has(OURS)


@pytest.mark.parametrize("loader,entries,chosen,words", [
    ("", {}, "", "has no entry, and would start a dump at every boot"),
    ("default debian*\n", {}, "", "has no entry"),
    ("", {"debian.conf": "title x\nsort-key x\n"}, "", "has no entry"),
    ("", {"debian.conf": "title x\nlinux /gone\n"}, "", "has no entry"),
    ("", {"a.conf": PLAIN}, "", "no other entry comes first"),
    ("", {"_x.conf": PLAIN}, "", "no other entry comes first"),
    ("default after*\n", {"debian.conf": DEBIAN}, "", "that matches its default"),
    ("default\tAfterimage.conf  \r\n", {"debian.conf": DEBIAN}, "", "that matches its default"),
    ("default gone*\n", {"a.conf": PLAIN}, "", "that matches its default"),
    ("default @saved\n", {"debian.conf": DEBIAN}, "", "what was started last"),
    ("default debian*\n", {"debian.conf": DEBIAN}, "@saved", "what was started last"),
    ("default debian*\n", {"debian.conf": DEBIAN}, "afterimage.conf", "that matches its default"),
])
def test_default(system, loader, entries, chosen, words):
    """It must never be what the machine starts by itself."""
    order(system, loader, entries, chosen)
    refused(system.install(), system.dev, words,
            "kernel-install" if "no entry" in words else "set-default")
    assert not system.has(ENTRY) and not system.has(OURS)
    if "no entry" not in words:  # how it may become so later
        system.put("loader/loader.conf", "default good*\n")
        system.put("loader/entries/good.conf", DEBIAN)
        if chosen:
            os.unlink(os.path.join(system.tree.firmware.folder, CHOSEN))
        done(system.install())
        os.unlink(system.folders["esp"] / "loader/entries/good.conf")
        order(system, loader, entries, chosen)
        assert "it is what systemd-boot starts" in system.status()["text"]


def order(system, loader, entries, chosen):
    (system.folders["esp"] / "loader/entries/debian-6.1.conf").unlink(missing_ok=True)
    system.put("loader/loader.conf", "# default x\ntimeout 3\n" + loader)
    for name, text in entries.items():
        system.put(f"loader/entries/{name}", text)
    if chosen:
        with open(os.path.join(system.tree.firmware.folder, CHOSEN), "wb") as f:
            f.write(b"\7\0\0\0" + (chosen + "\0").encode("utf-16-le"))


@pytest.mark.parametrize("loader,entries", [
    ("", {"0123abcd-6.1.conf": PLAIN}), ("", {"arch.conf": PLAIN}),
    ("", {"Arch.conf": PLAIN}), ("", {"a.conf": PLAIN + "sort-key zzz\n"}),
    ("default a.conf\n", {"a.conf": PLAIN}),
    ("default auto-windows\n", {"a.conf": "title x\nefi \\\\vmlinuz\n"}),
    ("default *\n", {"debian.conf": DEBIAN}),
    ("default @saved\ndefault debian*\n", {"debian.conf": DEBIAN})])
def test_other_entry_is_the_default(system, loader, entries):
    order(system, loader, entries, "")
    done(system.install())
    assert system.status()["ok"]


def test_kernel_without_an_entry_file(system):
    order(system, "", {}, "")
    system.put("EFI/Linux/debian-6.1.efi")
    done(system.install())
    assert system.status()["ok"]


@pytest.mark.parametrize("secure,signed,well", [(1, False, False), (1, True, True),
                                                (0, False, True)])
def test_secure_boot(system, tmp_path, secure, signed, well):
    image = tmp_path / "x.efi"
    data = bytearray(efi_file())
    if signed:
        data[0x98 + 112 + 32:0x98 + 112 + 40] = bytes.fromhex("0008000000020000")
    image.write_bytes(data)
    system.tree.firmware.set("SecureBoot", bytes([secure]))
    r = system.install("--efi-image", image)
    if well:
        done(r)
        assert system.status()["ok"]
        return
    refused(r, image, "is not signed, and Secure Boot is on", "sbsign .*--efi-image")
    assert not system.has(OURS) and not system.has(ENTRY)
    system.tree.firmware.set("SecureBoot", b"\0")
    done(system.install("--efi-image", image))
    system.tree.firmware.set("SecureBoot", b"\1")
    assert "is not signed, and Secure Boot is on" in system.status()["text"]


def test_without_variables(system):
    """A system that is not running has none."""
    shutil.rmtree(system.tree.root / "sys/firmware")
    done(system.install())
    assert system.status()["ok"]
    done(system.tool("remove"))


# --- damage --------------------------------------------------------------------------------


@pytest.mark.parametrize("change,words", [
    (lambda s: (s.folders["esp"] / OURS).unlink(), f"/{OURS} is not there"),
    (lambda s: (s.folders["esp"] / SETTINGS).unlink(), f"/{SETTINGS} is not there"),
    (lambda s: s.put(ENTRY, PLAIN), "was changed"),
    (lambda s: s.put(ENTRY, s.read(ENTRY) + "#\n"), "was changed"),
    (lambda s: s.put(SETTINGS, f"dump={OTHER}\n"), f"with the UUID {OTHER}; attach it"),
    (lambda s: s.tree.detach(), "no disk has the dump partition"),
])
def test_damage(system, change, words):
    done(system.install())
    change(system)
    found = system.status()
    assert not found["ok"] and words in found["text"]


def test_status_of_another_target(system):
    done(system.install())
    system.put(SETTINGS, f"dump={OTHER}\n")
    assert f"it is for the dump partition {OTHER}" in system.status(system.dev)["text"]


def test_no_room(system):
    """Nothing is left behind, whichever of the files it was that did not fit."""
    before = system.files()
    esp = system.folders["esp"]
    image = os.path.getsize(os.path.join(BUILD, "afterimage.efi"))
    pages = -(-image // 4096)
    free = os.statvfs(esp).f_bavail
    seen = 0
    for left in (0, pages - 1, pages, pages + 1, pages + 2):
        (esp / "filler").write_bytes(bytes((free - left) * 4096))
        r = system.install()
        if r.returncode == 0:
            break
        refused(r, esp.parent / "root/efi", "cannot be written: No space left", "make room")
        assert system.files() == sorted(before + ["filler"])
        assert not system.has("EFI/afterimage")
        seen += 1
    assert seen >= 3 and system.status()["ok"]


def test_every_write_can_fail(system, shim):
    before = system.files()
    for n in range(1, 20):
        env = dict(os.environ, LD_PRELOAD=str(shim), FAIL_AT=str(n), FAIL_PROGRAM="mkdumpdisk")
        r = run(TOOL, "--root", system.tree.root, "--systemd-boot", system.dev, env=env)
        if r.returncode == 0:
            break
        refused(r, system.tree.root, "cannot be written: Input/output error", "check the disk")
        assert system.files() == before and not system.has("EFI/afterimage")
    assert n == 10 and system.status()["ok"]


def test_read_only(system):
    check("mount", "-o", "remount,ro", system.folders["esp"])
    refused(system.install(), system.tree.root, "cannot be written: Read-only", "writable")
