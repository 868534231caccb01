"""mkdumpdisk --grub on a made-up system: what gets into GRUB's menu, through GRUB's own library
for such scripts and its own check of what comes out, and every refusal. Loop devices, which stand
for the disk, and mounts need root."""

import os
import re
import shutil
import subprocess

import pytest

from grubtree import CONFIG, ELF_BYTES, IMAGE, MODULE, PROBE, SCRIPT, GrubTree, elf
from hosttools import check, done, number_of, refused, run
from kexectree import BUILD, MIB, TOOL

os.environ["PATH"] += ":/usr/sbin:/sbin"
os.environ["LC_ALL"] = "C"
TITLE = "Dump memory of the crashed system"
CONSOLE = "serial:0x3f8:115200,screen"
OTHER = "00000000-1111-2222-3333-444444444444"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A dump disk; read only."""
    disk = tmp_path_factory.mktemp("disk") / "dump.img"
    check(TOOL, "--size", 100 * MIB, "--yes", disk)
    return disk


@pytest.fixture
def tree(tmp_path, prepared):
    root = tmp_path / "root"
    root.mkdir()
    boot = root / "boot"
    boot.mkdir()
    if os.geteuid() != 0:
        pytest.skip("needs root for mounts")
    check("mount", "-t", "tmpfs", "-o", "size=4M", "none", boot)
    yield GrubTree(root, prepared)
    check("umount", boot)


@pytest.fixture
def device(loop, prepared, tree):
    """A block device that looks like the tree's dump disk."""
    dev = loop("-r", prepared)
    tree.detach()
    shutil.rmtree(tree.root / "sys/devices")
    tree.attach("nvme0n1", number=number_of(dev))
    return dev


@pytest.fixture
def inside(tree, device):
    """Installs with the tree in the place of the system, where the device is /dev/dump."""
    tree.node(device)

    def act(*args, **kw):
        return tree.inside("--grub", "--image", tree.image, *args, "/dev/dump", **kw)
    return act


def installed(tree):
    return tree.has(IMAGE), tree.has(SCRIPT)


# --- below a root: files alone -------------------------------------------------------------


def test_files(tree, device):
    out = done(tree.tool("--grub", "--image", tree.image, "--console", "serial:1:9600",
                         "--menu", "9", device))
    assert f"UUID {tree.uuid}" in out and "run update-grub there" in out and TITLE in out
    assert (tree.root / IMAGE).read_bytes() == elf()
    assert os.stat(tree.root / SCRIPT).st_mode & 0o777 == 0o755
    assert f"WORDS='dump={tree.uuid} console=serial:0x2f8:9600 menu=9'\n" in tree.read(SCRIPT)
    check("sh", "-n", tree.root / SCRIPT)
    assert tree.calls() == [] and not tree.entry()
    found = tree.state(tree.tool("--grub=status", "--json"))
    assert not found["ok"] and found["image"]["ok"] and found["GRUB"]["ok"]
    assert found["target"]["ok"] and "run update-grub there" in found["entry"]["text"]
    done(tree.tool("--grub=remove"))
    assert installed(tree) == (False, False) and not tree.has("boot/afterimage")
    assert "nothing is installed" in done(tree.tool("--grub=remove"))


def test_dry_run(tree, device):
    out = done(tree.tool("--grub", "--image", tree.image, "--dry-run", device))
    assert "nothing was written" in out and installed(tree) == (False, False)
    done(tree.tool("--grub", "--image", tree.image, device))
    assert f"would remove: /{IMAGE}\n" in done(tree.tool("--grub=remove", "--dry-run"))
    assert installed(tree) == (True, True)


# --- on a system that runs -----------------------------------------------------------------


