#include "fuzz/fuzz.h"
#include "io/temp_folder.h"
#include "lathe/io/bitsandbytes.h"
#include "lathe/io/safetensors.h"
#include "lathe/tensor/blocks/bitsandbytes.h"
#include "lathe/tensor/blocks/block_type.h"

namespace lathe::fuzz {
namespace {

class InMemory : public ArrayReader {
 public:
  explicit InMemory(std::string_view bytes) {
    hold(parse_safetensors(std::as_bytes(std::span(bytes)), "f", nullptr));
  }
};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

}  // namespace

// Every array of an accepted file is decoded whole.
void check(std::string_view bytes) {
  const BitsandbytesReader reader(std::make_shared<InMemory>(bytes));
  for (const ArraySpan& array : reader.arrays()) {
    const BlockType* type = find_block_type(array.dtype);
    if (type == nullptr || type->id != kNoGgufType) continue;
    size_t elements = 1;
    for (const int64_t extent : array.shape) elements *= static_cast<size_t>(extent);
    std::vector<float> decoded(elements);
    type->decode(array.bytes, decoded);
  }
}

std::vector<Seed> seeds() {
  const std::vector<float> levels(nf4_levels().begin(), nf4_levels().end()), ones(256, 1.0f);
  const std::vector<std::byte> codes(64, std::byte{0x5A});
  const auto f32 = [](std::span<const float> x) { return std::as_bytes(x); };
  const std::string plain = R"({"shape":[8,16],"blocksize":64})",
                    nested = R"({"shape":[8,16],"blocksize":64,"nested_blocksize":256,)"
                             R"("nested_offset":0.5})";
  const auto size = [](const std::string& text) { return static_cast<int64_t>(text.size()); };
  const TempFolder folder;
  const auto seed = [&](const char* name, const std::vector<ArraySpan>& arrays) {
    write_safetensors(folder / name, arrays);
    return Seed{name, content_of(folder / name)};
  };
  const ArraySpan weight{"a.weight", "U8", {64, 1}, codes},
      map{"a.weight.quant_map", "F32", {16}, f32(levels)};
  const std::string state = "a.weight.quant_state.bitsandbytes__nf4";
  return {seed("nf4", {weight,
                       map,
                       {"a.weight.absmax", "F32", {2}, f32(ones).first(8)},
                       {state, "U8", {size(plain)}, bytes_of(plain)}}),
          seed("double", {weight,
                          map,
                          {"a.weight.absmax", "U8", {2}, std::span(codes).first(2)},
                          {"a.weight.nested_absmax", "F32", {1}, f32(ones).first(4)},
                          {"a.weight.nested_quant_map", "F32", {256}, f32(ones)},
                          {state, "U8", {size(nested)}, bytes_of(nested)}}),
          seed("int8",
               {{"a.weight", "I8", {8, 8}, codes}, {"a.SCB", "F32", {8}, f32(ones).first(32)}})};
}

}  // namespace lathe::fuzz
