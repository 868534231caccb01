/*
 * Linux door, assembly part: the header of the Linux x86 boot protocol, by which kexec and
 * GRUB take the file for a kernel, and its two entries. Wherever the loader put the image,
 * page tables show it at the address it was linked for, so nothing in it is relocated.
 *
 *	file	0	zero page's template: the header at 0x1f1
 *		1024	image_start, loaded to any multiple of 1 MiB:
 *			+0	32-bit entry, no paging (GRUB)
 *			+0x200	64-bit entry, somebody's page tables (kexec)
 *
 * Both have the address of the zero page in rsi. 4 and 5 levels of page tables.
 */

#define PTE_PRESENT_WRITE	3
#define PTE_LARGE_PW		0x83
#define PTE_ADDRESS		0x000ffffffffff000
#define PTE_UNCACHED_PW		0x1b
#define CR0_PG_PE		(1 << 31 | 1)
#define CR0_KEEP		~(1 << 2 | 1 << 3 | 1 << 29 | 1 << 30)	/* EM, TS off, caches on */
#define CR0_SET			(1 << 31 | 1 << 16 | 1 << 1)	/* PG, WP, MP */
#define CR4_LA57_BIT		12
#define CR4_SET			(1 << 5 | 1 << 9 | 1 << 10)	/* PAE; OSFXSR, OSXMMEXCPT: zlib uses SSE2 */
#define MSR_EFER		0xc0000080
#define MSR_FS_BASE		0xc0000100
#define ZERO_PAGE_SCRATCH	0x1e4
#define SLOT			255		/* of the top-level table: what linux.ld links for */

	.section .setup, "a"
setup:
	.org	setup + 0x1f1
	.byte	1			/* setup_sects: the image follows after one more sector */
	.word	0			/* root_flags */
	.long	image_file_paragraphs	/* syssize, 16 bytes each */
	.word	0, 0xffff, 0		/* ram_size, vid_mode, root_dev */
	.word	0xaa55
	.byte	0xeb, header_end - (setup + 0x202)	/* a jump, of which the length counts */
	.ascii	"HdrS"
	.word	0x020f			/* protocol version */
	.long	0			/* realmode_swtch */
	.word	0			/* start_sys_seg */
	.word	kernel_version - (setup + 0x200)
	.byte	0			/* type_of_loader */
	.byte	1			/* loadflags: loaded high */
	.word	0			/* setup_move_size */
	.long	0x100000		/* code32_start */
	.long	0, 0			/* ramdisk_image, ramdisk_size */
	.long	0			/* bootsect_kludge */
	.word	0			/* heap_end_ptr */
	.byte	0, 0			/* ext_loader_ver, ext_loader_type */
	.long	0			/* cmd_line_ptr */
	.long	0x7fffffff		/* initrd_addr_max */
	.long	0x100000		/* kernel_alignment */
	.byte	1			/* relocatable_kernel */
	.byte	20			/* min_alignment, a power of two */
	.word	0x23			/* xloadflags: 64-bit entry, above 4 GiB, with 5 levels */
	.long	2047			/* cmdline_size */
	.long	0			/* hardware_subarch */
	.quad	0			/* hardware_subarch_data */
	.long	0, 0			/* payload_offset, payload_length */
	.quad	0			/* setup_data */
	.quad	0x100000		/* pref_address */
	.long	image_memory_bytes	/* init_size */
	.long	0			/* handover_offset */
	.long	0			/* kernel_info_offset */
header_end:
kernel_version:
	.asciz	"afterimage"
	.org	setup + 0x400

/*
 * Offsets from image_start that a 32-bit entry can use come from linux.ld. The tables that
 * only the entries use lie where the arena will be.
 */
	.section .head, "ax"
	.code32
entry32:
	cli
	cld
	leal	ZERO_PAGE_SCRATCH + 4(%esi), %esp	/* the only memory known to be free */
	call	1f
1:	popl	%ebp
	subl	$1b - entry32, %ebp			/* where the image is */

	leal	entry_pml4_offset(%ebp), %edi
	movl	$3 * 4096 / 4, %ecx
	xorl	%eax, %eax
	rep stosl
	leal	entry_pml4_offset(%ebp), %edi		/* one to one: the large page the image is in */
	leal	0x1000(%edi), %ebx
	leal	0x2000(%edi), %edx
	leal	PTE_PRESENT_WRITE(%ebx), %eax
	movl	%eax, (%edi)
	leal	PTE_PRESENT_WRITE(%edx), %eax
	movl	%ebp, %ecx
	shrl	$30, %ecx
	movl	%eax, (%ebx,%ecx,8)
	movl	%ebp, %ecx
	shrl	$21, %ecx
	andl	$511, %ecx
	movl	%ebp, %eax
	andl	$0xffe00000, %eax
	orl	$PTE_LARGE_PW, %eax
	movl	%eax, (%edx,%ecx,8)

	movl	$CR4_SET, %eax
	movl	%eax, %cr4
	movl	%edi, %cr3
	movl	$MSR_EFER, %ecx				/* LME */
	rdmsr
	orl	$0x100, %eax
	wrmsr
	leal	gdt32 - entry32(%ebp), %eax
	movl	%eax, gdt32_pointer + 2 - entry32(%ebp)
	lgdt	gdt32_pointer - entry32(%ebp)
	leal	entry64 - entry32(%ebp), %eax
	movl	%eax, entry64_pointer - entry32(%ebp)
	movl	%cr0, %eax
	orl	$CR0_PG_PE, %eax
	movl	%eax, %cr0
	ljmp	*entry64_pointer - entry32(%ebp)

	.balign	8
