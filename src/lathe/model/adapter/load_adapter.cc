// Reading an adapter: which tensors a module has, which rows of which parameter it means.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/adapter/adapter.h"
#include "lathe/model/adapter/prompt_sites.h"
#include "lathe/model/adapter/sites.h"
#include "lathe/model/scores.h"
#include "lathe/model/stored_weights.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "base_model.model.";
constexpr std::string_view kShared = "base_model.";
constexpr std::string_view kBase = ".base_layer";
constexpr std::string_view kTokens = ".token_adapter.trainable_tokens_delta";
constexpr const char* kFile = "adapter_model.safetensors";
constexpr const char* kEncoder = "encoder.safetensors";

std::string shape_of(const ArraySpan& array) {
  return fmt::format("[{}]", fmt::join(array.shape, ", "));
}

std::string without(std::string text, std::string_view part) {
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part))
    text.erase(at, part.size());
  return text;
}

const fs::path& checked(const fs::path& folder) {
  std::error_code error;
  require(fs::is_directory(folder, error), ErrorKind::kIo, folder.string(),
          "{}; give the folder of an adapter, as PEFT saves it (adapter_config.json and {})",
          fs::exists(folder, error) ? "is not a folder" : "the folder does not exist", kFile);
  return folder;
}

fs::path existing(const fs::path& folder) {
  std::error_code error;
  require(fs::exists(folder / kFile, error) || !fs::exists(folder / "adapter_model.bin", error),
          ErrorKind::kFormat, folder.string(),
          "the adapter is pickled (adapter_model.bin), expected {}; save it again with PEFT's "
          "save_pretrained()",
          kFile);
  return folder / kFile;
}

class Loader {
 public:
  Loader(const fs::path& folder, Transformer& model, const Log& log)
      : log_(log),
        folder_(checked(folder)),
        config_(read_adapter_config(folder / "adapter_config.json", log)),
        where_((folder / kFile).string()),
        reader_(std::make_shared<SafetensorsReader>(existing(folder))),
        sites_(model),
        kind_(module_kind(config_)),
        adapter_(std::make_unique<Adapter>(config_, model)) {}

  std::unique_ptr<Adapter> load() {
    require(
        scores_of_adapter(folder_).labels == 0 || sites_.model().config().num_labels > 0,
        ErrorKind::kData, where_,
        "the adapter gives scores in place of the next token, but this model ({}) predicts tokens; make a "
        "model of both with lathe merge, or judge answers with it as reward.model",
        sites_.family().name);
    if (config_.is_prompt()) return load_prompt();
    if (kind_ != nullptr) endings_ = kind_->traits({}, own()).tensors;
    for (const ArraySpan& array : reader_->arrays()) sort(array);
    for (const auto& [module, tensors] : modules_) add_module(module, tensors);
    require(!adapter_->modules().empty() || !adapter_->replaced().empty(), ErrorKind::kFormat,
            where_, "there is no adapter in it; expected tensors '{}<module>.<tensor of {}>'",
            kPrefix, config_.peft_type);
    check_values();
    adapter_->allocate(sites_.model());
    fill(*adapter_, *reader_, where_);
    adapter_->share();
    return std::move(adapter_);
  }

 private:
  using Tensors = std::map<std::string, const ArraySpan*>;  // by what stands behind the module

  const ComponentConfig& own() const { return config_.modules.of(config_.peft_type); }

  std::string advice() const {
    return fmt::format(
        "the adapter was made for another base{}; give that model, or an adapter of this one",
        config_.base_model_name_or_path ? fmt::format(" ('{}')", *config_.base_model_name_or_path)
                                        : "");
  }

  // A tensor of a module's adapter, a value of the module itself, or a shared tensor.
  void sort(const ArraySpan& array) {
    const std::string& name = array.name;
    if (!name.starts_with(kPrefix) && name.starts_with(kShared)) return add_shared(array);
    require(name.starts_with(kPrefix), ErrorKind::kFormat, where_,
            "'{}' is not a tensor of an adapter of kind {}, which are named '{}<module>.…'", name,
            config_.peft_type, kPrefix);
    const std::string rest = name.substr(kPrefix.size());
    for (const std::string_view ending : endings_) {
      if (rest != ending && !rest.ends_with("." + std::string(ending))) continue;
      require(rest.size() > ending.size(), ErrorKind::kFormat, where_, "'{}' names no module",
              name);
      modules_[rest.substr(0, rest.size() - ending.size() - 1)][std::string(ending)] = &array;
      return;
    }
    if (rest.ends_with(kTokens)) return add_tokens(array, rest);
    if (rest.ends_with(".base_layer.weight")) return check_base(array, without(rest, kBase));
    add_value(array, without(without(rest, kBase), ".ln_tuning_layers"));
  }

