/*
 * Reads FAT16 and FAT32: the boot sector, folders by their short entries, files by their chain
 * of clusters. Long names are passed over; nothing is written.
 */
#include <string.h>
#include "fat.h"

/* Boot sector, FAT specification 1.03 s3. */
#define BPB_SECTOR_BYTES    11
#define BPB_CLUSTER_SECTORS 13
#define BPB_RESERVED	    14
#define BPB_TABLES	    16
#define BPB_ROOT_ENTRIES    17
#define BPB_SECTORS_16	    19
#define BPB_TABLE_16	    22
#define BPB_SECTORS_32	    32
#define BPB_TABLE_32	    36
#define BPB_ROOT_CLUSTER    44
#define BPB_BYTES	    64
#define FAT16_CLUSTERS	    4085u /* with fewer it is FAT12 */
#define FAT32_CLUSTERS	    65525u

/* A folder's entry, s6. */
#define ENTRY_BYTES	   32
#define ENTRY_ATTRIBUTES   11
#define ENTRY_CLUSTER_HIGH 20
#define ENTRY_CLUSTER_LOW  26
#define ENTRY_FILE_BYTES   28
#define ATTRIBUTE_VOLUME   8u /* a label, or part of a long name */
#define ATTRIBUTE_FOLDER   16u

#define PIECE_BYTES    512u
#define FOLDER_MAX     (2u * MIB) /* s6: of a folder's entries */
#define CLUSTER_MAX    (64u * KIB)
#define FIRST_CLUSTER  2u
#define CLUSTER_MASK_4 0x0fffffffu

/* A file or folder; the root folder of FAT16 has no cluster but a place. */
struct node {
	u32 cluster;
	u64 at;
	u64 bytes;
	bool folder;
};

static u32 le16(const u8 *p)
{
	return (u32)p[0] | (u32)p[1] << 8;
}

static u32 le32(const u8 *p)
{
	return le16(p) | le16(p + 2) << 16;
}

static bool power_of_two(u32 v)
{
	return v > 0 && (v & (v - 1)) == 0;
}

bool fat_open(struct fat *f, fat_read_fn read, void *ctx, u64 bytes)
{
	u64 sectors, tables;
	u32 sector, table;
	u8 b[BPB_BYTES];

	*f = (struct fat) {.read = read, .ctx = ctx, .bytes = bytes};
	if (bytes < sizeof(b) || !read(ctx, 0, b, sizeof(b)))
		return false;
	sector = le16(b + BPB_SECTOR_BYTES);
	f->cluster_bytes = sector * b[BPB_CLUSTER_SECTORS];
	if (!power_of_two(sector) || sector < 512 || sector > 4096 ||
		!power_of_two(f->cluster_bytes) || f->cluster_bytes > CLUSTER_MAX)
		return false;
	sectors = le16(b + BPB_SECTORS_16) ? le16(b + BPB_SECTORS_16) : le32(b + BPB_SECTORS_32);
	table = le16(b + BPB_TABLE_16) ? le16(b + BPB_TABLE_16) : le32(b + BPB_TABLE_32);
	f->table_at = (u64)le16(b + BPB_RESERVED) * sector;
	tables = (u64)table * b[BPB_TABLES] * sector;
	f->root_at = f->table_at + tables;
	f->root_bytes = le16(b + BPB_ROOT_ENTRIES) * ENTRY_BYTES;
	f->data_at = f->root_at + (f->root_bytes + sector - 1) / sector * sector;
	if (sectors * sector > bytes || f->data_at >= sectors * sector)
		return false;
	f->clusters = (u32)((sectors * sector - f->data_at) / f->cluster_bytes);
	f->entry_bytes = f->clusters < FAT32_CLUSTERS ? 2 : 4;
	f->root_cluster = f->entry_bytes == 4 ? le32(b + BPB_ROOT_CLUSTER) & CLUSTER_MASK_4 : 0;
	return f->clusters >= FAT16_CLUSTERS &&
	       (u64)table * sector >= (u64)(f->clusters + FIRST_CLUSTER) * f->entry_bytes;
}

static bool cluster_good(const struct fat *f, u32 cluster)
{
	return cluster >= FIRST_CLUSTER && cluster - FIRST_CLUSTER < f->clusters;
}

