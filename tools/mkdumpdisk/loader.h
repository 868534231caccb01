/*
 * mkdumpdisk --grub and --systemd-boot: the image as an entry in the menu of the loader that
 * starts this machine.
 */
#ifndef MKDUMPDISK_LOADER_H
#define MKDUMPDISK_LOADER_H

#include "options.h"
#include "types.h"

#define LOADER_TITLE "Dump memory of the crashed system"

/* What --grub asks for; false after the message. */
bool grub_act(const struct options *o) MUST_CHECK;

/* What --systemd-boot asks for; likewise. */
bool sdboot_act(const struct options *o) MUST_CHECK;

#endif
