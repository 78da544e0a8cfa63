// Fresh adapters: which modules of a model a configuration means, and how their tensors begin.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/model/adapter/adapter.h"
#include "lathe/model/adapter/prompt_sites.h"
#include "lathe/model/adapter/sites.h"
#include "lathe/nn/initialize.h"
#include "lathe/ops/elementwise.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "adapter";
constexpr std::string_view kPrefix = "base_model.model.";

// Whether `targets` name the module or one that it is in.
bool names_module_or_parent(std::span<const std::string> targets, std::string_view module) {
  for (std::string_view each = module; !each.empty();) {
    if (names_module(targets, each, kWhere)) return true;
    const size_t dot = each.rfind('.');
    each = dot == std::string_view::npos ? std::string_view() : each.substr(0, dot);
  }
  return false;
}

// The number behind `pattern`, or the first number that is a part of the name.
std::optional<int64_t> layer_of(std::string_view module, std::span<const std::string> patterns) {
  std::string_view before;
  for (size_t at = 0; at < module.size();) {
    const size_t end = std::min(module.find('.', at), module.size());
    const std::string_view part = module.substr(at, end - at);
    int64_t number = -1;
    const auto parsed = std::from_chars(part.data(), part.data() + part.size(), number);
    if (!before.empty() && parsed.ec == std::errc() && parsed.ptr == part.data() + part.size() &&
        (patterns.empty() || std::ranges::find(patterns, before) != patterns.end()))
      return number;
    before = part;
    at = end + 1;
  }
  return std::nullopt;
}

class Maker {
 public:
  Maker(const AdapterConfig& config, Transformer& model, const Rng& rng)
      : config_(config),
        rng_(rng),
        sites_(model),
        kind_(module_kind(config)),
        adapter_(std::make_unique<Adapter>(config, model)) {
    for (const Parameter* p : model.parameters()) own_[p->name] = p;
  }

  std::unique_ptr<Adapter> make() {
    if (config_.is_prompt()) return make_prompt();
    if (config_.is_norm_tuning())
      add_values(config_.target_modules, "target_modules", ".ln_tuning_layers");
    else
      add_modules();
    add_values(config_.modules_to_save, "modules_to_save", "");
    add_biases();
    add_tokens();
    adapter_->allocate(sites_.model());
    start_values();
    draw_shared();
    // One matrix after the other: each may be decoded for it.
    for (const auto& [module, at] : starts_)
      module->start(at ? matrix(*at) : Tensor(), rng_.fork(names_.at(module)));
    adapter_->share();
    return std::move(adapter_);
  }

 private:
  // Experts are stacked here, whether the file has them one by one or not.
  static bool is_expert(const std::string& module) {
    return module.find(".experts.") != std::string::npos;
  }

  bool is_target(const std::string& module) const {
    const auto& names = config_.target_modules;
    if (names_module(config_.exclude_modules, module, kWhere) ||
        names_module_or_parent(config_.modules_to_save, module) || is_expert(module))
      return false;
    const bool all = names.size() == 1 && names[0] == "all-linear";
    if (all ? sites_.is_table(module) || sites_.is_head(module) || sites_.is_router(module)
            : !names_module(names, module, kWhere))
      return false;
    if (config_.layers_to_transform.empty()) return true;
    const auto layer = layer_of(module, config_.layers_pattern);
    return layer && std::ranges::find(config_.layers_to_transform, *layer) !=
                        config_.layers_to_transform.end();
  }

  void add_modules() {
    require(!config_.target_modules.empty() || !config_.target_parameters.empty(),
            ErrorKind::kConfig, "adapter.target_modules",
            "no modules are named; write \"all-linear\", or some of {}", some_modules());
    for (const std::string& module : sites_.modules())
      if (is_target(module)) add(*sites_.matrix(module, sites_.is_table(module), kWhere), module);
    add_parameters();
    require(!adapter_->modules().empty(), ErrorKind::kConfig, "adapter.target_modules",
            "[{}] names no module of this model ({}); its modules end with {}",
            join(config_.target_modules, ", "), sites_.family().name, some_modules());
  }

  // The last parts of their names.
  static void add_last(std::vector<std::string>& all, const std::string& module,
                       std::string_view end) {
    const std::string last = module.substr(module.rfind('.') + 1) + std::string(end);
    if (std::ranges::find(all, last) == all.end()) all.push_back(last);
  }
  std::string some_modules() const {
    std::vector<std::string> all;
    for (const std::string& module : sites_.modules()) add_last(all, module, "");
    return join(all, ", ");
  }
  std::string some_parameters() const {
    std::vector<std::string> all;
    for (const AdapterSites::Site& stack : sites_.experts()) add_last(all, stack.site.module, "");
    for (const std::string& module : sites_.modules())
      if (!is_expert(module)) add_last(all, module, ".weight");
    return join(all, ", ");
  }

