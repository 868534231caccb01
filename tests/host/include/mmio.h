/*
 * Device registers for the hosted build: every access is a call into whichever
 * model the test installed.
 */
#ifndef AFTERIMAGE_MMIO_H
#define AFTERIMAGE_MMIO_H

#include "types.h"

struct mmio {
	void *model;
	u32 (*read32)(void *model, u32 offset);
	void (*write32)(void *model, u32 offset, u32 value);
	u32 (*read)(void *model, u32 offset, u32 bytes); /* NULL: it has no such registers */
	void (*write)(void *model, u32 offset, u32 bytes, u32 value);
};

static inline u32 mmio_read32(const struct mmio *m, u32 offset)
{
	return m->read32(m->model, offset);
}

static inline void mmio_write32(const struct mmio *m, u32 offset, u32 value)
{
	m->write32(m->model, offset, value);
}

static inline u32 mmio_read(const struct mmio *m, u32 offset, u32 bytes)
{
	return m->read(m->model, offset, bytes);
}

static inline void mmio_write(const struct mmio *m, u32 offset, u32 bytes, u32 value)
{
	m->write(m->model, offset, bytes, value);
}

static inline void mmio_barrier(void)
{
	__asm__ volatile("" : : : "memory");
}

#endif
