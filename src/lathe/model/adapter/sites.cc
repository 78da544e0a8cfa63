#include "lathe/model/adapter/sites.h"

#include <algorithm>
#include <numeric>

#include "lathe/base/error.h"
#include "lathe/model/family.h"
#include "lathe/model/stored_weights.h"
#include "lathe/ops/rearrange.h"

namespace lathe {
namespace {

constexpr std::string_view kWeight = ".weight";

std::string without_weight(std::string name) {
  if (name.ends_with(kWeight)) name.resize(name.size() - kWeight.size());
  return name;
}

// [outputs, inputs] of a weight, which may be stored transposed.
std::pair<int64_t, int64_t> sizes(const DiskTensor& t) {
  return t.transposed ? std::pair{t.shape[1], t.shape[0]} : std::pair{t.shape[0], t.shape[1]};
}

}  // namespace

AdapterSites::AdapterSites(Transformer& model)
    : model_(model),
      family_(find_family(model.config().model_type)),
      places_(map_weights(model, family_)) {
  for (size_t i = 0; i < places_.size(); ++i) by_name_[places_[i].name] = i;
  head_ = without_weight(matrix_on_disk(family_, "head").value_or(""));
  table_ = without_weight(matrix_on_disk(family_, "embedding").value_or(""));
}

const DiskTensor* AdapterSites::place(const std::string& name) const {
  for (const std::string& each : {name, std::string(base_prefix(family_)) + name})
    if (const auto found = by_name_.find(each); found != by_name_.end())
      return &places_[found->second];
  return nullptr;
}

// The rows of a tensor, which may be in several runs of one parameter.
RowsOfParameter AdapterSites::rows_of(const DiskTensor& place, std::string_view where) const {
  const Parameter* parameter = place.pieces[0].parameter;
  int64_t first = parameter->shape[0], end = 0, rows = 0;
  for (const WeightPiece& piece : place.pieces) {
    first = std::min(first, piece.first_row);
    end = std::max(end, piece.first_row + piece.rows);
    rows += piece.rows;
    require(piece.parameter == parameter, ErrorKind::kData, where,
            "'{}' is spread over several parameters of this model, where an adapter cannot act",
            place.name);
  }
  require(rows == end - first, ErrorKind::kData, where,
          "the rows of '{}' are not next to each other in this model, where an adapter cannot act",
          place.name);
  RowsOfParameter at{parameter->name, first, rows};
  if (place.pieces.size() == 1 && place.pieces[0].runs == 1) return at;
  // The number of each row in the file, brought to its place in the parameter.
  DiskTensor numbers = place;
  numbers.shape = {rows, 1};
  numbers.transposed = false;
  numbers.added = 0;
  Tensor from({rows, 1}, DType::kF32);
  std::iota(from.data<float>(), from.data<float>() + rows, 0.0f);
  const Tensor to = Tensor::zeros({parameter->shape[0], 1}, DType::kF32);
  numbers.scatter(from, [&](Parameter&) -> const Tensor& { return to; });
  at.order = Tensor({rows}, DType::kI32);
  for (int64_t i = 0; i < rows; ++i)
    at.order.data<int32_t>()[i] = static_cast<int32_t>(to.data<float>()[first + i]);
  return at;
}

std::optional<AdapterSites::Site> AdapterSites::matrix(const std::string& module, bool lookup,
                                                       std::string_view where) const {
  const DiskTensor* found = place(module + std::string(kWeight));
  if (found == nullptr && module == head_ && model_.config().tie_word_embeddings)
    found = place(table_ + std::string(kWeight));
  if (found == nullptr || found->shape.rank() != 2) return std::nullopt;
  const auto [outputs, inputs] = sizes(*found);
  Site site{.site = {.module = module, .outputs = outputs, .inputs = inputs},
            .at = rows_of(*found, where),
            .weight = found->name,
            .is_lookup = lookup};
  if (!lookup) return site;
  require(found->is_whole() && found->pieces[0].parameter->is_table, ErrorKind::kData, where,
          "'{}' is not a table of embeddings in this model", found->name);
  std::swap(site.site.outputs, site.site.inputs);
  site.site.is_table = true;
  return site;
}

const Parameter* AdapterSites::parameter(const std::string& name) const {
  const auto all = std::as_const(model_).parameters();
  const auto found = std::ranges::find_if(all, [&](const Parameter* p) { return p->name == name; });
  return found == all.end() ? nullptr : *found;
}

std::vector<AdapterSites::Site> AdapterSites::experts(const std::string& stack) const {
  constexpr std::string_view kLayer = "layers.";
  std::vector<Site> all;
  const size_t at = stack.find(kLayer);
  if (at == std::string::npos) return all;
  const size_t number = at + kLayer.size();
  const std::string layer = stack.substr(number, stack.find('.', number) - number);
  const int64_t count = model_.config().moe.num_experts;
  for (const auto& [ours, theirs] :
       {std::pair{"gate_up", ".gate_up_proj"}, std::pair{"up", ".up_proj"},
        std::pair{"down", ".down_proj"}}) {
    const Parameter* p = parameter(fmt::format("layers.{}.ffn.experts.{}.weight", layer, ours));
    if (p == nullptr || count == 0) continue;
    all.push_back({.site = {.module = stack + theirs,
                            .outputs = p->shape[0] / count,
                            .inputs = p->shape[1],
                            .experts = count},
                   .at = {p->name, 0, p->shape[0]},
                   .weight = stack + theirs});
  }
  return all;
}

std::vector<AdapterSites::Site> AdapterSites::experts() const {
  // The module that has them is named after a tensor of theirs.
  std::vector<Site> all;
  std::vector<std::string> seen;
  for (const DiskTensor& place : places_) {
    const size_t end = place.name.find(".experts.");
    if (end == std::string::npos) continue;
    std::string stack = place.name.substr(0, end) + ".experts";
    // transformers writes Mixtral's folders with this name, but calls the module otherwise.
    constexpr std::string_view kOnDisk = ".block_sparse_moe.";
    if (const size_t old = stack.find(kOnDisk); old != std::string::npos)
      stack.replace(old, kOnDisk.size(), ".mlp.");
    if (std::ranges::find(seen, stack) != seen.end()) continue;
    seen.push_back(stack);
    for (Site& site : experts(stack)) all.push_back(std::move(site));
  }
  return all;
}

std::optional<ReplacedValue> AdapterSites::value(const std::string& name,
                                                 std::string_view where) const {
  const DiskTensor* found = place(name);
  const std::string weight(kWeight);
  ReplacedValue value;
  if (found == nullptr && name == head_ + weight && model_.config().tie_word_embeddings) {
    found = place(table_ + weight);
    value.in_lookups = false;
  }
  if (found == nullptr) return std::nullopt;
  if (found->name == table_ + weight && model_.config().tie_word_embeddings && value.in_lookups)
    value.in_products = false;
  require(found->shape.rank() <= 2, ErrorKind::kData, where,
          "'{}' has {} dimensions in this model; a value in its place is supported for vectors and "
          "matrices",
          found->name, found->shape.rank());
  value.at = rows_of(*found, where);
  value.transposed = found->transposed;
  value.added = found->added;
  value.value = Parameter(found->shape, {Initializer::Kind::kZeros, 0});
  return value;
}

std::vector<std::string> AdapterSites::modules() const {
  std::vector<std::string> all;
  for (const DiskTensor& place : places_)
    if (place.shape.rank() == 2 && place.name.ends_with(kWeight))
      all.push_back(without_weight(place.name));
  if (!head_.empty() && model_.config().tie_word_embeddings) all.push_back(head_);
  return all;
}

bool AdapterSites::is_head(const std::string& module) const { return module == head_; }

bool AdapterSites::is_table(const std::string& module) const {
  const DiskTensor* found = place(module + std::string(kWeight));
  return found != nullptr && !is_head(module) && found->pieces[0].parameter->is_table;
}

bool AdapterSites::is_router(const std::string& module) const {
  const DiskTensor* found = place(module + std::string(kWeight));
  return found != nullptr && found->pieces[0].parameter->full_precision;
}

std::vector<std::string> AdapterSites::tensors() const {
  std::vector<std::string> all;
  for (const DiskTensor& place : places_) all.push_back(place.name);
  return all;
}

const ModuleAdapterKind* module_kind(const AdapterConfig& config) {
  for (const ModuleAdapterKind& kind : module_adapters())
    if (kind.name == config.peft_type) return &kind;
  return nullptr;
}

ModuleSite with_rank(const AdapterConfig& config, ModuleSite site) {
  const ModuleAdapterKind& kind = *module_kind(config);
  const ComponentConfig& own = config.modules.of(config.peft_type);
  const ModuleAdapterTraits traits = kind.traits(site, own);
  const int64_t usual =
      traits.rank_key == "r" ? config.r.value_or(traits.default_rank) : traits.default_rank;
  site.rank = config.rank_of(site.module, usual);
  const auto& alpha = traits.alpha_key == "alpha" ? config.alpha : config.lora_alpha;
  site.alpha = config.alpha_of(site.module, alpha.value_or(traits.default_alpha));
  site.init_weights = config.init_weights;
  // AdaLoRA may leave a module without any; OFT's is a number of blocks, which may follow.
  require(site.rank >= 1 || traits.rank_key != "r" || config.peft_type == "OFT", ErrorKind::kConfig,
          "adapter.r", "the rank of '{}' is {}, expected at least 1", site.module, site.rank);
  kind.check(site, own, KeyErrors("adapter"));
  return site;
}

}  // namespace lathe
