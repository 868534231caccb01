/*
 * JSON fields in one form for every command that prints them.
 */
#include <json-c/json.h>
#include <stdio.h>
#include "dumplog.h"
#include "fields.h"

void field_text(struct json_object *to, const char *key, const char *text)
{
	json_object_object_add(to, key, json_object_new_string(text));
}

void field_number(struct json_object *to, const char *key, u64 value)
{
	json_object_object_add(to, key, json_object_new_uint64(value));
}

void field_signed(struct json_object *to, const char *key, s64 value)
{
	json_object_object_add(to, key, json_object_new_int64(value));
}

void field_flag(struct json_object *to, const char *key, bool on)
{
	json_object_object_add(to, key, json_object_new_boolean(on));
}

void field_hex(struct json_object *to, const char *key, u64 value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)value);
	field_text(to, key, text);
}

void field_classes(struct json_object *to, const char *key, u32 mask)
{
	struct json_object *list = json_object_new_array();

	for (u32 class = 0; class < DL_CLASSES; class ++) {
		if (mask >> class & 1)
			json_object_array_add(list, json_object_new_string(dl_class_name(class)));
	}
	json_object_object_add(to, key, list);
}

void fields_print(struct json_object *object)
{
	puts(json_object_to_json_string_ext(
		object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}