gdt32:
	.quad	0
	.quad	0x00af9b000000ffff			/* 0x08 64-bit code */
gdt32_pointer:
	.word	. - gdt32 - 1
	.long	0
entry64_pointer:
	.long	0
	.word	0x08

	.org	entry32 + 0x200
	.code64
entry64:
	cli
	cld
	leaq	image_start(%rip), %rbp			/* as loaded: physical */
	movq	%rsi, %r12				/* zero page */

	leaq	__bss_start(%rip), %rdi
	leaq	image_end(%rip), %rcx
	subq	%rdi, %rcx
	shrq	$3, %rcx
	xorl	%eax, %eax
	rep stosq

/* A copy of the table in use, which shows us where we are; with 5 levels of its first entry's. */
	movabsq	$PTE_ADDRESS, %r8
	movq	%cr4, %r9
	movq	%cr3, %rsi
	andq	%r8, %rsi
	btq	$CR4_LA57_BIT, %r9
	jnc	1f
	movq	(%rsi), %rsi
	andq	%r8, %rsi
1:	leaq	entry_top(%rip), %rdi
	movl	$512, %ecx
	rep movsq

/* Our tables, and their entry in the copy. */
	leaq	page_image(%rip), %rdi
	leaq	PTE_PRESENT_WRITE(%rbp), %rax
	movl	$image_pages, %ecx
1:	movq	%rax, (%rdi)
	addq	$0x1000, %rax
	addq	$8, %rdi
	loop	1b
	leaq	page_low + 8 * 0xa0(%rip), %rdi		/* VGA memory: uncached */
	movl	$0xa0000 + PTE_UNCACHED_PW, %eax
	movl	$0x20, %ecx
1:	movq	%rax, (%rdi)
	addq	$0x1000, %rax
	addq	$8, %rdi
	loop	1b
	leaq	page_low + PTE_PRESENT_WRITE(%rip), %rax
	movq	%rax, page_pd(%rip)
	leaq	page_image + PTE_PRESENT_WRITE(%rip), %rax
	movq	%rax, page_pd + 8(%rip)
	leaq	page_pd + PTE_PRESENT_WRITE(%rip), %rax
	movq	%rax, page_pdpt(%rip)
	leaq	page_pdpt + PTE_PRESENT_WRITE(%rip), %rax
	movq	%rax, page_pml4 + 8 * SLOT(%rip)
	movq	%rax, entry_top + 8 * SLOT(%rip)
	leaq	page_pml4 + PTE_PRESENT_WRITE(%rip), %rax
	movq	%rax, page_pml5(%rip)
	leaq	entry_top + PTE_PRESENT_WRITE(%rip), %rax
	movq	%rax, entry_top5(%rip)

/* To the copy, from there to where the image was linked for, and away from the loader's tables. */
	leaq	entry_top(%rip), %rax
	leaq	page_pml4(%rip), %rbx
	btq	$CR4_LA57_BIT, %r9
	jnc	1f
	leaq	entry_top5(%rip), %rax
	leaq	page_pml5(%rip), %rbx
1:	movq	%rax, %cr3
	movabsq	$1f, %rax
	jmp	*%rax
1:	movq	%rbx, %cr3

	andl	$1 << CR4_LA57_BIT, %r9d		/* all else off: no global pages, no CET */
	orl	$CR4_SET, %r9d
	movq	%r9, %cr4
	movq	%cr0, %rax
	andl	$CR0_KEEP, %eax
	orl	$CR0_SET, %eax
	movq	%rax, %cr0
	leaq	stack_end(%rip), %rsp
	leaq	image_start(%rip), %rax
	subq	%rax, %rbp
	movq	%rbp, image_offset(%rip)
	movl	$MSR_FS_BASE, %ecx			/* zlib's stack protector reads %fs:0x28 */
	leaq	stack_guard(%rip), %rax
	movq	%rax, %rdx
	shrq	$32, %rdx
	wrmsr
	movq	%r12, %rdi
	xorl	%ebp, %ebp
	call	door_linux
1:	hlt
	jmp	1b

	.section .bss.pagelinux, "aw", @nobits
	.balign	4096
	.globl	page_image
page_image:	.skip	4096		/* the image's own memory */
page_pml5:	.skip	4096

	.section .note.GNU-stack, "", @progbits
