// lathe inspect: a model folder, a recipe or a preset as a tree with shapes, and what it costs.
// Nothing is allocated, so a model that would not fit into this machine can be looked at.

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lathe/base/strings.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/help/pages.h"
#include "lathe/config/recipe_file.h"
#include "lathe/model/gguf/gguf_model.h"
#include "lathe/model/load_model.h"
#include "lathe/model/presets.h"
#include "lathe/model/summary.h"
#include "lathe/train/recipe.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Beyond, bytes of activations would not fit into 64 bits.
constexpr int64_t kMostTokens = int64_t{1} << 36;

struct InspectOptions {
  std::optional<std::string> target;
  bool matrix = false;
  std::optional<int64_t> batch_size, seq_len;
  std::optional<std::string> precision, recompute;
  bool layers = false;

  void visit(Visitor& v) {
    v.positional("target", target, "model folder, recipe file, or name of a preset");
    v.field("matrix", matrix,
            "instead of a model, show which components work together, and why others do not");
    v.field("batch_size", batch_size,
            "sequences per micro-batch B (default: the recipe's or preset's, else 1)", at_least(1));
    v.field("seq_len", seq_len,
            "tokens per sequence T (default: the recipe's or preset's, else 512)", at_least(1));
    v.choice("precision", precision, precision_names(),
             "arithmetic (default: the recipe's, else bf16)");
    v.choice("recompute", recompute, {"none", "selective", "full"},
             "same as train.recompute (default: the recipe's)");
    v.field("layers", layers, "print every layer, not only the first of identical ones");
  }
};

struct Subject {
  ModelConfig model;
  TrainConfig train;
  OptimConfig optim;
  std::string published = {};  // what the paper of a preset says
};

Subject from_recipe(const std::string& path, const std::vector<std::string>& overrides) {
  Json tree = load_recipe(path);
  for (const std::string& assignment : overrides) apply_override(tree, assignment);
  const Recipe recipe = read_recipe(tree);
  return {recipe.model, recipe.train, recipe.optim, {}};
}

Subject from_preset(const std::string& target) {
  const std::string name = target.starts_with("presets/") ? target.substr(8) : target;
  const std::vector<std::string> names = names_of(presets());
  require(
      std::ranges::find(names, name) != names.end(), ErrorKind::kUsage, target,
      "is neither a model folder, nor a GGUF file, nor a recipe (.toml or .json), nor a preset.{} Presets: {}",
      did_you_mean(name, names), join(names, ", "));
  const Preset& preset = find_preset(name);
  Subject s{preset.config(), {}, {}, {}};
  s.train.batch_size = preset.batch_size;
  s.train.seq_len = preset.seq_len;
  if (!preset.published.empty())
    s.published = fmt::format("{} ({})", preset.published, preset.source);
  return s;
}

Subject from_folder(const std::string& path, const Log& log) {
  Subject s{read_model_config(path, log), {}, {}, {}};
  s.train.batch_size = 1;
  s.train.seq_len = std::min<int64_t>(s.model.max_position_embeddings, s.train.seq_len);
  return s;
}

Subject find_subject(const InspectOptions& o, const CommandContext& context) {
  std::error_code error;
  require(
      o.target.has_value(), ErrorKind::kUsage, "command line",
      "nothing to inspect; give a model folder, a GGUF file, a recipe or a preset, or --matrix");
  const std::string& target = *o.target;
  const fs::path path = target;
  const bool recipe = path.extension() == ".toml" || path.extension() == ".json";
  Subject s;
  if (fs::is_directory(path, error) || is_gguf_file(path)) {
    s = from_folder(target, context.log);
  } else if (recipe) {
    s = from_recipe(target, context.overrides);
  } else {
    s = from_preset(target);
  }
  require(recipe || context.overrides.empty(), ErrorKind::kUsage, "command line",
          "'--{}' changes a key of a recipe, but {} is not a recipe",
          context.overrides.empty() ? "" : context.overrides[0], target);
  s.train.batch_size = o.batch_size.value_or(s.train.batch_size);
  s.train.seq_len = o.seq_len.value_or(s.train.seq_len);
  require(s.train.batch_size <= kMostTokens / s.train.seq_len, ErrorKind::kUsage, "--seq-len",
          "{} sequences of {} tokens are more than {} tokens in one pass; ask for fewer",
          s.train.batch_size, s.train.seq_len, kMostTokens);
  s.train.precision = o.precision.value_or(s.train.precision);
  s.train.recompute = o.recompute.value_or(s.train.recompute);
  return s;
}

