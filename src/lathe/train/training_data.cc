#include "lathe/train/training_data.h"

#include <algorithm>

#include "lathe/base/error.h"

namespace lathe {

OpenShards open_shards(const std::vector<std::string>& texts, std::string_view key,
                       const SampleSource::Options& options) {
  const std::vector<ShardChoice> choices = parse_shard_choices(texts, key);
  require(!choices.empty(), ErrorKind::kConfig, key,
          "no shard is given; give the prefix of a .bin and .idx");
  std::vector<std::unique_ptr<TokenShard>> shards;
  std::vector<const TokenShard*> read;
  std::vector<int64_t> samples;
  for (const ShardChoice& choice : choices) {
    shards.push_back(std::make_unique<TokenShard>(choice.prefix));
    read.push_back(shards.back().get());
    samples.push_back((read.back()->num_tokens() - 1) / options.seq_len);
  }
  SampleSource source(std::move(read), shard_shares(choices, samples), options);
  return {std::move(shards), std::move(source)};
}

TrainingData open_training_data(const Recipe& recipe, std::shared_ptr<const RowFormat> format) {
  const TrainConfig& t = recipe.train;
  OpenShards open = open_shards(recipe.data.train, "data.train",
                                {.seq_len = t.seq_len,
                                 .shuffle = recipe.data.order == "shuffle",
                                 .rng = Rng(static_cast<uint64_t>(t.seed)).fork("order")});
  TrainingData data;
  data.shards = std::move(open.shards);
  data.loader =
      std::make_unique<DataLoader>(std::move(open.source), std::move(format),
                                   LoaderOptions{.batch_size = t.batch_size,
                                                 .vocab_size = recipe.model.vocab_size,
                                                 .document_mask = recipe.data.document_mask});
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

std::vector<int64_t> documents_seen(const TrainingData& data, int64_t samples) {
  const SampleSource& source = data.loader->source();
  std::vector<std::vector<bool>> seen;
  for (const auto& shard : data.shards)
    seen.emplace_back(static_cast<size_t>(shard->num_documents()), false);
  // Whole epochs hold the same samples; further ones bring nothing new.
  int64_t enough = 0;
  for (size_t i = 0; i < data.shards.size(); ++i)
    while (enough < samples &&
           source.taken_from(i, enough) < static_cast<double>(source.samples_of(i)))
      enough += std::min<int64_t>(samples - enough, 4096);
  for (int64_t position = 0; position < std::min(samples, enough); ++position) {
    const SampleSource::Sample s = source.at(position);
    const auto i = static_cast<size_t>(
        std::ranges::find(data.shards, s.shard, [](const auto& shard) { return shard.get(); }) -
        data.shards.begin());
    const int64_t end = s.begin + source.seq_len();
    for (int64_t d = s.shard->document_of(s.begin);
         d < s.shard->num_documents() && s.shard->document(d).begin < end; ++d)
      if (s.shard->document(d).size() > 0) seen[i][static_cast<size_t>(d)] = true;
  }
  std::vector<int64_t> counts;
  for (const auto& each : seen) counts.push_back(std::ranges::count(each, true));
  return counts;
}

}  // namespace lathe
