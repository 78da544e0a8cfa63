#include "lathe/train/task.h"

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/process.h"
#include "lathe/io/atomic_file.h"
#include "lathe/model/scores.h"
#include "lathe/model/summary.h"

namespace lathe {
namespace {

// Weights and gradients alone, of which every element will be touched; said before the system ends
// the program without a word.
void require_memory(Transformer& model, const Recipe& recipe) {
  constexpr double kGiB = 1 << 30;
  const ModelCost cost =
      model_cost(model, {.seq_len = recipe.train.seq_len, .compute = recipe.compute_dtype()});
  const int64_t needed = cost.weight_bytes + cost.gradient_bytes, there = physical_memory_bytes();
  require(there == 0 || needed <= there, ErrorKind::kConfig, "model",
          "{} parameters need {:.0f} GiB for weights and gradients, but this machine has {:.0f} "
          "GiB; train a smaller model (`lathe inspect` shows what each costs)",
          cost.parameters, static_cast<double>(needed) / kGiB, static_cast<double>(there) / kGiB);
}

}  // namespace

std::optional<double> find_number(const NamedNumbers& numbers, std::string_view name) {
  for (const auto& [key, value] : numbers)
    if (key == name) return value;
  return std::nullopt;
}

TaskEvaluation Task::evaluate(int64_t, const StopCheck&) { return {}; }

NamedNumbers Task::old_losses(const StopCheck&) { return {}; }

std::optional<std::string> Task::sample(int64_t) { return std::nullopt; }

ModelFiles Task::files(const Recipe& recipe) {
  ModelFiles files = model_files(model(), {.dtype = DType::kF32, .like = recipe.from.value_or("")});
  if (recipe.data.tokenizer)
    for (const auto& [name, text] : tokenizer_files(*recipe.data.tokenizer)) files[name] = text;
  return files;
}

void Task::write_result(const std::filesystem::path& folder, const TensorOf& values,
                        const ModelFiles& files) {
  save_weights(model(), folder, {.dtype = DType::kF32, .values = values});
  for (const auto& [name, text] : files) write_file_atomically(folder / name, text);
}

nlohmann::ordered_json Task::state() const { return nullptr; }

void Task::restore(const nlohmann::ordered_json&) {}

std::vector<ShardPlan> Task::data_plan(int64_t) const { return {}; }

std::vector<int64_t> Task::documents_seen(int64_t) const { return {}; }

std::unique_ptr<Transformer> make_training_model(const Recipe& recipe, const Log& log) {
  auto model = std::make_unique<Transformer>(recipe.model);
  const Device device = recipe.compute_device();
  if (allocator_of(device).holds_values()) require_memory(*model, recipe);
  model->allocate(device == Device::kRef ? DType::kF64 : DType::kF32, device);
  const Rng rng = Rng(static_cast<uint64_t>(recipe.train.seed)).fork("init");
  if (recipe.from) {
    load_or_begin_scores(*model, *recipe.from, rng, log);
  } else {
    model->initialize(rng);
  }
  return model;
}

}  // namespace lathe
