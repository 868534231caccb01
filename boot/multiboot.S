/*
 * Multiboot door, assembly part: the headers of Multiboot 1 (0.6.96) and Multiboot 2 (2.0), by
 * which GRUB takes the file, and the entry that both lead to: 32-bit protected mode, paging off,
 * eax a magic number, ebx what the loader tells. Wherever the loader put the image, page tables
 * show it at the address it was linked for, so nothing in it is relocated.
 */

#define MAGIC1		0x1badb002
#define FLAGS1		0x00010006	/* tell memory, set a video mode; the addresses below count */
#define TEXT_MODE	1
#define MAGIC2		0xe85250d6
#define I386		0
#define OPTIONAL	1
#define ENDS		0
#define INFORMATION	1		/* header tags, s3.1.3 */
#define CONSOLE		4
#define FRAMEBUFFER	5
#define RELOCATABLE	10
#define EGA_TEXT	2		/* console flag: we know how to */
#define LOWEST		1
#define LOAD_FIRST	0x1000
#define LOAD_LAST	0x3fffffff	/* slot32.inc: inside one GiB */
#define LOADED_BY1	0x2badb002	/* eax */
#define LOADED_BY2	0x36d76289
#define INFO_SPARE	4		/* in both kinds of information: may be written to */

/* Offsets from image_start that a 32-bit entry can use come from slot.ld. */
	.section .head, "ax"
	.code32
	.globl	entry32
entry32:
	cli
	cld
	cmpl	$LOADED_BY1, %eax
	je	1f
	cmpl	$LOADED_BY2, %eax
	je	1f
	hlt					/* whoever started it: nothing is known, not even a stack */
	jmp	. - 1
1:	movl	INFO_SPARE(%ebx), %edx
	leal	INFO_SPARE + 4(%ebx), %esp	/* the only memory known to be free */
	call	1f
1:	popl	%ebp
	subl	$1b - entry32, %ebp		/* where the image is */
	movl	%edx, INFO_SPARE(%ebx)
	movl	%ebx, facts_pa - entry32(%ebp)
	movl	%eax, facts_magic - entry32(%ebp)
#include "boot/slot32.inc"

	.code64
entry64:
	leaq	image_start(%rip), %rbp		/* as loaded: physical */
	movq	facts_pa(%rip), %r12
	xorl	%r15d, %r15d
#define DOOR	door_multiboot
#include "boot/slot.inc"

	.section .head
	.balign	8
facts_pa:
	.quad	0
	.globl	facts_magic
facts_magic:
	.long	0

	.balign	4
	.globl	multiboot1_header
multiboot1_header:
	.long	MAGIC1, FLAGS1, -(MAGIC1 + FLAGS1)
	.long	header_pa, image_load_pa, load_end_pa, bss_end_pa, entry_pa
	.long	TEXT_MODE, 0, 0, 0

/*
 * No EFI boot services are asked for: GRUB ends them itself and tells what they knew. Modules may
 * lie anywhere.
 */
	.balign	8
multiboot2_header:
	.long	MAGIC2, I386, header2_end - multiboot2_header
	.long	0x100000000 - (MAGIC2 + I386 + (header2_end - multiboot2_header))
	.balign	8
1:	.word	INFORMATION, OPTIONAL
	.long	2f - 1b, 1, 4, 6, 8, 14, 15, 17
2:	.balign	8
1:	.word	CONSOLE, OPTIONAL
	.long	2f - 1b, EGA_TEXT
2:	.balign	8
1:	.word	FRAMEBUFFER, OPTIONAL
	.long	2f - 1b, 0, 0, 0
2:	.balign	8
1:	.word	RELOCATABLE, OPTIONAL
	.long	2f - 1b, LOAD_FIRST, LOAD_LAST, 4096, LOWEST
2:	.balign	8
1:	.word	ENDS, 0
	.long	2f - 1b
2:
header2_end:

/* The loader's information, as it was found. The arena may take the place. */
	.section .facts, "aw", @nobits
	.balign	4096
	.globl	facts
facts:	.skip	65536

	.section .note.GNU-stack, "", @progbits
