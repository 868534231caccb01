/*
 * The finding about what the image does when it is started: captures at once, or decides by itself;
 * and whether it is started in the first place where it is to decide.
 */
#include "check.h"
#include "ports.h"

#define AGAIN	     "fetch and clear the dumps, then prepare the disk again with mkdumpdisk"
#define ENDING_MAJOR 6 /* from this release on the kernel's own variables tell how it ended */

/* False: the boot area has nothing to hide. */
static bool area_fault(const struct check_disk *d, struct finding *f)
{
	switch (d->area) {
	case AREA_IMAGE:
		finding_set(f, CHECK_STOPS,
			"the image in the boot area is damaged, and will not start (E47)");
		break;
	case AREA_OTHER_VERSION:
		finding_set(f, CHECK_WARNING,
			"the image in the boot area is of another version, its settings were not "
			"checked");
		break;
	case AREA_SETTINGS:
		finding_set(f, CHECK_WARNING,
			"the boot area's settings are damaged (E44): the image captures whenever "
			"it is started, to any dump partition");
		break;
	case AREA_MISPLACED:
		finding_set(f, CHECK_WARNING,
			"the boot area's settings are for another dump partition, or this one was "
			"moved");
		break;
	case AREA_NONE:
		finding_set(f, CHECK_WARNING, "the boot area can not be read");
		break;
	default:
		return false;
	}
	finding_todo(f, "%s", AGAIN);
	return true;
}

static bool old_kernel(const struct check_system *s)
{
	u32 major, minor;

	return sysfacts_release(s->release, &major, &minor) && major < ENDING_MAJOR;
}

static void automatic(const struct check_facts *c, struct finding *f)
{
	const struct check_disk *d = &c->disk;
	const char *log = old_kernel(&c->system)
				  ? "; of a kernel before 6.0 only its log tells how it ended"
				  : "";

	if (d->super.after != ACTION_REBOOT) {
		finding_set(f, CHECK_WARNING,
			"automatic, but after a capture the machine does not start again: it %s",
			d->super.after == ACTION_HALT ? "stands still" : "is switched off");
		finding_todo(f,
			"fetch and clear the dumps, then prepare the disk again with --after "
			"reboot");
	} else if (!c->system.uefi) {
		finding_set(f, CHECK_OK,
			"automatic; that BIOS starts this disk first can not be seen, its setup "
			"tells%s",
			log);
	} else if (d->boot_place == 1) {
		finding_set(
			f, CHECK_OK, "automatic, and first in the firmware's boot order%s", log);
	} else {
		finding_set(f, CHECK_WARNING,
			"automatic, but not first in the firmware's boot order: nothing is "
			"captured unless somebody starts it%s",
			log);
		finding_todo(f, "run mkdumpdisk --boot-entry=first on it");
	}
}

static void by_hand(const struct check_disk *d, const struct check_start *s, struct finding *f)
{
	if (d->boot_place == 1) {
		finding_set(f, CHECK_WARNING,
			"first in the firmware's boot order, but not automatic: every start of the "
			"machine ends in a capture");
		finding_todo(f,
			"run mkdumpdisk --boot-entry=last on it, or mkdumpdisk --settings --auto");
	} else if (s->menu_seconds > 0) {
		finding_set(f, CHECK_OK,
			"captures whenever it is started, after %u s for a key on the console",
			s->menu_seconds);
	} else {
		finding_set(f, CHECK_OK, "captures whenever it is started, and asks nobody");
	}
}

void check_start(const struct check_facts *c, struct finding *f)
{
	const struct check_disk *d = &c->disk;
	bool uefi = c->system.uefi;
	const struct check_start *s = uefi ? &d->by_uefi : &d->by_bios;

	f->name = "start";
	if (!c->system.kernel_known || !d->found || (!d->boot_sector && !uefi))
		return;
	if (!uefi && area_fault(d, f))
		return;
	if (!s->known)
		return;
	if (s->automatic)
		automatic(c, f);
	else
		by_hand(d, s, f);
}