def test_install(tree, inside):
    out = done(inside())
    assert tree.calls() == ["update-grub"] and "number 3 in /boot/grub/grub.cfg" in out
    entry = tree.entry()
    assert "--id afterimage {\n" in entry.splitlines(True)[0] and "--class afterimage" in entry
    assert f"\t\t$load '/afterimage/afterimage.elf' dump={tree.uuid} console={CONSOLE} " \
           "menu=3\n" in entry
    for line in ("insmod part_gpt", "insmod ext2", "set root='hd0,gpt1'",
                 f"search --no-floppy --fs-uuid --set=root --hint-bios=hd0,gpt1 "
                 f"{PROBE['fs_uuid']}"):
        assert f"\t{line}\n" in entry.replace("\t  ", "\t")
    assert "if insmod $load; then" in entry and "sleep" in entry
    found = tree.state(tree.inside("--grub=status", "--json"))
    assert found["ok"] and "number 3" in found["entry"]["text"]
    assert tree.state(tree.inside("--grub=status", "--json", "/dev/dump"))["ok"]
    text = done(tree.inside("--grub=status"))
    assert [line.split(":")[0] for line in text.splitlines()] == \
        ["image", "entry", "GRUB", "target"]


def test_again_and_changed(tree, inside):
    done(inside())
    first = tree.read(SCRIPT), tree.read(CONFIG)
    (tree.root / (IMAGE + ".new")).write_text("left by a crash")
    done(inside())
    assert (tree.read(SCRIPT), tree.read(CONFIG)) == first
    assert os.listdir(tree.root / "boot/afterimage") == ["afterimage.elf"]
    # for another dump partition
    tree.write(SCRIPT, first[0].replace(tree.uuid, OTHER)).chmod(0o755)
    r = tree.inside("--grub=status")
    assert r.returncode == 1 and "is another than" in r.stdout and OTHER in r.stdout
    tree.write(CONFIG, first[1].replace(tree.uuid, OTHER))
    found = tree.state(tree.inside("--grub=status", "--json"))
    assert not found["ok"] and found["entry"]["ok"]
    assert "no disk has the dump partition" in found["target"]["text"]
    refused(tree.inside("--grub=remove", "/dev/dump"), "/dev/dump",
            f"is not what the menu entry is for: that is the dump partition {OTHER}", "or none")
    assert installed(tree) == (True, True)
    done(inside())
    assert (tree.read(SCRIPT), tree.read(CONFIG)) == first


def test_json_of_an_installation(tree, inside):
    assert tree.state(inside("--json"))["ok"]


def test_remove(tree, inside):
    done(inside())
    (tree.root / "boot/afterimage/mine").write_text("x")
    done(tree.inside("--grub=remove", "/dev/dump"))
    assert not tree.entry() and len(tree.calls()) == 2 and installed(tree) == (False, False)
    assert tree.has("boot/afterimage/mine")
    assert "nothing is installed" in done(tree.inside("--grub=remove")) and len(tree.calls()) == 2
    r = tree.inside("--grub=status")
    assert r.returncode == 1 and "there is none" in r.stdout and "is not there" in r.stdout


def test_remove_what_is_left(tree, inside):
    """Files that somebody deleted: the menu is made again all the same."""
    done(inside())
    (tree.root / SCRIPT).unlink()
    (tree.root / IMAGE).unlink()
    r = tree.inside("--grub=status")
    assert r.returncode == 1 and "is gone, and the entry with the next" in r.stdout
    done(tree.inside("--grub=remove"))
    assert not tree.entry()


def test_remove_fails(tree, inside):
    done(inside())
    tree.write("boot/fail", "no room\n")
    refused(tree.inside("--grub=remove"), "/boot/grub/grub.cfg", "exit code 3: no room",
            "run this again")
    assert tree.has(IMAGE)  # the entry is still there
    (tree.root / "boot/fail").unlink()
    done(tree.inside("--grub=remove"))
    assert not tree.entry() and not tree.has("boot/afterimage")


def test_entry_of_another_script(tree, inside):
    done(inside())
    shutil.copy(tree.root / SCRIPT, tree.root / "etc/grub.d/46_copy")
    refused(tree.inside("--grub=remove"), "/boot/grub/grub.cfg", "not made by", "/etc/grub.d")
    assert tree.has(IMAGE)


