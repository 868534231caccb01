/*
 * The core: what happens between a front door and the restart of the machine.
 */
#include "main.h"
#include "ports.h"
#include "str.h"

void dump_main(const struct handoff *handoff)
{
	con_printf("afterimage %s via %s\n", AFTERIMAGE_VERSION, door_name(handoff->door));
	dump_panic(E_NO_DISK, "");
}

void dump_panic(enum status status, const char *detail)
{
	con_printf("afterimage: no dump: E%u %s %s\n", status, status_text(status), detail);
	con_printf("afterimage: rebooting\n");
	machine_reset(ACTION_REBOOT);
}
