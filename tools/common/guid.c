/*
 * GUIDs as text.
 */
#include <stdio.h>
#include <string.h>
#include "guid.h"

void guid_swap(const u8 from[16], u8 to[16])
{
	static const u8 order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
	u8 swapped[16];

	for (u32 i = 0; i < 16; i++)
		swapped[i] = from[order[i]];
	memcpy(to, swapped, 16);
}

const char *guid_text(const u8 guid[16], char text[GUID_TEXT_BYTES])
{
	u8 u[16];

	guid_swap(guid, u);
	snprintf(text, GUID_TEXT_BYTES,
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
		u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14],
		u[15]);
	return text;
}
