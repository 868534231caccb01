/*
 * A dump disk's EFI system partition: what it looks like to those who meet it again, and how its
 * settings are changed.
 */
#ifndef MKDUMPDISK_ESP_H
#define MKDUMPDISK_ESP_H

#include "options.h"
#include "types.h"

#define ESP_LABEL "AFTERIMAGE"

/*
 * Replaces the settings file by @text in the partition's @bytes at @data, a copy: no other program
 * gets at the disk. False: reported.
 */
bool esp_change(const struct options *o, u8 *data, u64 bytes, const char *text) MUST_CHECK;

#endif
