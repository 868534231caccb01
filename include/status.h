/*
 * Every way anything can fail, with the number that is printed as E<code>, stored
 * in dumps and listed in docs/codes.md. Numbers are never reused or changed.
 */
#ifndef AFTERIMAGE_STATUS_H
#define AFTERIMAGE_STATUS_H

#include "types.h"

/* X(name, code, what is wrong, what to do) */
#define STATUS_LIST(X)                                                                             \
	X(E_NO_KERNEL, 10, "no Linux kernel found in memory",                                      \
		"boot the dump disk by a warm reset, without switching the power off")             \
	X(E_VMCOREINFO, 11, "kernel found, but its description is damaged or lost",                \
		"all of memory is kept; open the dump with the kernel's debug file by hand")       \
	X(E_PAGETABLE, 12, "an address of the old kernel is not mapped",                           \
		"all of memory is kept; the old kernel's page tables were overwritten")            \
	X(E_NOT_RAM, 13, "an address of the old kernel points outside memory",                     \
		"all of memory is kept; the old kernel's page tables were overwritten")            \
	X(E_PAGEMAP, 14, "the old kernel's page map can not be used",                              \
		"all of memory is kept; extract the dump and filter the file with makedumpfile")   \
	X(E_UNREADABLE, 15, "a page can not be read: memory error",                                \
		"look up the address in the firmware's error log and replace the module")          \
	X(E_ELFCOREHDR, 16, "the description of the old kernel's memory (elfcorehdr) is damaged",  \
		"what was found was dumped; load the image again as docs/boot.md says")            \
	X(E_WIPED, 17, "memory was wiped at the reset",                                            \
		"let mkdumpdisk --check tell why; then boot the dump disk by a warm reset")        \
	X(E_NO_DISK, 20, "no disk controller found that can be used",                              \
		"attach the dump disk to NVMe, AHCI (SATA) or virtio-blk")                         \
	X(E_READY, 21, "the disk controller did not become ready",                                 \
		"replace the dump disk or use another slot")                                       \
	X(E_FATAL, 22, "the disk controller failed", "replace the dump disk or its slot")          \
	X(E_DEVICE_GONE, 23, "the device does not answer any more",                                \
		"check that the dump disk is seated and powered")                                  \
	X(E_TIMEOUT, 24, "the device did not finish a command in time", "replace the dump disk")   \
	X(E_COMMAND, 25, "the disk refused a command",                                             \
		"update the disk's firmware or use another disk")                                  \
	X(E_READ, 26, "reading from the dump disk failed", "replace the dump disk")                \
	X(E_WRITE, 27, "writing to the dump disk failed",                                          \
		"fetch what was saved with getdump, then replace the dump disk")                   \
	X(E_FORMAT, 28, "the disk has a format that is not supported",                             \
		"format it with 512 or 4096 byte blocks, without metadata or protection")          \
	X(E_BUSY, 29, "the device's queue is full", "nothing; the request is repeated")            \
	X(E_NO_PARTITION, 30, "no dump partition found on any disk",                               \
		"prepare the disk with mkdumpdisk; after that repeat mkdumpdisk --kexec")          \
	X(E_GPT, 31, "the partition table is damaged", "prepare the disk again with mkdumpdisk")   \
	X(E_SUPERBLOCK, 32, "both superblocks of the dump partition are damaged",                  \
		"prepare the disk again with mkdumpdisk")                                          \
	X(E_VERSION, 33, "the dump partition was prepared by a newer version",                     \
		"use the version that prepared it, or prepare it again")                           \
	X(E_FULL, 34, "the dump partition is full", "fetch the dumps with getdump and clear them") \
	X(E_NO_SLOT, 35, "the dump directory is full",                                             \
		"fetch the dumps with getdump and clear them")                                     \
	X(E_GATE, 36, "a write outside the dump partition was stopped",                            \
		"report this: it is a fault in afterimage")                                        \
	X(E_GEOMETRY, 37, "the dump partition does not fit the disk",                              \
		"prepare the disk again with mkdumpdisk")                                          \
	X(E_DMA, 38, "a device was kept from writing outside our memory",                          \
		"report this: it is a fault in afterimage")                                        \
	X(E_IOMMU, 39, "DMA remapping can not be switched off",                                    \
		"start the old kernel with intel_iommu=off or amd_iommu=off")                      \
	X(E_NO_MEMORY, 40, "too little working memory",                                            \
		"report this with the firmware's memory map")                                      \
	X(E_MEMMAP, 41, "the firmware's memory map is unusable",                                   \
		"update the firmware or use another boot path")                                    \
	X(E_COMPRESS, 42, "the compressor failed",                                                 \
		"prepare the disk with --compress none and report this")                           \
	X(E_INVAL, 43, "a request was malformed", "report this: it is a fault in afterimage")      \
	X(E_BOOT_HEADER, 44, "the boot area's settings are damaged",                               \
		"prepare the disk again with mkdumpdisk")                                          \
	X(E_CPU, 45, "this processor lacks a needed feature",                                      \
		"afterimage needs a 64-bit x86 processor")                                         \
	X(E_A20, 46, "address line 20 can not be switched on", "update the firmware")              \
	X(E_IMAGE, 47, "the image in the boot area is damaged",                                    \
		"fetch the dumps, then prepare the disk again with mkdumpdisk")                    \
	X(E_CMDLINE, 48, "the command line has no valid dump=UUID",                                \
		"load the image with mkdumpdisk --kexec, or with what it prints")                  \
	X(E_RESERVED, 49, "the memory reserved for the capture does not hold the image",           \
		"set crashkernel=16M on the kernel command line and reboot")                       \
	X(E_TRAP, 50, "an unexpected processor exception",                                         \
		"18 is a hardware fault, see the firmware's error log; report any other one")      \
	X(E_LOOP, 51, "the third capture within an hour, none of them cleared",                    \
		"the machine crashes again and again: fetch the dumps, find the cause, reset")     \
	X(E_POWEROFF, 52, "this machine can not be switched off by ACPI",                          \
		"switch it off by hand; the dump is safe")                                         \
	X(E_FIRMWARE, 53, "the firmware did not let go of the machine",                            \
		"update the firmware, or boot the dump disk by BIOS")                              \
	X(E_SURVEY, 54, "the record of the survey is damaged",                                     \
		"arm it again with mkdumpdisk --survey")                                           \
	X(E_SURVEY_CRASH, 55, "memory may hold a crash, so it was not surveyed",                   \
		"fetch the dump, arm the survey again, then switch the machine off in order")      \
	X(E_SURVEY_LOST, 56, "memory does not hold the survey's pattern any more",                 \
		"arm it again, and let nothing boot but the dump disk until it is done")           \
	X(E_HIDDEN, 57, "the disks are behind RAID, VMD or another mode that is not supported",    \
		"switch the controller to AHCI or NVMe in the firmware setup")                     \
	X(E_NOT_KEPT, 58, "the disk lost data that it had taken",                                  \
		"fetch what was saved with getdump, then replace the dump disk")                   \
	X(E_READ_ONLY, 59, "the disk is write-protected",                                          \
		"attach it to the machine writable, or take its write protection off")             \
	X(E_FOREIGN, 60, "this is no dump disk, dump partition or image of one",                   \
		"name the disk that was prepared with mkdumpdisk")                                 \
	X(E_TRUNCATED, 61, "the image ends before the dump does",                                  \
		"copy the dump disk again; what is there can still be extracted")                  \
	X(E_CHUNK, 62, "the dump's log ends early",                                                \
		"what is before it is good and can be extracted")                                  \
	X(E_CHECKSUM, 63, "a checksum does not match",                                             \
		"the disk returned wrong data; copy the dump disk again")                          \
	X(E_NO_DUMP, 64, "there is no such dump", "see getdump list for those there are")          \
	X(E_DECOMPRESS, 65, "a chunk can not be unpacked",                                         \
		"the disk returned wrong data; copy the dump disk again")                          \
	X(E_METHOD, 66, "a chunk uses an unknown compressor", "use a newer getdump")               \
	X(E_ABSENT, 67, "the page is not in the dump", "see its class with getdump info")          \
	X(E_INTERRUPTED, 68, "the dump was cut short by a reset or power loss",                    \
		"what was written before can be extracted")                                        \
	X(E_NO_LOG, 69, "the old kernel's log can not be found in the dump",                       \
		"extract the dump and read the log with crash or drgn")                            \
	X(E_TRIED, 70, "a capture of this crash was begun at an earlier start, and not ended",     \
		"start the dump disk again and press d to try once more; see mkdumpdisk --check")  \
	X(E_NAMELESS, 71, "this crash could not be known again after its capture",                 \
		"start the dump disk again and press d to capture it")                             \
	X(E_NO_NEXT, 72, "there is no other disk that boots",                                      \
		"choose what to boot in the firmware's boot menu")

enum status {
	OK = 0,
#define STATUS_ENUM(name, code, text, advice) name = code,
	STATUS_LIST(STATUS_ENUM)
#undef STATUS_ENUM
};

/* What is wrong, without a full stop; "unknown failure" for a number not listed. Never NULL. */
const char *status_text(enum status st);

/* What the administrator should do; same rules as status_text. */
const char *status_advice(enum status st);

#endif