  void add_shared(const ArraySpan& array) {
    adapter_->shared()[array.name.substr(kShared.size())] =
        read(array).to(sites_.model().activations());
  }

  [[noreturn]] void fail_absent(const ArraySpan& array, const std::string& module) const {
    fail(ErrorKind::kData, where_,
         "'{}' {} is for a module '{}', which this model ({}) does not have; {}", array.name,
         shape_of(array), module, sites_.family().name, advice());
  }

  // The place of a module's matrix, and the rank and alpha that it has.
  AdapterSites::Site find(const std::string& module, const Tensors& tensors) const {
    const ArraySpan& first = *tensors.begin()->second;
    AdapterSites::Site site;
    if (const std::string stack = stack_of(module); !stack.empty()) {
      site = find_experts(stack, tensors);
    } else {
      const bool lookup =
          tensors.contains("lora_embedding_A") || tensors.contains("lora_embedding_B");
      auto found = sites_.matrix(module, lookup, where_);
      if (!found) fail_absent(first, module);
      site = *std::move(found);
    }
    return site;
  }

  // "model.layers.3.mlp.experts", where several adapted parameters are one inside the other; empty for
  // another module.
  static std::string stack_of(const std::string& module) {
    const std::string plain = without(module, kBase);
    return plain.ends_with(".experts") ? plain : "";
  }

  AdapterSites::Site find_experts(const std::string& stack, const Tensors& tensors) const {
    const auto shape = [&](const char* ending) {
      const auto found = tensors.find(ending);
      return found == tensors.end() ? std::vector<int64_t>() : found->second->shape;
    };
    const auto a = shape("lora_A.weight"), b = shape("lora_B.weight");
    require(a.size() == 2 && b.size() == 2, ErrorKind::kFormat, where_,
            "'{}' needs matrices lora_A.weight and lora_B.weight, but has {} of shape {}", stack,
            tensors.begin()->first, shape_of(*tensors.begin()->second));
    for (AdapterSites::Site& site : sites_.experts(stack))
      if (site.site.inputs == a[1] && site.site.outputs == b[0]) return std::move(site);
    fail(
        ErrorKind::kData, where_,
        "'{}{}.lora_A.weight' [{}] and lora_B.weight [{}] fit no matrices of experts at '{}' of this "
        "model ({}); {}",
        kPrefix, stack, fmt::join(a, ", "), fmt::join(b, ", "), stack, sites_.family().name,
        advice());
  }

  void add_module(const std::string& module, const Tensors& tensors) {
    AdapterSites::Site found = find(module, tensors);
    found.site = with_rank(config_, found.site);
    AdaptedModule adapted{.prefix = fmt::format("{}{}.", kPrefix, module),
                          .site = found.site,
                          .at = found.at,
                          .adapter = kind_->make(found.site, own()),
                          .is_lookup = found.is_lookup};
    check_tensors(module, found, tensors, *adapted.adapter);
    for (const auto& [name, shape] : adapted.adapter->shared()) check_shared(name, shape);
    adapter_->add(std::move(adapted));
  }

  // The file has those that the kind says, in its shapes, and no others.
  void check_tensors(const std::string& module, const AdapterSites::Site& found,
                     const Tensors& tensors, ModuleAdapter& adapter) const {
    std::set<std::string> expected;
    for_each_parameter(adapter, [&](const std::string& name, Parameter& p) {
      expected.insert(name);
      const auto array = tensors.find(name);
      require(array != tensors.end(), ErrorKind::kFormat, where_,
              "'{}' has '{}' but not '{}', which belongs to it; save the adapter again", module,
              tensors.begin()->first, name);
      const Shape shape(std::span<const int64_t>(array->second->shape));
      if (shape == p.shape) return;
      require(
          !rank_differs(shape, p.shape, found.site), ErrorKind::kFormat, where_,
          "'{}' has shape {}, expected {}: adapter_config.json says that the rank of '{}' is {}; "
          "the two files do not belong together, save the adapter again",
          array->second->name, shape, p.shape, module, found.site.rank);
      fail(
          ErrorKind::kData, where_,
          "'{}' has shape {}, expected {} for '{}' of this model, which has {} outputs and {} inputs; {}",
          array->second->name, shape, p.shape, found.weight, found.site.outputs, found.site.inputs,
          advice());
    });
    for (const auto& [name, array] : tensors)
      require(
          expected.contains(name), ErrorKind::kFormat, where_,
          "'{}' is not a tensor of an adapter of kind {} as adapter_config.json has it; the two "
          "files do not belong together, save the adapter again",
          array->name, config_.peft_type);
  }