def test_update_fails(tree, inside):
    tree.write("boot/fail", "first\nthe disk is on fire\n")
    r = inside()
    lines = r.stderr.splitlines()
    assert r.returncode == 1 and r.stdout == "" and len(lines) == 2
    assert "update-grub ended with exit code 3: the disk is on fire; " in lines[0]
    assert "written and stay, but the entry is not in the menu; " in lines[1]
    assert installed(tree) == (True, True)


def test_entry_does_not_appear(tree, inside):
    tree.write("boot/forget", "")
    refused(inside(), "/dev/dump", "has no such entry afterwards", "update-grub")
    assert installed(tree) == (True, True)


def test_entry_stays_another(tree, inside):
    done(inside())
    tree.write("boot/forget", "")
    refused(inside("--menu", "7"), "/dev/dump", "has no such entry afterwards", "update-grub")


def test_without_update_grub(tree, inside, shim):
    env = os.environ | {"LD_PRELOAD": str(shim), "HIDE_PROGRAM": "update-grub"}
    tree.program("usr/sbin/grub-mkconfig",
                 '#!/bin/sh\nupdate-grub "$@"\n')
    done(inside(env=env))
    assert tree.calls() == ["update-grub -o /boot/grub/grub.cfg"]


def test_hidden_menu(tree, inside):
    tree.program("etc/grub.d/05_timeout", "#!/bin/sh\necho set timeout=0\n")
    assert "hold Shift (BIOS) or press Esc (UEFI)" in done(inside())
    assert "hold Shift" in done(tree.inside("--grub=status"))


# --- the script ----------------------------------------------------------------------------


def accepted(text):
    r = subprocess.run(["grub-script-check"], input=text, text=True, capture_output=True,
                       check=False)
    assert r.returncode == 0, r.stderr
    return text


def test_script_on_lvm_and_luks(tree, inside):
    tree.probe(abstraction="lvm\ncryptodisk\nluks\ngcry_rijndael", device="/dev/mapper/vg-root",
               cryptodisk_uuid="aabbccdd")
    tree.write("etc/default/grub", "GRUB_ENABLE_CRYPTODISK=y\n")
    assert "GRUB asks for the passphrase first" in done(inside())
    entry = accepted(tree.entry())
    for line in ("insmod lvm", "insmod cryptodisk", "insmod luks", "cryptomount -u aabbccdd"):
        assert f"\t{line}\n" in entry


@pytest.mark.parametrize("change,word", [
    (lambda t: (t.root / IMAGE).unlink(), "is not there"),
    (lambda t: t.probe(fs=None), "GRUB cannot read"),
    (lambda t: t.probe(device=None), "is not known"),
    (lambda t: t.probe(device=""), "is not known"),
    (lambda t: t.probe(abstraction="cryptodisk\nluks"), "GRUB cannot read"),
])
def test_script_that_can_not(tree, device, change, word):
    """It says so and ends well: grub-mkconfig would stop otherwise, for a new kernel, too."""
    done(tree.tool("--grub", "--image", tree.image, device))
    change(tree)
    r = tree.run_script()
    assert r.returncode == 0 and r.stdout == "" and word in r.stderr


def test_script_without_the_library(tree, device):
    done(tree.tool("--grub", "--image", tree.image, device))
    r = tree.run_script(pkgdatadir="/nowhere")
    assert r.returncode == 0 and r.stdout == "" and "no grub-mkconfig_lib" in r.stderr


@pytest.mark.parametrize("folder", ["with blank", "it's", "$x {}\"", "öü"])
def test_script_quotes_paths(tree, device, folder):
    """As of a subvolume that is mounted at /boot: what leads to it in the file system may have
    any name."""
    done(tree.tool("--grub", "--image", tree.image, device))
    target = tree.root / "boot" / folder
    shutil.copytree(tree.root / "boot/afterimage", target)
    text = tree.read(SCRIPT)
    quoted = "'" + f"/boot/{folder}/afterimage.elf".replace("'", "'\\''") + "'"
    tree.write(SCRIPT, text.replace(f"IMAGE=/{IMAGE}", f"IMAGE={quoted}")).chmod(0o755)
    r = tree.run_script()
    assert r.returncode == 0
    written = f"/{folder}/afterimage.elf".replace("'", "'\\''")
    assert f"$load '{written}' dump=" in accepted(r.stdout)


