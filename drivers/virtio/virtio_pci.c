/*
 * The modern PCI transport of virtio (VIRTIO 1.2 s4.1): where the registers are, and what is
 * done with them. Every field is accessed with its own width (s4.1.3.1).
 */
#include <string.h>
#include "drivers/pcireg.h"
#include "mmio.h"
#include "ports.h"
#include "virtiovar.h"

#define FEATURES                                                                                   \
	(VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_RO | VIRTIO_BLK_F_BLK_SIZE |  \
		VIRTIO_BLK_F_FLUSH | VIRTIO_F_INDIRECT_DESC)
/* DMA remapping is off and x86 keeps stores in order: both cost nothing. */
#define FEATURES_HI                                                                                \
	(VIRTIO_F_HI_VERSION_1 | VIRTIO_F_HI_ACCESS_PLATFORM | VIRTIO_F_HI_ORDER_PLATFORM)

#define STATUS_BEGUN  (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER)
#define STATUS_AGREED (STATUS_BEGUN | VIRTIO_STATUS_FEATURES_OK)
#define STATUS_IN_USE (STATUS_AGREED | VIRTIO_STATUS_DRIVER_OK)

/* A structure in a BAR. */
struct area {
	bool found;
	u32 bar;
	u32 offset;
	u32 bytes;
	u32 multiplier;
};

/* The shortest of each type that has all we use. */
static const u8 least_bytes[VIRTIO_CAP_TYPES] = {
	[VIRTIO_CAP_COMMON] = VIRTIO_COMMON_BYTES,
	[VIRTIO_CAP_NOTIFY] = sizeof(u16),
	[VIRTIO_CAP_DEVICE] = VIRTIO_BLK_CONFIG_BYTES,
};

/* Does memory BAR @index begin there, and is not the upper half of the one before? */
static bool bar_is_memory(u32 bdf, u32 index)
{
	u32 i = 0;

	while (i < PCI_BARS) {
		u32 low = pci_read(bdf, PCI_BAR(i));

		if (i == index)
			return !(low & PCI_BAR_IO);
		i += !(low & PCI_BAR_IO) && (low & PCI_BAR_TYPE) == PCI_BAR_TYPE64 ? 2 : 1;
	}
	return false;
}

/* The capability at @at, if it is the first of its type that can be used (s4.1.4.1). */
static void area_take(u32 bdf, u32 at, u32 type, struct area area[VIRTIO_CAP_TYPES])
{
	struct area a = {.found = true};

	if (type >= VIRTIO_CAP_TYPES || least_bytes[type] == 0 || area[type].found)
		return;
	if (!range_fits(at, VIRTIO_CAP_BYTES, PCI_CONFIG_WORDS * 4))
		return;
	a.bar = VIRTIO_CAP_BAR_NO(pci_read(bdf, at + VIRTIO_CAP_BAR));
	a.offset = pci_read(bdf, at + VIRTIO_CAP_OFFSET);
	a.bytes = pci_read(bdf, at + VIRTIO_CAP_LENGTH);
	a.multiplier = pci_read(bdf, at + VIRTIO_CAP_MULTIPLIER);
	if (bar_is_memory(bdf, a.bar) && a.offset % 4 == 0 && a.bytes >= least_bytes[type])
		area[type] = a;
}

/* The list is the device's word: bounded. */
static bool areas_find(u32 bdf, struct area area[VIRTIO_CAP_TYPES])
{
	u32 command = pci_read(bdf, PCI_COMMAND);
	u32 at = PCI_CAP_POS(pci_read(bdf, PCI_CAPS));

	memset(area, 0, VIRTIO_CAP_TYPES * sizeof(*area));
	if (command == PCI_NOBODY || !(command & PCI_STATUS_CAPS))
		return false;
	for (u32 i = 0; i < PCI_CAP_LIMIT && at >= PCI_CAP_FIRST; i++) {
		u32 head = pci_read(bdf, at);

		if (head == PCI_NOBODY)
			return false;
		if (PCI_CAP_ID(head) == VIRTIO_CAP)
			area_take(bdf, at, VIRTIO_CAP_TYPE(head), area);
		at = PCI_CAP_NEXT(head);
	}
	return area[VIRTIO_CAP_COMMON].found && area[VIRTIO_CAP_NOTIFY].found &&
	       area[VIRTIO_CAP_DEVICE].found;
}

