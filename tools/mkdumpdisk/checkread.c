/*
 * Reads what the running system, or the one below the root, says of itself. What it does not
 * say, or not to this user, is left unknown; what it means is judged elsewhere.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "check.h"
#include "device.h"
#include "tools/common/tool.h"

#define EFI	   "/sys/firmware/efi"
#define EFI_GLOBAL "-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define LINES_MAX  65536

static int open_below(const struct options *o, const char *path)
{
	char full[KEXEC_PATH_BYTES];

	return open(kexec_path(o, path, full), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

static bool exists(const struct options *o, const char *path)
{
	char full[KEXEC_PATH_BYTES];

	return access(kexec_path(o, path, full), F_OK) == 0;
}

/* The first bytes of a small file; how many, 0 if it can not be read. */
static u64 read_start(const struct options *o, const char *path, void *buf, u64 bytes)
{
	int fd = open_below(o, path);
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, buf, bytes);
	close(fd);
	return n > 0 ? (u64)n : 0;
}

static FILE *open_lines(const struct options *o, const char *path)
{
	char full[KEXEC_PATH_BYTES];

	return fopen(kexec_path(o, path, full), "re");
}

/* --- the firmware --- */

static struct reading read_variable(const struct options *o, const char *name)
{
	struct reading r = {0};
	char path[256];
	u8 data[64], value;
	u64 n;

	snprintf(path, sizeof(path), CHECK_EFIVARS "%s", name);
	r.exists = exists(o, path);
	n = r.exists ? read_start(o, path, data, sizeof(data)) : 0;
	r.known = sysfacts_efi_byte(data, n, &value);
	if (r.known)
		r.value = value;
	return r;
}

struct reading check_secure_boot_read(const struct options *o)
{
	return read_variable(o, "SecureBoot" EFI_GLOBAL);
}

static u32 count_entries(const struct options *o, const char *path)
{
	char full[KEXEC_PATH_BYTES];
	DIR *dir = opendir(kexec_path(o, path, full));
	struct dirent *e;
	u32 count = 0;

	if (!dir)
		return 0;
	for (u32 i = 0; i < LINES_MAX && (e = readdir(dir)); i++)
		count += e->d_name[0] != '.';
	closedir(dir);
	return count;
}

static void read_firmware(const struct options *o, struct check_system *s)
{
	u8 table[256], flags;

	s->uefi = exists(o, EFI);
	s->variables = count_entries(o, CHECK_EFIVARS) > 0;
	s->mor = read_variable(o, CHECK_MOR);
	s->mor_lock = read_variable(
		o, "MemoryOverwriteRequestControlLock-bb983ccf-151d-40e1-a07b-4a17be168292");
	s->secure_boot = check_secure_boot_read(o);
	s->setup_mode = read_variable(o, "SetupMode" EFI_GLOBAL);
	s->dmar.exists = exists(o, "/sys/firmware/acpi/tables/DMAR");
	s->dmar.known = sysfacts_dmar_flags(table,
		read_start(o, "/sys/firmware/acpi/tables/DMAR", table, sizeof(table)), &flags);
	if (s->dmar.known)
		s->dmar.value = flags;
}

/* --- the processor --- */

static void read_cpu(const struct options *o, struct check_system *s)
{
	FILE *f = open_lines(o, "/proc/cpuinfo");
	char line[sizeof(s->cpu_flags)];

	for (u32 i = 0; f && i < LINES_MAX && fgets(line, sizeof(line), f); i++) {
		if (strncmp(line, "vendor_id", 9) == 0)
			s->amd = strstr(line, "AuthenticAMD") || strstr(line, "HygonGenuine");
		if (strncmp(line, "flags", 5) != 0)
			continue;
		memcpy(s->cpu_flags, line, sizeof(line));
		break;
	}
	if (f)
		fclose(f);
}

/* The kernel's module msr shows registers as a file with 8 bytes at each number. */
static struct reading read_msr(const struct options *o, u32 number)
{
	struct reading r = {0};
	int fd = open_below(o, "/dev/cpu/0/msr");

	r.exists = fd >= 0;
	r.known = fd >= 0 && device_read(fd, number, &r.value, sizeof(r.value));
	if (fd >= 0)
		close(fd);
	return r;
}

static u32 log_line(const char *line)
{
	static const struct {
		const char *text;
		u32 bit;
	} known[] = {{"x86/tme: enabled by BIOS", LOG_TME_ON},
		{"x86/tme: not enabled by BIOS", LOG_TME_OFF},
		{"AMD Secure Memory Encryption (SME) active", LOG_SME},
		{"AMD Secure Encrypted Virtualization (SEV) active", LOG_SEV},
		{"AMD Memory Encryption Features active: SEV", LOG_SEV},
		{"AMD Memory Encryption Features active: SME", LOG_SME},
		{"Memory Encryption Features active: AMD SEV", LOG_SEV},
		{"Memory Encryption Features active: AMD SME", LOG_SME},
		{"Memory Encryption Features active: Intel TDX", LOG_TDX}};
	u32 found = 0;

	for (u32 i = 0; i < ARRAY_SIZE(known); i++)
		found |= strstr(line, known[i].text) ? known[i].bit : 0;
	return found;
}

