/*
 * The part of getdump info that counts: pages and bytes by class.
 */
#ifndef AFTERIMAGE_INFO_H
#define AFTERIMAGE_INFO_H

#include "reader.h"

struct json_object;

/* Adds the objects "pages", "classes" and "contents". False: no memory; they lack something. */
bool info_add_pages(struct json_object *to, const struct reader_map *m) MUST_CHECK;

/*
 * Adds the object "lost": pages overwritten since the old kernel stopped, by whom, and what it
 * used of them. Nothing if there was no reset in between.
 */
void info_add_lost(struct json_object *to, const struct reader_map *m);

/* The object "contents" in lines for people. */
void info_print_contents(struct json_object *contents);

#endif
