/*
 * Judges a disk by the folders of sysfs that it lies in: the names of buses and the facts of the
 * PCI function above it. Does not look at what is on it.
 */
#include <ctype.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "reach.h"
#include "sysdisk.h"

#define TODO_BY	    "attach it to " REACH_BY
#define TODO_AHCI   "switch the controller to AHCI in the firmware setup"
#define TODO_VIRTIO "have the virtual machine offer it as virtio 1.0 (QEMU: disable-modern=off)"
#define TODO_VMD    "switch VMD off in the firmware setup, or use another slot"

/* PCI 3.0 s6.1, s6.7; class codes of PCI Code and ID Assignment 1.11 s1.2. */
#define PCI_STATUS	  0x06
#define PCI_STATUS_CAPS	  0x10
#define PCI_CAP_FIRST	  0x34
#define PCI_CAP_VENDOR	  0x09
#define PCI_CAPS_MAX	  48
#define PCI_HEADER_BYTES  64 /* all that others than root may read */
#define PCI_CONFIG_BYTES  256
#define PCI_CLASS_IDE	  0x0101
#define PCI_CLASS_RAID	  0x0104
#define PCI_CLASS_AHCI	  0x010601
#define VIRTIO_VENDOR	  0x1af4 /* virtio 1.1 s4.1.2 */
#define VIRTIO_BLK_MODERN 0x1042
#define VIRTIO_BLK_OLD	  0x1001 /* or both */

/* The folder of a disk. */
struct place {
	char path[PATH_MAX];
	const char *in; /* the part of @path that is below sysfs */
};

struct words {
	const char *part; /* of the path */
	const char *what;
	const char *todo;
};

static void refuse(struct reach *r, const char *what, const char *todo)
{
	snprintf(r->fault, sizeof(r->fault), "is %s, which the image can not drive", what);
	r->todo = todo;
}

static void accept(struct reach *r, const char *by)
{
	r->by = by;
}

/* The folder above the one that begins with @name and a digit; false if none does. */
static bool above(const struct place *d, const char *name, char parent[PATH_MAX])
{
	for (const char *p = strstr(d->in, name); p; p = strstr(p + 1, name)) {
		if (!isdigit((unsigned char)p[strlen(name)]))
			continue;
		snprintf(parent, PATH_MAX, "%.*s", (int)(p - d->path), d->path);
		return true;
	}
	return false;
}

/* The number in @file of the device @pci; 0 if it has none. */
static u32 pci_fact(const char *pci, const char *file)
{
	char path[PATH_MAX + 32];
	unsigned int value = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", pci, file);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%x", &value) != 1)
		value = 0;
	fclose(f);
	return value;
}

static bool exists_like(const char *folder, const char *like)
{
	char pattern[PATH_MAX + 32];
	glob_t found;
	bool hit;

	snprintf(pattern, sizeof(pattern), "%s/%s", folder, like);
	hit = glob(pattern, GLOB_NOSORT, NULL, &found) == 0;
	if (hit)
		globfree(&found);
	return hit;
}

/* PCI domains beyond four digits are Linux's own, for what lies behind a VMD controller. */
static bool behind_vmd(const struct place *d)
{
	const char *domain = strstr(d->in, "/pci");

	domain = domain ? strstr(domain + 1, "/pci") : NULL;
	return domain && strspn(domain + 4, "0123456789abcdef") > 4;
}

/* --- NVMe --- */

/*
 * The controllers of a disk are above it or, if it has several, beside it in its subsystem.
 * False: it has none.
 */
static bool nvme_transport(const struct place *d, bool *pcie)
{
	char pattern[PATH_MAX + 32], text[16] = "";
	bool any = false;
	glob_t found;

	*pcie = false;
	snprintf(pattern, sizeof(pattern), "%s/../%stransport", d->path,
		strstr(d->in, "/nvme-subsystem/") ? "nvme*/" : "");
	if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
		return false;
	for (size_t i = 0; !*pcie && i < found.gl_pathc; i++) {
		FILE *f = fopen(found.gl_pathv[i], "re");

		if (!f)
			continue;
		any = true;
		*pcie = fgets(text, sizeof(text), f) && strcmp(text, "pcie\n") == 0;
		fclose(f);
	}
	globfree(&found);
	return any;
}

/* --- SATA --- */