CostOptions cost_options(const Subject& s, const std::vector<Parameter*>& parameters) {
  Recipe recipe;  // its accessors turn words into types
  recipe.train = s.train;
  return {.seq_len = s.train.seq_len,
          .batch_size = s.train.batch_size,
          .compute = dtype_of_precision(s.train.precision),
          .recompute = recipe.recompute(),
          .optimizer_bytes = make_optimizer(s.optim, {})->state_bytes(parameters)};
}

// Name without its number: "layers." of "layers.3"; empty when there is none.
std::string layer_stem(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? "" : name.substr(0, dot + 1);
}

// The index of the first module behind `i` that is not part of it or of an equal neighbour
// ("layers.1" after "layers.0"); `times` counts these.
size_t after_equal_layers(const std::vector<ModuleSummary>& modules, size_t i, int64_t& times) {
  const ModuleSummary& first = modules[i];
  size_t next = i;
  times = 0;
  while (next < modules.size() && modules[next].depth == first.depth &&
         modules[next].kind == first.kind &&
         layer_stem(modules[next].name) == layer_stem(first.name) &&
         modules[next].parameters == first.parameters) {
    ++times;
    for (++next; next < modules.size() && modules[next].depth > first.depth;) ++next;
  }
  return next;
}

std::string tree_line(const ModuleSummary& m, const std::string& note) {
  std::string shapes;
  for (const auto& [name, shape] : m.own)
    shapes += fmt::format("{}{} {}", shapes.empty() ? "" : ", ", name, shape.str());
  const std::string left = std::string(static_cast<size_t>(2 * m.depth), ' ') + m.name + note;
  const std::string line =
      fmt::format("{:<32} {:<18} {:>12}  {}", left, m.kind, m.parameters, shapes);
  return line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
}

std::string tree_text(const std::vector<ModuleSummary>& modules, bool every_layer) {
  std::string text;
  size_t skip_to = 0, body_end = 0;
  for (size_t i = 0; i < modules.size(); ++i) {
    if (i >= body_end && i < skip_to) i = skip_to;
    if (i >= modules.size()) break;
    int64_t times = 1;
    std::string note;
    if (!every_layer && !layer_stem(modules[i].name).empty()) {
      skip_to = after_equal_layers(modules, i, times);
      for (body_end = i + 1;
           body_end < modules.size() && modules[body_end].depth > modules[i].depth;)
        ++body_end;
      if (times > 1) note = fmt::format("  (x {})", times);
    }
    text += tree_line(modules[i], note);
  }
  return text;
}

Json tree_json(const std::vector<ModuleSummary>& modules) {
  Json out = Json::array();
  for (const ModuleSummary& m : modules) {
    Json shapes = Json::object();
    for (const auto& [name, shape] : m.own) {
      shapes[name] = Json::array();
      for (int i = 0; i < shape.rank(); ++i) shapes[name].push_back(shape[i]);
    }
    out.push_back({{"name", m.name},
                   {"kind", m.kind},
                   {"depth", m.depth},
                   {"parameters", m.parameters},
                   {"shapes", std::move(shapes)}});
  }
  return out;
}

Json to_json(const Subject& s, const ModelCost& c, const std::vector<ModuleSummary>& modules) {
  return {{"model_type", s.model.model_type},
          {"config",
           {{"hidden_size", s.model.hidden_size},
            {"num_hidden_layers", s.model.num_hidden_layers},
            {"num_attention_heads", s.model.num_attention_heads},
            {"num_key_value_heads", s.model.kv_heads()},
            {"intermediate_size", s.model.ffn_width()},
            {"vocab_size", s.model.vocab_size}}},
          {"parameters", c.parameters},
          {"parameters_multiplied", c.multiplied},
          {"published", s.published.empty() ? Json() : Json(s.published)},
          {"batch_size", s.train.batch_size},
          {"seq_len", s.train.seq_len},
          {"precision", s.train.precision},
          {"recompute", s.train.recompute},
          {"optimizer", s.optim.name},
          {"forward_flops_per_token", c.forward_flops},
          {"training_flops_per_token", c.training_flops},
          {"weight_bytes", c.weight_bytes},
          {"gradient_bytes", c.gradient_bytes},
          {"optimizer_bytes", c.optimizer_bytes},
          {"activation_bytes", c.activation_bytes},
          {"cache_bytes_per_token", c.cache_bytes_per_token},
          {"modules", tree_json(modules)}};
}

