/*
 * Registers of the modelled virtio disk: capabilities, configuration, status and its order,
 * and the faults that are seen there.
 */
#include <stdlib.h>
#include <string.h>
#include "tests/host/ports_mem.h"
#include "virtio_model.h"

#define CAP_VENDOR 0x09u
#define BAR_FLAGS  0xcu /* memory, 64 bits, prefetchable */

#define ACKNOWLEDGE 0x01u
#define DRIVER	    0x02u
#define DRIVER_OK   0x04u
#define FEATURES_OK 0x08u
#define NEEDS_RESET 0x40u
#define VERSION_1   1u

/* Offsets and widths of the common configuration (s4.1.4.3) */
static const struct {
	u8 width;
	bool writable;
} fields[0x38] = {
	[0x00] = {4, true}, /* device_feature_select */
	[0x04] = {4, false},
	[0x08] = {4, true}, /* driver_feature_select */
	[0x0c] = {4, true},
	[0x10] = {2, true}, /* config_msix_vector */
	[0x12] = {2, false},
	[0x14] = {1, true}, /* device_status */
	[0x15] = {1, false},
	[0x16] = {2, true}, /* queue_select */
	[0x18] = {2, true}, /* queue_size */
	[0x1a] = {2, true},
	[0x1c] = {2, true}, /* queue_enable */
	[0x1e] = {2, false},
	[0x20] = {4, true}, /* queue_desc, driver, device */
	[0x24] = {4, true},
	[0x28] = {4, true},
	[0x2c] = {4, true},
	[0x30] = {4, true},
	[0x34] = {4, true},
};

void virtio_model_broken(struct virtio_model *m, const char *rule)
{
	if (!m->forgot && m->protocol_errors++ == 0)
		m->broken = rule;
}

u8 *virtio_model_dma(struct virtio_model *m, u64 pa, u64 bytes, bool to_memory)
{
	bool allowed =
		!to_memory || (pa >= m->dma_first && pa <= m->dma_end && bytes <= m->dma_end - pa);
	u8 *p = host_ram_at(pa, bytes);

	if (m->firmware && !pci_model_masters(m->fn))
		return NULL; /* what was asked of it before can not get out */
	if (p && allowed && pci_model_masters(m->fn) && pci_model_reaches_memory(m->fn))
		return p;
	m->stray_dma++;
	return NULL;
}

/* All that a reset of the device makes it forget (s2.4.1). */
static void forget(struct virtio_model *m)
{
	m->status = m->accepted = m->accepted_hi = 0;
	m->queue_live = m->firmware = false;
	m->queue_size = m->queue_max;
	m->desc_pa = m->avail_pa = m->used_pa = 0;
	m->avail_idx = m->used_idx = 0;
	m->pending_count = 0;
	m->reset_seen = false;
	if (m->forgets_cache)
		memcpy(m->disk, m->durable, m->disk_bytes);
}

void virtio_model_forget(struct virtio_model *m)
{
	forget(m);
	m->forgot = true;
}

static void notice_reset(struct virtio_model *m)
{
	if (m->fn_resets == m->fn->resets)
		return;
	m->fn_resets = m->fn->resets;
	forget(m);
}

static void write_status(struct virtio_model *m, u32 value)
{
	u32 fresh = value & ~m->status;

	if (value == 0) {
		m->forgot = false;
		m->resets++;
		m->reset_done = m->reads + m->reset_reads;
		if (!m->reset_stuck)
			forget(m);
		return;
	}
	if (m->status & ~value & ~NEEDS_RESET)
		virtio_model_broken(m, "status bits are cleared by a reset only");
	if (!m->reset_seen)
		virtio_model_broken(m, "a reset is over when the status reads 0");
	if (fresh & DRIVER && !(value & ACKNOWLEDGE))
		virtio_model_broken(m, "ACKNOWLEDGE comes first");
	if (fresh & FEATURES_OK && !(m->status & DRIVER))
		virtio_model_broken(m, "DRIVER comes before FEATURES_OK");
	if (fresh & DRIVER_OK && !(m->status & FEATURES_OK))
		virtio_model_broken(m, "FEATURES_OK comes before DRIVER_OK");
	if (fresh & FEATURES_OK &&
		(m->features_refused || m->accepted & ~m->features ||
			m->accepted_hi & ~m->features_hi || !(m->accepted_hi & VERSION_1)))
		value &= ~FEATURES_OK;
	m->status = value | (m->status & NEEDS_RESET);
}

static void enable(struct virtio_model *m, u32 value)
{
	if (value != 1 || m->queue_live)
		virtio_model_broken(m, "a queue is enabled once");
	if (!(m->status & FEATURES_OK) || m->status & DRIVER_OK)
		virtio_model_broken(m, "queues are enabled between FEATURES_OK and DRIVER_OK");
	if (m->desc_pa % 16 || m->avail_pa % 2 || m->used_pa % 4)
		virtio_model_broken(m, "alignment of the queue");
	m->queue_live = true;
}

