/*
 * GUIDs as text. On disk the first three fields are little-endian (UEFI 2.10 appendix A),
 * in the log as in the partition table, so that both show the same text.
 */
#ifndef AFTERIMAGE_GUID_H
#define AFTERIMAGE_GUID_H

#include "types.h"

#define GUID_TEXT_BYTES 37

/* From the order on disk to that of the text or back; @from and @to may be the same. */
void guid_swap(const u8 from[16], u8 to[16]);

/* The text of a GUID in disk order. Returns @text. */
const char *guid_text(const u8 guid[16], char text[GUID_TEXT_BYTES]);

#endif
