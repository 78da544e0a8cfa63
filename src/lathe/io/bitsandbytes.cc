#include "lathe/io/bitsandbytes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <unordered_set>

#include "lathe/base/error.h"
#include "lathe/config/json_text.h"
#include "lathe/tensor/blocks/bitsandbytes.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kState = ".quant_state.bitsandbytes__", kWeight = "weight";
constexpr int64_t kMostBlock = 1 << 16, kMultiple = 32;
constexpr size_t kMostDimensions = 4;

template <class... Args>
void check(bool holds, const std::string& array, fmt::format_string<Args...> format,
           Args&&... args) {
  require(holds, ErrorKind::kFormat, "weights",
          "'{}' {}; the download is damaged, or another tool "
          "than bitsandbytes wrote it",
          array, fmt::format(format, std::forward<Args>(args)...));
}

// The arrays that belong to one weight, and which of them were used.
class Companions {
 public:
  Companions(const ArrayReader& reader, std::unordered_set<std::string>& used)
      : reader_(reader), used_(used) {}

  const ArraySpan* find(const std::string& name) const {
    const ArraySpan* found = reader_.find(name);
    if (found != nullptr) used_.insert(name);
    return found;
  }
  const ArraySpan& need(const std::string& name) const {
    const ArraySpan* found = find(name);
    require(found != nullptr, ErrorKind::kFormat, "weights",
            "tensor '{}' is missing; without it the quantised weight beside it cannot be read",
            name);
    return *found;
  }
  // `count` finite numbers.
  std::vector<float> floats(const std::string& name, size_t count) const {
    const ArraySpan& array = need(name);
    check(array.dtype == "F32" && array.bytes.size() == count * sizeof(float), name,
          "has {} bytes of type {}, expected {} numbers of F32", array.bytes.size(), array.dtype,
          count);
    std::vector<float> out(count);
    if (count > 0) std::memcpy(out.data(), array.bytes.data(), array.bytes.size());
    for (const float v : out) check(std::isfinite(v), name, "has the value {}", v);
    return out;
  }

 private:
  const ArrayReader& reader_;
  std::unordered_set<std::string>& used_;
};

size_t parts(size_t elements, int64_t block) {
  const auto size = static_cast<size_t>(block);
  return elements / size + (elements % size != 0 ? 1 : 0);
}

// What the JSON of a weight of four bits says.
struct State {
  std::string where;
  Json json;

  int64_t block(const char* key) const {
    const int64_t value =
        json.contains(key) && json[key].is_number_integer() ? json[key].get<int64_t>() : 0;
    check(value > 0 && value <= kMostBlock && value % kMultiple == 0, where,
          "has no {} that is a multiple of {}", key, kMultiple);
    return value;
  }
  float number(const char* key) const {
    check(json.contains(key) && json[key].is_number(), where, "has no number '{}'", key);
    const auto value = json[key].get<float>();
    check(std::isfinite(value), where, "has the {} {}", key, value);
    return value;
  }
  // Its product is `elements` or one less.
  std::vector<int64_t> shape(size_t elements) const {
    check(json.contains("shape") && json["shape"].is_array() && !json["shape"].empty() &&
              json["shape"].size() <= kMostDimensions,
          where, "has no 'shape'");
    std::vector<int64_t> dims;
    size_t product = 1;
    for (const Json& extent : json["shape"]) {
      const bool positive = extent.is_number_unsigned() && extent.get<uint64_t>() > 0;
      const uint64_t n = positive ? extent.get<uint64_t>() : 0;
      check(positive && n <= elements / product, where,
            "has the shape {}, but the codes are for {} elements", json["shape"].dump(), elements);
      product *= n;
      dims.push_back(static_cast<int64_t>(n));
    }
    check(product + 1 >= elements, where, "has the shape {}, but the codes are for {} elements",
          json["shape"].dump(), elements);
    return dims;
  }
};

State read_state(const ArraySpan& array) {
  const std::string_view text(reinterpret_cast<const char*>(array.bytes.data()),
                              array.bytes.size());
  State state{array.name, parse_json(text, array.name, {.error_kind = ErrorKind::kFormat})};
  check(state.json.is_object(), array.name, "is no JSON object");
  return state;
}