static void write_size(struct virtio_model *m, u32 value)
{
	if (value == 0 || value > m->queue_max || value & (value - 1) || m->queue_live)
		virtio_model_broken(m, "size of the queue");
	if (!m->size_fixed)
		m->queue_size = value;
}

static void write_features(struct virtio_model *m, u32 value)
{
	if (m->status & FEATURES_OK)
		virtio_model_broken(m, "features are accepted before FEATURES_OK");
	if (m->feature_select_us == 0)
		m->accepted = value;
	else if (m->feature_select_us == 1)
		m->accepted_hi = value;
}

static void write_address(struct virtio_model *m, u32 offset, u32 value)
{
	u64 *pa = offset < 0x28 ? &m->desc_pa : offset < 0x30 ? &m->avail_pa : &m->used_pa;
	u32 shift = offset % 8 ? 32 : 0;

	if (m->queue_live || m->queue_select != 0)
		virtio_model_broken(m, "addresses of a queue that is enabled, or is none");
	*pa = (*pa & ~((u64)UINT32_MAX << shift)) | (u64)value << shift;
}

static void common_write(void *model, u32 offset, u32 bytes, u32 value)
{
	struct virtio_model *m = model;

	notice_reset(m);
	if (m->gone || !pci_model_answers(m->fn))
		return;
	if (offset >= m->mapped[VIRTIO_AREA_COMMON] || fields[offset].width != bytes ||
		!fields[offset].writable) {
		virtio_model_broken(m, "common configuration: no such field, width or right");
		return;
	}
	if (offset == 0x00)
		m->feature_select = value;
	else if (offset == 0x08)
		m->feature_select_us = value;
	else if (offset == 0x0c)
		write_features(m, value);
	else if (offset == 0x14)
		write_status(m, value);
	else if (offset == 0x16)
		m->queue_select = value;
	else if (offset == 0x18)
		write_size(m, value);
	else if (offset == 0x1c)
		enable(m, value);
	else if (offset >= 0x20)
		write_address(m, offset, value);
	virtio_model_settle(m);
}

static u32 read_status(struct virtio_model *m)
{
	if (m->reads < m->reset_done)
		return ACKNOWLEDGE;
	if (m->status == 0)
		m->reset_seen = true;
	return m->status;
}

static u32 common_value(struct virtio_model *m, u32 offset)
{
	switch (offset) {
	case 0x04:
		return m->feature_select == 0	? m->features
		       : m->feature_select == 1 ? m->features_hi
						: 0;
	case 0x12:
		return 1;
	case 0x14:
		return read_status(m);
	case 0x15:
		return m->generation & 0xff;
	case 0x18:
		return m->queue_select == 0 ? m->queue_size : 0;
	case 0x1c:
		return m->queue_live;
	case 0x1e:
		return m->notify_unit;
	default:
		virtio_model_broken(m, "reads what it has no use for");
		return 0;
	}
}

/* What the faults make of a register read; *@all: its value, whatever it is. */
static bool read_fault(struct virtio_model *m, u32 bytes, u32 *all)
{
	u32 ones = (u32)((1ull << 8 * bytes) - 1);
	bool due, now;

	notice_reset(m);
	m->reads++;
	host_clock_advance_us(m->us_per_read);
	due = m->read_fault != VIRTIO_READ_NONE && m->reads >= m->read_fault_at;
	now = due && m->reads == m->read_fault_at;
	m->gone = m->gone || (due && m->read_fault == VIRTIO_READ_GONE);
	*all = ones;
	if (m->gone || !pci_model_answers(m->fn) || (now && m->read_fault == VIRTIO_READ_BLINK))
		return true;
	*all = 0;
	if (due && m->read_fault == VIRTIO_READ_ZERO) {
		m->reset_seen = m->status == 0; /* it can not know better */
		return true;
	}
	if (now && m->read_fault == VIRTIO_READ_FORGETS)
		virtio_model_forget(m);
	if (m->status && due && m->read_fault == VIRTIO_READ_SICK)
		m->status |= NEEDS_RESET;
	if (m->status && now && m->read_fault == VIRTIO_READ_NEEDS_RESET)
		m->status |= NEEDS_RESET;
	m->reset_stuck = m->reset_stuck || (due && m->read_fault == VIRTIO_READ_STUCK);
	if (m->firmware && pci_model_masters(m->fn))
		m->stray_dma++; /* queues of before are still running */
	virtio_model_settle(m);
	return false;
}

static u32 common_read(void *model, u32 offset, u32 bytes)
{
	struct virtio_model *m = model;
	u32 value;

	if (offset >= m->mapped[VIRTIO_AREA_COMMON] || fields[offset].width != bytes)
		virtio_model_broken(m, "common configuration: no such field or width");
	return read_fault(m, bytes, &value) ? value : common_value(m, offset);
}

static u32 common_read32(void *model, u32 offset)
{
	return common_read(model, offset, 4);
}

static void common_write32(void *model, u32 offset, u32 value)
{
	common_write(model, offset, 4, value);
}

