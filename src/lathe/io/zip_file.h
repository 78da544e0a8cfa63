// The entries of a zip archive that are stored without compression, as torch.save writes them.
//
// Own code rather than libzip or minizip: those return copies of an entry through a stream, while
// weights are read in place from a memory map. That needs only the tables, which zip_file.cc reads
// in a hundred lines, bounds-checked and fuzzed.
//
// Format: PKWARE APPNOTE.TXT 6.3, sections 4.3 and 4.5.3 (zip64).
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace lathe {

struct ZipEntry {
  std::string_view name;  // as in the file: any bytes
  std::span<const std::byte> bytes;
};

bool looks_like_zip(std::span<const std::byte> file);

// In the order of the archive's directory; names are unique. Views into `file`. `where` names it in
// errors. Throws kFormat for damage, and for compressed, encrypted and multi-disk archives. Data is
// not compared with its CRC-32, as that would read gigabytes before the first use of one.
std::vector<ZipEntry> stored_zip_entries(std::span<const std::byte> file, std::string_view where);

}  // namespace lathe