  // Whether nothing is wrong but the side that is the rank.
  static bool rank_differs(const Shape& got, const Shape& want, const ModuleSite& site) {
    const int64_t ranks = std::max<int64_t>(site.experts, 1) * site.rank;
    for (const int side : {0, 1})
      if (got.rank() == 2 && want.rank() == 2 && got[side] != want[side] && want[side] == ranks &&
          got[1 - side] == want[1 - side])
        return true;
    return false;
  }

  void check_shared(const std::string& name, const Shape& least) const {
    const auto found = adapter_->shared().find(name);
    require(
        found != adapter_->shared().end(), ErrorKind::kFormat, where_,
        "'{}{}' is missing, which all modules share; save the adapter with save_projection = True",
        kShared, name);
    const Shape& shape = found->second.shape();
    require(shape.rank() == 2 && shape[0] >= least[0] && shape[1] >= least[1], ErrorKind::kFormat,
            where_, "'{}{}' has shape {}, expected at least {}", kShared, name, shape, least);
  }

  // Rows of the token table, in a tied head, too.
  void add_tokens(const ArraySpan& array, const std::string& rest) {
    const std::string table = rest.substr(0, rest.size() - kTokens.size());
    auto value = sites_.value(table + ".weight", where_);
    if (!value) fail_absent(array, table);
    const auto& indices = config_.trainable_token_indices;
    const Shape want = {std::ssize(indices), value->value.shape[1]};
    require(Shape(std::span<const int64_t>(array.shape)) == want, ErrorKind::kFormat, where_,
            "'{}' has shape {}, expected {}: adapter_config.json has {} trainable_token_indices",
            array.name, shape_of(array), want, indices.size());
    value->only_rows = token_rows(indices, value->value.shape[0], where_);
    value->in_products = sites_.model().config().tie_word_embeddings || sites_.is_head(table);
    value->in_lookups = !sites_.is_head(table);
    value->value.shape = want;
    value->name = array.name;
    adapter_->add(*std::move(value));
  }

  void add_value(const ArraySpan& array, const std::string& name) {
    auto value = sites_.value(name, where_);
    if (!value) fail_unknown(array);
    require(Shape(std::span<const int64_t>(array.shape)) == value->value.shape, ErrorKind::kData,
            where_, "'{}' has shape {}, but '{}' of this model has shape {}; {}", array.name,
            shape_of(array), name, value->value.shape, advice());
    if (config_.ensure_weight_tying) value->in_products = value->in_lookups = true;
    value->name = array.name;
    adapter_->add(*std::move(value));
  }

  // A tensor of another kind, or of another model.
  [[noreturn]] void fail_unknown(const ArraySpan& array) const {
    for (const ModuleAdapterKind& other : module_adapters())
      for (const std::string_view ending : other.traits({}, config_.modules.of(other.name)).tensors)
        require(
            !array.name.ends_with("." + std::string(ending)), ErrorKind::kFormat, where_,
            "'{}' is a tensor of an adapter of kind {}, but adapter_config.json says {}; the two "
            "files do not belong together, save the adapter again",
            array.name, other.name, config_.peft_type);
    fail(ErrorKind::kFormat, where_,
         "'{}' {} is neither a tensor of an adapter of kind {} nor a value of this model ({}); {}",
         array.name, shape_of(array), config_.peft_type, sites_.family().name, advice());
  }

  // What adapter_config.json says is trained as a whole is in the file.
  void check_values() const {
    const auto& values = adapter_->replaced();
    const auto any = [&](const auto& f) { return std::ranges::any_of(values, f); };
    for (const std::string& name : config_.modules_to_save)
      require(any([&](const ReplacedValue& value) {
                return value.name.find("." + name + ".") != std::string::npos;
              }),
              ErrorKind::kFormat, where_,
              "adapter_config.json has '{}' in modules_to_save, but there is no tensor of it; save "
              "the adapter again",
              name);
    require(
        config_.trainable_token_indices.empty() ||
            any([](const ReplacedValue& value) { return value.only_rows.defined(); }),
        ErrorKind::kFormat, where_,
        "adapter_config.json has trainable_token_indices, but there is no tensor '…{}'; save the "
        "adapter again",
        kTokens);
  }

  Tensor read(const ArraySpan& array) const { return read_finite(array, reader_, where_); }

  static Tensor read_finite(const ArraySpan& array,
                            const std::shared_ptr<const SafetensorsReader>& reader,
                            const std::string& where) {
    Tensor stored = stored_tensor(array, reader);
    const Tensor wide = stored.to(DType::kF32);
    for (const float v : wide.span<float>())
      require(std::isfinite(v), ErrorKind::kFormat, where,
              "'{}' has a value that is not finite; the file is damaged, or training diverged",
              array.name);
    return stored;
  }

