"""Debian's ordinary kernel of the same version as the cloud kernel, which has drivers for neither
AHCI nor AMD's IOMMU nor a watchdog: the kernel, its drivers of disks, and what a system on one of
them needs, kept in the cache. Installs nothing on the machine."""

import shutil
from pathlib import Path

import kernels
import matrix_kernels

# In the order of loading.
MODULES = (
    "crc64", "crc64_rocksoft_generic", "crc64-rocksoft", "crct10dif_common", "crct10dif_generic",
    "crc-t10dif", "t10-pi", "nvme-core", "nvme", "virtio_ring", "virtio", "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev", "virtio_pci", "virtio_blk", "scsi_common", "scsi_mod", "sd_mod",
    "libata", "libahci", "ahci")
SYSTEM_MODULES = ("crc16", "crc32c_generic", "mbcache", "jbd2", "ext4", "watchdog", "i6300esb")


def fetch(release, item, place):
    """The modules first: the kernel's folder is only taken if it is whole."""
    package = kernels.download(item, kernels.cache_dir())
    shutil.rmtree(modules_of(place), ignore_errors=True)
    modules_of(place).mkdir(parents=True)
    matrix_kernels.find_modules(package, MODULES + SYSTEM_MODULES, modules_of(place))
    kernels.install(release, item.version, {"vmlinuz": (package, "./boot/vmlinuz-*")}, place)


def modules_of(place):
    return Path(f"{place}.modules")


def cached(place):
    """The kernel in @place; one of a time when SYSTEM_MODULES were not kept is none."""
    whole = (modules_of(place) / f"{SYSTEM_MODULES[-1]}.ko").exists()
    return kernels.cached(place) if whole else None


def get():
    """The kernel and the folder with its modules; an older one from the cache if the network
    fails."""
    release = kernels.get().release.replace("-cloud", "")
    with kernels.cache_lock():
        folder = kernels.cache_dir() / "disk-kernels"
        folder.mkdir(exist_ok=True)
        item = kernels.resolve(f"linux-image-{release}")
        place = folder / f"{release}_{item.version}" if item else None
        kernel = cached(place) if place else kernels.newest_cached(folder)
        if not kernel and item:
            fetch(release, item, place)
            kernel = cached(place)
        if not kernel:
            raise kernels.KernelError(f"linux-image-{release} can not be downloaded; check the "
                                      "network, run apt-get update, and repeat")
        return kernel, modules_of(kernel.vmlinuz.parent)
