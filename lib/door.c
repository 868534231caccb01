/*
 * The names of the front doors, as the console and the dump header spell them.
 */
#include "handoff.h"

const char *door_name(u32 door)
{
	switch (door) {
	case DOOR_BIOS:
		return "bios";
	case DOOR_UEFI:
		return "uefi";
	case DOOR_MULTIBOOT:
		return "multiboot";
	case DOOR_LINUX:
		return "linux";
	default:
		return "unknown";
	}
}
