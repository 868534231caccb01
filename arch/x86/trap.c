/*
 * Processor exceptions: none is expected, so every one ends the capture in words, but for
 * the NMI, which is ignored, and the machine check, on which mce.c decides. Brings its own
 * descriptor tables, so that no front door's are relied on.
 */
#include "main.h"
#include "metal.h"
#include "str.h"
#include "x86.h"

#define VECTORS	       32
#define VECTOR_NMI     2
#define VECTOR_MCE     18
#define STUB_BYTES     16
#define GATE_INTERRUPT 0x8e00u /* present, 64-bit interrupt gate */
#define SELECTOR_CODE  0x08
#define SELECTOR_DATA  0x10
#define SELECTOR_TSS   0x18
#define SEGMENT_CODE64 0x00af9b000000ffffull
#define SEGMENT_DATA   0x00cf93000000ffffull
#define SEGMENT_TSS    0x0000890000000000ull

struct idt_entry {
	u16 offset_lo;
	u16 selector;
	u16 flags;
	u16 offset_mid;
	u32 offset_hi;
	u32 zero;
};
ASSERT_SIZE(struct idt_entry, 16);

/* Those that return have stacks of their own: any other may come while one of them is used. */
enum trap_stack {
	STACK_FATAL = 1,
	STACK_MCE = 2,
	STACK_NMI = 3
};

/* Intel SDM Vol. 3A s8.7. */
struct __attribute__((packed)) tss {
	u32 zero0[9];
	u64 ist[7]; /* stack n at n - 1 */
	u32 zero1[2];
	u16 zero2;
	u16 iomap;
};
ASSERT_SIZE(struct tss, 104);
ASSERT_AT(struct tss, ist, 36);

struct __attribute__((packed)) table_pointer {
	u16 limit;
	u64 base;
};

extern char trap_stubs[], trap_ignore[], trap_machine_check[];
extern char trap_stack_end[], mce_stack_end[], nmi_stack_end[];
void trap_fatal(u64 vector, u64 error, u64 rip);

static struct idt_entry idt[VECTORS];
static struct tss tss;
static u64 gdt[5];

static void gdt_load(void)
{
	struct table_pointer pointer = {sizeof(gdt) - 1, (u64)gdt};
	u64 base = (u64)&tss;

	tss.ist[STACK_FATAL - 1] = (u64)trap_stack_end;
	tss.ist[STACK_MCE - 1] = (u64)mce_stack_end;
	tss.ist[STACK_NMI - 1] = (u64)nmi_stack_end;
	tss.iomap = sizeof(tss);
	gdt[1] = SEGMENT_CODE64;
	gdt[2] = SEGMENT_DATA;
	gdt[3] = SEGMENT_TSS | (sizeof(tss) - 1) | (base & 0xffffff) << 16 |
		 (base >> 24 & 0xff) << 56;
	gdt[4] = base >> 32;
	__asm__ volatile("lgdt %0\n\t"
			 "movl %2, %%ds; movl %2, %%es; movl %2, %%ss\n\t"
			 "pushq %1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\tltr %w3"
			 :
			 : "m"(pointer), "i"(SELECTOR_CODE), "r"(SELECTOR_DATA), "r"(SELECTOR_TSS)
			 : "rax", "memory");
}

static void idt_set(u32 vector, u64 handler, enum trap_stack stack)
{
	idt[vector] = (struct idt_entry) {
		.offset_lo = (u16)handler,
		.selector = SELECTOR_CODE,
		.flags = (u16)(GATE_INTERRUPT | stack),
		.offset_mid = (u16)(handler >> 16),
		.offset_hi = (u32)(handler >> 32),
	};
}

void trap_init(void)
{
	struct table_pointer pointer = {sizeof(idt) - 1, (u64)idt};

	gdt_load();
	for (u32 i = 0; i < VECTORS; i++)
		idt_set(i, (u64)trap_stubs + i * STUB_BYTES, STACK_FATAL);
	idt_set(VECTOR_NMI, (u64)trap_ignore, STACK_NMI);
	idt_set(VECTOR_MCE, (u64)trap_machine_check, STACK_MCE);
	__asm__ volatile("lidt %0" : : "m"(pointer));
}

/* Called by the stubs. */
void trap_fatal(u64 vector, u64 error, u64 rip)
{
	char detail[80];

	str_format(detail, sizeof(detail), "exception %u error %lx at %lx address %lx", (u32)vector,
		error, rip, read_cr2());
	dump_panic(E_TRAP, detail);
}