/* Every read gives one record, until there is none left; EPIPE: some were lost. */
static void read_log(const struct options *o, struct check_system *s)
{
	int fd = open_below(o, "/dev/kmsg");
	char record[8193];

	if (fd < 0)
		return;
	for (u32 i = 0; i < 1u << 20; i++) {
		ssize_t n = read(fd, record, sizeof(record) - 1);

		if (n < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (n <= 0)
			break;
		record[n] = '\0';
		s->log |= log_line(record);
	}
	close(fd);
}

/* --- a virtual machine? --- */

static void read_hypervisor(const struct options *o, struct check_system *s)
{
	char vendor[48], product[48];

	kexec_read_line(o, "/sys/class/dmi/id/sys_vendor", vendor, sizeof(vendor));
	kexec_read_line(o, "/sys/class/dmi/id/product_name", product, sizeof(product));
	if (kexec_read_line(o, "/sys/hypervisor/type", s->hypervisor, sizeof(s->hypervisor)))
		return;
	if (!sysfacts_has_word(s->cpu_flags, "hypervisor"))
		return;
	snprintf(s->hypervisor, sizeof(s->hypervisor), "%s%s%s", vendor,
		*vendor && *product ? ", " : "", product);
	if (!*s->hypervisor)
		snprintf(s->hypervisor, sizeof(s->hypervisor), "of an unknown kind");
}

/* --- the kernel --- */

static void read_config(const struct options *o, struct check_system *s)
{
	static const char option[] = "CONFIG_RESET_ATTACK_MITIGATION";
	char line[256];
	FILE *f;

	snprintf(line, sizeof(line), "/boot/config-%s", s->release);
	f = open_lines(o, line);
	s->mitigation.known = f != NULL;
	for (u32 i = 0; f && i < LINES_MAX && fgets(line, sizeof(line), f); i++) {
		if (strncmp(line, option, sizeof(option) - 1) == 0)
			s->mitigation.value = strcmp(line + sizeof(option) - 1, "=y\n") == 0;
	}
	if (f)
		fclose(f);
}

static void read_kernel(const struct options *o, struct check_system *s)
{
	char line[64];

	kexec_read_line(o, "/proc/cmdline", s->cmdline, sizeof(s->cmdline));
	kexec_read_line(o, "/proc/sys/kernel/osrelease", s->release, sizeof(s->release));
	s->kernel_known = exists(o, "/sys/kernel");
	s->vmcoreinfo = kexec_read_line(o, "/sys/kernel/vmcoreinfo", line, sizeof(line));
	read_config(o, s);
}

/* --- memory --- */

/* "Kernel code", "rodata", "data", "bss": one piece with gaps, in ascending order. */
static void add_kernel(struct sys_range *kernel, const struct sys_range *r)
{
	if (kernel->bytes == 0)
		*kernel = *r;
	else if (r->start > kernel->start)
		kernel->bytes = r->start + r->bytes - kernel->start;
}

static void read_iomem(const struct options *o, struct check_system *s)
{
	FILE *f = open_lines(o, "/proc/iomem");
	char line[256];

	for (u32 i = 0; f && i < LINES_MAX && fgets(line, sizeof(line), f); i++) {
		struct sys_range r;
		const char *name;
		u32 depth;

		if (!sysfacts_iomem_line(line, &r, &name, &depth))
			continue;
		if (strncmp(name, "Kernel ", 7) == 0)
			add_kernel(&s->kernel, &r);
		if (depth > 0 || strcmp(name, "System RAM\n") != 0)
			continue;
		s->ram_bytes += r.bytes;
		if (s->ram_count < CHECK_RANGES_MAX)
			s->ram[s->ram_count++] = r;
	}
	if (f)
		fclose(f);
}

static void read_memory(const struct options *o, struct check_system *s)
{
	FILE *f = open_lines(o, "/proc/meminfo");
	u64 total = 0;
	char line[256];

	for (u32 i = 0; f && i < LINES_MAX && fgets(line, sizeof(line), f); i++) {
		u64 bytes;

		if (sysfacts_meminfo_line(line, "MemTotal", &bytes))
			total = bytes;
		else if (sysfacts_meminfo_line(line, "MemFree", &bytes))
			s->free_bytes = bytes;
		else if (sysfacts_meminfo_line(line, "Cached", &bytes) ||
			 sysfacts_meminfo_line(line, "Buffers", &bytes))
			s->cache_bytes += bytes;
		else if (sysfacts_meminfo_line(line, "AnonPages", &bytes))
			s->user_bytes = bytes;
	}
	if (f)
		fclose(f);
	if (s->ram_count == 0)
		s->ram_bytes = total;
}

void check_system_read(const struct options *o, struct check_system *s)
{
	memset(s, 0, sizeof(*s));
	read_firmware(o, s);
	read_cpu(o, s);
	s->tme = read_msr(o, MSR_TME_ACTIVATE);
	s->syscfg = s->amd ? read_msr(o, MSR_SYSCFG) : (struct reading) {0};
	s->sev = s->amd ? read_msr(o, MSR_SEV_STATUS) : (struct reading) {0};
	s->sev_guest = exists(o, "/sys/devices/virtual/misc/sev-guest");
	read_log(o, s);
	read_hypervisor(o, s);
	s->iommus = count_entries(o, "/sys/class/iommu");
	read_kernel(o, s);
	read_iomem(o, s);
	read_memory(o, s);
}
