"""The log of writes and flushes that QEMU's filter blklogwrites makes (dm-log-writes format), and
the states of the disk that a power cut could have left by it."""

import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

SECTOR = 512
LOG_BYTES = 1 << 30  # a hole but for what is logged
MAGIC, VERSION = 0x6a736677736872, 1
FLUSH, FUA, DISCARD = 1, 2, 4
UNDER_WAY = 32  # writes after the cut that may have reached the disk in part: the queue
SHARES = (1.0, 0.95, 0.5, 0.1)  # of the writes in the cache


@dataclass(frozen=True)
class Entry:
    flush: bool
    offset: int
    data: bytes


def layer(folder):
    """The filter, for machine.Disk, and its log."""
    log = Path(folder) / "writes.log"
    with open(log, "wb") as f:
        f.truncate(LOG_BYTES)
    return {"driver": "blklogwrites", "log-sector-size": SECTOR,
            "log": {"driver": "file", "filename": str(log)}}, log


def read(log):
    """The entries, oldest first. Writes are logged when they have ended."""
    entries = []
    with open(log, "rb") as f:
        magic, version, count, sector = struct.unpack("<QQQI", f.read(28))
        assert (magic, version, sector) == (MAGIC, VERSION, SECTOR)
        at = SECTOR
        for _ in range(count):
            f.seek(at)
            first, sectors, flags, _ = struct.unpack("<QQQQ", f.read(32))
            assert not flags & DISCARD
            f.seek(at + SECTOR)
            data = f.read(sectors * SECTOR)
            at += SECTOR + len(data)
            if data:
                entries.append(Entry(False, first * SECTOR, data))
            if flags & (FLUSH | FUA):
                entries.append(Entry(True, 0, b""))
    return entries


class Replay:
    """A copy of @disk, to which parts of the log are applied; each begins with the copy as it
    was."""

    def __init__(self, disk, path, entries):
        self.path = Path(shutil.copy(disk, path))
        self.entries = entries
        with open(disk, "rb") as f:
            self.before = [(e.offset, self.read(f, e)) for e in entries if not e.flush]

    @staticmethod
    def read(f, entry):
        f.seek(entry.offset)
        return f.read(len(entry.data))

    def apply(self, pieces):
        with open(self.path, "r+b") as f:
            for offset, data in [*self.before, *pieces]:
                f.seek(offset)
                f.write(data)

    def flushed(self):
        """Only what the last flush covers."""
        end = max(i for i, e in enumerate(self.entries) if e.flush)
        self.apply((e.offset, e.data) for e in self.entries[:end] if not e.flush)

    def cut(self, chance):
        """Power fails after a random entry. What a flush covered is there; of what came after it
        and of what was under way, a random part, some of it torn. Whether something was."""
        moment = self.moment(chance)
        sure = max((i for i in range(moment) if self.entries[i].flush), default=0)
        pieces = [(e.offset, e.data) for e in self.entries[:sure] if not e.flush]
        share, torn = chance.choice(SHARES), 0
        for i, entry in enumerate(self.entries[sure:moment + UNDER_WAY], sure):
            if entry.flush and i >= moment:
                break  # what comes after it was not sent before it had ended
            if entry.flush or chance.random() >= (share if i < moment else share / 2):
                continue
            kept = list(self.tear(entry, chance))
            torn += len(kept) > 1 or len(kept[0][1]) < len(entry.data)
            pieces += kept
        self.apply(pieces)
        return torn

    def moment(self, chance):
        """Every second one close to a flush or to an end."""
        count = len(self.entries)
        if chance.random() < 0.5:
            return chance.randrange(count + 1)
        marks = [i for i in range(count) if self.entries[i].flush] + [0, count]
        return min(max(chance.choice(marks) + chance.randint(-6, 6), 0), count)

    @staticmethod
    def tear(entry, chance):
        """Mostly all of it; else its beginning, its end or some of its sectors."""
        size, how = len(entry.data), chance.randrange(12)
        if how > 2 or size == SECTOR:
            yield entry.offset, entry.data
        elif how < 2:
            at = chance.randrange(SECTOR, size, SECTOR)
            yield (entry.offset, entry.data[:at]) if how else (entry.offset + at, entry.data[at:])
        else:
            for at in chance.sample(range(0, size, SECTOR), size // SECTOR // 2):
                yield entry.offset + at, entry.data[at:at + SECTOR]
