"""Firmware of several kinds: for 2 MiB of flash, with Secure Boot, with a TPM and a request to
overwrite memory."""

import json
import subprocess
import time
import uuid

import pytest

import capture
import readers
import tools
import uefi
from machine import Machine, Setup

MOR = "MemoryOverwriteRequestControl"
MOR_OWNER = uuid.UUID("e20939be-32d4-41be-a150-897f85d49829")
WIPED = 17
REFUSED = r"BdsDxe: failed to load .*: Access Denied"


@pytest.fixture
def uefi_disk(tmp_path):
    return tools.make_disk(tmp_path / "dump.img", "1G")


def check_dump(disk, result, crash, kernel):
    assert result.state == "complete", result.lines
    assert tools.info(disk)["dump"]["via"] == "uefi"
    tools.getdump("verify", disk)
    kdump = tools.extract(disk, "kdump", disk.with_suffix(".kdump"))
    report = readers.drgn(kdump, kernel.vmlinux)
    assert report["nodename"] == "test-victim"
    assert any(crash.nonce in line for line in report["log"])


def test_firmware_for_2_mib_of_flash(uefi_first, uefi_disk, kernel, tmp_path):
    result = uefi.capture_kept(tmp_path, uefi_disk, uefi_first.crash, firmware=uefi.SMALL)
    check_dump(uefi_disk, result, uefi_first.crash, kernel)


def test_secure_boot_refuses_the_image_until_it_is_signed(uefi_first, uefi_disk, kernel,
                                                          tmp_path, step):
    crash, secure = uefi_first.crash, {"firmware": uefi.SECURE}
    with uefi.power_on(tmp_path, uefi_disk, crash, **secure) as machine:
        refused = machine.wait_console(REFUSED, capture.BOOT_TIMEOUT_S)[0]
        machine.wait_console("BdsDxe: No bootable option", capture.BOOT_TIMEOUT_S)
        assert "afterimage 0" not in machine.console()
    step(refused.split(":")[0] + ": " + refused.split(":")[-1])
    signed = uefi.sign(tools.program("afterimage.efi"), tmp_path / "signed.efi")
    uefi.put(uefi_disk, signed, uefi.BOOT_FILE, uefi.IMAGE_FILE)
    result = uefi.capture_kept(tmp_path, uefi_disk, crash, **secure)
    step(result.lines[-2])
    check_dump(uefi_disk, result, crash, kernel)


# --- a request to overwrite memory -------------------------------------------------------


def wipe(setup):
    """What firmware that obeys the request does before anything else. Debian's OVMF does not,
    and has no driver for the request: it is put into flash as such a driver would, and the
    variable driver then takes it as firmware's own."""
    subprocess.run(["fallocate", "--punch-hole", "--offset", "0", "--length",
                    str(setup.ram_bytes), setup.ram_file], check=True, timeout=60)


def check_sees_the_request(disk, folder, value):
    """mkdumpdisk --check on a system whose variable, as efivarfs shows it, is @value."""
    variables = folder / "root/sys/firmware/efi/efivars"
    variables.mkdir(parents=True)
    (folder / "root/sys/kernel").mkdir()
    (variables / f"{MOR}-{MOR_OWNER}").write_bytes(
        uefi.LASTING_ANYWHERE.to_bytes(4, "little") + value)
    done = tools.run("mkdumpdisk", "--check", "--json", "--root", folder / "root", disk,
                     expect=tools.FAILED)
    findings = {found["name"]: found for found in json.loads(done.stdout)["findings"]}
    assert findings["overwrite request"]["state"] == "stops"


def test_wiped_memory_is_no_dump(kernel, uefi_disk, tmp_path, step):
    """Debian's kernel, started by its own EFI stub on a machine with a TPM, asks firmware to
    overwrite memory; after the reset there is nothing, and the image says so."""
    cd = uefi.make_cd(kernel, tmp_path, stub=True)
    with uefi.tpm(tmp_path) as words:
        setup = Setup(ram_file=tmp_path / "ram", disk=uefi_disk, cd=cd,
                      extra=(*uefi.flash(tmp_path, uefi.SECURE_OFF), *words))
        uefi.add_variable(tmp_path, MOR, MOR_OWNER, b"\0")
        with Machine(setup) as machine:
            machine.boot_next("cd")
            nonce, release = capture.boot_victim(machine)
            request = uefi.variable(tmp_path, MOR)
            assert request[0] & 1
            check_sees_the_request(uefi_disk, tmp_path, request)
            step("Linux has asked firmware to overwrite memory")
            uefi.hang_victim(machine, nonce, release, tmp_path)
            start = len(machine.console())
            machine.boot_next("dump")
            machine.reset(cont=False)
            wipe(setup)
            machine.cont()
            result = capture.watch_image(machine, time.monotonic(), start, door="uefi")
    step(result.lines[-2])
    assert result.state == "none" and result.code == WIPED, result.lines
    assert "no dumps" in tools.getdump("info", uefi_disk, expect=tools.FAILED).stderr
