#include "lathe/train/training_data.h"

#include "lathe/base/error.h"

namespace lathe {

TrainingData open_training_data(const Recipe& recipe, std::shared_ptr<const Objective> objective) {
  const TrainConfig& t = recipe.train;
  const LoaderOptions options{.batch_size = t.batch_size,
                              .seq_len = t.seq_len,
                              .vocab_size = recipe.model.vocab_size,
                              .shuffle = recipe.data.order == "shuffle",
                              .document_mask = recipe.data.document_mask,
                              .rng = Rng(static_cast<uint64_t>(t.seed)).fork("order"),
                              .objective = std::move(objective)};
  TrainingData data;
  std::vector<ShardChoice> choices;
  std::vector<const TokenShard*> shards;
  std::vector<int64_t> samples;
  for (const std::string& text : recipe.data.train) {
    choices.push_back(parse_shard_choice(text));
    data.shards.push_back(std::make_unique<TokenShard>(choices.back().prefix));
    shards.push_back(data.shards.back().get());
    samples.push_back((shards.back()->num_tokens() - 1) / t.seq_len);
  }
  require(!shards.empty(), ErrorKind::kConfig, "data.train",
          "no shard is named; give the prefix of a .bin and .idx");
  data.loader = std::make_unique<DataLoader>(
      SampleSource(std::move(shards), shard_shares(choices, samples),
                   {.seq_len = t.seq_len, .shuffle = options.shuffle, .rng = options.rng}),
      options);
  return data;
}

std::vector<ShardPlan> plan_data(const TrainingData& data, int64_t samples) {
  const SampleSource& source = data.loader->source();
  std::vector<ShardPlan> plan;
  for (size_t i = 0; i < data.shards.size(); ++i)
    plan.push_back({data.shards[i]->prefix().string(),
                    source.taken_from(i, samples) / static_cast<double>(source.samples_of(i)),
                    data.shards[i]->num_documents(), data.shards[i]->num_tokens()});
  return plan;
}

}  // namespace lathe
