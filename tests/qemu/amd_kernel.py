"""Debian's ordinary kernel: unlike the cloud kernels it has a driver for AMD's IOMMU. Without
debug file and modules, in the cache folder of kernels.py."""

import kernels
import matrix_kernels
from kernels import KernelError

META_PACKAGE = "linux-image-amd64"
RELEASE = r"linux-image-\d\S*-amd64"


def get():
    with kernels.cache_lock():
        folder = kernels.cache_dir() / "ordinary"
        folder.mkdir(exist_ok=True)
        package = matrix_kernels.depends(META_PACKAGE, (), RELEASE)
        item = kernels.resolve(package) if package else None
        if not item:
            raise KernelError(f"the package lists do not know {META_PACKAGE}; run apt-get update "
                              "and repeat")
        release = package.removeprefix("linux-image-")
        place = folder / f"{release}_{item.version}"
        if not kernels.cached(place):
            image = kernels.download(item, kernels.cache_dir())
            kernels.install(release, item.version, {"vmlinuz": (image, matrix_kernels.VMLINUZ)},
                            place)
        return kernels.cached(place)
