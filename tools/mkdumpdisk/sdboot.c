/*
 * --systemd-boot: not available.
 */
#include "loader.h"
#include "tools/common/tool.h"

bool sdboot_act(const struct options *o)
{
	tool_error(o->target ? o->target : "systemd-boot", "use --boot-entry",
		"--systemd-boot is not available");
	return false;
}
