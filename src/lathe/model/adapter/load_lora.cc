// Reading an adapter: which tensors a module has, which rows of which parameter it means.
#include <algorithm>
#include <cmath>
#include <map>

#include "lathe/base/error.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/adapter/lora_adapter.h"
#include "lathe/model/adapter/lora_config.h"
#include "lathe/model/family.h"
#include "lathe/model/stored_weights.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "base_model.model.";
constexpr const char* kFile = "adapter_model.safetensors";

// The tensors of one module.
struct Pair {
  const ArraySpan *a = nullptr, *b = nullptr, *base = nullptr;
  bool lookup = false;
};

struct Ending {
  std::string_view text;
  const ArraySpan* Pair::*member;
  bool lookup;
};
constexpr Ending kEndings[] = {
    {".lora_A.weight", &Pair::a, false},        {".lora_B.weight", &Pair::b, false},
    {".lora_embedding_A", &Pair::a, true},      {".lora_embedding_B", &Pair::b, true},
    {".base_layer.weight", &Pair::base, false},  // PEFT repeats tables that an adapter acts on
};

class Loader {
 public:
  Loader(const fs::path& folder, Transformer& model, const Log& log)
      : log_(log),
        config_(read_lora_config(checked(folder) / "adapter_config.json", log)),
        where_((folder / kFile).string()),
        reader_(std::make_shared<SafetensorsReader>(existing(folder))),
        model_(model),
        family_(find_family(model.config().model_type)),
        places_(map_weights(model, family_)) {
    for (size_t i = 0; i < places_.size(); ++i) by_name_[places_[i].name] = i;
  }

  std::shared_ptr<const LoraAdapter> load() {
    for (const auto& [module, pair] : pairs()) {
      require(pair.a != nullptr && pair.b != nullptr, ErrorKind::kFormat, where_,
              "'{}' has one of the matrices A and B without the other; save the adapter again",
              module);
      if (const std::string stack = stack_of(module); !stack.empty()) {
        add_experts(stack, pair);
        continue;
      }
      const Target target = find(module, *pair.a);
      if (pair.base != nullptr) check_base(target, *pair.base);
      pair.lookup ? add_lookup(target, pair) : add_product(target, pair);
    }
    require(!products_.empty() || !lookups_.empty(), ErrorKind::kFormat, where_,
            "there is no adapter in it; expected tensors '{}<module>.lora_A.weight'", kPrefix);
    return std::make_shared<const LoraAdapter>(std::move(products_), std::move(lookups_));
  }

 private:
  struct Target {
    std::string module;
    const DiskTensor* place;
  };

  static const fs::path& checked(const fs::path& folder) {
    std::error_code error;
    require(fs::is_directory(folder, error), ErrorKind::kIo, folder.string(),
            "{}; give the folder of an adapter, as PEFT saves it (adapter_config.json and {})",
            fs::exists(folder, error) ? "is not a folder" : "the folder does not exist", kFile);
    return folder;
  }

  static fs::path existing(const fs::path& folder) {
    std::error_code error;
    require(fs::exists(folder / kFile, error) || !fs::exists(folder / "adapter_model.bin", error),
            ErrorKind::kFormat, folder.string(),
            "the adapter is pickled (adapter_model.bin), expected {}; save it again with PEFT's "
            "save_pretrained()",
            kFile);
    return folder / kFile;
  }

