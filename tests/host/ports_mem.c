/*
 * Hosted ports for memory, time, console and reset. A window that breaks the port's
 * contract aborts the test: on the machine it would read device memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "physmem.h"
#include "ports.h"
#include "ports_mem.h"

#define CONSOLE_BYTES (64 * KIB)

struct piece {
	u64 pa;
	u64 bytes;
	u8 *base;
};

static struct {
	struct piece piece[HOST_RAM_PIECES];
	u32 pieces;
	u64 firmware_pa;
	u64 firmware_bytes;
	const u8 *firmware;
	struct host_io io;
	bool private_windows;
	u8 *copy[PHYS_WINDOW_SLOTS];
	u64 copy_pa[PHYS_WINDOW_SLOTS];
	u64 copy_bytes[PHYS_WINDOW_SLOTS];
	u64 unreadable[HOST_UNREADABLE];
	u32 unreadables;
	u64 windows;
	u64 overwritten;
	u64 flushes;
	u32 bar;
	const char *keys;
	u64 now_us, step_us;
	bool echo;
	u32 console_used;
	int reset_action;
	char console[CONSOLE_BYTES + 1];
} host = {.reset_action = -1, .step_us = 1};

static void drop_copies(void)
{
	for (u32 i = 0; i < PHYS_WINDOW_SLOTS; i++) {
		free(host.copy[i]);
		host.copy[i] = NULL;
	}
}

void host_reset_all(void)
{
	drop_copies();
	host.pieces = 0;
	host.firmware = NULL;
	memset(&host.io, 0, sizeof(host.io));
	host.unreadables = 0;
	host.private_windows = false;
	host.windows = 0;
	host.now_us = 0;
	host.step_us = 1;
	host.echo = false;
	host.reset_action = -1;
	host_console_clear();
}

static void fail(const char *what, u64 pa, u64 bytes)
{
	fprintf(stderr, "hosted port: %s: 0x%llx + 0x%llx\n", what, (unsigned long long)pa,
		(unsigned long long)bytes);
	abort();
}

void host_ram_set(u8 *base, u64 bytes)
{
	drop_copies();
	host.pieces = 0;
	host_ram_add(0, base, bytes);
}

void host_ram_add(u64 pa, u8 *base, u64 bytes)
{
	if (host.pieces == HOST_RAM_PIECES || (pa | bytes) & (PAGE_BYTES - 1))
		fail("bad piece of memory", pa, bytes);
	host.piece[host.pieces++] = (struct piece) {pa, bytes, base};
}

u8 *host_ram_at(u64 pa, u64 bytes)
{
	for (u32 i = 0; i < host.pieces; i++) {
		const struct piece *p = &host.piece[i];

		if (pa >= p->pa && range_fits(pa - p->pa, bytes, p->bytes))
			return p->base + (pa - p->pa);
	}
	return NULL;
}

void host_firmware_set(u64 pa, const u8 *base, u64 bytes)
{
	host.firmware_pa = pa;
	host.firmware = base;
	host.firmware_bytes = bytes;
}

bool firmware_read(u64 pa, void *buf, u32 bytes)
{
	if (!host.firmware || pa < host.firmware_pa ||
		!range_fits(pa - host.firmware_pa, bytes, host.firmware_bytes))
		return false;
	memcpy(buf, host.firmware + (pa - host.firmware_pa), bytes);
	return true;
}

void host_io_set(const struct host_io *io)
{
	host.io = *io;
}

u32 io_read(u16 port, u32 bytes)
{
	return host.io.read ? host.io.read(host.io.ctx, port, bytes) : UINT32_MAX;
}

void io_write(u16 port, u32 bytes, u32 value)
{
	if (host.io.write)
		host.io.write(host.io.ctx, port, bytes, value);
}

void host_windows_private(bool on)
{
	drop_copies();
	host.private_windows = on;
}

u64 host_windows_opened(void)
{
	return host.windows;
}

/* As on the machine: the copy behind window @slot shows zeros for the page at @page_pa. */
static void copy_hide(u32 slot, u64 page_pa)
{
	if (!host.copy[slot] || page_pa < host.copy_pa[slot])
		return;
	if (range_fits(page_pa - host.copy_pa[slot], PAGE_BYTES, host.copy_bytes[slot]))
		memset(host.copy[slot] + (page_pa - host.copy_pa[slot]), 0, PAGE_BYTES);
}

