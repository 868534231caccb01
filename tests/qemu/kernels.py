"""A real Debian kernel to crash: finds the newest cloud kernel in the machine's own
package lists, downloads it and its debug file with apt, checks them and keeps what
the tests need in a cache folder outside the tree. Installs nothing on the machine."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

META_PACKAGE = "linux-image-cloud-amd64"
DOWNLOAD_TIMEOUT_S = 1800
STAMP = "stamp.json"


class KernelError(Exception):
    """No kernel can be had; the text says what to do."""


@dataclass(frozen=True)
class Kernel:
    release: str  # as uname -r prints it
    version: str  # of the Debian package
    vmlinuz: Path
    vmlinux: Path | None  # with debug information; None: nobody asked for it


@dataclass(frozen=True)
class Download:
    package: str
    file: str
    size: int
    sha256: str

    @property
    def version(self):
        return self.file.split("_")[1].replace("%3a", ":")


def cache_dir():
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "afterimage"
    path = Path(os.environ.get("AFTERIMAGE_CACHE") or default)
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def cache_lock():
    """One process at a time fills the cache."""
    with open(cache_dir() / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def say(text):
    print(f"kernels: {text}", file=sys.stderr, flush=True)


def apt(*args, **kwargs):
    return subprocess.run(args, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S,
                          stdin=subprocess.DEVNULL, **kwargs)


def mirrors():
    """The mirrors of the machine's own apt set-up, in its order."""
    text = apt("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
    return list(dict.fromkeys(text.stdout.split()))


def release_key(release):
    return [int(n) for n in re.findall(r"\d+", release)]


def candidates():
    """Releases in the package lists, the best first: what the metapackage names, then
    the others of the same series, newest first."""
    text = apt("apt-cache", "depends", META_PACKAGE).stdout
    found = re.search(r"Depends: linux-image-(\d+\.\d+)(\S*-cloud-amd64)", text)
    if not found:
        return []
    first = found[1] + found[2]
    names = apt("apt-cache", "pkgnames", f"linux-image-{found[1]}.").stdout
    others = set(re.findall(r"^linux-image-(\S*-cloud-amd64)$", names, re.M)) - {first}
    return [first] + sorted(others, key=release_key, reverse=True)


def resolve(package, options=()):
    """What apt, run with @options, would download for @package, or None."""
    out = apt("apt-get", *options, "download", "--print-uris", package).stdout
    found = re.search(r"^'\S+' (\S+\.deb) (\d+) SHA256:([0-9a-f]{64})\s*$", out, re.M)
    return Download(package, found[1], int(found[2]), found[3]) if found else None


def newest():
    """Downloads of image and debug file for the best release that has both."""
    for release in candidates():
        image = resolve(f"linux-image-{release}")
        debug = resolve(f"linux-image-{release}-dbg")
        if image and debug and image.version == debug.version:
            return release, image, debug
    return None


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def download(item, folder, options=()):
    """The checked package file; fetches it, with apt's @options, unless a good one is in
    @folder already."""
    path = folder / item.file
    if path.exists() and path.stat().st_size == item.size and sha256_of(path) == item.sha256:
        return path
    say(f"downloading {item.file} ({item.size >> 20} MiB)")
    with tempfile.TemporaryDirectory(dir=folder, prefix="partial-") as temp:
        if os.getuid() == 0:
            options = [*options, "-o", "APT::Sandbox::User=root"]
        done = apt("apt-get", *options, "download", item.package, cwd=temp)
        part = Path(temp) / item.file
        if done.returncode or not part.exists():
            raise KernelError(f"{item.package} could not be downloaded: {done.stderr.strip()}; "
                              "check the network, run apt-get update, and repeat")
        if sha256_of(part) != item.sha256:
            raise KernelError(f"{item.file} does not have the checksum the package list gives; "
                              "run apt-get update and repeat")
        os.replace(part, path)
    return path


def extract(package, member, target):
    """Copies the one file whose name matches @member out of a package."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="unpack-") as temp:
        unpack = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
        tar = subprocess.run(["tar", "-x", "-C", temp, "--wildcards", member],
                             stdin=unpack.stdout, timeout=DOWNLOAD_TIMEOUT_S)
        unpack.stdout.close()
        unpack.wait(timeout=60)
        files = [p for p in Path(temp).rglob("*") if p.is_file()]
        if tar.returncode or len(files) != 1:
            raise KernelError(f"{package.name} does not hold {member}; report this")
        os.replace(files[0], target)


def file_facts(path):
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def cached(folder):
    """The kernel in @folder if it is all there and untouched since it was put there."""
    try:
        stamp = json.loads((folder / STAMP).read_text())
        files = {name: folder / name for name in stamp["files"]}
        kernel = Kernel(stamp["release"], stamp["version"], files["vmlinuz"],
                        files.get("vmlinux"))
        if stamp["files"] != {name: file_facts(path) for name, path in files.items()}:
            return None
    except (OSError, ValueError, KeyError):
        return None
    return kernel


def install(release, version, members, folder):
    """Fills @folder with files named as in @members out of the package files given there as
    (package, pattern); it gets its name when it is complete."""
    say(f"unpacking {release}")
    temp = Path(tempfile.mkdtemp(dir=cache_dir(), prefix="unpack-"))
    try:
        for name, (package, pattern) in members.items():
            extract(package, pattern, temp / name)
        files = {name: file_facts(temp / name) for name in members}
        stamp = {"release": release, "version": version, "files": files}
        (temp / STAMP).write_text(json.dumps(stamp))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temp, folder)
    finally:
        shutil.rmtree(temp, ignore_errors=True)
    for package, _ in members.values():
        package.unlink()


def fetch(release, image, debug, folder):
    packages = cache_dir()
    image_file = download(image, packages)
    debug_file = download(debug, packages)
    install(release, image.version,
            {"vmlinuz": (image_file, "./boot/vmlinuz-*"),
             "vmlinux": (debug_file, "./usr/lib/debug/boot/vmlinux-*")}, folder)


def newest_cached(folder):
    kernels = filter(None, (cached(p) for p in folder.glob("*/")))
    return max(kernels, key=lambda k: release_key(k.release + "." + k.version), default=None)


def get():
    """The kernel to test with. Uses the network only if the newest is not in the cache, and
    an older one from the cache if the network fails."""
    with cache_lock():
        folder = cache_dir() / "kernels"
        folder.mkdir(exist_ok=True)
        best = newest()
        if best is None:
            kernel = newest_cached(folder)
            if kernel is None:
                raise KernelError(f"the package lists do not know {META_PACKAGE} with its debug "
                                  "package; run apt-get update and repeat")
            return kernel
        release, image, debug = best
        place = folder / f"{release}_{image.version}"
        if kernel := cached(place):
            return kernel
        try:
            fetch(release, image, debug, place)
        except KernelError as error:
            kernel = newest_cached(folder)
            if kernel is None:
                raise
            say(f"{error}; using {kernel.release} from the cache")
            return kernel
        return cached(place)


if __name__ == "__main__":
    try:
        print(get())
    except KernelError as e:
        sys.exit(f"kernels: {e}")
