#!/bin/sh
# Installs the Debian packages that building, running and testing need, and only
# those that are missing. Asks for root through sudo if it is not root already.
# Changes nothing else on the machine.
set -eu

build="gcc libc6-dev make binutils clang clang-format clang-tidy libclang-rt-14-dev
	llvm liblzf-dev zlib1g-dev libzstd-dev liblzo2-dev libjson-c-dev libfdisk-dev libblkid-dev
	uuid-dev libcmocka-dev gnu-efi console-setup-linux"
run="dosfstools mtools fdisk mount e2fsprogs dmsetup util-linux efibootmgr"
test="qemu-system-x86 qemu-utils seabios grub-pc-bin grub-common xorriso busybox-static cpio
	kmod mmdebstrap debian-archive-keyring python3 python3-pytest crash python3-drgn gdb makedumpfile kexec-tools gdisk
	git xz-utils systemd ovmf grub-efi-amd64-bin sbsigntool swtpm openssl systemd-boot-efi"

installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=
for package in $build $run $test; do
	installed "$package" || missing="$missing $package"
done
if [ -z "$missing" ]; then
	echo "setup: every needed package is installed"
	exit 0
fi

root=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "setup: these packages are missing:$missing" >&2
		echo "setup: sudo is not here; install them as root, then repeat" >&2
		exit 1
	fi
	root="sudo"
fi

echo "setup: installing with apt-get:$missing"
$root apt-get update -qq
# shellcheck disable=SC2086 # one word per package is wanted
$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
echo "setup: done"