  // Stacked matrices of experts, and matrices by the names of their parameters.
  void add_parameters() {
    if (config_.target_parameters.empty()) return;
    const size_t before = adapter_->modules().size();
    std::map<std::string, std::vector<AdapterSites::Site>> stacks;
    for (AdapterSites::Site& site : sites_.experts())
      if (names_module(config_.target_parameters, site.site.module, kWhere))
        stacks[site.site.module.substr(0, site.site.module.rfind('.'))].push_back(site);
    for (auto& [stack, sites] : stacks)  // the first is the innermost
      for (size_t i = 0; i < sites.size(); ++i) {
        std::string name = stack;
        for (size_t outer = i + 1; outer < sites.size(); ++outer) name += ".base_layer";
        add(sites[i], name);
      }
    for (const std::string& module : sites_.modules())
      if (!is_expert(module) && names_module(config_.target_parameters, module + ".weight", kWhere))
        add(*sites_.matrix(module, false, kWhere), module);
    require(adapter_->modules().size() > before, ErrorKind::kConfig, "adapter.target_parameters",
            "[{}] names no parameter of this model ({}); its parameters end with {}",
            join(config_.target_parameters, ", "), sites_.family().name, some_parameters());
  }

  void add(AdapterSites::Site found, const std::string& module) {
    const ComponentConfig& own = config_.modules.of(config_.peft_type);
    const ModuleAdapterTraits traits = kind_->traits(found.site, own);
    require((traits.tables || !found.site.is_table) && (traits.experts || found.site.experts == 0),
            ErrorKind::kConfig, "adapter.target_modules",
            "'{}' is {}, on which {} does not act; leave it out, or use LORA", module,
            found.site.is_table ? "a table of embeddings" : "a stack of experts", kind_->name);
    found.site = with_rank(config_, found.site);
    AdaptedModule adapted{.prefix = fmt::format("{}{}.", kPrefix, module),
                          .site = found.site,
                          .at = found.at,
                          .adapter = kind_->make(found.site, own),
                          .is_lookup = found.is_lookup};
    names_[adapted.adapter.get()] = module;
    const bool has_matrix = found.site.experts == 0 && !found.is_lookup;
    starts_.emplace_back(adapted.adapter.get(),
                         has_matrix ? std::optional(found.at) : std::nullopt);
    adapted_.push_back(module);
    adapter_->add(std::move(adapted));
  }

  // Its rows in the order of the file.
  Tensor matrix(const RowsOfParameter& at) const {
    const Weight& weight = own_.at(at.parameter)->value;
    const Tensor all =
        weight.packed() != nullptr ? weight.packed()->dense(DType::kF32) : weight.tensor();
    const Tensor rows = all.narrow(0, at.first_row, at.rows);
    if (!at.order.defined()) return rows;
    const Tensor moved(rows.shape(), rows.dtype(), rows.device());
    for (int64_t i = 0; i < at.rows; ++i)
      moved.narrow(0, at.order.data<int32_t>()[i], 1).copy_from(rows.narrow(0, i, 1));
    return moved;
  }

  // The tensors of modules, in place of which others are trained.
  void add_values(const std::vector<std::string>& targets, std::string_view key,
                  const std::string& infix) {
    if (targets.empty() && key == "modules_to_save") return;
    const size_t before = adapter_->replaced().size();
    std::vector<std::string> names = sites_.tensors();
    if (sites_.model().config().tie_word_embeddings) names.push_back(sites_.head() + ".weight");
    for (const std::string& name : names) {
      const size_t dot = name.rfind('.');
      const std::string module = name.substr(0, dot);
      if (!names_module_or_parent(targets, module)) continue;
      add_value(name, fmt::format("{}{}{}{}", kPrefix, module, infix, name.substr(dot)));
    }
    require(adapter_->replaced().size() > before, ErrorKind::kConfig,
            fmt::format("adapter.{}", key), "[{}] names no module of this model ({})",
            join(targets, ", "), sites_.family().name);
  }

  void add_value(const std::string& name, std::string in_file) {
    auto value = sites_.value(name, kWhere);
    if (config_.ensure_weight_tying) value->in_products = value->in_lookups = true;
    value->name = std::move(in_file);
    adapter_->add(*std::move(value));
  }

