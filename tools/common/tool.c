/*
 * Messages on stderr. Knows nothing of dumps or disks.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "progress.h"
#include "tool.h"

#define MESSAGE_BYTES 4608 /* the longest path and some words */

static const char *tool_name = "afterimage";

void tool_init(const char *name)
{
	tool_name = name;
	signal(SIGXFSZ, SIG_IGN);
}

/* Names that people and disks give may hold anything, also what a terminal would obey. */
static void put(const char *text)
{
	char shown[MESSAGE_BYTES];

	fputs(tool_printable(shown, sizeof(shown), text, sizeof(shown)), stderr);
}

static void begin(const char *target)
{
	progress_break();
	fflush(stdout);
	fprintf(stderr, "%s: ", tool_name);
	if (!target)
		return;
	put(target);
	fputs(": ", stderr);
}

static void say(const char *what, va_list args)
{
	char text[MESSAGE_BYTES];

	vsnprintf(text, sizeof(text), what, args);
	put(text);
}

static void finish(const char *todo)
{
	if (todo)
		fprintf(stderr, "; %s", todo);
	fputc('\n', stderr);
}

int tool_error(const char *target, const char *todo, const char *what, ...)
{
	va_list args;

	begin(target);
	va_start(args, what);
	say(what, args);
	va_end(args);
	finish(todo);
	return TOOL_FAILED;
}

int tool_error_status(const char *target, enum status st)
{
	return tool_error(target, status_advice(st), "%s (E%d)", status_text(st), (int)st);
}

int tool_error_errno(const char *target, const char *verb, int err, const char *todo)
{
	return tool_error(target, todo, "cannot %s: %s", verb, strerror(err));
}

int tool_error_usage(const char *what, ...)
{
	va_list args;

	begin(NULL);
	va_start(args, what);
	say(what, args);
	va_end(args);
	fprintf(stderr, "; see `%s --help`\n", tool_name);
	return TOOL_USAGE;
}
