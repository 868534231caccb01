"""DMA remapping that the old kernel's own driver switched on and nothing resets: with queued
invalidation and interrupt remapping, for each kind of dump disk."""

import os
import re

import pytest

import diskkernel
import kexec
import tools
from machine import Setup

INTEL = ("-device", "intel-iommu,intremap=on,eim=off")
AMD = ("-device", "amd-iommu,intremap=on")
BEHIND = ",iommu_platform=on"  # what a virtio device needs to be behind it as well
LIMIT_S = 300
SCENES = {  # whose unit, the dump disk's controller, words for the disk
    "intel-nvme": (INTEL, "nvme", ""),
    "intel-ahci": (INTEL, "ahci", ""),
    "intel-virtio": (INTEL, "virtio", BEHIND),
    "amd-nvme": (AMD, "nvme", ""),
    "amd-ahci": (AMD, "ahci", ""),
    "amd-virtio": (AMD, "virtio", BEHIND),
}
LOG = {  # that the driver has it on
    INTEL: ("DMAR-IR: Enabled IRQ remapping in x?2?x?apic mode",
            "DMAR: Intel\\(R\\) Virtualization Technology for Directed I/O",
            "Queued invalidation"),
    AMD: ("AMD-Vi: Interrupt remapping enabled", "Adding to iommu group"),
}


def scenes():
    return SCENES if os.environ.get("AFTERIMAGE_MATRIX") == "all" else ["intel-ahci"]


@pytest.mark.parametrize("scene", scenes())
def test_remapping_that_is_on(scene, kernel, disk, tmp_path, step):
    unit, controller, words = SCENES[scene]
    if unit is AMD:
        kernel, _ = diskkernel.get()
    cd = kexec.make_cd(kernel, tmp_path, "32M", "intel_iommu=on")
    setup = Setup(ram_file=tmp_path / "ram", disk=disk, cd=cd, controller=controller, words=words,
                  limit_s=LIMIT_S, extra=unit)
    with kexec.start(setup, "kexec_load", step=step).machine as machine:
        result = kexec.crash_and_capture(machine)
    step(result.lines[-2])
    assert result.state == "complete", result.lines
    assert "afterimage: DMA remapping was on in 1 unit" in result.lines
    tools.getdump("verify", disk)
    log = tools.getdump("dmesg", disk).stdout
    for text in LOG[unit]:
        assert re.search(text, log), text
