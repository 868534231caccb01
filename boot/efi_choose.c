/*
 * The decision of automatic mode and the menu (choose.h) where firmware still works: what firmware
 * must be asked for it, and what of it must be remembered. Touches no device but through firmware.
 */
#include <string.h>
#include "boot/efi.h"
#include "str.h"

/* Big: not for the stack. */
static struct {
	struct physmem pm;
	struct oldkernel kernel;
	union {
		struct oldkernel candidate;
		struct panic_scratch log;
	} lent;
	struct pagemap pagemap;
	struct choose_disk disk;
} work;

static u32 key(void *st, u64 wait_us)
{
	return efi_key(st, wait_us);
}

static void disk_know(EFI_SYSTEM_TABLE *st, const u8 uuid[16])
{
	CHAR16 name[] = EFI_TRIED;
	struct efi_disk disk;
	u64 id;

	memset(&work.disk, 0, sizeof(work.disk));
	if (efi_disk_find(st, uuid, &disk))
		efi_disk_know(&disk, &work.disk);
	if (efi_own_get(st->RuntimeServices, name, &id, sizeof(id)))
		work.disk.tried_id = id;
}

/*
 * A capture that fails must not be begun at every start: that it was begun is remembered before.
 * If that can not be, only somebody who is there can see to it that it ends.
 */
static enum choose_way remember(EFI_RUNTIME_SERVICES *rt, const struct choose *c)
{
	CHAR16 name[] = EFI_TRIED;
	u64 id = c->crash_id;

	if (id == 0 || id == work.disk.tried_id || efi_own_set(rt, name, &id, sizeof(id)) ||
		c->by_key)
		return CHOOSE_CAPTURE;
	con_printf("afterimage: automatic: not captured, booting on: E%u %s; %s\n", E_NAMELESS,
		status_text(E_NAMELESS), status_advice(E_NAMELESS));
	return CHOOSE_BOOT_ON;
}

/* Unless memory still holds the crash that was tried and that the disk does not have. */
static void forget(EFI_RUNTIME_SERVICES *rt, const struct choose *c)
{
	CHAR16 name[] = EFI_TRIED;

	if (c->crash_id != work.disk.tried_id)
		efi_own_forget(rt, name);
}

enum choose_way efi_choose(
	EFI_SYSTEM_TABLE *st, const struct linuxboot_cmdline *settings, struct efiboot *boot)
{
	struct choose c = {
		.pm = &work.pm,
		.memory = {&work.kernel, &work.lent.candidate, &work.pagemap, &work.lent.log},
		.disk = &work.disk,
		.automatic = settings->automatic,
		.boots_on = true,
		.seconds = settings->menu_seconds,
		.key = st->ConIn ? key : NULL,
		.ctx = st,
	};
	enum choose_way way;

	disk_know(st, settings->target_uuid);
	if (work.disk.survey && !settings->automatic)
		return CHOOSE_CAPTURE;
	physmem_init(&work.pm, &boot->map);
	way = choose_way(&c);
	boot->automatic = settings->automatic;
	boot->has_level = c.level != CHOOSE_NO_LEVEL;
	boot->level = c.level;
	boot->vmcoreinfo_pa = c.vmcoreinfo_pa;
	if (!settings->automatic)
		return way;
	if (way == CHOOSE_CAPTURE)
		return remember(st->RuntimeServices, &c);
	forget(st->RuntimeServices, &c);
	return way;
}
