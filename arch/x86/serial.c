/*
 * Serial console: a 16550 driven by polling. A port that is not there, or that
 * stops taking characters, costs nothing but its own output.
 */
#include "metal.h"
#include "ports.h"
#include "x86.h"

#define UART_DATA	     0
#define UART_DIVISOR_LO	     0
#define UART_DIVISOR_HI	     1
#define UART_IRQ	     1
#define UART_FIFO	     2
#define UART_LINE	     3
#define UART_LINE_8N1	     0x03
#define UART_LINE_DLAB	     0x80
#define UART_MODEM	     4
#define UART_MODEM_DTR_RTS   0x03
#define UART_STATUS	     5
#define UART_STATUS_RX	     0x01
#define UART_STATUS_TX_EMPTY 0x20
#define UART_STATUS_TX_IDLE  0x40 /* the shift register is empty too */
#define UART_SCRATCH	     7
#define UART_CLOCK_BAUD	     115200u
#define UART_CHARS_2_US	     174u /* two characters of 10 bits at that speed */
#define CHAR_TIMEOUT_US	     20000u

static u16 uart; /* 0: none */
static u64 char_timeout_us;

static bool uart_there(u16 port)
{
	outb(port + UART_SCRATCH, 0x5a);
	if (inb(port + UART_SCRATCH) != 0x5a)
		return false;
	outb(port + UART_SCRATCH, 0xa5);
	return inb(port + UART_SCRATCH) == 0xa5;
}

void serial_init(u16 port, u32 baud)
{
	u32 divisor = baud ? UART_CLOCK_BAUD / baud : 1;

	if (!port || !uart_there(port))
		return;
	if (divisor == 0 || divisor > 0xffff)
		divisor = 1;
	outb(port + UART_IRQ, 0);
	outb(port + UART_LINE, UART_LINE_DLAB);
	outb(port + UART_DIVISOR_LO, (u8)divisor);
	outb(port + UART_DIVISOR_HI, (u8)(divisor >> 8));
	outb(port + UART_LINE, UART_LINE_8N1);
	outb(port + UART_FIFO, 0x07);
	outb(port + UART_MODEM, UART_MODEM_DTR_RTS);
	char_timeout_us = CHAR_TIMEOUT_US + divisor * UART_CHARS_2_US;
	uart = port;
}

/* Until the line status has @bits; the port is given up if it takes too long. */
static bool serial_wait(u8 bits)
{
	u64 deadline = clock_us() + char_timeout_us;

	for (;;) {
		bool late = clock_us() > deadline;

		if ((inb(uart + UART_STATUS) & bits) == bits)
			return true;
		if (late) {
			uart = 0;
			return false;
		}
	}
}

static void serial_put(char c)
{
	if (uart && serial_wait(UART_STATUS_TX_EMPTY))
		outb(uart + UART_DATA, (u8)c);
}

u32 serial_key(void)
{
	if (!uart || !(inb(uart + UART_STATUS) & UART_STATUS_RX))
		return 0;
	return inb(uart + UART_DATA);
}

/* Returns when all is on the wire: a reset after the last line would cut it short. */
void serial_write(const char *text, u32 bytes)
{
	for (u32 i = 0; i < bytes && uart; i++) {
		if (text[i] == '\n')
			serial_put('\r');
		serial_put(text[i]);
	}
	if (uart)
		serial_wait(UART_STATUS_TX_IDLE);
}
