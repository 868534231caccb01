/*
 * Findings about the way from the reset to the image: how the machine boots, what it takes to
 * start the image, DMA remapping; and whether the image can reach its disk.
 */
#include "check.h"
#include "tools/common/guid.h"

#define PROGRAM "\\EFI\\BOOT\\BOOTX64.EFI"
#define AGAIN	"fetch and clear the dumps, then prepare the disk again with mkdumpdisk"

static void boot_by_uefi(const struct check_disk *d, struct finding *f)
{
	switch (d->loader) {
	case LOADER_MISSING:
		finding_set(f, CHECK_STOPS,
			"this machine boots by UEFI, and the disk has nothing for it to start: no "
			"%s in its EFI system partition",
			PROGRAM);
		finding_todo(f, "%s; or switch the firmware's legacy boot (CSM) on", AGAIN);
		return;
	case LOADER_FOREIGN:
		finding_set(f, CHECK_STOPS,
			"this machine boots by UEFI, and %s on the disk is no program for it",
			PROGRAM);
		finding_todo(f, "%s", AGAIN);
		return;
	case LOADER_UNKNOWN:
		finding_set(f, CHECK_WARNING,
			"this machine boots by UEFI, and the disk's EFI system partition can not "
			"be "
			"read");
		finding_todo(f, "%s", AGAIN);
		return;
	default:
		break;
	}
	if (d->boot_entry.known)
		finding_set(f, CHECK_OK,
			"by UEFI; the firmware's boot entry Boot%04llX is the disk's",
			(unsigned long long)d->boot_entry.value);
	else
		finding_set(f, CHECK_OK,
			"by UEFI; the firmware has no boot entry for the disk, so choose it in the "
			"boot menu or run mkdumpdisk --boot-entry");
}

void check_boot(const struct check_facts *c, struct finding *f)
{
	const struct check_disk *d = &c->disk;
	bool uefi = c->system.uefi;

	f->name = "boot";
	if (!c->system.kernel_known) {
		finding_set(f, CHECK_WARNING, "how this machine boots can not be seen");
		finding_todo(f, "mount /sys");
	} else if (!d->given || !d->found) {
		finding_set(f, CHECK_OK,
			"this machine boots by %s, so %s of the dump disk is what counts",
			uefi ? "UEFI" : "BIOS", uefi ? PROGRAM : "the boot sector");
	} else if (!d->boot_sector && uefi && d->boot_entry.known) {
		finding_set(f, CHECK_OK,
			"by UEFI; the firmware's boot entry Boot%04llX is the image's",
			(unsigned long long)d->boot_entry.value);
	} else if (!d->boot_sector) {
		finding_set(f, CHECK_WARNING,
			"the dump partition is on a disk that does not start the image by itself");
		finding_todo(f,
			"run mkdumpdisk --boot-entry on it%s, put afterimage.bzimage into a boot "
			"menu "
			"(GRUB's linux), or use mkdumpdisk --kexec",
			uefi ? "" : " where the machine boots by UEFI");
	} else if (uefi) {
		boot_by_uefi(d, f);
	} else {
		finding_set(f, CHECK_OK, "by BIOS, through the disk's boot sector");
	}
}

void check_secure_boot(const struct check_facts *c, struct finding *f)
{
	const struct check_system *s = &c->system;
	bool on = s->secure_boot.known && s->secure_boot.value != 0;

	f->name = "secure boot";
	if (!s->uefi)
		return;
	if (!s->variables || (s->secure_boot.exists && !s->secure_boot.known)) {
		finding_set(f, CHECK_WARNING, "whether Secure Boot is on can not be read");
		finding_todo(f, s->variables ? "run this as root" : CHECK_MOUNT_EFIVARS);
	} else if (!on) {
		finding_set(f, CHECK_OK, "off%s",
			s->setup_mode.known && s->setup_mode.value ? " (setup mode: no keys)" : "");
	} else if (c->disk.loader == LOADER_SIGNED && c->disk.boot_sector) {
		finding_set(f, CHECK_OK,
			"on, and %s on the disk is signed; whether the firmware knows the key can "
			"not be seen",
			PROGRAM);
	} else if (c->disk.loader == LOADER_UNSIGNED && c->disk.boot_sector) {
		finding_set(f, CHECK_STOPS,
			"on, and %s on the disk is not signed: the firmware "
			"refuses to start it",
			PROGRAM);
	} else {
		finding_set(f, CHECK_WARNING, "on: the firmware starts only what is signed");
	}
	if (on && f->state != CHECK_OK)
		finding_todo(f, "sign it with a key that the firmware knows (sbsign --key KEY "
				"--cert CERT), "
				"or switch Secure Boot off in the firmware setup");
}

void check_iommu(const struct check_facts *c, struct finding *f)
{
	const struct check_system *s = &c->system;
	bool opt_in = s->dmar.known && s->dmar.value & SYSFACTS_DMAR_OPT_IN;

	f->name = "dma remapping";
	if (!s->kernel_known)
		return;
	if (s->iommus == 0)
		finding_set(f, CHECK_OK, "not in use%s",
			opt_in ? "; the firmware restricts DMA before the system boots, the image "
				 "switches that off"
			       : "");
	else
		finding_set(f, CHECK_OK, "in use (%u units); the image switches it off%s",
			s->iommus,
			opt_in ? ", also where the firmware restricts DMA from the start on" : "");
}

void check_visible(const struct check_facts *c, struct finding *f)
{
	const struct check_disk *d = &c->disk;

	f->name = "disk";
	if (!d->given)
		return;
	if (!d->device) {
		finding_set(f, CHECK_WARNING, "is an image file, which the image can not write to");
		finding_todo(f, "copy it to a disk on " REACH_BY
				", or give it to a virtual machine as one");
	} else if (!d->reach.by) {
		finding_set(f, CHECK_STOPS, "%s", d->reach.fault);
		finding_todo(f, "%s", d->reach.todo);
	} else if (d->removable) {
		finding_set(f, CHECK_WARNING, "is on %s, but removable", d->reach.by);
		finding_todo(f, "see to it that it is there when the machine is reset");
	} else {
		finding_set(f, CHECK_OK, "is on %s, as the image needs it", d->reach.by);
	}
}

void check_target(const struct check_facts *c, struct finding *f)
{
	const struct check_disk *d = &c->disk;
	char uuid[GUID_TEXT_BYTES];

	f->name = "target";
	if (!d->given) {
		finding_set(f, CHECK_OK, "none was named: no disk was checked");
		return;
	}
	if (!d->found) {
		finding_set(f, CHECK_STOPS, "has no dump partition that the image would find");
		finding_todo(f, "prepare it with mkdumpdisk; a partition needs the type that "
				"mkdumpdisk names");
		return;
	}
	guid_text(d->super.disk_uuid, uuid);
	if (d->others == 0) {
		finding_set(f, CHECK_OK, "dump partition with UUID %s", uuid);
		return;
	}
	finding_set(f, CHECK_WARNING,
		"dump partition with UUID %s, and %u more on the disk; the others were not checked",
		uuid, d->others);
	finding_todo(f, "name the partition that dumps shall go to");
}
