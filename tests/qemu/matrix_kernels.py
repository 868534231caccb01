"""Kernels of other Debian suites than the machine's own: the newest cloud kernel by each
suite's signed package index, without debug file. apt does it with lists of its own in the
cache folder; the machine's lists and packages stay as they are."""

import re
import sys
from pathlib import Path

import kernels
from kernels import KernelError, cached, newest_cached, release_key

SUITES = ("bullseye", "bookworm", "trixie", "sid")  # 5.10, 6.1, 6.12 and what is newest
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
VMLINUZ = "*/vmlinuz*"  # in /boot or, since 7.x, with the modules


def own_suite():
    """The code name of the machine's own suite; empty if it has none."""
    found = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.M)
    return found[1] if found else ""


def apt_options(folder, mirror, suite):
    """What makes apt work on @suite alone, with everything it keeps in @folder."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror} {suite} main\n")
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
    for mirror in kernels.mirrors():
        options = apt_options(folder, mirror, suite)
        if kernels.apt("apt-get", *options, "update").returncode:
            continue
        image = depends(kernels.META_PACKAGE, options, r"linux-image-\d\S*-cloud-amd64")
        if not image:
            continue
        package = depends(image, options, r"linux-binary-\d\S*-cloud-amd64") or image
        if item := kernels.resolve(package, options):
            return image.removeprefix("linux-image-"), item, options
    return None


def newest_of(suite):
    """Fetches the suite's newest kernel unless it is in the cache; called under the lock."""
    folder = kernels.cache_dir() / "suites" / suite
    folder.mkdir(parents=True, exist_ok=True)
    found = resolve(suite, folder / "apt")
    if not found:
        raise KernelError(f"no mirror of this machine's apt has a cloud kernel of {suite}")
    release, item, options = found
    place = folder / f"{release}_{item.version}"
    if not cached(place):
        package = kernels.download(item, kernels.cache_dir(), options)
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
            kernel = newest_cached(kernels.cache_dir() / "suites" / suite)
            if kernel is None:
                raise
            kernels.say(f"{error}; using {kernel.release} from the cache")
            return kernel


def series(kernel):
    """The kernel's version as two numbers."""
    return tuple(release_key(kernel.release)[:2])


if __name__ == "__main__":
    try:
        for name in sys.argv[1:] or SUITES:
            print(get(name))
    except KernelError as e:
        sys.exit(f"kernels: {e}")
