/*
 * Device registers as a handle and offsets. The hosted build has the same
 * functions over a modelled device in tests/host/include/mmio.h.
 */
#ifndef AFTERIMAGE_MMIO_H
#define AFTERIMAGE_MMIO_H

#include "types.h"

struct mmio {
	u64 va;
	u64 bytes;
};

static inline u32 mmio_read32(const struct mmio *m, u32 offset)
{
	u32 v;
	__asm__ volatile("movl (%1), %0" : "=r"(v) : "r"(m->va + offset) : "memory");
	return v;
}

static inline void mmio_write32(const struct mmio *m, u32 offset, u32 value)
{
	__asm__ volatile("movl %0, (%1)" : : "r"(value), "r"(m->va + offset) : "memory");
}

/* A register of @bytes 1, 2 or 4, with one access of that width. */
static inline u32 mmio_read(const struct mmio *m, u32 offset, u32 bytes)
{
	u16 word;
	u8 byte;

	switch (bytes) {
	case 1:
		__asm__ volatile("movb (%1), %0" : "=q"(byte) : "r"(m->va + offset) : "memory");
		return byte;
	case 2:
		__asm__ volatile("movw (%1), %0" : "=r"(word) : "r"(m->va + offset) : "memory");
		return word;
	default:
		return mmio_read32(m, offset);
	}
}

static inline void mmio_write(const struct mmio *m, u32 offset, u32 bytes, u32 value)
{
	u64 va = m->va + offset;

	switch (bytes) {
	case 1:
		__asm__ volatile("movb %0, (%1)" : : "q"((u8)value), "r"(va) : "memory");
		break;
	case 2:
		__asm__ volatile("movw %0, (%1)" : : "r"((u16)value), "r"(va) : "memory");
		break;
	default:
		mmio_write32(m, offset, value);
		break;
	}
}

/* Orders earlier stores to memory before a doorbell; x86 needs only the compiler told. */
static inline void mmio_barrier(void)
{
	__asm__ volatile("" : : : "memory");
}

#endif
