// The opened data of a recipe's section [data].
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lathe/corpus/token_shard.h"
#include "lathe/train/data_loader.h"
#include "lathe/train/recipe.h"

namespace lathe {

// Shards, and the source that reads from them.
struct OpenShards {
  std::vector<std::unique_ptr<TokenShard>> shards;  // in the order of their choices
  SampleSource source;
};
// Of texts as parse_shard_choice() takes them; `key` is where they stand in the recipe. Errors: kConfig,
// kIo, kFormat, kData.
OpenShards open_shards(const std::vector<std::string>& choices, std::string_view key,
                       const SampleSource::Options& options);

struct TrainingData {
  std::vector<std::unique_ptr<TokenShard>> shards;  // in the recipe's order
  std::unique_ptr<DataLoader> loader;               // reads from them
};
// Errors: kConfig, kIo, kFormat, kData.
TrainingData open_training_data(const Recipe& recipe, std::shared_ptr<const RowFormat> format);

// How often a run of `samples` samples passes through each shard.
struct ShardPlan {
  std::string prefix;
  double epochs = 0;
  int64_t documents = 0, tokens = 0;
};
std::vector<ShardPlan> plan_data(const TrainingData& data, int64_t samples);

// The number of documents of each shard of which the first `samples` samples of a run contain a
// token.
std::vector<int64_t> documents_seen(const TrainingData& data, int64_t samples);

}  // namespace lathe