/* Folders of links have a second number, that of the multiplier's port, only where there is one. */
static void judge_ata(const struct place *d, const char *pci, struct reach *r)
{
	u32 class = pci_fact(pci, "class");
	char port[PATH_MAX];

	if (class >> 8 == PCI_CLASS_RAID)
		refuse(r, "on SATA in RAID mode", TODO_AHCI);
	else if (class >> 8 == PCI_CLASS_IDE)
		refuse(r, "on SATA in IDE mode", TODO_AHCI);
	else if (class != PCI_CLASS_AHCI)
		refuse(r, "on a SATA controller without AHCI", TODO_BY);
	else if (above(d, "/host", port) && exists_like(port, "link*.*"))
		refuse(r, "behind a SATA port multiplier", "attach it to a port of its own");
	else
		accept(r, "AHCI (SATA)");
}

/* --- virtio --- */

/* What a modern device has in its configuration space (virtio 1.1 s4.1.4); unknown counts. */
static bool may_be_modern(const char *pci)
{
	char path[PATH_MAX + 32];
	u8 c[PCI_CONFIG_BYTES];
	size_t bytes = 0;
	bool hit = false;
	FILE *f;
	u32 at;

	snprintf(path, sizeof(path), "%s/config", pci);
	f = fopen(path, "re");
	if (f) {
		bytes = fread(c, 1, sizeof(c), f);
		fclose(f);
	}
	if (bytes < PCI_HEADER_BYTES)
		return true;
	at = c[PCI_STATUS] & PCI_STATUS_CAPS ? c[PCI_CAP_FIRST] & ~3u : 0;
	for (u32 i = 0; i < PCI_CAPS_MAX && !hit && at >= PCI_HEADER_BYTES; i++) {
		if (at + 1 >= bytes)
			return true;
		hit = c[at] == PCI_CAP_VENDOR;
		at = c[at + 1] & ~3u;
	}
	return hit;
}

static void judge_virtio(const struct place *d, const char *pci, struct reach *r)
{
	u32 device = pci_fact(pci, "device");
	bool ours = pci_fact(pci, "vendor") == VIRTIO_VENDOR;

	if (strstr(d->in, "/host"))
		refuse(r, "on virtio-scsi", "have the virtual machine offer it as virtio-blk");
	else if (!ours || (device != VIRTIO_BLK_MODERN && device != VIRTIO_BLK_OLD))
		refuse(r, "on virtio without PCI", TODO_BY);
	else if (device == VIRTIO_BLK_OLD && !may_be_modern(pci))
		refuse(r, "on virtio from before 1.0", TODO_VIRTIO);
	else
		accept(r, "virtio-blk");
}

/* --- everything else --- */

/* The first that fits counts. */
static void judge_others(const struct place *d, struct reach *r)
{
	static const struct words others[] = {
		{"/usb", "on USB", TODO_BY},
		{"/mmc_host/", "an SD card or eMMC", TODO_BY},
		{"/devices/virtual/", "made up by Linux (loop, RAID, device mapper)",
			"use a disk itself, on " REACH_BY},
		{"/session", "on iSCSI", TODO_BY},
		{"", "on a controller of another kind", TODO_BY},
	};
	u32 i = 0;

	while (!strstr(d->in, others[i].part))
		i++;
	refuse(r, others[i].what, others[i].todo);
}

static bool place_find(const struct sysdisk *k, struct place *d)
{
	char link[KEXEC_PATH_BYTES + 80], top[PATH_MAX];

	snprintf(link, sizeof(link), "%s/block/%s", k->sysfs, k->name);
	if (!realpath(k->sysfs, top) || !realpath(link, d->path))
		return false;
	d->in = d->path;
	if (strncmp(d->path, top, strlen(top)) == 0)
		d->in += strlen(top);
	return true;
}

void reach_look(const struct sysdisk *k, struct reach *r)
{
	struct place d;
	char pci[PATH_MAX];
	bool pcie;

	memset(r, 0, sizeof(*r));
	if (!place_find(k, &d)) {
		snprintf(r->fault, sizeof(r->fault), "is not known to the kernel");
		r->todo = TODO_BY;
	} else if (behind_vmd(&d)) {
		refuse(r, "behind an Intel VMD controller", TODO_VMD);
	} else if (!strstr(d.in, "/usb") && above(&d, "/ata", pci)) {
		judge_ata(&d, pci, r);
	} else if (above(&d, "/virtio", pci)) {
		judge_virtio(&d, pci, r);
	} else if (!nvme_transport(&d, &pcie)) {
		judge_others(&d, r);
	} else if (pcie) {
		accept(r, "NVMe");
	} else {
		refuse(r, "on NVMe over a network", TODO_BY);
	}
}
