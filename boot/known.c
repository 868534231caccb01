/*
 * What is known of the old kernel before anything is written: which it is, why it stopped,
 * its page map. Says what it finds.
 */
#include "ports.h"
#include "str.h"
#include "boot/session.h"

/* Where kexec left the registers, and where it says the old kernel's description is. */
static u64 core_open(struct session *s)
{
	const struct handoff *h = s->handoff;

	if (!h->elfcorehdr_pa)
		return h->vmcoreinfo_pa;
	s->has_core = elfcore_open(&s->core, &s->pm, h->elfcorehdr_pa) == OK;
	if (!s->has_core) {
		s->degraded |= DL_DEGRADED_REGISTERS;
		session_say(E_ELFCOREHDR);
	}
	return s->has_core ? elfcore_vmcoreinfo(&s->core, &s->pm) : h->vmcoreinfo_pa;
}

/* Firmware may have overwritten all that describes the kernel, and little else. */
static bool banner_find(struct session *s)
{
	struct oldkernel *k = &s->kernel;

	con_printf("afterimage: no description of a kernel; looking for its name\n");
	if (!oldkernel_banner(&s->pm, &k->trace_pa, k->uts[UTS_RELEASE]))
		return false;
	con_printf("afterimage: Linux %s ran here; what describes it was overwritten. A survey and "
		   "its reservation prevent that: see mkdumpdisk --survey\n",
		k->uts[UTS_RELEASE]);
	return true;
}

enum status known_kernel(struct session *s)
{
	struct oldkernel *k = &s->kernel;
	const struct oldkernel_ask ask = {.hint_pa = core_open(s)};
	enum status st = oldkernel_find(&s->pm, &ask, k, &s->candidate, &s->pagemap);

	if (st == E_NO_KERNEL && banner_find(s))
		st = k->why = E_VMCOREINFO;
	if (st == E_NO_KERNEL)
		return st;
	if (st != OK) {
		s->degraded |= DL_DEGRADED_NO_VMCOREINFO;
		session_say(st);
		return OK;
	}
	con_printf("afterimage: kernel %s of host %s\n", k->uts[UTS_RELEASE], k->uts[UTS_NODENAME]);
	if (k->verified_count > 1) {
		s->degraded |= DL_DEGRADED_SEVERAL;
		con_printf("afterimage: %u kernels in memory, this one was taken\n",
			k->verified_count);
	}
	return OK;
}

/* Why it stopped, and the name by which this crash is known again. */
static void say_panic(struct session *s)
{
	struct ending e;

	if (!s->kernel.verified)
		return;
	ending_find(&s->pm, &s->kernel, &s->log, &e);
	s->crash_id = e.crash_id;
	if (panic_find(&s->pm, &s->kernel, &s->log, s->panic, sizeof(s->panic)))
		con_printf("afterimage: it stopped with: %s\n", s->panic);
}

/* Without a page map no page can be told from another: everything is kept. */
static void pagemap_find(struct session *s)
{
	enum status st;

	if (!s->kernel.verified)
		return;
	st = pagemap_open(&s->pagemap, &s->pm, &s->kernel);
	if (st != OK) {
		s->degraded |= DL_DEGRADED_PAGEMAP;
		session_say(st);
		return;
	}
	s->has_pagemap = true;
	con_printf("afterimage: page map: %s\n", pagemap_name(&s->pagemap));
}

void known_rest(struct session *s)
{
	say_panic(s);
	pagemap_find(s);
	s->kernel_known = true;
}