bool virtio_is_modern(u32 bdf)
{
	struct area area[VIRTIO_CAP_TYPES];

	return areas_find(bdf, area);
}

/* A BAR is aligned to its size: it is not bigger than its address has zeros at the end. */
static bool area_at(const struct virtio *v, const struct area *a, u64 *pa)
{
	if (!pci_bar(&v->pci, a->bar, pa) || !range_fits(a->offset, a->bytes, *pa & -*pa))
		return false;
	*pa += a->offset;
	return true;
}

enum status virtio_map(struct virtio *v)
{
	struct area area[VIRTIO_CAP_TYPES];
	u64 common_pa, device_pa;

	if (!areas_find(v->pci.bdf, area))
		return E_READY;
	if (!area_at(v, &area[VIRTIO_CAP_COMMON], &common_pa) ||
		!area_at(v, &area[VIRTIO_CAP_DEVICE], &device_pa) ||
		!area_at(v, &area[VIRTIO_CAP_NOTIFY], &v->notify_pa))
		return E_READY;
	v->notify_bytes = area[VIRTIO_CAP_NOTIFY].bytes;
	v->notify_multiplier = area[VIRTIO_CAP_NOTIFY].multiplier;
	v->common = mmio_map(common_pa, VIRTIO_COMMON_BYTES);
	v->device = mmio_map(device_pa, VIRTIO_BLK_CONFIG_BYTES);
	return v->common && v->device ? OK : E_NO_MEMORY;
}

static u32 status_read(const struct virtio *v)
{
	return mmio_read(v->common, VIRTIO_STATUS, 1);
}

static void status_write(const struct virtio *v, u32 status)
{
	mmio_write(v->common, VIRTIO_STATUS, 1, status);
}

enum status virtio_reset(const struct virtio *v)
{
	u64 deadline_us = clock_us() + VIRTIO_RESET_TIMEOUT_US;

	status_write(v, 0);
	for (;;) {
		bool expired = clock_us() >= deadline_us;
		u32 status = status_read(v);

		if (status == VIRTIO_GONE8)
			return E_DEVICE_GONE;
		if (status == 0)
			return OK;
		if (expired)
			return E_READY;
	}
}

enum status virtio_health(const struct virtio *v)
{
	u32 status = status_read(v);

	if (status == VIRTIO_GONE8)
		return E_DEVICE_GONE;
	/* Not in use any more: it was reset behind our back and has forgotten the queue. */
	return status == STATUS_IN_USE ? OK : E_FATAL;
}

static u32 offered(const struct virtio *v, u32 half)
{
	mmio_write32(v->common, VIRTIO_FEATURE_SELECT, half);
	return mmio_read32(v->common, VIRTIO_FEATURE);
}

static void accept(const struct virtio *v, u32 half, u32 features)
{
	mmio_write32(v->common, VIRTIO_FEATURE_SELECT_US, half);
	mmio_write32(v->common, VIRTIO_FEATURE_US, features);
}

enum status virtio_negotiate(const struct virtio *v, u32 *features, u32 *features_hi)
{
	u32 low, high, status;

	status_write(v, VIRTIO_STATUS_ACKNOWLEDGE);
	status_write(v, STATUS_BEGUN);
	low = offered(v, 0);
	high = offered(v, 1);
	if (low == VIRTIO_GONE || high == VIRTIO_GONE)
		return E_DEVICE_GONE;
	if (!(high & VIRTIO_F_HI_VERSION_1))
		return E_FORMAT;
	*features = low & FEATURES;
	*features_hi = high & FEATURES_HI;
	accept(v, 0, *features);
	accept(v, 1, *features_hi);
	status_write(v, STATUS_AGREED);
	status = status_read(v);
	if (status == VIRTIO_GONE8)
		return E_DEVICE_GONE;
	return status == STATUS_AGREED ? OK : E_READY;
}

