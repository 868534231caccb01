"""A real systemd-boot with the entry of mkdumpdisk --systemd-boot in its menu: it comes last, is
not what is started by itself, and started by key it dumps to the dump disk that its settings name.
What the tool installs, tests/host/test_systemd_boot.py checks; here the same three files are put on
the system's EFI system partition with mtools."""

import shutil
import subprocess
import time
from pathlib import Path

import capture
import screen
import tools
import uefi
import victim
from machine import MIB, Disk

SYSTEMD_BOOT = Path("/usr/lib/systemd/boot/efi/systemd-bootx64.efi")
TITLE = "Dump memory of the crashed system"
ENTRY = f"title {TITLE}\narchitecture x64\nefi /EFI/afterimage/afterimage.efi\n"
SYSTEM = "title {}\n{}efi /EFI/none.efi\n"
LOADER = "timeout menu-force\n"
MENU_S = 60
LEVEL_KERNEL = "31"


def esp_disk(folder, dump):
    """The system's disk: systemd-boot, entries of two systems, and ours."""
    disk = folder / "system.img"
    with open(disk, "wb") as f:
        f.truncate(66 * MIB)
    at = f"{disk}@@{MIB}"
    subprocess.run([victim.find_program("sfdisk"), "-q", "--label", "gpt", disk], check=True, text=True, timeout=60,
                   input=f"start=2048, size={64 * MIB // 512}, type={uefi.ESP_TYPE}\n")
    subprocess.run([victim.find_program("mkfs.fat"), "-F", "32", "-s", "1", "--offset=2048", disk,
                    str(64 << 10)], check=True, capture_output=True, timeout=60)
    words = f"dump={tools.dump_entry(dump)[2]} console=serial,screen menu=0\n"
    files = {
        "EFI/BOOT/BOOTX64.EFI": SYSTEMD_BOOT, "EFI/systemd/systemd-bootx64.efi": SYSTEMD_BOOT,
        "EFI/afterimage/afterimage.efi": tools.program("afterimage.efi"),
        "EFI/afterimage/afterimage.cfg": words, "loader/loader.conf": LOADER,
        "EFI/none.efi": "systemd-boot shows no entry whose file is missing",
        "loader/entries/afterimage.conf": ENTRY,
        "loader/entries/debian.conf": SYSTEM.format("Debian", "sort-key debian\n"),
        "loader/entries/zebra.conf": SYSTEM.format("By hand", "")}
    folders = sorted({str(p) for name in files for p in Path(name).parents} - {"."})
    subprocess.run(["mmd", "-i", at, *(f"::/{name}" for name in folders)], check=True, timeout=60)
    for name, content in files.items():
        source = folder / "file"
        if isinstance(content, str):
            source.write_text(content)
        else:
            shutil.copy(content, source)
        subprocess.run(["mcopy", "-i", at, source, f"::/{name}"], check=True, timeout=60)
    return disk


def test_chosen_by_key(first, tmp_path, step):
    disk = tools.make_disk(tmp_path / "dump.img", "2G", "--level", LEVEL_KERNEL)
    system = Disk(esp_disk(tmp_path, disk), name="system", words=",bootindex=0")
    with uefi.power_on(tmp_path, disk, first.crash, others=(system,)) as machine:
        machine.wait_console(f"(?s)Debian.*By hand.*{TITLE}", MENU_S)  # the order of the menu
        time.sleep(1)
        machine.screenshot(tools.BUILD / "systemd-boot.png")
        machine.press("down", "down", "ret")
        machine.freeze_at_reboot()
        machine.wait_console(r"afterimage \S+ via uefi\n", MENU_S)  # after the menu's last escape
        said = machine.wait_console(capture.RESULT, capture.CAPTURE_TIMEOUT_S)[0]
        shown = screen.read(screen.take(machine))
        machine.screenshot(tools.BUILD / "systemd-boot-dump.png")
        assert machine.wait_console(capture.ACTION, capture.END_TIMEOUT_S)[1] == "rebooting"
        machine.wait_end(capture.END_TIMEOUT_S)
    step(said)
    assert "dump 1 complete" in said
    assert any("dump 1 complete" in row for row in shown.rows)
    info = tools.info(disk)
    assert info["dump"]["state"] == "complete" and info["dump"]["via"] == "uefi"
    assert tools.run("getdump", "verify", disk).returncode == 0