  std::map<std::string, Pair> pairs() const {
    std::map<std::string, Pair> all;
    for (const ArraySpan& array : reader_->arrays()) {
      const auto ending = std::ranges::find_if(
          kEndings, [&](const Ending& e) { return array.name.ends_with(e.text); });
      require(array.name.starts_with(kPrefix) && ending != std::end(kEndings), ErrorKind::kFormat,
              where_,
              "'{}' is not a tensor of a LoRA adapter, which are named '{}<module>.lora_A.weight' "
              "and '….lora_B.weight'; magnitudes (DoRA), biases and modules that were trained as a "
              "whole are not supported: merge the adapter with PEFT's merge_and_unload()",
              array.name, kPrefix);
      const size_t begin = kPrefix.size(), end = array.name.size() - ending->text.size();
      require(end > begin, ErrorKind::kFormat, where_, "'{}' names no module", array.name);
      Pair& pair = all[array.name.substr(begin, end - begin)];
      const bool first = pair.a == nullptr && pair.b == nullptr;
      require(ending->member == &Pair::base || first || pair.lookup == ending->lookup,
              ErrorKind::kFormat, where_, "'{}' belongs to a pair of another kind", array.name);
      if (ending->member != &Pair::base) pair.lookup = ending->lookup;
      pair.*ending->member = &array;
    }
    return all;
  }

  std::string advice() const {
    return fmt::format(
        "the adapter was made for another base{}; give that model, or an adapter of "
        "this one",
        config_.base.empty() ? "" : fmt::format(" ('{}')", config_.base));
  }

  // The module under the name that it has in the model, or as a part of a model without a head.
  Target find(const std::string& module, const ArraySpan& a) const {
    for (const std::string& name : {module, std::string(base_prefix(family_)) + module}) {
      const auto found = by_name_.find(name + ".weight");
      if (found != by_name_.end() && places_[found->second].shape.rank() == 2)
        return {module, &places_[found->second]};
    }
    if (module + ".weight" == matrix_on_disk(family_, "head") &&
        model_.config().tie_word_embeddings) {
      const auto table = by_name_.find(matrix_on_disk(family_, "embedding").value_or(""));
      if (table != by_name_.end()) return {module, &places_[table->second]};
    }
    fail(ErrorKind::kData, where_,
         "'{}' {} is for a module '{}', which this model ({}) does not have; {}", a.name,
         shape_of(a), module, family_.name, advice());
  }

  static std::string shape_of(const ArraySpan& array) {
    return fmt::format("[{}]", fmt::join(array.shape, ", "));
  }

  // [outputs, inputs] of a weight, which may be stored transposed.
  static std::pair<int64_t, int64_t> sizes(const DiskTensor& t) {
    return t.transposed ? std::pair{t.shape[1], t.shape[0]} : std::pair{t.shape[0], t.shape[1]};
  }

  void check_rank(const Target& target, const ArraySpan& array, size_t dim) const {
    require(array.shape.size() == 2, ErrorKind::kFormat, where_,
            "'{}' has shape {}, expected a matrix", array.name, shape_of(array));
    const int64_t rank = config_.rank(target.module);
    require(array.shape[dim] == rank, ErrorKind::kFormat, where_,
            "'{}' has shape {}, but adapter_config.json says that the rank of '{}' is {}; the two "
            "files do not belong together, save the adapter again",
            array.name, shape_of(array), target.module, rank);
  }

  void check_size(const Target& target, const ArraySpan& array, size_t dim, int64_t size,
                  std::string_view what) const {
    require(array.shape[dim] == size, ErrorKind::kData, where_,
            "'{}' has shape {}, but '{}' of this model has {} {}; {}", array.name, shape_of(array),
            target.place->name, size, what, advice());
  }

  // In the type of activations, in memory of its own.
  Tensor read(const ArraySpan& array) const {
    const Tensor stored = stored_tensor(array, reader_);
    const Tensor wide = stored.to(DType::kF32);
    for (const float v : wide.span<float>())
      require(std::isfinite(v), ErrorKind::kFormat, where_,
              "'{}' has a value that is not finite; the file is damaged, or training diverged",
              array.name);
    const Tensor own = stored.to(model_.activations()).clone();
    return own.to(model_.device());
  }

  void add_product(const Target& target, const Pair& pair) {
    const auto [outputs, inputs] = sizes(*target.place);
    check_rank(target, *pair.a, 0);
    check_rank(target, *pair.b, 1);
    check_size(target, *pair.a, 1, inputs, "inputs");
    check_size(target, *pair.b, 0, outputs, "outputs");
    const auto& pieces = target.place->pieces;
    LowRankUpdate update{pieces[0].first_row, read(*pair.a), read(*pair.b),
                         config_.scale(target.module)};
    if (pieces.size() > 1 || pieces[0].runs > 1) reorder(*target.place, update);
    products_[pieces[0].parameter->name].push_back(std::move(update));
  }

