/*
 * Requests of the modelled virtio disk (VIRTIO 1.2 s5.2.6): how they are laid out, what they do
 * to the disk and its cache.
 */
#include <string.h>
#include "virtio_model.h"

#define T_IN	 0
#define T_OUT	 1
#define T_FLUSH	 4
#define T_GET_ID 8
#define S_OK	 0
#define S_IOERR	 1
#define S_UNSUPP 2
#define F_RO	 (1u << 5)
#define F_FLUSH	 (1u << 9)
#define SECTOR	 512u

struct header {
	u32 type;
	u32 reserved;
	u64 sector;
};

/* How many bytes there are to read, and to write without the status. */
static void measure(const struct virtio_model_chain *c, u64 *out, u64 *in)
{
	*out = *in = 0;
	for (u32 i = 0; i < c->count; i++)
		*(c->piece[i].write ? in : out) += c->piece[i].bytes;
}

static bool limits_kept(struct virtio_model *m, const struct virtio_model_chain *c)
{
	if (c->count > m->seg_max + 2ull)
		return false;
	for (u32 i = 0; i < c->count; i++) {
		if (c->piece[i].bytes > m->size_max)
			return false;
	}
	return true;
}

/* Moves @bytes between @disk and the pieces between header and status. */
static bool transfer(
	struct virtio_model *m, const struct virtio_model_chain *c, u8 *disk, u64 bytes, bool in)
{
	u64 skip = in ? 0 : sizeof(struct header); /* of the pieces that count */
	u64 done = 0;

	for (u32 i = 0; i < c->count && done < bytes; i++) {
		const struct virtio_model_piece *p = &c->piece[i];
		u64 n, from = p->bytes < skip ? p->bytes : skip;
		u8 *memory;

		if (p->write != in)
			continue;
		skip -= from;
		n = p->bytes - from < bytes - done ? p->bytes - from : bytes - done;
		if (n == 0)
			continue;
		memory = virtio_model_dma(m, p->pa + from, n, in);
		if (!memory)
			return false;
		memcpy(in ? memory : disk + done, in ? disk + done : memory, n);
		done += n;
	}
	return done == bytes;
}

static u8 read_write(struct virtio_model *m, const struct virtio_model_chain *c,
	const struct header *h, u64 bytes, u32 *written)
{
	u64 sectors = bytes / SECTOR;
	bool in = h->type == T_IN;

	if (!in && (m->features & F_RO || h->sector < m->write_first || h->sector >= m->write_end ||
			   sectors > m->write_end - h->sector))
		m->stray_writes++;
	if (bytes == 0 || bytes % m->blk_size || h->sector * SECTOR % m->blk_size)
		virtio_model_broken(m, "not whole blocks");
	if (!limits_kept(m, c))
		virtio_model_broken(m, "more or longer segments than the device takes");
	if (h->sector > m->sectors || sectors > m->sectors - h->sector ||
		(!in && m->features & F_RO))
		return S_IOERR;
	if (in && c->fault == VIRTIO_FAULT_SHORT)
		bytes -= SECTOR;
	if (!transfer(m, c, m->disk + h->sector * SECTOR, bytes, in))
		return S_IOERR;
	if (!in) {
		m->sectors_written += sectors;
		if (!(m->features & F_FLUSH)) /* writes through */
			memcpy(m->durable + h->sector * SECTOR, m->disk + h->sector * SECTOR,
				bytes);
	}
	*written = in ? (u32)bytes + 1 : 1;
	if (m->counts_data_only)
		--*written;
	return S_OK;
}

static u8 flush(struct virtio_model *m, const struct header *h, u64 out, u64 in)
{
	if (h->sector != 0 || out != 0 || in != 0)
		virtio_model_broken(m, "a flush has no sector and no data");
	if (!(m->accepted & F_FLUSH))
		return S_UNSUPP;
	m->flushes++;
	memcpy(m->durable, m->disk, m->disk_bytes);
	return S_OK;
}

static u8 get_id(struct virtio_model *m, const struct virtio_model_chain *c, u64 in, u32 *written)
{
	if (m->id[0] == 0)
		return S_UNSUPP;
	if (in != VIRTIO_MODEL_ID || !transfer(m, c, (u8 *)m->id, in, true))
		return S_IOERR;
	*written = VIRTIO_MODEL_ID + 1;
	return S_OK;
}

u8 virtio_model_run(struct virtio_model *m, const struct virtio_model_chain *c, u32 *written)
{
	struct header h;
	u64 out, in;
	const u8 *p;

	measure(c, &out, &in);
	if (out < sizeof(h) || c->piece[0].bytes < sizeof(h) || in == 0) {
		virtio_model_broken(m, "no header, or no room for the status");
		return S_IOERR;
	}
	out -= sizeof(h);
	in--;
	p = virtio_model_dma(m, c->piece[0].pa, sizeof(h), false);
	if (!p)
		return S_IOERR;
	memcpy(&h, p, sizeof(h));
	if (h.reserved != 0 || (h.type == T_IN && out) || (h.type == T_OUT && in))
		virtio_model_broken(m, "a request with data of the wrong kind");
	switch (h.type) {
	case T_IN:
		return read_write(m, c, &h, in, written);
	case T_OUT:
		return read_write(m, c, &h, out, written);
	case T_FLUSH:
		return flush(m, &h, out, in);
	case T_GET_ID:
		return get_id(m, c, in, written);
	default:
		return S_UNSUPP;
	}
}
