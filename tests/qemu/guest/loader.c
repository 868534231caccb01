/*
 * A program of the victim that loads the image for a panic as kexec does, by the system call
 * itself and without a purgatory: nothing checks what was loaded, so a test may damage any of
 * it in the stopped machine's memory. Says on the console where everything lies. Arguments:
 * the image, then words for its command line.
 */
#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB	    0x100000ul
#define PAGE	    4096ul
#define ON_CRASH    1ul
#define ARCH_X86_64 (62ul << 16)
#define LOW_END	    0x9f000ul
#define RANGES	    32
#define SEGMENTS    5

/* Of the image's file: Linux boot protocol. */
#define SETUP_SECTS 0x1f1
#define HEADER	    0x1f1
#define HEADER_END  0x290
#define INIT_SIZE   0x260
#define ENTRY	    0x200

/* Of the zero page. */
#define E820_COUNT  0x1e8
#define LOADER_TYPE 0x210
#define CMDLINE_PTR 0x228
#define E820_TABLE  0x2d0

/* In the reserved memory, after the image: as kexec has it, elfcorehdr is the last. */
#define STUB_AT	   (1 * MIB)
#define ZERO_AT	   (STUB_AT + PAGE)
#define CMDLINE_AT (ZERO_AT + PAGE)
#define CORE_AT	   (2 * MIB)
#define CORE_PAGES 4

struct range {
	uint64_t pa;
	uint64_t end;
	uint32_t type; /* e820's: 1 RAM, 2 reserved */
};

struct __attribute__((packed)) e820 {
	uint64_t pa;
	uint64_t bytes;
	uint32_t type;
};

struct segment {
	const void *buf;
	size_t bytes;
	uint64_t pa;
	size_t memory_bytes;
};

static struct range ranges[RANGES];
static unsigned range_count;
static struct range reserved; /* the memory for a capture */
static uint8_t image[MIB], zero_page[PAGE], core[CORE_PAGES * PAGE];
static char cmdline[PAGE];
static uint8_t stub[] = {
	0x48, 0xbe, 0, 0, 0, 0, 0, 0, 0, 0, /* movabs $zero page, %rsi */
	0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, /* movabs $entry, %rax */
	0xff, 0xe0			    /* jmp *%rax */
};

static void fail(const char *what)
{
	printf("afterimage-test: loader: %s\n", what);
	exit(1);
}

/* /proc/iomem: what is not indented, and the crash kernel's place. */
static void ranges_read(void)
{
	FILE *f = fopen("/proc/iomem", "r");
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		char *name = strstr(line, " : ");
		char *dash;
		struct range r;

		if (!name || range_count == RANGES)
			continue;
		r.pa = strtoul(line, &dash, 16);
		r.end = strtoul(dash + 1, NULL, 16) + 1;
		r.type = strstr(name, "System RAM") ? 1 : 2;
		if (strstr(name, "Crash kernel"))
			reserved = r;
		else if (line[0] != ' ' && (r.type == 1 || strstr(name, "Reserved")))
			ranges[range_count++] = r;
	}
	if (!reserved.end)
		fail("no memory reserved");
	fclose(f);
}

static size_t image_read(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t bytes = fd < 0 ? -1 : read(fd, image, sizeof(image));

	if (bytes < 1024)
		fail("no image");
	close(fd);
	return (size_t)bytes;
}

static uint64_t number_of(const char *path)
{
	FILE *f = fopen(path, "r");
	char text[64] = "";

	if (!f || !fgets(text, sizeof(text), f))
		fail(path);
	fclose(f);
	return strtoul(text, NULL, 16);
}

static Elf64_Phdr *header_add(unsigned type, uint64_t pa, uint64_t bytes)
{
	Elf64_Ehdr *e = (Elf64_Ehdr *)core;
	Elf64_Phdr *p = (Elf64_Phdr *)(core + sizeof(*e)) + e->e_phnum++;

	p->p_type = type;
	p->p_flags = PF_R | PF_W | PF_X;
	p->p_offset = p->p_paddr = pa;
	p->p_filesz = p->p_memsz = bytes;
	return p;
}