  // The rows of B in the order that the parameter has.
  void reorder(const DiskTensor& place, LowRankUpdate& update) const {
    const Parameter* parameter = place.pieces[0].parameter;
    int64_t first = parameter->shape[0], end = 0, rows = 0;
    for (const WeightPiece& piece : place.pieces) {
      first = std::min(first, piece.first_row);
      end = std::max(end, piece.first_row + piece.rows);
      rows += piece.rows;
      require(piece.parameter == parameter, ErrorKind::kData, where_,
              "'{}' is spread over several parameters of this model, where an adapter cannot act",
              place.name);
    }
    require(
        rows == end - first, ErrorKind::kData, where_,
        "the rows of '{}' are not next to each other in this model, where an adapter cannot act",
        place.name);
    DiskTensor of_b = place;
    of_b.shape = {place.shape[0], update.rank()};
    of_b.transposed = false;
    of_b.added = 0;
    const Tensor all =
        Tensor::zeros({parameter->shape[0], update.rank()}, update.b.dtype(), update.b.device());
    of_b.scatter(update.b, [&](Parameter&) -> const Tensor& { return all; });
    update.first_row = first;
    update.b = all.narrow(0, first, rows).clone();
  }

  void add_lookup(const Target& target, const Pair& pair) {
    check_rank(target, *pair.a, 0);
    check_rank(target, *pair.b, 1);
    const DiskTensor& place = *target.place;
    require(place.is_whole() && place.pieces[0].parameter->is_table, ErrorKind::kData, where_,
            "'{}' is not a table of embeddings in this model; {}", place.name, advice());
    check_size(target, *pair.a, 1, place.shape[0], "rows");
    check_size(target, *pair.b, 0, place.shape[1], "columns");
    lookups_[place.pieces[0].parameter->name] = {read(*pair.a).transpose(0, 1).clone(),
                                                 read(*pair.b), config_.scale(target.module)};
  }

  // "model.layers.3.mlp.experts", where several adapted parameters are one inside the other; empty for
  // another module.
  static std::string stack_of(std::string module) {
    constexpr std::string_view kInner = ".base_layer";
    while (module.ends_with(kInner)) module.resize(module.size() - kInner.size());
    return module.ends_with(".experts") ? module : "";
  }

  // The matrices of all experts of a layer; nullptr if this model has none of this name there.
  const Parameter* experts_of(const std::string& stack, std::string_view matrix) const {
    constexpr std::string_view kLayer = "layers.";
    const size_t at = stack.find(kLayer);
    if (at == std::string::npos) return nullptr;
    const size_t number = at + kLayer.size();
    const std::string layer = stack.substr(number, stack.find('.', number) - number);
    const auto all = std::as_const(model_).parameters();
    const auto found = std::ranges::find_if(all, [&](const Parameter* p) {
      return p->name == fmt::format("layers.{}.ffn.experts.{}.weight", layer, matrix);
    });
    return found == all.end() ? nullptr : *found;
  }

