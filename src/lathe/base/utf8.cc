#include "lathe/base/utf8.h"

namespace lathe {
void append_utf8(std::string& out, char32_t c) {
  const auto put = [&out](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | (c >> 6));
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | (c >> 18));
    put(0x80 | ((c >> 12) & 0x3F));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

int64_t count_characters(std::string_view text) {
  const uint8_t *p = as_bytes(text), *end = p + text.size();
  int64_t count = 0;
  for (; p < end; p += decode_utf8(p, end).size) ++count;
  return count;
}

bool is_valid_utf8(std::string_view text) {
  const uint8_t *p = as_bytes(text), *end = p + text.size();
  while ((p = skip_ascii(p, end)) < end) {
    const CodePoint c = decode_utf8(p, end);
    if (c.value == kInvalidByte) return false;
    p += c.size;
  }
  return true;
}

size_t incomplete_utf8_tail(std::string_view text) {
  for (size_t tail = 1; tail <= 3 && tail <= text.size(); ++tail) {
    const uint8_t* start = as_bytes(text) + text.size() - tail;
    const uint32_t lead = start[0];
    if ((lead & 0xC0) == 0x80) continue;
    const size_t needs = lead < 0xC2 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 1;
    if (needs <= tail) return 0;
    // The second byte of some leads is restricted; a wrong one can never become valid.
    if (tail >= 2) {
      const uint32_t second = start[1];
      if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
          (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F))
        return 0;
    }
    return tail;
  }
  return 0;
}

namespace {

// How many bytes from `p` on begin a valid sequence; requires that the unit there is none.
uint32_t size_of_beginning(const uint8_t* p, const uint8_t* end) {
  const uint32_t lead = p[0];
  const uint32_t needs = lead < 0xC2 || lead >= 0xF5 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  uint32_t size = 1;
  for (; size < needs && p + size < end; ++size) {
    // The second byte of some leads is restricted.
    const uint32_t low = size > 1 ? 0x80 : lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const uint32_t high = size > 1 ? 0xBF : lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (p[size] < low || p[size] > high) break;
  }
  return size;
}

template <class Size>
std::string with_replacements(std::string_view text, Size&& size_of_invalid) {
  std::string out;
  out.reserve(text.size());
  const uint8_t *p = as_bytes(text), *end = p + text.size();
  while (p < end) {
    const CodePoint c = decode_utf8(p, end);
    if (c.value != kInvalidByte) {
      out.append(reinterpret_cast<const char*>(p), c.size);
      p += c.size;
      continue;
    }
    append_utf8(out, 0xFFFD);
    p += size_of_invalid(p, end);
  }
  return out;
}

}  // namespace

std::string replace_invalid_utf8(std::string_view text) {
  return with_replacements(text, [](const uint8_t*, const uint8_t*) { return 1; });
}

std::string readable_utf8(std::string_view text) {
  return with_replacements(text, size_of_beginning);
}

}  // namespace lathe
