// `lathe plan fit`: what a model's fine-tuning takes of memory, wholly, through an adapter, and through
// one above a base in four bits; and what makes it fit. Nothing of that size is allocated.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/base/process.h"
#include "lathe/base/strings.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/config/recipe_file.h"
#include "lathe/train/memory_plan.h"
#include "lathe/train/presets.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const TrainPreset& preset : train_presets()) names.emplace_back(preset.name);
  return names;
}

struct FitOptions {
  std::string model;
  std::string objective = "sft";
  std::string adapter = "lora";
  std::optional<double> memory_gib;

  void visit(Visitor& v) {
    v.positional("model", model, "folder of the model to start from");
    v.choice("objective", objective, preset_names(),
             "what it learns: the preset whose recipe is planned");
    v.field("adapter", adapter,
            "kind of the adapter: a value of adapter.peft_type, in small or capital letters");
    v.field("memory_gib", memory_gib, "what there is (default: the memory of this machine)",
            between(0.001, 1e6));
  }
};

// One column: a way to train, and its plan.
struct Way {
  std::string name;
  std::vector<std::string> recipe;  // what is set for it
  MemoryPlan plan;
  std::optional<MemoryFit> fit;
};

std::string upper(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

std::vector<Way> ways(const FitOptions& o) {
  AdapterConfig config;
  config.peft_type = upper(o.adapter);
  std::vector<std::string> adapter = {"adapter.peft_type=" + config.peft_type};
  if (!config.is_prompt() && !config.is_norm_tuning())
    adapter.emplace_back("adapter.target_modules=all-linear");
  std::vector<std::string> on_nf4 = adapter;
  on_nf4.insert(on_nf4.end(), {"model.quantization=nf4", "model.double_quant=true"});
  return {{"full", {}, {}, {}},
          {config.peft_type, std::move(adapter), {}, {}},
          {config.peft_type + " on NF4", std::move(on_nf4), {}, {}}};
}

void plan(Way& way, const FitOptions& o, const std::vector<std::string>& overrides, int64_t bytes) {
  Json tree =
      preset_recipe(find_in(train_presets(), "--objective", o.objective), o.model, {"rows"});
  if (o.objective == "distill") tree["objective"]["teacher"] = o.model;
  for (const std::string& each : overrides) apply_override(tree, each);
  for (const std::string& each : way.recipe) apply_override(tree, each);
  MemoryFitting found = fit_memory(tree, bytes, throw_if_interrupted);
  way.plan = std::move(found.unchanged);
  way.fit = std::move(found.fit);
}

// All names, the earlier columns' first.
std::vector<std::string> part_names(const std::vector<Way>& ways) {
  std::vector<std::string> names;
  for (const Way& way : ways)
    for (const MemoryPart& part : way.plan.parts)
      if (std::ranges::find(names, part.name) == names.end()) names.push_back(part.name);
  return names;
}

std::string mib(int64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

Json to_json(const std::vector<Way>& ways, int64_t bytes) {
  constexpr double kMiB = 1 << 20;
  Json json = {{"memory_mib", static_cast<double>(bytes) / kMiB}, {"ways", Json::array()}};
  for (const Way& way : ways) {
    Json parts = Json::object();
    for (const MemoryPart& part : way.plan.parts)
      parts[part.name] = static_cast<double>(part.bytes) / kMiB;
    json["ways"].push_back({{"name", way.name},
                            {"recipe", way.recipe},
                            {"parts_mib", parts},
                            {"total_mib", static_cast<double>(way.plan.total()) / kMiB},
                            {"fits", way.fit && way.fit->changes.empty()},
                            {"to_fit", way.fit ? Json(way.fit->changes) : Json()}});
  }
  return json;
}

void print(const std::vector<Way>& ways, int64_t bytes, std::ostream& out) {
  const auto line = [&](std::string_view name, const auto& cell) {
    out << fmt::format("{:<36}", name);
    for (const Way& way : ways) out << fmt::format("{:>18}", cell(way));
    out << "\n";
  };
  line("", [](const Way& way) { return way.name; });
  for (const std::string& name : part_names(ways))
    line(name, [&](const Way& way) { return mib(way.plan.bytes_of(name)); });
  line("together", [](const Way& way) { return mib(way.plan.total()); });
  out << fmt::format("\nThere is {}.\n", human_bytes(static_cast<double>(bytes)));
  for (const Way& way : ways) {
    std::vector<std::string> options;
    for (const std::string& each : way.recipe) options.push_back("--" + each);
    if (way.fit)
      for (const std::string& each : way.fit->changes) options.push_back("--" + each);
    const bool fits = way.fit && way.fit->changes.empty();
    out << fmt::format("{:<16} {}{}{}\n", way.name,
                       fits ? "fits"
                       : way.fit
                           ? "fits with " + human_bytes(static_cast<double>(way.fit->plan.total()))
                           : "does not fit, not even with shorter texts",
                       options.empty() || !way.fit ? "" : ": ", way.fit ? join(options, " ") : "");
  }
}

int run_fit(const FitOptions& o, CommandContext& context) {
  constexpr double kGiB = 1 << 30;
  const int64_t bytes =
      o.memory_gib ? static_cast<int64_t>(*o.memory_gib * kGiB) : physical_memory_bytes();
  require(bytes > 0, ErrorKind::kUsage, "--memory-gib",
          "this system does not say how much memory it has; give --memory-gib");
  std::vector<Way> all = ways(o);
  for (Way& way : all) plan(way, o, context.overrides, bytes);
  if (context.json) {
    context.print_json(to_json(all, bytes));
    return 0;
  }
  print(all, bytes, context.out);
  return 0;
}

}  // namespace

Command plan_command() {
  return command_group(
      {.name = "plan", .summary = "say what a run takes before it takes it"},
      {make_command<FitOptions>(
          {.name = "fit",
           .summary = "memory of fine-tuning: all of the model, an adapter, an adapter on 4 bits",
           .help =
               "Runs the first step of a preset's recipe without arithmetic, on memory that holds "
               "nothing, and prints the\n"
               "bytes by what they are for, and the keys of the recipe that make it fit. Rows are "
               "as long as train.seq_len\n"
               "lets them be. A run with shorter rows takes less.\n\n"
               "  lathe plan fit runs/demo/model\n"
               "  lathe plan fit runs/demo/model --objective dpo --train.seq_len=512\n"
               "  lathe plan fit runs/demo/model --objective ppo --adapter lora --memory-gib 8\n",
           .takes_overrides = true},
          run_fit)});
}

}  // namespace lathe
