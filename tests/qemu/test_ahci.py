"""Dump disks on SATA among all that may be on other ports. What happens when they fail is in
test_disk_faults.py."""

import capture
import faults
from machine import MIB, Disk


def empty(path, size):
    with open(path, "wb") as f:
        f.truncate(size)
    return path


def test_other_ports(small, tmp_path, step):
    """A CD drive on a port before, and another controller with a disk behind empty ports. The
    dump is complete, every page as it was in memory, without a word of anything odd."""
    disk = small.copy(tmp_path)
    other = Disk(empty(tmp_path / "other.img", 64 * MIB), "ahci2", name="other",
                 words=",bus=ahci2.3")
    result = capture.capture(tmp_path, disk, small.crash, controller="ahci",
                             cd=empty(tmp_path / "cd.iso", MIB), others=(other,))
    step(result.lines[-2])
    faults.check_complete(disk, small, result, tmp_path)
    assert result.lines[1] == "afterimage: dump disk ahci 00:1f.2 port 1"
    assert not any(line.startswith("afterimage: E") for line in result.lines), result.lines
