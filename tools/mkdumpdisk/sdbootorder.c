/*
 * Which entry systemd-boot starts by itself: the first that matches what the administrator set,
 * else the first of the menu. Entries with a sort-key come first; the others follow by the version
 * order of their names, the highest first (UAPI.1 "Sorting"). Ours has no sort-key, so that only
 * names of that kind can come after it. Names in, verdict out.
 */
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "sdboot.h"

void sdboot_order_pattern(struct sdboot_order *r, const char *pattern)
{
	if (*pattern == '\0')
		return;
	snprintf(r->pattern, sizeof(r->pattern), "%s", pattern);
	r->saved = strcmp(pattern, "@saved") == 0;
}

/* Digits are higher than letters, which are higher than the rest (UAPI.10). */
static bool comes_before(const char *name, bool has_key)
{
	if (has_key || (*name >= '0' && *name <= '9'))
		return true;
	return ((*name | 0x20) >= 'a' && (*name | 0x20) <= 'z') &&
	       strcasecmp(name, SDBOOT_NAME) > 0;
}

static bool matches(const struct sdboot_order *r, const char *name)
{
	return *r->pattern && fnmatch(r->pattern, name, FNM_CASEFOLD) == 0;
}

void sdboot_order_entry(struct sdboot_order *r, const char *name, bool has_key)
{
	bool before = comes_before(name, has_key);
	bool match = matches(r, name);

	r->others++;
	r->before |= before;
	r->match |= match;
	r->before_match |= before && match;
}

void sdboot_order_judge(struct sdboot_order *r)
{
	bool found_elsewhere = strncmp(r->pattern, "auto-", 5) == 0;

	r->boots_nothing = r->others == 0;
	if (matches(r, SDBOOT_NAME))
		r->is_default = !r->before_match;
	else
		r->is_default = !r->before && !r->match && !found_elsewhere;
}
