/*
 * Findings about memory: will it be there after a reset, and can it be read then? Firmware that
 * was asked to wipe it, encryption whose key changes, virtual machines.
 */
#include "check.h"

#define MOR_CLEAR	  1u
#define TME_ON		  3u /* locked and enabled */
#define TME_BYPASS	  (1ull << 31)
#define SYSCFG_ENCRYPTION (1ull << 23)
#define SEV_ON		  1u

/* --- MemoryOverwriteRequest --- */

static void overwrite_requested(const struct check_system *s, struct finding *f)
{
	bool locked = s->mor_lock.known && s->mor_lock.value != 0;

	finding_set(f, CHECK_STOPS,
		"the firmware will wipe all memory at the next reset: "
		"MemoryOverwriteRequestControl is 0x%02llx%s%s",
		(unsigned long long)s->mor.value, locked ? " and locked" : "",
		s->mitigation.value
			? "; this kernel sets it at every boot (CONFIG_RESET_ATTACK_MITIGATION)"
			: "");
	if (locked)
		finding_todo(f,
			"the lock opens at a reset: find in the firmware setup, or with whoever "
			"runs before this kernel, what closes it");
	else
		finding_todo(f,
			"it keeps secrets in memory from whoever resets the machine and boots "
			"something else, so this is your decision. To take it back until the next "
			"boot, as root: V=" CHECK_EFIVARS CHECK_MOR "; chattr -i $V; "
			"printf '\\007\\000\\000\\000\\000' >$V. Linux asks again at every boot "
			"if it was built so: let a service do this when it has booted");
}

void check_overwrite(const struct check_facts *c, struct finding *f)
{
	const struct check_system *s = &c->system;

	f->name = "overwrite request";
	if (!s->kernel_known) {
		finding_set(
			f, CHECK_WARNING, "whether the firmware will wipe memory can not be seen");
		finding_todo(f, "mount /sys");
		return;
	}
	if (!s->uefi)
		finding_set(f, CHECK_OK,
			"booted by BIOS: Linux does not ask the firmware to wipe memory");
	else if (!s->variables)
		finding_set(f, CHECK_WARNING,
			"whether the firmware will wipe memory can not be seen: its variables are "
			"not mounted");
	else if (!s->mor.exists)
		finding_set(f, CHECK_OK,
			"the firmware can not be asked to wipe memory (no "
			"MemoryOverwriteRequestControl)");
	else if (!s->mor.known)
		finding_set(f, CHECK_WARNING, "MemoryOverwriteRequestControl can not be read");
	else if (s->mor.value & MOR_CLEAR)
		overwrite_requested(s, f);
	else
		finding_set(f, CHECK_OK, "the firmware is not asked to wipe memory%s",
			s->mitigation.value ? " now; this kernel asks for it at every boot, so "
					      "leave what takes it back in place"
					    : "");
	if (f->state == CHECK_WARNING)
		finding_todo(f, s->variables ? "run this as root" : CHECK_MOUNT_EFIVARS);
}

/* --- encryption --- */

/* A guest whose memory is encrypted by a key that only it has; NULL: none. */
static const char *confidential(const struct check_system *s)
{
	if (sysfacts_has_word(s->cpu_flags, "tdx_guest") || s->log & LOG_TDX)
		return "Intel TDX";
	if (s->sev_guest || s->log & LOG_SEV || (s->sev.known && s->sev.value & SEV_ON))
		return "AMD SEV";
	return NULL;
}

static bool sme_active(const struct check_system *s)
{
	if (s->log & LOG_SME)
		return true;
	if (s->syscfg.known && !(s->syscfg.value & SYSCFG_ENCRYPTION))
		return false;
	return sysfacts_has_word(s->cpu_flags, "sme") &&
	       sysfacts_has_word(s->cmdline, "mem_encrypt=on");
}

/* Intel's. With bypass only what asks for a key of its own is encrypted, and Linux does not. */
static void look_at_tme(const struct check_system *s, struct finding *f)
{
	bool capable = sysfacts_has_word(s->cpu_flags, "tme");
	bool on = s->tme.known ? (s->tme.value & TME_ON) == TME_ON : s->log & LOG_TME_ON;

	if (on && s->tme.known && s->tme.value & TME_BYPASS) {
		finding_set(f, CHECK_OK, "Intel TME is on, but ordinary memory bypasses it");
	} else if (on) {
		finding_set(f, CHECK_STOPS,
			"Intel TME encrypts all memory with a key that changes at every reset");
		finding_todo(f,
			"switch Total Memory Encryption (TME) off in the firmware setup; panics "
			"can be captured in spite of it, with mkdumpdisk --kexec");
	} else if (capable && !s->tme.known && !(s->log & LOG_TME_OFF)) {
		finding_set(f, CHECK_WARNING,
			"the processor has Intel TME; whether it is on can not be seen");
		finding_todo(f, "run modprobe msr, then this, as root");
	}
}

void check_encryption(const struct check_facts *c, struct finding *f)
{
	const struct check_system *s = &c->system;
	const char *guest = confidential(s);

	f->name = "encryption";
	if (guest) {
		finding_set(f, CHECK_STOPS,
			"this is a confidential guest (%s): its memory can be read by nobody but "
			"the kernel that runs now",
			guest);
		finding_todo(f, "use kdump with a Linux kernel here");
	} else if (sme_active(s)) {
		finding_set(f, CHECK_STOPS,
			"AMD SME encrypts memory with a key that changes at every reset");
		finding_todo(f, "boot this kernel with mem_encrypt=off");
	} else if (!*s->cpu_flags) {
		finding_set(f, CHECK_WARNING, "the processor's flags can not be read");
		finding_todo(f, "mount /proc");
	} else {
		look_at_tme(s, f);
	}
	if (f->state == CHECK_NONE)
		finding_set(f, CHECK_OK, "memory is not encrypted%s",
			s->amd && !*s->hypervisor
				? ", as far as Linux can see; it does not see TSME, a setting of "
				  "the firmware"
				: "");
}

/* --- virtual machines --- */

void check_machine(const struct check_facts *c, struct finding *f)
{
	f->name = "machine";
	if (!*c->system.hypervisor)
		return;
	finding_set(f, CHECK_WARNING, "this is a virtual machine (%s)", c->system.hypervisor);
	finding_todo(f,
		"make sure that it keeps its memory: a reset from inside or by QEMU's "
		"system_reset does, to stop and start it or a cloud's hard reset does not; try it "
		"once, or use mkdumpdisk --kexec");
}
