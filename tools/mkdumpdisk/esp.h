/*
 * What a dump disk's EFI system partition looks like to those who meet it again.
 */
#ifndef MKDUMPDISK_ESP_H
#define MKDUMPDISK_ESP_H

#define ESP_LABEL "AFTERIMAGE"

#endif
