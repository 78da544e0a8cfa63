#include "lathe/text/normalize/mark_order.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "lathe/base/utf8.h"
#include "lathe/text/library_class.h"

namespace lathe {
namespace {

// Whether `c` is, or decomposes to, something that may move behind what stands before it.
bool moves(const icu::Normalizer2& decomposition, uint16_t foreign, CodePoint c) {
  return c.value >= 0x300 && c.value <= 0x10FFFF &&
         !decomposition.hasBoundaryBefore(static_cast<UChar32>(c.value)) &&
         !(LibraryClasses::get().of(c.value) & foreign);
}

class Sorter {
 public:
  explicit Sorter(const icu::Normalizer2& decomposition) : decomposition_(decomposition) {}

  void append_sorted(const uint8_t* p, const uint8_t* end, std::string& out) {
    marks_.clear();
    while (p < end) {
      const CodePoint c = decode_utf8(p, end);
      add(static_cast<UChar32>(c.value));
      p += c.size;
    }
    // A decomposition may end in characters that do not move; nothing moves across them.
    for (auto from = marks_.begin(); from != marks_.end();) {
      const auto to = std::find_if(from, marks_.end(), [](const Mark& m) { return m.cls == 0; });
      std::stable_sort(from, to, [](const Mark& a, const Mark& b) { return a.cls < b.cls; });
      from = to == marks_.end() ? to : to + 1;
    }
    for (const Mark& m : marks_) append_utf8(out, static_cast<char32_t>(m.c));
  }

 private:
  struct Mark {
    UChar32 c;
    uint8_t cls;
  };

  void add(UChar32 c) {
    if (!decomposition_.getDecomposition(c, parts_)) return put(c);
    for (int32_t i = 0; i < parts_.length(); i = parts_.moveIndex32(i, 1)) put(parts_.char32At(i));
  }
  void put(UChar32 c) { marks_.push_back({c, decomposition_.getCombiningClass(c)}); }

  const icu::Normalizer2& decomposition_;
  std::vector<Mark> marks_;
  icu::UnicodeString parts_;
};

}  // namespace

bool order_long_mark_runs(std::string_view text, const icu::Normalizer2& decomposition,
                          uint16_t foreign, std::string& out) {
  const uint8_t *begin = as_bytes(text), *end = begin + text.size();
  const uint8_t* done = begin;  // what stands before is in `out`, if anything is
  Sorter sorter(decomposition);
  for (size_t probe = 0; probe < text.size(); probe += kLongMarkRun) {  // a long run holds one
    const uint8_t* at = begin + probe;
    for (int i = 0; i < 3 && at > begin && (*at & 0xC0) == 0x80; ++i) --at;  // its first byte
    if (at < done || !moves(decomposition, foreign, decode_utf8(at, end))) continue;
    const uint8_t *first = at, *last = at;
    while (first > done) {
      const CodePoint c = decode_utf8_before(done, first);
      if (!moves(decomposition, foreign, c)) break;
      first -= c.size;
    }
    while (last < end) {
      const CodePoint c = decode_utf8(last, end);
      if (!moves(decomposition, foreign, c)) break;
      last += c.size;
    }
    if (static_cast<size_t>(last - first) < kLongMarkRun) continue;
    if (done == begin) out.clear();
    out.append(reinterpret_cast<const char*>(done), static_cast<size_t>(first - done));
    sorter.append_sorted(first, last, out);
    done = last;
  }
  if (done == begin) return false;
  out.append(reinterpret_cast<const char*>(done), static_cast<size_t>(end - done));
  return true;
}

}  // namespace lathe
