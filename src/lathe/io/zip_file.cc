// An archive is read from its end: an end record says where the directory is, each record of the
// directory where its entry's own header is, and behind that lies the data. Sizes come from the
// directory, because the header may leave them to a trailer.

#include "lathe/io/zip_file.h"

#include <cstdint>
#include <cstring>
#include <optional>
#include <unordered_set>

#include "lathe/base/error.h"

namespace lathe {
namespace {

constexpr uint32_t kLocalHeader = 0x04034B50, kRecord = 0x02014B50, kEnd = 0x06054B50,
                   kEnd64 = 0x06064B50, kEnd64Locator = 0x07064B50;
constexpr size_t kLocalBytes = 30, kRecordBytes = 46, kEndBytes = 22, kEnd64Bytes = 56,
                 kLocatorBytes = 20;
constexpr uint16_t kZip64Extra = 1;
constexpr uint16_t kAbsent16 = 0xFFFF;      // "see the zip64 field"
constexpr uint32_t kAbsent32 = 0xFFFFFFFF;  // likewise

// Bytes that are asked for by place; one that is not there is an error.
class Bytes {
 public:
  Bytes(std::span<const std::byte> bytes, std::string_view where) : bytes_(bytes), where_(where) {}

  size_t size() const { return bytes_.size(); }
  std::span<const std::byte> part(uint64_t at, uint64_t length) const {
    require(
        at <= bytes_.size() && length <= bytes_.size() - at, ErrorKind::kFormat, where_,
        "refers to {} bytes from byte {} on in a part of {}; the archive is truncated or damaged",
        length, at, bytes_.size());
    return bytes_.subspan(at, length);
  }
  template <class T>
  T number(uint64_t at) const {
    T value;
    std::memcpy(&value, part(at, sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::string_view text(uint64_t at, uint64_t length) const {
    const auto bytes = part(at, length);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  std::span<const std::byte> bytes_;
  std::string_view where_;
};

// The end record is the last thing but a comment of up to 64 KiB.
size_t find_end(const Bytes& file, std::string_view where) {
  constexpr size_t kLongestComment = 0xFFFF;
  for (size_t comment = 0; comment <= kLongestComment; ++comment) {
    if (file.size() < kEndBytes + comment) break;
    const size_t at = file.size() - kEndBytes - comment;
    if (file.number<uint32_t>(at) == kEnd && file.number<uint16_t>(at + 20) == comment) return at;
  }
  fail(ErrorKind::kFormat, where,
       "has no end-of-archive record; it is truncated, or not a file of torch.save");
}

struct Directory {
  uint64_t at, bytes, records;
};

Directory find_directory(const Bytes& file, std::string_view where) {
  const size_t end = find_end(file, where);
  Directory d{file.number<uint32_t>(end + 16), file.number<uint32_t>(end + 12),
              file.number<uint16_t>(end + 10)};
  if (d.at == kAbsent32 || d.bytes == kAbsent32 || d.records == kAbsent16) {
    require(end >= kLocatorBytes && file.number<uint32_t>(end - kLocatorBytes) == kEnd64Locator,
            ErrorKind::kFormat, where, "has a zip64 directory without its locator");
    const auto end64 = file.number<uint64_t>(end - kLocatorBytes + 8);
    const Bytes record(file.part(end64, kEnd64Bytes), where);
    require(record.number<uint32_t>(0) == kEnd64, ErrorKind::kFormat, where,
            "has a zip64 locator that points to something else");
    d = {record.number<uint64_t>(48), record.number<uint64_t>(40), record.number<uint64_t>(32)};
  }
  require(d.records <= d.bytes / kRecordBytes, ErrorKind::kFormat, where,
          "declares {} entries in a directory of {} bytes", d.records, d.bytes);
  return d;
}

// One record of the directory; numbers that do not fit stand in the zip64 field, in this order and
// only those.
struct Record {
  uint64_t size, stored, header;
  std::string_view name;
  size_t bytes;  // of the record
};

void read_zip64(const Bytes& extra, Record& r) {
  size_t at = 0;
  while (extra.size() - at >= 4) {
    const auto id = extra.number<uint16_t>(at), length = extra.number<uint16_t>(at + 2);
    at += 4;
    extra.part(at, length);
    if (id == kZip64Extra) {
      uint64_t next = at;
      for (uint64_t* number : {&r.size, &r.stored, &r.header}) {
        if (*number != kAbsent32) continue;
        *number = extra.number<uint64_t>(next);
        next += sizeof(uint64_t);
      }
    }
    at += length;
  }
}

Record read_record(const Bytes& directory, size_t at, std::string_view where) {
  require(directory.number<uint32_t>(at) == kRecord, ErrorKind::kFormat, where,
          "has a damaged archive directory at its byte {}", at);
  const auto flags = directory.number<uint16_t>(at + 8),
             method = directory.number<uint16_t>(at + 10);
  const size_t name = directory.number<uint16_t>(at + 28),
               extra = directory.number<uint16_t>(at + 30),
               comment = directory.number<uint16_t>(at + 32);
  Record r{directory.number<uint32_t>(at + 24), directory.number<uint32_t>(at + 20),
           directory.number<uint32_t>(at + 42), directory.text(at + kRecordBytes, name),
           kRecordBytes + name + extra + comment};
  read_zip64(Bytes(directory.part(at + kRecordBytes + name, extra), where), r);
  require((flags & 1) == 0 && method == 0 && r.size == r.stored, ErrorKind::kFormat, where,
          "entry '{}' is compressed or encrypted; torch.save stores entries as they are, so save "
          "the file again with it",
          r.name);
  return r;
}

}  // namespace

bool looks_like_zip(std::span<const std::byte> file) {
  uint32_t first = 0;
  if (file.size() < sizeof(first)) return false;
  std::memcpy(&first, file.data(), sizeof(first));
  return first == kLocalHeader;
}

std::vector<ZipEntry> stored_zip_entries(std::span<const std::byte> bytes, std::string_view where) {
  const Bytes file(bytes, where);
  const Directory d = find_directory(file, where);
  const Bytes directory(file.part(d.at, d.bytes), where);
  std::vector<ZipEntry> entries;
  std::unordered_set<std::string_view> names;
  size_t at = 0;
  for (uint64_t i = 0; i < d.records; ++i) {
    const Record r = read_record(directory, at, where);
    at += r.bytes;
    const Bytes header(file.part(r.header, kLocalBytes), where);
    require(header.number<uint32_t>(0) == kLocalHeader, ErrorKind::kFormat, where,
            "entry '{}' has no header where the directory says", r.name);
    const uint64_t skipped =
        kLocalBytes + header.number<uint16_t>(26) + header.number<uint16_t>(28);
    file.part(r.header, skipped);
    require(names.insert(r.name).second, ErrorKind::kFormat, where, "has two entries '{}'", r.name);
    entries.push_back({r.name, file.part(r.header + skipped, r.size)});
  }
  return entries;
}

}  // namespace lathe
