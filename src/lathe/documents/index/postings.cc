#include "lathe/documents/index/postings.h"

namespace lathe {
namespace {

void append(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

}  // namespace

void PostingsWriter::add(int64_t piece, int64_t times) {
  append(bytes_, static_cast<uint64_t>(piece - last_));
  append(bytes_, static_cast<uint64_t>(times));
  last_ = piece;
}

bool PostingsReader::read(uint64_t& out) {
  out = 0;
  for (int shift = 0; shift < 63 && !bytes_.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes_.front());
    bytes_.remove_prefix(1);
    out |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool PostingsReader::next() {
  uint64_t difference = 0, times = 0;
  if (!read(difference) || !read(times)) return false;
  constexpr uint64_t kMost = uint64_t{1} << 40;
  if (difference > kMost || times > kMost) return false;
  piece_ += static_cast<int64_t>(difference);
  times_ = static_cast<int64_t>(times);
  return true;
}

}  // namespace lathe