std::vector<float> read_scales(const std::string& weight, const State& state, size_t count,
                               const Companions& beside) {
  const ArraySpan& absmax = beside.need(weight + ".absmax");
  if (absmax.dtype != "U8") return beside.floats(absmax.name, count);
  check(absmax.bytes.size() == count, absmax.name, "has {} scales, expected {}",
        absmax.bytes.size(), count);
  QuantisedScales scales;
  scales.block = state.block("nested_blocksize");
  scales.offset = state.number("nested_offset");
  scales.levels = beside.floats(weight + ".nested_quant_map", 256);
  scales.maxima = beside.floats(weight + ".nested_absmax", parts(count, scales.block));
  for (const std::byte code : absmax.bytes) scales.codes.push_back(std::to_integer<uint8_t>(code));
  return decode_scales(scales);
}

struct Dequantisable {
  ArraySpan array;  // without bytes
  std::vector<std::byte> blocks;
};

Dequantisable read_four_bits(const ArraySpan& weight, bool nf4, const ArraySpan& state_array,
                             const Companions& beside) {
  const State state = read_state(state_array);
  const auto levels = nf4 ? nf4_levels() : fp4_levels();
  const auto map = beside.floats(weight.name + ".quant_map", levels.size());
  for (size_t q = 0; q < map.size(); ++q)
    check(std::abs(map[q] - levels[q]) < 1e-4f, weight.name + ".quant_map",
          "has the level {} for code {}, expected {}", map[q], q, levels[q]);
  Dequantisable out;
  const size_t codes = weight.bytes.size();
  out.array = {weight.name, nf4 ? "NF4" : "FP4", state.shape(2 * codes), {}};
  const auto elements =
      std::accumulate(out.array.shape.begin(), out.array.shape.end(), size_t{1},
                      [](size_t all, int64_t n) { return all * static_cast<size_t>(n); });
  const int64_t block = state.block("blocksize");
  out.blocks = four_bit_blocks(
      weight.bytes, read_scales(weight.name, state, parts(elements, block), beside), block);
  return out;
}

Dequantisable read_int8(const ArraySpan& weight, const std::string& module,
                        const Companions& beside) {
  check(weight.dtype == "I8" && weight.shape.size() == 2, weight.name,
        "is of type {}, expected a matrix of I8", weight.dtype);
  constexpr int64_t kInts = 4;
  require(weight.shape[1] % kInts == 0, ErrorKind::kFormat, "weights",
          "'{}' has {} columns; Lathe reads int8 with a multiple of {}. Use the model that is not "
          "quantised",
          weight.name, weight.shape[1], kInts);
  if (const ArraySpan* format = beside.find(module + "weight_format"))
    for (const std::byte code : format->bytes)
      check(code == std::byte{0}, format->name, "is {}, expected 0, the order of rows",
            std::to_integer<int>(code));
  Dequantisable out;
  out.array = {weight.name, "INT8", weight.shape, {}};
  out.blocks = int8_blocks(weight.bytes,
                           beside.floats(module + "SCB", static_cast<size_t>(weight.shape[0])));
  return out;
}

}  // namespace

BitsandbytesReader::BitsandbytesReader(std::shared_ptr<const ArrayReader> stored)
    : stored_(std::move(stored)) {
  std::unordered_set<std::string> used;
  const Companions beside(*stored_, used);
  std::vector<ArraySpan> all;
  for (const ArraySpan& array : stored_->arrays()) {
    if (!array.name.ends_with(kWeight)) continue;
    const std::string module = array.name.substr(0, array.name.size() - kWeight.size());
    const std::string state = array.name + std::string(kState);
    const ArraySpan *nf4 = beside.find(state + "nf4"), *fp4 = beside.find(state + "fp4");
    Dequantisable weight;
    if (nf4 != nullptr || fp4 != nullptr) {
      weight = read_four_bits(array, nf4 != nullptr, nf4 != nullptr ? *nf4 : *fp4, beside);
    } else if (stored_->find(module + "SCB") != nullptr) {
      weight = read_int8(array, module, beside);
    } else {
      continue;
    }
    used.insert(array.name);
    blocks_.push_back(std::move(weight.blocks));
    weight.array.bytes = blocks_.back();  // the heap's memory stays where it is
    all.push_back(std::move(weight.array));
  }
  for (const ArraySpan& array : stored_->arrays())
    if (!used.contains(array.name)) all.push_back(array);
  hold(std::move(all));
}

}  // namespace lathe
