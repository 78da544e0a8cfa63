#include "lathe/train/task/text_data.h"

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/io/hash.h"
#include "lathe/train/budget.h"

namespace lathe {
namespace {

std::vector<ValidationSet> open_validation(const Recipe& recipe, const TrainFacts& facts,
                                           const std::shared_ptr<const RowFormat>& format) {
  std::vector<ValidationSet> sets;
  for (const std::string& text : recipe.data.valid)
    sets.emplace_back(
        parse_named_shard(text),
        ValidationOptions{
            .seq_len = recipe.train.seq_len,
            .batch_size = recipe.train.batch_size,
            .samples = recipe.validation_samples(),
            .vocab_size = recipe.model.vocab_size,
            .document_mask = recipe.data.document_mask,
            .format = format,
            .token_bytes = format->is_plain_text() ? facts.token_bytes : std::vector<int32_t>()});
  return sets;
}

// Of the content of several shards, in their order.
std::string hash_of_data(const std::vector<ArtefactRef>& shards) {
  if (shards.size() == 1) return shards[0].hash;
  std::string all;
  for (const ArtefactRef& shard : shards) all += shard.hash + "\n";
  return hash_text(all);
}

}  // namespace

TextData::TextData(const TaskSetting& setting, std::shared_ptr<const RowFormat> format)
    : log_(setting.callbacks.log),
      names_(setting.recipe.data.train),
      config_(setting.recipe.train),
      vocab_size_(setting.recipe.model.vocab_size),
      training_(open_training_data(setting.recipe, format)),
      validation_(open_validation(setting.recipe, setting.facts, format)) {}

std::vector<Batch> TextData::batches(int64_t step) const {
  const int64_t first = micro_batches_before(config_, step);
  std::vector<Batch> batches;
  int64_t labels = 0;
  for (int64_t micro = 0; micro < micro_batches(config_, step); ++micro) {
    batches.push_back(training_.loader->batch(first + micro));
    labels += batches.back().label_count;
  }
  require(labels > 0, ErrorKind::kData, join(names_, ", "),
          "step {} has no token to predict: every document in it is one token long", step);
  return batches;
}

int64_t TextData::tokens(int64_t step) const {
  return config_.batch_size * config_.seq_len * micro_batches(config_, step);
}

TaskEvaluation TextData::evaluate(Transformer& model, const StopCheck& stop_if_asked) const {
  TaskEvaluation result;
  for (size_t i = 0; i < validation_.size(); ++i) {
    const ValidationLoss loss = validation_[i].measure(model, [&](int64_t) { stop_if_asked(); });
    if (i == 0) {
      result.loss = loss.loss();
      if (const auto bits = loss.bits_per_byte())
        result.numbers.emplace_back("bits_per_byte", *bits);
      for (const auto& [kind, sum] : loss.kinds)
        result.numbers.emplace_back("loss." + kind, sum.mean());
    }
    if (validation_.size() > 1)
      result.numbers.emplace_back("loss." + validation_[i].name(), loss.loss());
  }
  return result;
}

TaskInputs TextData::check() const {
  constexpr int64_t kMany = 1'000'000'000;  // tokens, which take seconds
  Manifest inputs;
  for (const auto& shard : training_.shards) {
    if (shard->num_tokens() > kMany)
      log_.info("reading {} to check its ids and compute its hash", shard->prefix().string());
    shard->check_ids(vocab_size_);
    add_input(inputs, shard->prefix(), "shard");
  }
  const std::string data_hash = hash_of_data(inputs.inputs);
  for (const ValidationSet& set : validation_) {
    set.shard().check_ids(vocab_size_);
    add_input(inputs, set.prefix(), "shard");
  }
  return {std::move(inputs.inputs), data_hash};
}

int64_t TextData::samples_of(int64_t steps) const {
  return micro_batches_before(config_, steps + 1) * config_.batch_size;
}

std::vector<ShardPlan> TextData::plan(int64_t steps) const {
  return plan_data(training_, samples_of(steps));
}

std::vector<int64_t> TextData::documents_seen(int64_t steps) const {
  return lathe::documents_seen(training_, samples_of(steps));
}

}  // namespace lathe
