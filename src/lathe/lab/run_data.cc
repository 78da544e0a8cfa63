#include "lathe/lab/run_data.h"

#include <cmath>
#include <limits>

#include "lathe/base/error.h"
#include "lathe/corpus/line_reader.h"
#include "lathe/io/json_file.h"
#include "lathe/train/example/data_card.h"
#include "lathe/train/metrics.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

double number(const Json& record, const char* key) {
  return metric_value(record, key).value_or(std::numeric_limits<double>::quiet_NaN());
}

void add_old_losses(const Json& record, double step, RunData& run) {
  constexpr std::string_view kPrefix = "old_loss.";
  for (const auto& [key, value] : record.items())
    if (key.starts_with(kPrefix))
      run.old_losses[key.substr(kPrefix.size())].push_back({step, number(record, key.c_str())});
}

void add_task_scores(const Json& record, double step, RunData& run) {
  constexpr std::string_view kPrefix = "eval.", kError = "_stderr", kChance = "_chance";
  const auto beside = [&](const std::string& key, std::string_view ending) {
    return number(record, (key + std::string(ending)).c_str());
  };
  for (const auto& [key, value] : record.items())
    if (key.starts_with(kPrefix) && !key.ends_with(kError) && !key.ends_with(kChance))
      run.task_scores[key.substr(kPrefix.size())].push_back(
          {step, number(record, key.c_str()), beside(key, kError), beside(key, kChance)});
}

void add_record(const Json& record, RunData& run) {
  const double step = number(record, "step");
  if (!std::isfinite(step)) return;
  add_old_losses(record, step, run);
  add_task_scores(record, step, run);
  if (record.contains("val_loss")) {
    run.validations.push_back({step, number(record, "val_loss"),
                               number(record, "val_bits_per_byte"), number(record, "val_reward")});
  } else if (record.contains("sample") && record["sample"].is_string()) {
    run.samples.push_back({static_cast<int64_t>(step), record["sample"].get<std::string>()});
  } else if (record.contains("loss")) {
    run.steps.push_back({step, number(record, "loss"), number(record, "lr"),
                         number(record, "grad_norm"), number(record, "tokens_per_s"),
                         number(record, "tokens"), number(record, "step_ms"), number(record, "mfu"),
                         number(record, "flops"), number(record, "reward")});
  }
}

Json read_if_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error) ? read_json_file(path) : Json();
}

std::string precision_of(const Json& recipe) {
  const Json::json_pointer precision("/train/precision");
  const bool known =
      recipe.is_object() && recipe.contains(precision) && recipe[precision].is_string();
  return known ? recipe[precision].get<std::string>() : "bf16";
}

}  // namespace

RunData read_run(const fs::path& folder) {
  RunData run;
  run.folder = folder;
  const fs::path metrics = folder / "metrics.jsonl";
  std::error_code error;
  require(fs::exists(metrics, error), ErrorKind::kIo, folder.string(),
          "holds no metrics.jsonl; give the folder of a training run (train.out of its recipe)");
  run.recipe = read_if_there(folder / "recipe.json");
  run.data_card = read_if_there(folder / kDataCardFile);
  run.demo = read_if_there(folder / "demo.json");
  RolloutWatch watch(precision_of(run.recipe));
  constexpr size_t kLongestLine = 16 << 20;
  LineReader lines(metrics, kLongestLine);
  std::string_view line;
  std::string broken;
  while (lines.next(line)) {
    require(broken.empty(), ErrorKind::kFormat, metrics.string(), "{} is not a JSON object",
            broken);
    const Json record = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (record.is_object()) {
      add_record(record, run);
      watch.add([&](const std::string& name) { return metric_value(record, name); });
    } else {
      broken = fmt::format("line {}", lines.line_number());
    }
  }
  require(!run.steps.empty(), ErrorKind::kData, metrics.string(), "holds no training step yet");
  run.flags = watch.flags();
  return run;
}

fs::path result_of_run(const fs::path& folder) {
  std::error_code error;
  return folder / (fs::exists(folder / "adapter", error) ? "adapter" : "model");
}

}  // namespace lathe