  void fill(Module& module, const SafetensorsReader& reader, const std::string& where) const {
    for_each_parameter(module, [&](const std::string& path, Parameter& p) {
      const ArraySpan* array = reader.find(path);
      require(array != nullptr, ErrorKind::kFormat, where, "'{}' is missing", path);
      require(Shape(std::span<const int64_t>(array->shape)) == p.shape, ErrorKind::kFormat, where,
              "'{}' has shape {}, expected {}", path, shape_of(*array), p.shape);
      p.value.tensor().copy_from(read(*array));
    });
  }

  // PEFT saves a table that an adapter acts on together with it. The base's own is used, which must be
  // the same up to what rounding may have done to it.
  void check_base(const ArraySpan& saved, const std::string& name) const {
    const DiskTensor* place = sites_.place(name);
    if (place == nullptr && name == sites_.head() + ".weight" &&
        sites_.model().config().tie_word_embeddings)
      place = sites_.place(sites_.table() + ".weight");
    if (place == nullptr) fail_absent(saved, name);
    require(Shape(std::span<const int64_t>(saved.shape)) == place->shape, ErrorKind::kData, where_,
            "'{}' has shape {}, but '{}' of this model has shape {}; {}", saved.name,
            shape_of(saved), place->name, place->shape, advice());
    const Weight& weight = place->pieces[0].parameter->value;
    if (weight.packed() != nullptr) return;
    const Tensor base = place->gather(value_of).to(Device::kCpu);
    const double change = relative_change(stored_tensor(saved, reader_).to(base.dtype()), base);
    constexpr double kOfRounding = 0.2;  // more than that of a table in 4 bits
    require(
        change <= kOfRounding, ErrorKind::kData, where_,
        "'{}' differs from '{}' of this model by {:.0f} %: a table that was changed by training "
        "or has other tokens is not supported; merge the adapter with PEFT's "
        "merge_and_unload(), or give the base that it was made for",
        saved.name, place->name, 100 * change);
    if (change > 0)
      log_.warn(
          "{}: '{}' differs from '{}' of this model by {:.2g} %, as rounding may do; the "
          "model's is used",
          where_, saved.name, place->name, 100 * change);
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

  // The vectors, or the encoder that makes them, which only folders of ours have.
  std::unique_ptr<Adapter> load_prompt() {
    const PromptKind& kind = find_in(prompt_encoders(), "peft_type", config_.peft_type);
    const PromptSite site = prompt_site(config_, sites_.model(), where_);
    const ComponentConfig& own = config_.prompts.of(config_.peft_type);
    const PromptTraits traits = kind.traits(site, own);
    const bool encodes = traits.has_encoder && fs::exists(folder_ / kEncoder);
    if (encodes) {
      adapter_->set_prompt(kind.make(site, own), traits.is_prefix);
    } else {
      const int64_t width = traits.is_prefix ? site.layers * 2 * site.width : site.width;
      const ArraySpan* array = reader_->find("prompt_embeddings");
      require(array != nullptr, ErrorKind::kFormat, where_,
              "there is no 'prompt_embeddings' in it, the vectors of the virtual tokens");
      const Shape want = {site.virtual_tokens, width};
      require(Shape(std::span<const int64_t>(array->shape)) == want, ErrorKind::kData, where_,
              "'prompt_embeddings' has shape {}, expected {} for this model ({}); {}",
              shape_of(*array), want, sites_.family().name, advice());
      adapter_->set_prompt(plain_vectors(want[0], want[1]), traits.is_prefix);
    }
    adapter_->allocate(sites_.model());
    if (!encodes) {
      fill(*adapter_, *reader_, where_);
    } else {
      reader_ = std::make_shared<SafetensorsReader>(folder_ / kEncoder);
      fill(*adapter_, *reader_, (folder_ / kEncoder).string());
    }
    return std::move(adapter_);
  }

  Log log_;
  fs::path folder_;
  AdapterConfig config_;
  std::string where_;
  std::shared_ptr<const SafetensorsReader> reader_;
  AdapterSites sites_;
  const ModuleAdapterKind* kind_;  // null for kinds that act on no matrices
  std::unique_ptr<Adapter> adapter_;
  std::vector<std::string_view> endings_;  // of the tensors of the kind's modules
  std::map<std::string, Tensors> modules_;
};

}  // namespace

std::unique_ptr<Adapter> load_adapter(const fs::path& folder, Transformer& model, const Log& log) {
  return Loader(folder, model, log).load();
}

}  // namespace lathe