# --- what is refused -----------------------------------------------------------------------


def refuse_root(tree, device, words, todo, target=None, image=None):
    refused(tree.tool("--grub", "--image", image or tree.image, device),
            target or tree.root, words, todo)
    assert installed(tree) == (False, False)


def test_not_started_by_grub(tree, device):
    (tree.root / CONFIG).unlink()
    refuse_root(tree, device, "not started by GRUB: there is no /boot/grub/grub.cfg",
                "use --boot-entry or --systemd-boot")


@pytest.mark.parametrize("efi", [False, True])
def test_no_module(tree, device, efi):
    name = "x86_64-efi" if efi else "i386-pc"
    if efi:
        tree.efi(0)
    (tree.root / MODULE[name]).unlink()
    refuse_root(tree, device, f"GRUB without multiboot modules: /{MODULE[name]}",
                f"package grub-{'efi-amd64' if efi else 'pc'}-bin and run grub-install")
    r = tree.tool("--grub=status")
    assert r.returncode == 1 and "GRUB: this machine has GRUB without multiboot" in r.stdout


def test_modules_of_files_alone(tree, device):
    """Who starts them is not known: all that is there must do."""
    shutil.rmtree(tree.root / "sys/firmware")
    (tree.root / "boot/grub/x86_64-efi").mkdir()
    refuse_root(tree, device, "x86_64-efi/multiboot2.mod is not there", "grub-efi-amd64-bin")
    shutil.rmtree(tree.root / "boot/grub/x86_64-efi")
    done(tree.tool("--grub", "--image", tree.image, device))
    (tree.root / MODULE["i386-pc"]).unlink()
    assert tree.tool("--grub=status").stdout.count("i386-pc/multiboot.mod is not there") == 1


@pytest.mark.parametrize("secure", [None, 0, 1])
def test_secure_boot(tree, device, secure):
    tree.efi(secure)
    if secure:
        refuse_root(tree, device, "has Secure Boot on: GRUB then loads no multiboot image",
                    "--boot-entry or --systemd-boot with an --efi-image that you signed")
        return
    done(tree.tool("--grub", "--image", tree.image, device))
    tree.efi(1)
    r = tree.tool("--grub=status")
    assert r.returncode == 1 and "GRUB: this machine has Secure Boot on" in r.stdout


@pytest.mark.parametrize("name", ["fs", "abstraction"])
def test_grub_can_not_read_boot(tree, inside, name):
    tree.probe(**{name: None})
    refused(inside(), "/boot", f"grub-probe: grub-probe: error: cannot find {name}",
            "file system that it reads")
    assert installed(tree) == (False, False) and tree.calls() == []


def test_no_grub_probe(tree, inside, shim):
    env = os.environ | {"LD_PRELOAD": str(shim), "HIDE_PROGRAM": "grub-probe"}
    refused(inside(env=env), "/boot", "grub-probe is missing: install grub-common", "")


def test_encrypted(tree, inside):
    tree.probe(abstraction="cryptodisk\nluks2")
    refused(inside(), "/boot", "encrypted disk, and GRUB has not been told to open it",
            "GRUB_ENABLE_CRYPTODISK=y")
    tree.write("etc/default/grub.d/crypto.cfg", "GRUB_ENABLE_CRYPTODISK=y\n")
    tree.write("etc/default/grub", "GRUB_ENABLE_CRYPTODISK=n\n")
    r = inside()  # the script itself is run without the file beside, and leaves the entry out
    assert "has no such entry afterwards" in r.stderr
    tree.write("etc/default/grub", "GRUB_ENABLE_CRYPTODISK=y\n")
    assert "LUKS2 only with a key of the kind PBKDF2" in done(inside())


