"""Kernels of other Debian suites than the machine's own: the newest cloud kernel by each
suite's signed package index, without debug file, and the few modules that a victim loads.
apt does it with lists of its own in the cache folder; the machine's lists and packages stay
as they are."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import kernels
from kernels import KernelError, cached, newest_cached, release_key

SUITES = ("bullseye", "bookworm", "trixie", "sid")  # 5.10, 6.1, 6.12 and what is newest
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
VMLINUZ = "*/vmlinuz*"  # in /boot or, since 7.x, with the modules
# What a balloon takes, in the order of loading; newer kernels have all but the last built in.
MODULES = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci",
           "virtio_balloon")
# The firmware's variables and FAT, likewise.
EFI_MODULES = ("nls_cp437", "nls_ascii", "nls_utf8", "fat", "vfat", "efivarfs")
TIMEOUT_S = 120


def own_suite():
    """The code name of the machine's own suite; empty if it has none."""
    found = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.M)
    return found[1] if found else ""


def choose_mirror(folder, mirror, suite):
    """Prepares @folder for apt to keep everything in that it knows of @suite."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror} {suite} main\n")


def apt_options(folder):
    """What makes apt work on @folder's suite alone."""
    settings = {
        "Dir::State": folder / "state", "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache", "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null", "APT::Architecture": "amd64",
        "Acquire::Languages": "none", "APT::Sandbox::User": "root",
        "Acquire::Check-Valid-Until": "false",  # an old suite's index is not renewed
        "Acquire::Retries": "2"}
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def depends(package, options, pattern):
    """The first package that @package depends on and whose name matches @pattern."""
    text = kernels.apt("apt-cache", *options, "depends", "--important", package).stdout
    found = re.search(rf"Depends: ({pattern})$", text, re.M)
    return found[1] if found else None


def resolve(suite, folder):
    """Release, download of the package with the kernel, and apt's options; None if no mirror
    of the machine has the suite."""
    options = apt_options(folder)
    for mirror in kernels.mirrors():
        choose_mirror(folder, mirror, suite)
        if kernels.apt("apt-get", *options, "update").returncode:
            continue
        image = depends(kernels.META_PACKAGE, options, r"linux-image-\d\S*-cloud-amd64")
        if not image:
            continue
        package = depends(image, options, r"linux-binary-\d\S*-cloud-amd64") or image
        if item := kernels.resolve(package, options):
            return image.removeprefix("linux-image-"), item
    return None


def suite_folder(suite):
    return kernels.cache_dir() / "suites" / suite


def newest_of(suite):
    """Fetches the suite's newest kernel unless it is in the cache; called under the lock."""
    folder = suite_folder(suite)
    folder.mkdir(parents=True, exist_ok=True)
    found = resolve(suite, folder / "apt")
    if not found:
        raise KernelError(f"no mirror of this machine's apt has a cloud kernel of {suite}")
    release, item = found
    place = folder / f"{release}_{item.version}"
    if not cached(place):
        package = kernels.download(item, kernels.cache_dir(), apt_options(folder / "apt"))
        kernels.install(release, item.version, {"vmlinuz": (package, VMLINUZ)}, place)
    return cached(place)


def get(suite):
    """The kernel to test with of @suite: the machine's own suite's with debug file. An older
    one from the cache if the network fails."""
    if suite == own_suite():
        return kernels.get()
    with kernels.cache_lock():
        try:
            return newest_of(suite)
        except KernelError as error:
            kernel = newest_cached(suite_folder(suite))
            if kernel is None:
                raise
            kernels.say(f"{error}; using {kernel.release} from the cache")
            return kernel


def find_modules(package, names, target):
    """Puts those of the modules @names that are in the package file into @target, unpacked."""
    patterns = [f"*/kernel/*/{name}.ko*" for name in names]
    with tempfile.TemporaryDirectory(dir=target) as temp:
        unpack = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
        # tar complains of those that are built in, and so are not there.
        subprocess.run(["tar", "-x", "-C", temp, "--wildcards", *patterns],
                       stdin=unpack.stdout, stderr=subprocess.DEVNULL, check=False,
                       timeout=TIMEOUT_S)
        unpack.stdout.close()
        if unpack.wait(timeout=TIMEOUT_S):
            raise KernelError(f"{package} is damaged; remove it and repeat")
        # The last one last: where it is, all are.
        for file in sorted(Path(temp).rglob("*.ko*"), key=lambda f: names[-1] in f.name):
            if file.suffix == ".xz":
                subprocess.run(["unxz", file], check=True, timeout=TIMEOUT_S)
                file = file.with_suffix("")
            os.replace(file, target / file.name)


def modules(suite, kernel, names=MODULES):
    """The folder with those of the modules @names that @kernel does not have built in; the last
    of them is not."""
    place = kernels.cache_dir() / "modules" / f"{kernel.release}_{kernel.version}"
    if names is not MODULES:
        place = place.with_name(f"{place.name}_{names[-1]}")
    with kernels.cache_lock():
        if (place / f"{names[-1]}.ko").exists():
            return place
        options = [] if suite == own_suite() else apt_options(suite_folder(suite) / "apt")
        item = (kernels.resolve(f"linux-modules-{kernel.release}", options)
                or kernels.resolve(f"linux-image-{kernel.release}", options))
        if not item or item.version != kernel.version:
            raise KernelError(f"no package with modules of {kernel.release} {kernel.version}; "
                              "run apt-get update and repeat")
        place.mkdir(parents=True, exist_ok=True)
        package = kernels.download(item, kernels.cache_dir(), options)
        find_modules(package, names, place)
        package.unlink()
    if not (place / f"{names[-1]}.ko").exists():
        raise KernelError(f"{item.file} does not hold {names[-1]}; report this")
    return place


def series(kernel):
    """The kernel's version as two numbers."""
    return tuple(release_key(kernel.release)[:2])


if __name__ == "__main__":
    try:
        for name in sys.argv[1:] or SUITES:
            found = get(name)
            print(found, modules(name, found))
    except KernelError as e:
        sys.exit(f"kernels: {e}")
