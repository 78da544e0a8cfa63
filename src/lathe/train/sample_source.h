// The row source of token shards: which tokens sample number i of a run is. A pure function of i,
// so that resuming needs no saved position.
//
// A sample is T + 1 tokens that begin at a multiple of T. Shards without weights are read as if
// they were one: an epoch contains every sample of all of them once, in the order of a permutation
// keyed by (seed, epoch). With weights, each shard provides its share of every 4,096 consecutive
// samples and goes through its own epochs; without shuffling the shards take turns and each is read
// in order. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/corpus/token_shard.h"

namespace lathe {

// "PREFIX" or "PREFIX:WEIGHT", where WEIGHT is the share of the samples that come from the shard.
// Throws kConfig, naming the `key` of the recipe, for a weight that is not above 0.
struct ShardChoice {
  std::string prefix;
  std::optional<double> weight = {};
};
ShardChoice parse_shard_choice(std::string_view text, std::string_view key = "data.train");
// The shards of a key. The weight of a single shard has no effect, so it is dropped.
std::vector<ShardChoice> parse_shard_choices(const std::vector<std::string>& texts,
                                             std::string_view key = "data.train");

// The share of each shard: its weight; shards without a weight divide the rest in proportion to
// their numbers of samples. If all have a weight, the weights are divided by their sum. Throws
// kConfig if nothing is left. Empty if no shard has a weight.
std::vector<double> shard_shares(const std::vector<ShardChoice>& choices,
                                 const std::vector<int64_t>& samples);

class SampleSource {
 public:
  struct Options {
    int64_t seq_len = 1;
    bool shuffle = true;
    Rng rng{0};
  };
  // `shares` are those of shard_shares(). The shards must outlive the source. Throws kData for a
  // shard shorter than one sample, kConfig for a share that is too small to be met.
  SampleSource(std::vector<const TokenShard*> shards, std::vector<double> shares, Options options);

  struct Sample {
    const TokenShard* shard;
    int64_t begin;  // its first token
    Rng rng;        // for everything that is drawn for it
  };
  Sample at(int64_t position) const;

  // Of all shards together.
  int64_t samples_per_epoch() const { return total_; }
  // The number of samples of shard `i`, and how many of the first `positions` come from it (within
  // one round of 4,096).
  int64_t samples_of(size_t i) const { return samples_[i]; }
  double taken_from(size_t i, int64_t positions) const;
  int64_t seq_len() const { return options_.seq_len; }

 private:
  static constexpr int64_t kRound = 4096;
  void take_turns();
  Sample of_all(int64_t position) const;
  Sample of_round(int64_t position) const;

  std::vector<const TokenShard*> shards_;
  Options options_;
  std::vector<int64_t> samples_;  // of each shard
  std::vector<int64_t> slots_;    // of each round, by shard; empty without shares
  struct Turn {
    size_t shard;
    int64_t nth;  // of the shard's samples in the round
  };
  std::vector<Turn> turns_;  // of a round, as the shards take them when nothing is shuffled
  int64_t total_ = 0;
};

// Position i of a pseudo-random permutation of [0, n): a four-round Feistel network on the smallest
// even number of bits that holds n, walked until it lands inside (Black & Rogaway 2002, "Ciphers
// with arbitrary finite domains").
int64_t permuted(const Rng& rng, int64_t i, int64_t n);

}  // namespace lathe
