#include <algorithm>

#include "fuzz/fuzz.h"
#include "io/temp_folder.h"
#include "lathe/io/gguf.h"
#include "lathe/io/gguf_writer.h"

namespace lathe::fuzz {
namespace {

// Whatever the value is: it is read or refused.
template <class T>
void try_to_read(const GgufMetadata& metadata, std::string_view key) {
  try {
    metadata.get<T>(key);
  } catch (const Error&) {
  }
}

}  // namespace

// All of an accepted file lies inside it: every value is read in every way, and every tensor.
void check(std::string_view bytes) {
  const GgufContent file = parse_gguf(std::as_bytes(std::span(bytes)), "f");
  for (const auto& [key, value] : file.metadata.entries()) {
    promise(std::ranges::count(value.bytes, std::byte{}) <= std::ssize(value.bytes));
    try_to_read<bool>(file.metadata, key);
    try_to_read<int64_t>(file.metadata, key);
    try_to_read<float>(file.metadata, key);
    try_to_read<std::string_view>(file.metadata, key);
    try_to_read<std::vector<std::string_view>>(file.metadata, key);
    try_to_read<std::vector<int32_t>>(file.metadata, key);
    try_to_read<std::vector<double>>(file.metadata, key);
    try_to_read<std::span<const std::byte>>(file.metadata, key);
  }
  for (const ArraySpan& array : file.tensors)
    promise(std::ranges::count(array.bytes, std::byte{}) <= std::ssize(array.bytes));
}

std::vector<Seed> seeds() {
  const TempFolder folder;
  GgufWriter writer(folder / "all");
  writer.add<bool>("bool", true);
  writer.add<uint32_t>("number", 7);
  writer.add<float>("real", 1.5f);
  writer.add_text("text", "two words");
  writer.add_texts("texts", std::vector<std::string>{"", "a", "bc"});
  writer.add_list<int32_t>("ints", std::vector<int32_t>{1, -1});
  writer.add_list<uint8_t>("bytes", std::vector<uint8_t>{1, 255});
  const std::vector<int64_t> shape = {2, 32};
  writer.announce("a", "Q8_0", shape);
  writer.announce("b", "F32", shape);
  writer.write(std::vector<std::byte>(68 + 256));
  writer.commit();
  return {{"all", content_of(folder / "all")}};
}

}  // namespace lathe::fuzz