void print_costs(const Subject& s, const ModelCost& c, std::ostream& out) {
  auto bytes = [](int64_t n) { return human_bytes(static_cast<double>(n)); };
  out << fmt::format("\n{} parameters, {} of them multiplied with every token\n", c.parameters,
                     c.multiplied);
  if (!s.published.empty()) out << fmt::format("published: {}\n", s.published);
  out << fmt::format(
      "\n"
      "cost of a token, in a sequence of {}\n",
      s.train.seq_len);
  out << fmt::format("  forward              {:>14} FLOP\n", human_count(c.forward_flops));
  out << fmt::format("  forward + backward   {:>14} FLOP\n", human_count(c.training_flops));
  out << fmt::format("  cache                {:>14}, {} for the sequence\n",
                     bytes(c.cache_bytes_per_token),
                     bytes(c.cache_bytes_per_token * s.train.seq_len));
  const int64_t total = c.weight_bytes + c.gradient_bytes + c.optimizer_bytes + c.activation_bytes;
  out << fmt::format(
      "\n"
      "memory for training, with micro-batches of {} x {} tokens in {}, recompute = {}\n",
      s.train.batch_size, s.train.seq_len, s.train.precision, s.train.recompute);
  out << fmt::format("  weights              {:>14}{}\n", bytes(c.weight_bytes),
                     dtype_of_precision(s.train.precision) == DType::kBF16
                         ? "  (fp32 masters and bf16 copies)"
                         : "");
  out << fmt::format("  gradients            {:>14}\n", bytes(c.gradient_bytes));
  out << fmt::format("  optimiser            {:>14}  ({})\n", bytes(c.optimizer_bytes),
                     s.optim.name);
  out << fmt::format("  activations          {:>14}\n", bytes(c.activation_bytes));
  out << fmt::format("  total                {:>14}\n", bytes(total));
}

int run_matrix(const InspectOptions& o, CommandContext& context) {
  require(!o.target && context.overrides.empty(), ErrorKind::kUsage, "--matrix",
          "covers all components; leave out the model and its keys");
  if (context.json) {
    context.print_json(combinations_json());
  } else {
    context.out << combinations_markdown();
  }
  return 0;
}

int run_inspect(const InspectOptions& o, CommandContext& context) {
  if (o.matrix) return run_matrix(o, context);
  const Subject subject = find_subject(o, context);
  Transformer model(subject.model);
  const ModelCost cost = model_cost(model, cost_options(subject, model.parameters()));
  const std::vector<ModuleSummary> modules = summarize_modules(model);
  if (context.json) {
    context.print_json(to_json(subject, cost, modules));
    return 0;
  }
  context.out << tree_text(modules, o.layers);
  print_costs(subject, cost, context.out);
  return 0;
}

}  // namespace

Command inspect_command() {
  return make_command<InspectOptions>(
      {.name = "inspect",
       .summary = "print a model as a tree with shapes, and what it costs",
       .help = "Computes parameters, FLOPs per token, and bytes of weights, gradients, optimiser, "
               "activations and cache\n"
               "from formulas (model/summary.h), without allocating anything. Keys of a recipe can "
               "be replaced as in\n"
               "`train`.\n\n"
               "  lathe inspect runs/demo/model\n"
               "  lathe inspect recipes/small.toml --train.batch_size=16\n"
               "  lathe inspect presets/gpt2-124m --recompute full\n"
               "  lathe inspect --matrix\n",
       .takes_overrides = true},
      run_inspect);
}

}  // namespace lathe