/* The one after @cluster, a good one; 0 if there is none, or it is a bad one. */
static u32 cluster_next(const struct fat *f, u32 cluster)
{
	u8 b[4] = {0};
	u32 next;

	if (!f->read(f->ctx, f->table_at + (u64)cluster * f->entry_bytes, b, f->entry_bytes))
		return 0;
	next = le32(b) & CLUSTER_MASK_4;
	return cluster_good(f, next) ? next : 0;
}

/*
 * Where in the file system byte @offset of @n is, @offset a multiple of PIECE_BYTES that goes
 * up from call to call: *@cluster and *@start are the cluster the last one ended in. 0: nowhere.
 */
static u64 locate(const struct fat *f, const struct node *n, u64 offset, u32 *cluster, u64 *start)
{
	if (n->at)
		return offset < n->bytes ? n->at + offset : 0;
	while (cluster_good(f, *cluster) && offset - *start >= f->cluster_bytes) {
		*cluster = cluster_next(f, *cluster);
		*start += f->cluster_bytes;
	}
	if (!cluster_good(f, *cluster))
		return 0;
	return f->data_at + (u64)(*cluster - FIRST_CLUSTER) * f->cluster_bytes + offset - *start;
}

/* The entry @name among those in @piece. FAT_UNREADABLE: not here; FAT_MISSING: nor behind. */
static enum fat_result find_in_piece(const u8 *piece, const char *name, struct node *out)
{
	for (u32 i = 0; i < PIECE_BYTES; i += ENTRY_BYTES) {
		const u8 *e = piece + i;

		if (e[0] == 0)
			return FAT_MISSING;
		if (e[ENTRY_ATTRIBUTES] & ATTRIBUTE_VOLUME || memcmp(e, name, FAT_NAME_BYTES) != 0)
			continue;
		*out = (struct node) {
			.cluster = le16(e + ENTRY_CLUSTER_HIGH) << 16 | le16(e + ENTRY_CLUSTER_LOW),
			.bytes = le32(e + ENTRY_FILE_BYTES),
			.folder = e[ENTRY_ATTRIBUTES] & ATTRIBUTE_FOLDER,
		};
		return FAT_FOUND;
	}
	return FAT_UNREADABLE;
}

static enum fat_result find_entry(
	const struct fat *f, const struct node *folder, const char *name, struct node *out)
{
	u32 cluster = folder->cluster;
	u8 piece[PIECE_BYTES];
	u64 start = 0;

	for (u64 offset = 0; offset < FOLDER_MAX; offset += PIECE_BYTES) {
		u64 at = locate(f, folder, offset, &cluster, &start);
		enum fat_result r;

		if (at == 0)
			return offset > 0 ? FAT_MISSING : FAT_UNREADABLE;
		if (!f->read(f->ctx, at, piece, sizeof(piece)))
			return FAT_UNREADABLE;
		r = find_in_piece(piece, name, out);
		if (r != FAT_UNREADABLE)
			return r;
	}
	return FAT_UNREADABLE;
}

static enum fat_result read_node(const struct fat *f, const struct node *n, u8 *buf, u64 *got)
{
	u64 want = min_u64(*got, n->bytes);
	u32 cluster = n->cluster;
	u64 start = 0;

	for (u64 offset = 0; offset < want; offset += PIECE_BYTES) {
		u64 at = locate(f, n, offset, &cluster, &start);
		u64 piece = min_u64(PIECE_BYTES, want - offset);

		if (at == 0 || !f->read(f->ctx, at, buf + offset, piece))
			return FAT_UNREADABLE;
	}
	*got = want;
	return FAT_FOUND;
}

enum fat_result fat_read_file(
	const struct fat *f, const char *const path[], u32 depth, u8 *buf, u64 *got)
{
	struct node n = {
		.cluster = f->root_cluster,
		.at = f->entry_bytes == 2 ? f->root_at : 0,
		.bytes = f->root_bytes,
		.folder = true,
	};

	for (u32 i = 0; i < depth; i++) {
		struct node next;
		enum fat_result r;

		if (!n.folder)
			return FAT_MISSING;
		r = find_entry(f, &n, path[i], &next);
		if (r != FAT_FOUND)
			return r;
		n = next;
	}
	return n.folder ? FAT_MISSING : read_node(f, &n, buf, got);
}