static const void *private_window(u32 slot, u64 pa, const u8 *from, u64 bytes)
{
	host.copy[slot] = malloc(bytes);
	if (!host.copy[slot])
		fail("out of memory", 0, bytes);
	host.copy_pa[slot] = pa;
	host.copy_bytes[slot] = bytes;
	memcpy(host.copy[slot], from, bytes);
	for (u32 i = 0; i < host.unreadables; i++)
		copy_hide(slot, host.unreadable[i] << PAGE_SHIFT);
	return host.copy[slot];
}

const void *phys_window(u32 slot, u64 pa, u32 pages)
{
	u64 bytes = (u64)pages << PAGE_SHIFT;
	const u8 *at = host_ram_at(pa, bytes);

	if (slot >= PHYS_WINDOW_SLOTS || pages == 0 || pa & (PAGE_BYTES - 1))
		fail("malformed window", pa, bytes);
	if (!range_fits(pa & (PHYS_WINDOW_BYTES - 1), bytes, PHYS_WINDOW_BYTES))
		fail("window crosses 2 MiB", pa, bytes);
	if (!at)
		fail("window outside memory", pa, bytes);
	host.windows++;
	free(host.copy[slot]);
	host.copy[slot] = NULL;
	if (!host.private_windows && host.unreadables == 0)
		return at;
	return private_window(slot, pa, at, bytes);
}

void host_ram_unreadable(u64 pa)
{
	if (host.unreadables == HOST_UNREADABLE)
		fail("too many unreadable pages", pa, 0);
	host.unreadable[host.unreadables++] = pa >> PAGE_SHIFT;
	for (u32 i = 0; i < PHYS_WINDOW_SLOTS; i++)
		copy_hide(i, pa & ~(u64)(PAGE_BYTES - 1));
}

bool phys_unreadable(u64 pa)
{
	for (u32 i = 0; i < host.unreadables; i++) {
		if (host.unreadable[i] == pa >> PAGE_SHIFT)
			return true;
	}
	return false;
}

bool phys_copy(u64 pa, void *buf, u64 bytes)
{
	u8 *to = buf;

	for (u64 i = 0; i < bytes; i++) {
		const u8 *at = host_ram_at(pa + i, 1);

		if (!at || phys_unreadable(pa + i))
			return false;
		to[i] = *at;
	}
	return true;
}

void *arena_map(u64 pa, u64 bytes)
{
	return host_ram_at(pa, bytes);
}

u64 clock_us(void)
{
	host.now_us += host.step_us;
	return host.now_us;
}

void host_clock_step(u64 us)
{
	host.step_us = us;
}

void host_clock_advance_us(u64 us)
{
	host.now_us += us;
}

void *phys_overwrite(u64 pa, u32 pages)
{
	u8 *at = host_ram_at(pa, (u64)pages << PAGE_SHIFT);

	if (!phys_window(0, pa, pages))
		return NULL;
	host.overwritten += pages;
	return at;
}

void memory_flush(void)
{
	host.flushes++;
}

u64 host_overwritten_pages(void)
{
	return host.overwritten;
}

u64 host_flushes(void)
{
	return host.flushes;
}

void host_keys(const char *keys)
{
	host.keys = keys;
}

u32 con_key(void)
{
	if (!host.keys || !*host.keys)
		return 0;
	return (u32)*host.keys++;
}

void con_bar(u32 permille)
{
	host.bar = permille;
}

u32 host_bar(void)
{
	return host.bar;
}

void con_write(const char *text, u32 bytes)
{
	u32 room = CONSOLE_BYTES - host.console_used;
	u32 n = bytes < room ? bytes : room;

	memcpy(host.console + host.console_used, text, n);
	host.console_used += n;
	host.console[host.console_used] = '\0';
	if (host.echo)
		fwrite(text, 1, bytes, stderr);
}

const char *host_console(void)
{
	return host.console;
}

void host_console_clear(void)
{
	host.console_used = 0;
	host.console[0] = '\0';
}

void host_console_echo(bool on)
{
	host.echo = on;
}

void machine_reset(enum machine_action action)
{
	host.reset_action = (int)action;
}

int host_reset_action(void)
{
	return host.reset_action;
}
