#include "lathe/model/stored_weights.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <set>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/tensor/blocks/block_type.h"

namespace lathe {
namespace {

// How the names of constants end that the model makes itself.
constexpr std::string_view kConstantBuffers[] = {
    ".attn.bias",                // causal masks: GPT-2, GPT-J
    ".attn.attention.bias",      // GPT-Neo
    ".attention.bias",           // GPT-NeoX
    ".self_attention.bias",      //
    ".crossattention.bias",      // GPT-2
    ".masked_bias",              // what stands for minus infinity in them
    ".causal_mask",              //
    ".inv_freq",                 // rotary frequencies
    ".cos_cached",               // and their tables
    ".sin_cached",               //
    ".embed_positions.weights",  // sines
    ".position_ids",             // 0, 1, 2 …: BERT
    ".token_type_ids",           // zeros
    ".version",                  // fairseq: OPT
    "._float_tensor",            //
    ".num_batches_tracked",      //
};

// What tools put before every name: distributed training, torch.compile, trl.
constexpr std::string_view kWrappers[] = {"module.", "_orig_mod.", "pretrained_model."};

bool is_constant_buffer(std::string_view name) {
  return std::ranges::any_of(kConstantBuffers, [&](std::string_view end) {
    return name.ends_with(end) || name == end.substr(1);
  });
}

std::optional<WeightRule> rule_for(const Family& family, std::string_view ours) {
  for (const auto& table : family.weights)
    for (const WeightRule& rule : table)
      if (rule.ours == ours) return rule;
  return std::nullopt;
}

}  // namespace

std::optional<std::string> matrix_on_disk(const Family& family, const std::string& module) {
  if (const auto rule = rule_for(family, module + ".weight")) return std::string(rule->disk);
  if (const auto rule = rule_for(family, module)) return std::string(rule->disk) + ".weight";
  if (family.weights.empty()) return module + ".weight";
  return std::nullopt;
}

std::string_view base_prefix(const Family& family) {
  const auto table = rule_for(family, "embedding");
  const size_t dot = table ? table->disk.find('.') : std::string_view::npos;
  return dot == std::string_view::npos ? std::string_view() : table->disk.substr(0, dot + 1);
}

namespace {

const ArraySpan* find_wrapped(const ArrayReader& reader, const std::string& name) {
  if (const ArraySpan* found = reader.find(name)) return found;
  for (const std::string_view wrapper : kWrappers)
    if (const ArraySpan* found = reader.find(std::string(wrapper) + name)) return found;
  return nullptr;
}

const ArraySpan* find_with_or_without_base(const ArrayReader& reader, const std::string& name,
                                           const Family& family) {
  if (const ArraySpan* found = find_wrapped(reader, name)) return found;
  const std::string_view prefix = base_prefix(family);
  if (prefix.empty() || !name.starts_with(prefix)) return nullptr;
  return find_wrapped(reader, name.substr(prefix.size()));
}

bool same_bytes(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

bool same_values(const ArraySpan& a, const ArraySpan& b) {
  if (a.shape != b.shape) return false;
  if (a.dtype == b.dtype && same_bytes(a.bytes, b.bytes)) return true;
  const std::shared_ptr<const void> reader(a.bytes.data(), [](const void*) {});  // outlives this
  const Tensor x = stored_tensor(a, reader).to(DType::kF32),
               y = stored_tensor(b, reader).to(DType::kF32);
  return std::ranges::equal(x.span<float>(), y.span<float>());
}

// The token table of a tied model may lie there as its head alone.
const ArraySpan* find_table(const ArrayReader& reader, const std::string& name,
                            const Family& family, const ModelConfig& config) {
  if (!config.tie_word_embeddings || name != matrix_on_disk(family, "embedding")) return nullptr;
  const auto head = matrix_on_disk(family, "head");
  return head ? find_array(reader, *head, family) : nullptr;
}

// Arrays that a model of this family has a name for beside those that it uses: the head of a tied
// model (which is equal, or it would not be tied), and what the family says.
bool is_known_copy(const ArraySpan* array, const ArrayReader& reader, const Family& family) {
  const auto head = matrix_on_disk(family, "head");
  if (head && find_array(reader, *head, family) == array) return true;
  return std::ranges::any_of(family.ignored,
                             [&](std::string_view end) { return array->name.ends_with(end); });
}

}  // namespace

const ArraySpan* find_array(const ArrayReader& reader, const std::string& name,
                            const Family& family) {
  if (const ArraySpan* found = find_with_or_without_base(reader, name, family)) return found;
  for (const auto& [now, before] : family.old_endings) {
    if (!name.ends_with(now)) continue;
    const std::string old = name.substr(0, name.size() - now.size()) + std::string(before);
    if (const ArraySpan* found = find_with_or_without_base(reader, old, family)) return found;
  }
  return nullptr;
}

bool has_head_of_its_own(const ArrayReader& reader, const Family& family) {
  const auto table = matrix_on_disk(family, "embedding"), head = matrix_on_disk(family, "head");
  if (!table || !head) return false;
  const ArraySpan *a = find_array(reader, *table, family), *b = find_array(reader, *head, family);
  return a != nullptr && b != nullptr && !same_values(*a, *b);
}

namespace {

const BlockType* blocks_of(const ArraySpan& array) {
  const BlockType* type = find_block_type(array.dtype);
  return type != nullptr && !type->is_plain() ? type : nullptr;
}

}  // namespace

bool is_quantised(const ArraySpan& array) { return blocks_of(array) != nullptr; }

DType stored_dtype(const ArraySpan& array) {
  if (const BlockType* blocks = blocks_of(array); blocks != nullptr && blocks->decode != nullptr)
    return DType::kF32;
  const auto dtype = dtype_from_safetensors(array.dtype);
  require(
      dtype && is_floating(*dtype), ErrorKind::kFormat, "weights",
      "'{}' has type {}, expected F32, F16, BF16, F64, or a quantised type that Lathe reads ({})",
      array.name, array.dtype, join(decodable_block_types(), ", "));
  return *dtype;
}

Tensor stored_tensor(const ArraySpan& array, std::shared_ptr<const void> owner) {
  const DType dtype = stored_dtype(array);
  const Shape shape{std::span<const int64_t>(array.shape)};
  if (const BlockType* blocks = blocks_of(array)) {
    Tensor decoded(shape, dtype);
    blocks->decode(array.bytes, decoded.span<float>());
    return decoded;
  }
  // Bytes in the file may lie at any address; tensors are aligned.
  if (reinterpret_cast<uintptr_t>(array.bytes.data()) % size_of(dtype) == 0)
    return Tensor::borrow(array.bytes.data(), shape, dtype, std::move(owner));
  Tensor copy(shape, dtype);
  std::copy(array.bytes.begin(), array.bytes.end(), copy.raw());
  return copy;
}

Tensor StoredWeights::tensor(size_t place) const { return stored_tensor(*arrays[place], reader); }
DType StoredWeights::dtype(size_t place) const { return stored_dtype(*arrays[place]); }

void StoredWeights::copy(size_t place) const {
  places[place].scatter(tensor(place), value_of);
  reader->drop(*arrays[place]);
}

void StoredWeights::warn_of_unused(const std::filesystem::path& path, const Log& log) const {
  if (!unused.empty())
    log.warn("{}: the model does not use {} tensors, which are ignored: {}", path.string(),
             unused.size(), join_some(unused));
}

void check_array(const ArraySpan* array, const DiskTensor& place, std::string_view asks) {
  require(array != nullptr, ErrorKind::kFormat, "weights",
          "tensor '{}' is missing; the weights do not belong to {}, or the download is "
          "incomplete",
          place.name, asks);
  require(Shape(std::span<const int64_t>(array->shape)) == place.shape, ErrorKind::kFormat,
          "weights", "'{}' has shape [{}], but {} requires {}", array->name,
          fmt::join(array->shape, ", "), asks, place.shape);
  stored_dtype(*array);
}

StoredWeights find_weights(Transformer& model, const Family& family,
                           std::shared_ptr<const ArrayReader> reader) {
  StoredWeights w{std::move(reader), map_weights(model, family), {}, {}};
  std::set<const ArraySpan*> used;
  for (const DiskTensor& t : w.places) {
    const ArraySpan* array = find_array(*w.reader, t.name, family);
    if (array == nullptr) array = find_table(*w.reader, t.name, family, model.config());
    check_array(array, t, "config.json");
    used.insert(array);
    w.arrays.push_back(array);
  }
  for (const ArraySpan& array : w.reader->arrays())
    if (!used.contains(&array) && !is_constant_buffer(array.name) &&
        !is_known_copy(&array, *w.reader, family))
      w.unused.push_back(array.name);
  return w;
}

}  // namespace lathe