def test_foreign_script(tree, device):
    tree.write(SCRIPT, "#!/bin/sh\n# somebody's\n")
    args = ("not made by mkdumpdisk", "move it elsewhere")
    refused(tree.tool("--grub", "--image", tree.image, device), tree.root / SCRIPT, *args)
    refused(tree.tool("--grub=remove"), tree.root / SCRIPT, *args)
    assert "somebody's" in tree.read(SCRIPT) and not tree.has(IMAGE)
    r = tree.tool("--grub=status")
    assert r.returncode == 1 and f"/{SCRIPT} was not made by mkdumpdisk" in r.stdout


def test_damaged_script(tree, device):
    done(tree.tool("--grub", "--image", tree.image, device))
    tree.write(SCRIPT, "\n".join(tree.read(SCRIPT).splitlines()[:3]) + "\n")
    r = tree.tool("--grub=status")
    assert r.returncode == 1 and f"/{SCRIPT} is damaged" in r.stdout
    done(tree.tool("--grub", "--image", tree.image, device))
    assert "EOF" in tree.read(SCRIPT)


def test_links(tree, device):
    """Of what takes part: a folder may be elsewhere, a file that is a link is replaced."""
    elsewhere = tree.root / "boot/elsewhere"
    elsewhere.mkdir()
    (tree.root / "boot/afterimage").symlink_to(elsewhere)
    victim = tree.write("victim", "mine")
    (elsewhere / "afterimage.elf").symlink_to(victim)
    (tree.root / SCRIPT).symlink_to(tree.root / "nowhere")
    done(tree.tool("--grub", "--image", tree.image, device))
    assert victim.read_text() == "mine" and not tree.has("nowhere")
    assert (elsewhere / "afterimage.elf").read_bytes() == elf()
    assert not os.path.islink(tree.root / SCRIPT)


def test_boot_is_read_only(tree, device):
    check("mount", "-o", "remount,ro", tree.root / "boot")
    r = tree.tool("--grub", "--image", tree.image, device)
    check("mount", "-o", "remount,rw", tree.root / "boot")
    lines = r.stderr.splitlines()
    assert r.returncode == 1 and len(lines) == 2
    assert re.search(r"Read-only file system; make that file system writable", lines[0], re.I)
    assert "the entry is not complete; " in lines[1] and installed(tree) == (False, False)


def test_boot_is_full(tree, device):
    done(tree.tool("--grub", "--image", tree.image, device))
    room = os.statvfs(tree.root / "boot")
    (tree.root / "boot/filler").write_bytes(bytes((room.f_bavail - 16) * room.f_bsize))
    tree.image.write_bytes(elf().ljust(1 * MIB, b"\1"))
    r = tree.tool("--grub", "--image", tree.image, device)
    assert r.returncode == 1 and "; make room" in r.stderr
    assert (tree.root / IMAGE).read_bytes() == elf()  # as it was
    assert os.listdir(tree.root / "boot/afterimage") == ["afterimage.elf"]


def test_every_write_can_fail(tree, device, shim):
    env = os.environ | {"LD_PRELOAD": str(shim), "FAIL_PROGRAM": "mkdumpdisk"}
    for at in range(1, 30):
        r = run(TOOL, "--root", tree.root, "--grub", "--image", tree.image, device,
                env=env | {"FAIL_AT": str(at)})
        if r.returncode == 0:
            break
        assert r.returncode == 1 and "Input/output error" in r.stderr
        for path in (tree.root / "boot/afterimage", tree.root / "etc/grub.d"):
            assert not [n for n in os.listdir(path) if n.endswith(".new")]
        assert not tree.has(SCRIPT) or at > 3
    assert at > 3 and installed(tree) == (True, True)


def test_the_image_that_was_built(tree, device):
    done(tree.tool("--grub", device))
    with open(os.path.join(BUILD, "afterimage.elf"), "rb") as f:
        assert (tree.root / IMAGE).read_bytes() == f.read()


