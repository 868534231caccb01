/*
 * Fields of the JSON objects that info and why print, in one form for both.
 */
#ifndef AFTERIMAGE_FIELDS_H
#define AFTERIMAGE_FIELDS_H

#include "status.h"
#include "types.h"

struct json_object;

void field_text(struct json_object *to, const char *key, const char *text);
void field_number(struct json_object *to, const char *key, u64 value);
void field_signed(struct json_object *to, const char *key, s64 value);
void field_flag(struct json_object *to, const char *key, bool on);

/* As "0x...": JSON's numbers are not for addresses. */
void field_hex(struct json_object *to, const char *key, u64 value);

/* The names of the classes in @mask, a bit each. */
void field_classes(struct json_object *to, const char *key, u32 mask);

/* Prints @object to standard output and lets go of it. */
void fields_print(struct json_object *object);

#endif
