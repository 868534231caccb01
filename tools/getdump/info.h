/*
 * The part of getdump info that counts: pages and bytes by class.
 */
#ifndef AFTERIMAGE_INFO_H
#define AFTERIMAGE_INFO_H

#include "reader.h"

struct json_object;

/* Adds the objects "pages", "classes" and "contents". False: no memory; they lack something. */
bool info_add_pages(struct json_object *to, const struct reader_map *m) MUST_CHECK;

/* The object "contents" in lines for people. */
void info_print_contents(struct json_object *contents);

#endif
