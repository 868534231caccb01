/*
 * PCI configuration space by the two ports nearly every PC has (PCI 3.0 s3.2.2.3.2).
 */
#include "ports.h"
#include "x86.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define CONFIG_ENABLE  0x80000000u

static u32 config_address(u32 bdf, u32 offset)
{
	return CONFIG_ENABLE | (bdf & 0xffff) << 8 | (offset & 0xfc);
}

u32 pci_port_read(u32 bdf, u32 offset)
{
	outl(CONFIG_ADDRESS, config_address(bdf, offset));
	return inl(CONFIG_DATA);
}

void pci_port_write(u32 bdf, u32 offset, u32 value)
{
	outl(CONFIG_ADDRESS, config_address(bdf, offset));
	outl(CONFIG_DATA, value);
}

/* Their address is a register that holds what is written; where there is none it is not kept. */
bool pci_port_works(void)
{
	outl(CONFIG_ADDRESS, CONFIG_ENABLE);
	return inl(CONFIG_ADDRESS) == CONFIG_ENABLE;
}
