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

/* Orders earlier stores to memory before a doorbell; x86 needs only the compiler told. */
static inline void mmio_barrier(void)
{
	__asm__ volatile("" : : : "memory");
}

#endif