  void add_biases() {
    if (config_.bias == "none") return;
    for (const std::string& name : sites_.tensors()) {
      if (!name.ends_with(".bias")) continue;
      const std::string module = name.substr(0, name.rfind('.'));
      const bool adapted = std::ranges::find(adapted_, module) != adapted_.end();
      if (adapted || config_.bias == "all")
        add_value(name, fmt::format("{}{}{}.bias", kPrefix, module, adapted ? ".base_layer" : ""));
    }
  }

  void add_tokens() {
    if (config_.trainable_token_indices.empty()) return;
    auto value = sites_.value(sites_.table() + ".weight", kWhere);
    require(value.has_value(), ErrorKind::kConfig, "adapter.trainable_token_indices",
            "this model ({}) has no token table under a name", sites_.family().name);
    value->only_rows = token_rows(config_.trainable_token_indices, value->value.shape[0], kWhere);
    value->in_products = sites_.model().config().tie_word_embeddings;
    value->value.shape = value->value.shape.with(0, value->only_rows.numel());
    value->name = fmt::format("{}{}.token_adapter.trainable_tokens_delta", kPrefix, sites_.table());
    adapter_->add(*std::move(value));
  }

  // Values begin as the model's own.
  void start_values() const {
    for (const ReplacedValue& value : adapter_->replaced()) {
      const Tensor& to = value.value.value.tensor();
      if (value.only_rows.defined()) {
        const Weight& table = own_.at(value.at.parameter)->value;
        to.copy_from(table.packed() != nullptr
                         ? table.packed()->lookup(value.only_rows, DType::kF32)
                         : rows_of(table.tensor(), value.only_rows));
        continue;
      }
      Tensor own = matrix(value.at);
      if (value.transposed) own = own.transpose(0, 1).clone();
      to.copy_from(ops::shift(Var(own), value.added).value);
    }
  }

  static Tensor rows_of(const Tensor& table, const Tensor& rows) {
    const Tensor some({rows.numel(), table.size(1)}, table.dtype(), table.device());
    for (int64_t i = 0; i < rows.numel(); ++i)
      some.narrow(0, i, 1).copy_from(table.narrow(0, rows.data<int32_t>()[i], 1));
    return some;
  }

  // Large enough for every module.
  void draw_shared() {
    std::map<std::string, Shape> sizes;
    for (const AdaptedModule& module : adapter_->modules())
      for (const auto& [name, shape] : module.adapter->shared()) {
        const auto [at, fresh] = sizes.emplace(name, shape);
        for (int d = 0; !fresh && d < shape.rank(); ++d)
          at->second = at->second.with(d, std::max(at->second[d], shape[d]));
      }
    for (const auto& [name, shape] : sizes) {
      Parameter drawn(
          shape, {Initializer::Kind::kNormal, 1 / std::sqrt(3.0 * static_cast<double>(shape[1]))});
      drawn.value = Tensor(shape, sites_.model().activations(), sites_.model().device());
      draw(drawn, rng_.fork(name));
      adapter_->shared()[name] = drawn.value.tensor();
    }
  }

  std::unique_ptr<Adapter> make_prompt() {
    const PromptKind& kind = find_in(prompt_encoders(), "peft_type", config_.peft_type);
    const PromptSite site = prompt_site(config_, sites_.model(), kWhere);
    const ComponentConfig& own = config_.prompts.of(config_.peft_type);
    kind.check(site, own, KeyErrors("adapter"));
    auto prompt = kind.make(site, own);
    PromptEncoder& encoder = *prompt;
    adapter_->set_prompt(std::move(prompt), kind.traits(site, own).is_prefix);
    adapter_->allocate(sites_.model());
    encoder.start(rng_.fork("prompt"));
    return std::move(adapter_);
  }

  const AdapterConfig& config_;
  Rng rng_;
  AdapterSites sites_;
  const ModuleAdapterKind* kind_;
  std::unique_ptr<Adapter> adapter_;
  std::map<std::string, const Parameter*> own_;
  std::map<const ModuleAdapter*, std::string> names_;
  std::vector<std::pair<ModuleAdapter*, std::optional<RowsOfParameter>>> starts_;
  std::vector<std::string> adapted_;
};

}  // namespace

std::unique_ptr<Adapter> make_adapter(const AdapterConfig& config, Transformer& model,
                                      const Rng& rng) {
  check(config);
  return Maker(config, model, rng).make();
}

}  // namespace lathe