static u32 device_read32(void *model, u32 offset)
{
	struct virtio_model *m = model;
	u32 value;

	if (offset + 4 > m->mapped[VIRTIO_AREA_DEVICE])
		virtio_model_broken(m, "behind the device's configuration");
	if (read_fault(m, 4, &value))
		return value;
	if (m->config_churn > 0 && offset == 4) {
		m->config_churn--;
		m->generation++;
		m->sectors ^= 1ull << 32;
	}
	switch (offset) {
	case 0:
		return (u32)m->sectors;
	case 4:
		return (u32)(m->sectors >> 32);
	case 8:
		return m->size_max;
	case 12:
		return m->seg_max;
	case 20:
		return m->blk_size;
	default:
		virtio_model_broken(m, "reads what it has no use for");
		return 0;
	}
}

static void notify_write(void *model, u32 offset, u32 bytes, u32 value)
{
	struct virtio_model *m = model;

	notice_reset(m);
	if (m->gone || !pci_model_answers(m->fn))
		return;
	if (m->doorbell + offset != m->notify_unit * m->multiplier || bytes != 2 || value != 0)
		virtio_model_broken(m, "notifies another queue");
	if (!(m->status & DRIVER_OK) || !m->queue_live)
		virtio_model_broken(m, "notifies before DRIVER_OK");
	else if (!(m->status & NEEDS_RESET))
		virtio_model_fetch(m);
	virtio_model_settle(m);
}

static const struct mmio *map(void *ctx, u64 pa, u64 bytes)
{
	struct virtio_model *m = ctx;

	for (u32 i = 0; i < VIRTIO_AREAS; i++) {
		const u32 *cap = &m->fn->config[VIRTIO_MODEL_CAP_AT(i) / 4];
		u64 at = pa - VIRTIO_MODEL_BAR_PA - cap[2];

		if ((cap[1] & 0xff) != VIRTIO_MODEL_BAR || pa < VIRTIO_MODEL_BAR_PA + cap[2] ||
			at > cap[3] || bytes > cap[3] - at)
			continue;
		if (i == VIRTIO_AREA_NOTIFY)
			m->doorbell = (u32)at;
		else if (at != 0)
			continue;
		m->mapped[i] = bytes;
		return &m->regs[i];
	}
	return NULL;
}

void virtio_model_area(struct virtio_model *m, u32 i, u32 bar, u32 offset, u32 bytes)
{
	u32 *cap = &m->fn->config[VIRTIO_MODEL_CAP_AT(i) / 4];

	cap[1] = bar;
	cap[2] = offset;
	cap[3] = bytes;
	cap[4] = i == VIRTIO_AREA_NOTIFY ? m->multiplier : 0;
}

static void function_add(struct virtio_model *m, u32 bdf)
{
	static const u32 types[] = {1, 2, 4}; /* s4.1.4 */

	m->fn = pci_model_add(bdf, 0x010000);
	m->fn->config[0] = 0x10421af4;
	m->fn->map = map;
	m->fn->map_ctx = m;
	pci_model_memory_bar(
		m->fn, VIRTIO_MODEL_BAR, VIRTIO_MODEL_BAR_PA, VIRTIO_MODEL_BAR_BYTES, true);
	m->fn->config[4 + VIRTIO_MODEL_BAR] |= BAR_FLAGS;
	pci_model_cap(m->fn, PCI_MODEL_MSIX_AT, PCI_MODEL_MSIX, PCI_MODEL_MSIX_ON);
	for (u32 i = 0; i < VIRTIO_AREAS; i++) {
		pci_model_cap(
			m->fn, VIRTIO_MODEL_CAP_AT(i), CAP_VENDOR, 20u << 16 | types[i] << 24);
		virtio_model_area(m, i, VIRTIO_MODEL_BAR, i * 0x1000, 0x1000);
	}
}

void virtio_model_init(struct virtio_model *m, u32 bdf, u8 *disk, u8 *durable, u64 bytes)
{
	memset(m, 0, sizeof(*m));
	m->features = 0x10000246; /* indirect, FLUSH, BLK_SIZE, SEG_MAX, SIZE_MAX */
	m->features_hi = 0x5;	  /* and RING_RESET or whatever else there is */
	m->sectors = bytes / 512;
	m->disk_bytes = bytes;
	m->disk = disk;
	m->durable = durable;
	m->blk_size = 512;
	m->seg_max = 254;
	m->size_max = 1u << 20;
	m->queue_max = 256;
	m->notify_unit = 3;
	m->multiplier = 4;
	m->reset_reads = 3;
	m->fault_count = 1;
	m->us_per_read = 1;
	m->write_end = UINT64_MAX;
	m->dma_end = UINT64_MAX;
	memcpy(m->id, "S\x01 20", 5);
	m->status = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
	m->queue_size = m->queue_max;
	m->firmware = true;
	m->regs[VIRTIO_AREA_COMMON] = (struct mmio) {
		.model = m,
		.read32 = common_read32,
		.write32 = common_write32,
		.read = common_read,
		.write = common_write,
	};
	m->regs[VIRTIO_AREA_DEVICE] = (struct mmio) {.model = m, .read32 = device_read32};
	m->regs[VIRTIO_AREA_NOTIFY] = (struct mmio) {.model = m, .write = notify_write};
	function_add(m, bdf);
}