  void add_experts(const std::string& stack, const Pair& pair) {
    const int64_t experts = model_.config().moe.num_experts;
    require(pair.a->shape.size() == 2 && pair.b->shape.size() == 2, ErrorKind::kFormat, where_,
            "'{}' and '{}' have shapes {} and {}, expected matrices", pair.a->name, pair.b->name,
            shape_of(*pair.a), shape_of(*pair.b));
    for (const auto& [ours, theirs] :
         {std::pair{"gate_up", ".gate_up_proj"}, {"up", ".up_proj"}, {"down", ".down_proj"}}) {
      const Parameter* p = experts_of(stack, ours);
      if (p == nullptr || pair.a->shape[1] != p->shape[1] ||
          pair.b->shape[0] != p->shape[0] / experts)
        continue;
      const int64_t rank = config_.rank(stack + theirs);
      require(pair.a->shape[0] == rank * experts && pair.b->shape[1] == rank * experts,
              ErrorKind::kData, where_,
              "'{}' and '{}' have shapes {} and {}, expected {} times the rank {} of "
              "adapter_config.json for {} experts; {}",
              pair.a->name, pair.b->name, shape_of(*pair.a), shape_of(*pair.b), experts, rank,
              experts, advice());
      return add_each_expert(*p, pair, config_.scale(stack + theirs));
    }
    fail(ErrorKind::kData, where_,
         "'{}' {} and '{}' {} fit no matrices of experts at '{}' of this model ({}); {}",
         pair.a->name, shape_of(*pair.a), pair.b->name, shape_of(*pair.b), stack, family_.name,
         advice());
  }

  void add_each_expert(const Parameter& p, const Pair& pair, double scale) {
    const int64_t experts = model_.config().moe.num_experts, outputs = p.shape[0] / experts;
    const Tensor a = read(*pair.a), b = read(*pair.b);
    const int64_t rank = a.size(0) / experts;
    for (int64_t e = 0; e < experts; ++e) {
      const Tensor mine({outputs, rank}, b.dtype(), b.device());
      for (int64_t j = 0; j < rank; ++j)
        mine.narrow(1, j, 1).copy_from(b.narrow(1, j * experts + e, 1));
      products_[p.name].push_back({e * outputs, a.narrow(0, e * rank, rank).clone(), mine, scale});
    }
  }

  // PEFT saves a table that an adapter acts on together with it. The base's own is used, which must be
  // the same up to what rounding may have done to it.
  void check_base(const Target& target, const ArraySpan& saved) const {
    require(Shape(std::span<const int64_t>(saved.shape)) == target.place->shape, ErrorKind::kData,
            where_, "'{}' has shape {}, but '{}' of this model has shape {}; {}", saved.name,
            shape_of(saved), target.place->name, target.place->shape, advice());
    const Weight& weight = target.place->pieces[0].parameter->value;
    if (weight.packed() != nullptr) return;
    const Tensor base = target.place->gather(value_of).to(Device::kCpu);
    const double change = relative_change(stored_tensor(saved, reader_).to(base.dtype()), base);
    constexpr double kOfRounding = 0.2;  // more than that of a table in 4 bits
    require(
        change <= kOfRounding, ErrorKind::kData, where_,
        "'{}' differs from '{}' of this model by {:.0f} %: a table that was changed by training "
        "or has other tokens is not supported; merge the adapter with PEFT's "
        "merge_and_unload(), or give the base that it was made for",
        saved.name, target.place->name, 100 * change);
    if (change > 0)
      log_.warn(
          "{}: '{}' differs from '{}' of this model by {:.2g} %, as rounding may do; the "
          "model's is used",
          where_, saved.name, target.place->name, 100 * change);
  }

  // ‖a − b‖ / ‖a‖.
  static double relative_change(const Tensor& a, const Tensor& b) {
    double error = 0, size = 0;
    const auto x = a.to_vector(), y = b.to_vector();
    for (size_t i = 0; i < x.size(); ++i) {
      error += (x[i] - y[i]) * (x[i] - y[i]);
      size += x[i] * x[i];
    }
    return error == 0 ? 0 : std::sqrt(error / size);
  }

  Log log_;
  LoraConfig config_;
  std::string where_;
  std::shared_ptr<const SafetensorsReader> reader_;
  Transformer& model_;
  const Family& family_;
  std::vector<DiskTensor> places_;
  std::map<std::string, size_t, std::less<>> by_name_;
  LoraAdapter::Updates products_;
  LoraAdapter::Lookups lookups_;
};

}  // namespace

std::shared_ptr<const LoraAdapter> load_lora(const fs::path& folder, Transformer& model,
                                             const Log& log) {
  return Loader(folder, model, log).load();
}

}  // namespace lathe
