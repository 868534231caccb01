"""The victim's boot medium: a CD with GRUB, a Debian kernel and a small initramfs made
of busybox and a few programs of this machine. It is a CD and not QEMU's -kernel,
because a kernel given that way would be booted again after the reset."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

GUEST = Path(__file__).parent / "guest"
PROCESSES = ("victim-alpha", "victim-beta", "victim-gamma")
TIMEOUT_S = 120
BIOS, UEFI = "i386-pc", "x86_64-efi"  # GRUB's names of the firmware that boots the CD
FILES_BYTES = 256 << 20
FILES_SERIAL = "afterimage-files"  # by which guest/classes knows the disk
MOVABLE = "movablecore=384M"  # Linux keeps its own off it, so that a block can be offlined

GRUB_CONFIG = """\
set timeout=0
linux{stub} /boot/vmlinuz {cmdline}
initrd{stub} /boot/initramfs
boot
"""


def libraries(program):
    """Shared libraries of @program, the loader included."""
    text = subprocess.run(["ldd", program], capture_output=True, text=True, check=True,
                          timeout=TIMEOUT_S).stdout
    return re.findall(r"(/\S+) \(0x", text)


def find_program(name):
    path = shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
    if not path:
        raise FileNotFoundError(f"{name} is not installed; run tests/setup.sh")
    return path


def add_program(root, name):
    program = find_program(name)
    shutil.copy(program, root / "bin" / name)
    for library in libraries(program):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)


def fill_root(root, programs):
    for folder in ("bin", "dev", "proc", "sys", "tmp", "boot"):
        (root / folder).mkdir()
    busybox = find_program("busybox")
    shutil.copy(busybox, root / "bin" / "busybox")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True,
                             timeout=TIMEOUT_S).stdout.split()
    for applet in set(applets) - {"busybox"}:
        os.symlink("busybox", root / "bin" / applet)
    for program in programs:
        (root / "bin" / program).unlink(missing_ok=True)
        add_program(root, program)
    shutil.copy(GUEST / "init", root / "init")
    for name in PROCESSES:
        shutil.copy(GUEST / "victim", root / "bin" / name)


def pack(root, target):
    """@root as a cpio archive, uncompressed: the guest is slower than the disk."""
    names = sorted(str(p.relative_to(root)) for p in root.rglob("*"))
    with open(target, "wb") as out:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"], cwd=root,
                       input="\n".join(names).encode(), stdout=out, check=True,
                       timeout=TIMEOUT_S)


def add_classes(root, modules):
    """What makes memory of every kind, on top of an ordinary victim; @modules: a folder."""
    shutil.copytree(modules, root / "modules")
    shutil.copy(GUEST / "classes", root / "bin" / "classes")
    compile_program(GUEST / "pages.c", root / "bin" / "pages")


def compile_program(source, target):
    subprocess.run(["gcc", "-std=c11", "-D_GNU_SOURCE", "-O1", "-static", "-o", target, source],
                   check=True, timeout=TIMEOUT_S)


def add_reads(root, drivers):
    """A program that has many reads of a disk under way, and the @drivers of disks."""
    shutil.copytree(drivers, root / "modules", dirs_exist_ok=True)
    compile_program(GUEST / "reads.c", root / "bin" / "reads")


def make_files_disk(path):
    """An empty ext4 file system for the victim to use."""
    with open(path, "wb") as f:
        f.truncate(FILES_BYTES)
    subprocess.run([find_program("mkfs.ext4"), "-q", path], check=True, timeout=TIMEOUT_S)
    return Path(path)


def classes_options(path):
    """QEMU's words for the devices it takes to make memory of every kind: the disk @path with
    the file system, a balloon."""
    return ("-device", "virtio-balloon-pci,id=balloon",
            "-drive", f"if=none,id=files,format=raw,file={path}",
            "-device", f"nvme,serial={FILES_SERIAL},drive=files")


def make_initramfs(target, kernel=None, modules=None, image=None, drivers=None):
    """With @kernel the archive can load a kdump capture kernel: that one with a plain copy
    of the same archive. With @modules the victim can make memory of every kind. With @image,
    a file, it can load that with kexec. With @drivers, a folder of modules too, it can keep
    disks busy."""
    programs = ["chrt"] + (["kexec"] if kernel or image else [])
    programs += ["makedumpfile"] if kernel else []
    with tempfile.TemporaryDirectory(dir=target.parent) as temp:
        root = Path(temp) / "root"
        root.mkdir()
        fill_root(root, programs)
        if modules:
            add_classes(root, modules)
        if drivers:
            add_reads(root, drivers)
        if image:
            shutil.copy(image, root / "boot" / "afterimage.bzimage")
        if kernel:
            inner = Path(temp) / "inner"
            pack(root, inner)
            shutil.copy(inner, root / "boot" / "initramfs")
            shutil.copy(kernel.vmlinuz, root / "boot" / "vmlinuz")
        pack(root, target)


def make_grub_cd(folder, config, target, platform=BIOS):
    """Path of a boot CD with the files in @folder, which gets GRUB's configuration too."""
    (folder / "boot" / "grub").mkdir(parents=True, exist_ok=True)
    (folder / "boot" / "grub" / "grub.cfg").write_text(config)
    subprocess.run(["grub-mkrescue", "-d", f"/usr/lib/grub/{platform}", "-o", target, folder],
                   capture_output=True, check=True, timeout=TIMEOUT_S)
    return target


def make_cd(kernel, folder, extra_cmdline="", kdump=False, modules=None, image=None,
            platform=BIOS, stub=False, drivers=None):
    """Path of the victim's CD, made in @folder. With @stub GRUB for UEFI leaves the last talk
    with firmware to the kernel itself."""
    with tempfile.TemporaryDirectory(dir=folder) as temp:
        boot = Path(temp) / "boot"
        boot.mkdir()
        shutil.copy(kernel.vmlinuz, boot / "vmlinuz")
        make_initramfs(boot / "initramfs", kernel if kdump else None, modules, image, drivers)
        cmdline = f"console=ttyS0 panic=0 {extra_cmdline}".strip().replace("$", "\\$")
        config = GRUB_CONFIG.format(cmdline=cmdline, stub="efi" if stub else "")
        return make_grub_cd(Path(temp), config, Path(folder) /
                            ("victim-kdump.iso" if kdump else "victim.iso"), platform)
