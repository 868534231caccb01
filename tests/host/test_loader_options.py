"""The command line of --grub and --systemd-boot, and what --menu and --auto go with."""
import re

import pytest

from hosttools import check, refused, run
from kexectree import TOOL

BOTH = [
    (("--{}=foo", "x"), "--{}: 'foo' is not known"),
    (("--{}",), "no TARGET given"),
    (("--{}=install",), "no TARGET given"),
    (("--{}", "a", "b"), "more than one TARGET"),
    (("--{}", "--size", "1G", "x"), "--size is for preparing a disk, not for --{}"),
    (("--{}", "--force", "x"), "--force is for preparing"),
    (("--{}", "--kexec", "x"), "--{} and --kexec are two things"),
    (("--{}", "--check", "x"), "--{} and --check are two things"),
    (("--{}", "--survey", "x"), "--{} and --survey are two things"),
    (("--{}", "--boot-entry", "x"), "--{} and --boot-entry are two things"),
    (("--grub", "--systemd-boot", "x"), "--grub and --systemd-boot are two things"),
    (("--{}", "--json", "--dry-run", "x"), "--{} --dry-run has no report as JSON"),
    (("--{}=status", "--console", "screen"), "--{}=status takes no --console"),
    (("--{}=remove", "--menu", "3"), "--{}=remove takes no --menu"),
]


@pytest.mark.parametrize("name", ["grub", "systemd-boot"])
@pytest.mark.parametrize("args,words", BOTH)
def test_both(name, args, words):
    args = [a.format(name) for a in args]
    refused(run(TOOL, *args), "", re.escape(words.format(name)), "--help", code=2)


@pytest.mark.parametrize("args,words", [
    (("--grub", "--efi-image", "f", "x"), "--efi-image is not for --grub; it takes --image"),
    (("--grub=remove", "--image", "f"), "--grub=remove takes no --image"),
    (("--grub", "--auto", "x"), "--auto is not for --grub: a menu entry is chosen by hand"),
    (("--systemd-boot", "--image", "f", "x"), "it takes --efi-image"),
    (("--systemd-boot=status", "--efi-image", "f"), "=status takes no --efi-image"),
    (("--systemd-boot=status", "--auto"), "--systemd-boot=status takes no --auto"),
    (("--boot-entry=remove", "--auto", "x"), "--boot-entry=remove takes no --auto"),
    (("--boot-entry=status", "--menu", "1", "x"), "--boot-entry=status takes no --menu"),
    (("--kexec", "--auto", "x"), "--auto is for preparing a disk, --settings, --boot-entry and "
                                 "--systemd-boot, not for --kexec"),
    (("--kexec", "--menu", "0", "x"), "--menu is for preparing a disk, --settings, --boot-entry, "
                                      "--grub and --systemd-boot, not for --kexec"),
    (("--survey", "--menu", "0", "x"), "not for --survey"),
    (("--survey", "--auto", "x"), "not for --survey"),
    (("--check", "--menu", "0"), "not for --check"),
    (("--check", "--auto", "x"), "not for --check"),
    (("--grub", "--menu", "61", "x"), "'61' is not 0-60 seconds"),
    (("--survey", "--root", "/x", "y"), "--root is for"),
])
def test_one(args, words):
    refused(run(TOOL, *args), "", re.escape(words), "--help", code=2)


def test_help():
    text = check(TOOL, "--help")
    for word in ("--grub TARGET", "--systemd-boot TARGET", "--grub=status", "--grub=remove"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 90
