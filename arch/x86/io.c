/*
 * I/O ports for the pure code.
 */
#include "ports.h"
#include "x86.h"

u32 io_read(u16 port, u32 bytes)
{
	switch (bytes) {
	case 1:
		return inb(port);
	case 2:
		return inw(port);
	default:
		return inl(port);
	}
}

void io_write(u16 port, u32 bytes, u32 value)
{
	switch (bytes) {
	case 1:
		outb(port, (u8)value);
		break;
	case 2:
		outw(port, (u16)value);
		break;
	default:
		outl(port, value);
		break;
	}
}
