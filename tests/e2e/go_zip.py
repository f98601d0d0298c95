"""ZIP archives byte for byte as Go's archive/zip and `bl` write them (PROTOCOL 1.8)."""
import struct
import zlib


class GoZip:
    """Entries in the order of the calls; finish() returns the archive."""

    def __init__(self):
        self.body, self.central, self.count = bytearray(), bytearray(), 0

    def directory(self, name, mode=0o755):
        self._entry(name.rstrip("/") + "/", b"", 0, 0, 3, (0o040000 | mode) << 16 | 0x10, True)

    def file(self, name, data, mode=0o644):
        """As from disk: mode kept, a UT extra field, sizes only after the data."""
        self._entry(name, data, 8, 0x8, 3, (0o100000 | mode) << 16, True)

    def injected(self, name, data):
        """As zip.Writer.Create(name): no mode, no date."""
        self._entry(name, data, 8, 0x8, 0, 0, False)

    def _entry(self, name, data, method, flags, system, attributes, dated):
        raw = name.encode()
        flags |= 0 if raw.isascii() else 0x800
        date, clock = ((46 << 9) | (8 << 5) | 6, 12 << 11) if dated else (0, 0)
        extra = struct.pack("<HHBI", 0x5455, 5, 1, 1785974400) if dated else b""
        packed = data
        if method == 8:
            deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
            packed = deflate.compress(data) + deflate.flush()
        crc, offset = zlib.crc32(data), len(self.body)
        self.body += struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, flags, method, clock, date,
                                 0, 0, 0, len(raw), len(extra)) + raw + extra + packed
        if flags & 0x8:
            self.body += struct.pack("<IIII", 0x08074B50, crc, len(packed), len(data))
        self.central += struct.pack(
            "<IHHHHHHIIIHHHHHII", 0x02014B50, system << 8 | 20, 20, flags, method, clock, date, crc,
            len(packed), len(data), len(raw), len(extra), 0, 0, 0, attributes, offset) + raw + extra
        self.count += 1

    def finish(self):
        end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, self.count, self.count,
                          len(self.central), len(self.body), 0)
        return bytes(self.body + self.central + end)