# --- the image and the target --------------------------------------------------------------


@pytest.mark.parametrize("data,words", [
    (b"", "too short"),
    (b"x" * 100, "no program for x86-64"),
    (elf(bits=1), "no program for x86-64"),
    (elf(machine=3), "no program for x86-64"),
    (elf(headers=0), "damaged header"),
    (elf(headers=65), "damaged header"),
    (elf(entry=32), "damaged header"),
    (elf(segment=ELF_BYTES + 1), "cut short"),
    (elf(sections=ELF_BYTES - 63), "cut short"),
    (elf()[:-1], "cut short"),
    (elf(magic=0x1BADB002), "no Multiboot 2 header"),
    (elf(add=1), "no Multiboot 2 header"),
    (elf(arch=4), "no Multiboot 2 header"),
    (elf(length=8), "no Multiboot 2 header"),
    (elf(length=ELF_BYTES), "no Multiboot 2 header"),
    (elf(at=0x1004), "no Multiboot 2 header"),
    (elf(name=b"memtest"), "is another program"),
])
def test_images(tree, device, data, words):
    image = tree.root / "bad.elf"
    image.write_bytes(data)
    refuse_root(tree, device, words, "name another with --image", image, image)
    tree.write(IMAGE, "").write_bytes(data)
    r = tree.tool("--grub=status")
    assert r.returncode == 1 and words in r.stdout.splitlines()[0]


def test_image_not_there(tree, device):
    refuse_root(tree, device, "No such file", "--image", "/nowhere/x.elf", "/nowhere/x.elf")
    refuse_root(tree, device, "cannot be read|be read", "--image", tree.root, tree.root)


def test_image_is_long(tree, device):
    os.truncate(tree.image, 17 * MIB)
    refuse_root(tree, device, "be read", "--image", tree.image)


def test_targets(tree, device, tmp_path):
    for target, words, todo in (("status", "does not exist", "did you mean --grub=status?"),
                                ("install", "does not exist", "did you mean --grub=install?"),
                                (tmp_path / "x", "does not exist", "dump disk"),
                                (tree.disk, "is an image file", "attach it"),
                                ("/dev/null", "is no disk", "dump disk")):
        refused(tree.tool("--grub", "--image", tree.image, target), target, words,
                re.escape(todo))
    assert installed(tree) == (False, False)


def test_target_is_not_prepared(tree, loop, tmp_path):
    disk = tmp_path / "empty.img"
    disk.write_bytes(b"")
    os.truncate(disk, 8 * MIB)
    dev = loop("-r", disk)
    tree.number(number_of(dev), tree.attach("sda", "sata", disk=disk))
    refused(tree.tool("--grub", "--image", tree.image, dev), dev, "is not a dump disk",
            "prepare it first with mkdumpdisk, without --grub")


def test_target_out_of_reach(tree, device):
    done(tree.tool("--grub", "--image", tree.image, device))
    tree.detach()
    shutil.rmtree(tree.root / "sys/devices")
    shutil.rmtree(tree.root / "sys/dev")
    tree.attach("nvme0n1", "tcp", number=number_of(device))
    r = tree.tool("--grub", "--image", tree.image, device)
    assert r.returncode == 1 and r.stderr.startswith(f"mkdumpdisk: {device}: ")
    found = tree.state(tree.tool("--grub=status", "--json"))["target"]
    assert not found["ok"] and found["text"].startswith("/dev/nvme0n1p3 ")


def test_needs_root(tmp_path):
    shutil.copy(TOOL, tmp_path / "mkdumpdisk")
    for folder in [tmp_path, *tmp_path.parents][:-1]:
        if os.stat(folder).st_uid == os.geteuid() and str(folder).startswith("/tmp/"):
            os.chmod(folder, 0o755)
    r = run("setpriv", "--reuid=65534", "--clear-groups", tmp_path / "mkdumpdisk",
            "--grub=remove")
    refused(r, "this machine", "--grub needs root", "run this as root")
