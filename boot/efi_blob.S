/* The image that the UEFI application carries, as objcopy made it. */
	.section .rodata.blob, "a"
	.balign	4096
	.globl	efi_blob
efi_blob:
	.incbin	EFI_BLOB

	.section .note.GNU-stack, "", @progbits
