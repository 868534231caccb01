/*
 * The page tables that every front door's first instructions fill in, and the stack. All
 * of it is in .bss: the doors clear it before they use it. paging.c goes on from there.
 */
	.section .bss.page, "aw", @nobits
	.balign	4096
	.globl	page_pml4, page_pdpt, page_pd, page_low, stack_hole
page_pml4:	.skip	4096
page_pdpt:	.skip	4096
page_pd:	.skip	4096
page_low:	.skip	4096
stack_hole:	.skip	4096		/* unmapped by paging_protect() */
		.skip	8192
	.globl	stack_end, stack_guard
stack_end:
stack_guard:	.skip	64

	.section .note.GNU-stack, "", @progbits
