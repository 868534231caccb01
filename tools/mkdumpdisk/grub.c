/*
 * --grub: not available.
 */
#include "loader.h"
#include "tools/common/tool.h"

bool grub_act(const struct options *o)
{
	tool_error(o->target ? o->target : "GRUB", "use --boot-entry", "--grub is not available");
	return false;
}
