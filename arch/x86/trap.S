/*
 * One stub per processor exception (Intel SDM Vol. 3A s6.15), all on a stack of their
 * own (IST 1), which nothing returns from. Two have other stacks because they return and
 * may interrupt each other: the NMI, as somebody may press the button during a dump, and
 * the machine check.
 */
	.section .text.trap, "ax"

	.macro	stub vector
	.balign	16
	.if	\vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17 || \vector == 21 || \vector == 29 || \vector == 30
	.else
	pushq	$0			/* no error code: keep the frame alike */
	.endif
	pushq	$\vector
	jmp	trap_common
	.endm

	.globl	trap_stubs
	.balign	16
trap_stubs:
	.altmacro
	.set	vector, 0
	.rept	32
	stub	%vector
	.set	vector, vector + 1
	.endr
	.noaltmacro

	.globl	trap_ignore
trap_ignore:
	iretq

/*
 * Saves what a C function may change but SSE registers, which nothing in mce.c uses. The
 * processor aligned the stack to 16 bytes before its five words; with nine more it is again.
 */
	.globl	trap_machine_check
trap_machine_check:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	cld
	movq	72(%rsp), %rdi			/* rip */
	call	mce_survive
	testb	%al, %al
	jz	1f
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rax
	iretq
1:	leaq	trap_stack_end(%rip), %rsp	/* large enough to print */
	call	mce_fatal
	jmp	trap_halt

/* On the stack: vector, error code, rip, cs, rflags, rsp, ss. */
trap_common:
	popq	%rdi
	popq	%rsi
	movq	(%rsp), %rdx
	andq	$-16, %rsp
	call	trap_fatal
trap_halt:
	cli
	hlt
	jmp	trap_halt

	.section .bss.trapstack, "aw", @nobits
	.balign	16
	.skip	4096
	.globl	trap_stack_end, mce_stack_end, nmi_stack_end
trap_stack_end:
	.skip	1024
mce_stack_end:
	.skip	64
nmi_stack_end:
	.section .note.GNU-stack, "", @progbits
