/*
 * UEFI door, assembly part: the first bytes of the image that the UEFI application carries
 * (struct efiboot_image), and its entry. The application has put the image into memory that
 * firmware used, and its page tables show it where it was linked for, beside everything that
 * firmware's show.
 */
	.section .head, "ax"
head:	.long	0x49464541		/* EFIBOOT_MAGIC */
	.long	entry - head
	.long	image_file_bytes
	.long	image_const_bytes
	.long	image_memory_bytes
	.long	0
	.quad	image_start

	.code64
entry:
	cli
	cld
	movq	%rdi, %r12		/* struct efiboot, physical */
	movq	%rsi, %rbp		/* image_start, physical */
	leaq	image_start(%rip), %rax
	movq	%rsi, %r15
	subq	%rax, %r15
#define DOOR	door_efi
#include "boot/slot.inc"

	.section .note.GNU-stack, "", @progbits
