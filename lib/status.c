/*
 * The words for every failure code.
 */
#include "status.h"

struct status_words {
	enum status code;
	const char *text;
	const char *advice;
};

static const struct status_words words[] = {
#define STATUS_WORDS(name, code, text, advice) {name, text, advice},
	STATUS_LIST(STATUS_WORDS)
#undef STATUS_WORDS
};

static const struct status_words *find(enum status st)
{
	for (u32 i = 0; i < ARRAY_SIZE(words); i++) {
		if (words[i].code == st)
			return &words[i];
	}
	return NULL;
}

const char *status_text(enum status st)
{
	const struct status_words *w = find(st);

	return w ? w->text : "unknown failure";
}

const char *status_advice(enum status st)
{
	const struct status_words *w = find(st);

	return w ? w->advice : "report this number";
}
