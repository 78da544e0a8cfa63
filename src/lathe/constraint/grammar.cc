#include "lathe/constraint/grammar.h"

namespace lathe::constraint {

std::string token_as_bytes(int32_t id) {
  std::string out(1, kTokenMark);
  for (int shift = 21; shift >= 0; shift -= 7) out += static_cast<char>(id >> shift & 0x7F);
  return out;
}

int32_t token_from_bytes(std::string_view bytes) {
  int32_t id = 0;
  for (const char c : bytes.substr(1, kTokenBytes - 1)) id = id << 7 | static_cast<uint8_t>(c);
  return id;
}

}  // namespace lathe::constraint