static void config_once(const struct virtio *v, struct virtio_config *c)
{
	memset(c, 0, sizeof(*c));
	c->sectors = mmio_read32(v->device, VIRTIO_BLK_CAPACITY);
	c->sectors |= (u64)mmio_read32(v->device, VIRTIO_BLK_CAPACITY + 4) << 32;
	c->size_max = c->seg_max = UINT32_MAX;
	c->blk_size = VIRTIO_SECTOR_BYTES;
	if (v->features & VIRTIO_BLK_F_SIZE_MAX)
		c->size_max = mmio_read32(v->device, VIRTIO_BLK_SIZE_MAX);
	if (v->features & VIRTIO_BLK_F_SEG_MAX)
		c->seg_max = mmio_read32(v->device, VIRTIO_BLK_SEG_MAX);
	if (v->features & VIRTIO_BLK_F_BLK_SIZE)
		c->blk_size = mmio_read32(v->device, VIRTIO_BLK_BLK_SIZE);
}

enum status virtio_config_read(const struct virtio *v, struct virtio_config *out)
{
	for (u32 i = 0; i < VIRTIO_CONFIG_TRIES; i++) {
		u32 generation = mmio_read(v->common, VIRTIO_GENERATION, 1);
		struct virtio_config again;

		/* Twice, as any of it may well be all ones. */
		config_once(v, out);
		config_once(v, &again);
		if (mmio_read(v->common, VIRTIO_GENERATION, 1) == generation &&
			memcmp(out, &again, sizeof(again)) == 0)
			return status_read(v) == VIRTIO_GONE8 ? E_DEVICE_GONE : OK;
	}
	return status_read(v) == VIRTIO_GONE8 ? E_DEVICE_GONE : E_FATAL;
}

enum status virtio_queue_look(const struct virtio *v, u32 *entries, u32 *doorbell)
{
	u32 n, unit;

	mmio_write(v->common, VIRTIO_QUEUE_SELECT, 2, 0);
	n = mmio_read(v->common, VIRTIO_QUEUE_SIZE, 2);
	unit = mmio_read(v->common, VIRTIO_QUEUE_NOTIFY, 2);
	if (n == VIRTIO_GONE16 || unit == VIRTIO_GONE16)
		return E_DEVICE_GONE;
	if (n == 0 || n & (n - 1))
		return E_FORMAT;
	if (!range_fits((u64)unit * v->notify_multiplier, sizeof(u16), v->notify_bytes))
		return E_READY;
	*entries = n;
	*doorbell = unit * v->notify_multiplier;
	return *doorbell % sizeof(u16) == 0 ? OK : E_READY;
}

static void address_write(const struct virtio *v, u32 offset, const void *p)
{
	u64 pa = arena_pa(v->arena, p);

	mmio_write32(v->common, offset, (u32)pa);
	mmio_write32(v->common, offset + 4, (u32)(pa >> 32));
}

enum status virtio_queue_start(const struct virtio *v)
{
	u32 entries;

	mmio_write(v->common, VIRTIO_QUEUE_SELECT, 2, 0);
	mmio_write(v->common, VIRTIO_QUEUE_SIZE, 2, v->entries);
	entries = mmio_read(v->common, VIRTIO_QUEUE_SIZE, 2);
	/* One that keeps its size would write behind our rings. */
	if (entries != v->entries)
		return entries == VIRTIO_GONE16 ? E_DEVICE_GONE : E_FORMAT;
	address_write(v, VIRTIO_QUEUE_DESC, v->desc);
	address_write(v, VIRTIO_QUEUE_AVAIL, v->avail);
	address_write(v, VIRTIO_QUEUE_USED, v->used);
	mmio_barrier();
	mmio_write(v->common, VIRTIO_QUEUE_ENABLE, 2, 1);
	status_write(v, STATUS_IN_USE);
	return virtio_health(v);
}

void virtio_notify(const struct virtio *v)
{
	mmio_write(v->notify, 0, sizeof(u16), 0);
}