/* Each processor's note, vmcoreinfo, then RAM without the reserved memory. */
static void core_fill(void)
{
	Elf64_Ehdr *e = (Elf64_Ehdr *)core;
	long cpus = sysconf(_SC_NPROCESSORS_CONF);

	memcpy(e->e_ident, ELFMAG, SELFMAG);
	e->e_ident[EI_CLASS] = ELFCLASS64;
	e->e_ident[EI_DATA] = ELFDATA2LSB;
	e->e_ident[EI_VERSION] = EV_CURRENT;
	e->e_type = ET_CORE;
	e->e_machine = EM_X86_64;
	e->e_version = EV_CURRENT;
	e->e_phoff = e->e_ehsize = sizeof(*e);
	e->e_phentsize = sizeof(Elf64_Phdr);
	for (long i = 0; i < cpus; i++) {
		char path[80];

		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%ld/crash_notes", i);
		header_add(PT_NOTE, number_of(path), PAGE / 8);
	}
	header_add(PT_NOTE, number_of("/sys/kernel/vmcoreinfo"), PAGE);
	for (unsigned i = 0; i < range_count; i++) {
		struct range *r = &ranges[i];

		if (r->type != 1)
			continue;
		if (reserved.pa < r->pa || reserved.end > r->end) {
			header_add(PT_LOAD, r->pa, r->end - r->pa);
			continue;
		}
		header_add(PT_LOAD, r->pa, reserved.pa - r->pa);
		header_add(PT_LOAD, reserved.end, r->end - reserved.end);
	}
}

static void e820_add(uint64_t pa, uint64_t end, uint32_t type)
{
	struct e820 entry = {pa, end - pa, type};

	memcpy(zero_page + E820_TABLE + zero_page[E820_COUNT]++ * sizeof(entry), &entry,
		sizeof(entry));
}

/* What the capture may use: low memory and its own up to elfcorehdr; and what is no RAM. */
static void zero_page_fill(void)
{
	uint32_t cmdline_pa = (uint32_t)(reserved.pa + CMDLINE_AT);

	memcpy(zero_page + HEADER, image + HEADER, HEADER_END - HEADER);
	zero_page[LOADER_TYPE] = 0xd0; /* kexec */
	memcpy(zero_page + CMDLINE_PTR, &cmdline_pa, sizeof(cmdline_pa));
	e820_add(0, LOW_END, 1);
	e820_add(reserved.pa, reserved.pa + CORE_AT, 1);
	for (unsigned i = 0; i < range_count; i++) {
		if (ranges[i].type == 2)
			e820_add(ranges[i].pa, ranges[i].end, 2);
	}
}

static void load(size_t image_bytes)
{
	size_t skip = (image[SETUP_SECTS] + 1ul) * 512;
	uint64_t base = reserved.pa;
	uint32_t memory;

	memcpy(&memory, image + INIT_SIZE, sizeof(memory));
	struct segment s[SEGMENTS] = {
		{image + skip, image_bytes - skip, base, memory},
		{stub, sizeof(stub), base + STUB_AT, PAGE},
		{zero_page, PAGE, base + ZERO_AT, PAGE},
		{cmdline, PAGE, base + CMDLINE_AT, PAGE},
		{core, sizeof(core), base + CORE_AT, sizeof(core)},
	};
	if (syscall(SYS_kexec_load, base + STUB_AT, SEGMENTS, s, ON_CRASH | ARCH_X86_64))
		fail("kexec_load refused");
	printf("afterimage-test: loaded reserved=%#lx,%#lx image=%#lx zero_page=%#lx "
	       "cmdline=%#lx core=%#lx\n",
		reserved.pa, reserved.end, base, base + ZERO_AT, base + CMDLINE_AT, base + CORE_AT);
}

int main(int argc, char **argv)
{
	size_t image_bytes;

	if (argc < 2)
		fail("no image named");
	image_bytes = image_read(argv[1]);
	ranges_read();
	core_fill();
	zero_page_fill();
	snprintf(cmdline, sizeof(cmdline), "elfcorehdr=%#lx", reserved.pa + CORE_AT);
	for (int i = 2; i < argc; i++) {
		strncat(cmdline, " ", sizeof(cmdline) - strlen(cmdline) - 1);
		strncat(cmdline, argv[i], sizeof(cmdline) - strlen(cmdline) - 1);
	}
	memcpy(stub + 2, &(uint64_t) {reserved.pa + ZERO_AT}, 8);
	memcpy(stub + 12, &(uint64_t) {reserved.pa + ENTRY}, 8);
	load(image_bytes);
	return 0;
}
