/*
 * How a disk of this machine is attached, and whether the image can drive that: NVMe, AHCI and
 * virtio-blk, each as a PCI device of its own.
 */
#ifndef MKDUMPDISK_REACH_H
#define MKDUMPDISK_REACH_H

#include "types.h"

struct sysdisk;

#define REACH_BY "NVMe, AHCI (SATA) or virtio-blk"

struct reach {
	const char *by; /* "NVMe"; NULL: the image can not reach it, for the */
	char fault[80]; /* reason here, in words: "is on USB, which the image can not drive" */
	const char *todo;
};

/* By what sysfs says; what is hidden from this user counts as good. Nothing is opened. */
void reach_look(const struct sysdisk *k, struct reach *r);

#endif
