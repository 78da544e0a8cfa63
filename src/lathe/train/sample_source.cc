#include "lathe/train/sample_source.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <numeric>

#include "lathe/base/error.h"

namespace lathe {

ShardChoice parse_shard_choice(std::string_view text, std::string_view key) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return {std::string(text)};
  double weight = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, weight);
  if (parsed.ec != std::errc() || parsed.ptr != end) return {std::string(text)};  // of the path
  require(weight > 0 && std::isfinite(weight), ErrorKind::kConfig, key,
          "'{}' has the weight {}, expected a number above 0 after the colon, as in \"{}:0.3\"",
          text, weight, text.substr(0, colon));
  return {std::string(text.substr(0, colon)), weight};
}

std::vector<ShardChoice> parse_shard_choices(const std::vector<std::string>& texts,
                                             std::string_view key) {
  std::vector<ShardChoice> choices;
  for (const std::string& text : texts) choices.push_back(parse_shard_choice(text, key));
  if (choices.size() == 1) choices[0].weight.reset();
  return choices;
}

std::vector<double> shard_shares(const std::vector<ShardChoice>& choices,
                                 const std::vector<int64_t>& samples) {
  double given = 0, unweighted = 0;
  bool any = false;
  for (size_t i = 0; i < choices.size(); ++i) {
    any = any || choices[i].weight.has_value();
    given += choices[i].weight.value_or(0);
    if (!choices[i].weight) unweighted += static_cast<double>(samples[i]);
  }
  if (!any) return {};
  require(unweighted == 0 || given < 1, ErrorKind::kConfig, "data.train",
          "the weights add up to {}, which leaves nothing for the shards without a weight; make "
          "them add up to less than 1, or give every shard a weight",
          given);
  std::vector<double> shares;
  for (size_t i = 0; i < choices.size(); ++i)
    shares.push_back(unweighted == 0 ? *choices[i].weight / given
                     : choices[i].weight
                         ? *choices[i].weight
                         : (1 - given) * static_cast<double>(samples[i]) / unweighted);
  return shares;
}

namespace {

// Slots of a round, by the largest remainder, so that they add up.
std::vector<int64_t> slots_of(const std::vector<double>& shares, int64_t round) {
  std::vector<int64_t> slots;
  std::vector<size_t> order(shares.size());
  std::iota(order.begin(), order.end(), size_t{0});
  for (const double share : shares)
    slots.push_back(static_cast<int64_t>(std::floor(share * static_cast<double>(round))));
  const auto remainder = [&](size_t i) {
    return shares[i] * static_cast<double>(round) - static_cast<double>(slots[i]);
  };
  std::ranges::stable_sort(order, std::greater<>(), remainder);
  int64_t left = round - std::accumulate(slots.begin(), slots.end(), int64_t{0});
  for (size_t i = 0; left > 0; ++i, --left) ++slots[order[i % order.size()]];
  return slots;
}

}  // namespace

// Each shard's turns as evenly spread as can be: the one that is furthest behind its share is next.
void SampleSource::take_turns() {
  std::vector<int64_t> taken(slots_.size(), 0);
  for (int64_t position = 1; position <= kRound; ++position) {
    size_t next = 0;
    for (size_t i = 1; i < slots_.size(); ++i)
      if (slots_[i] * position - taken[i] * kRound > slots_[next] * position - taken[next] * kRound)
        next = i;
    turns_.push_back({next, taken[next]++});
  }
}

SampleSource::SampleSource(std::vector<const TokenShard*> shards, std::vector<double> shares,
                           Options options)
    : shards_(std::move(shards)), options_(std::move(options)) {
  for (const TokenShard* shard : shards_) {
    samples_.push_back((shard->num_tokens() - 1) / options_.seq_len);
    require(samples_.back() >= 1, ErrorKind::kData, shard->prefix().string(),
            "{} tokens are fewer than one sample of seq_len + 1 = {}; use more text or a smaller "
            "train.seq_len",
            shard->num_tokens(), options_.seq_len + 1);
    total_ += samples_.back();
  }
  if (shares.empty()) return;
  slots_ = slots_of(shares, kRound);
  for (size_t i = 0; i < slots_.size(); ++i)
    require(slots_[i] > 0, ErrorKind::kConfig, "data.train",
            "{} would give {:.6f} of the samples; give it at least 1/{} of them, or leave it out",
            shards_[i]->prefix().string(), shares[i], kRound);
  take_turns();
}

namespace {

Rng example_rng(const Rng& rng, int64_t epoch, int64_t index) {
  return rng.fork("example").fork(static_cast<uint64_t>(epoch)).fork(static_cast<uint64_t>(index));
}

}  // namespace

SampleSource::Sample SampleSource::of_all(int64_t position) const {
  const int64_t epoch = position / total_, i = position % total_;
  const Rng order = options_.rng.fork(static_cast<uint64_t>(epoch));
  int64_t index = options_.shuffle ? permuted(order, i, total_) : i;
  const Rng drawn = example_rng(options_.rng, epoch, index);
  size_t shard = 0;
  for (; index >= samples_[shard]; ++shard) index -= samples_[shard];
  return {shards_[shard], index * options_.seq_len, drawn};
}

SampleSource::Sample SampleSource::of_round(int64_t position) const {
  const int64_t round = position / kRound;
  const Rng order = options_.rng.fork("round").fork(static_cast<uint64_t>(round));
  const int64_t place = position % kRound;
  const auto [shard, nth] =
      turns_[static_cast<size_t>(options_.shuffle ? permuted(order, place, kRound) : place)];
  const int64_t taken = round * slots_[shard] + nth;
  const int64_t epoch = taken / samples_[shard], i = taken % samples_[shard];
  const Rng own = options_.rng.fork("shard").fork(shard);
  const Rng epoch_order = own.fork(static_cast<uint64_t>(epoch));
  const int64_t index = options_.shuffle ? permuted(epoch_order, i, samples_[shard]) : i;
  return {shards_[shard], index * options_.seq_len, example_rng(own, epoch, index)};
}

SampleSource::Sample SampleSource::at(int64_t position) const {
  return slots_.empty() ? of_all(position) : of_round(position);
}

double SampleSource::taken_from(size_t i, int64_t positions) const {
  const double part = slots_.empty()
                          ? static_cast<double>(samples_[i]) / static_cast<double>(total_)
                          : static_cast<double>(slots_[i]) / static_cast<double>(kRound);
  return part * static_cast<double>(positions);
}

int64_t permuted(const Rng& rng, int64_t i, int64_t n) {
  const int bits = std::max(2, static_cast<int>(std::bit_width(static_cast<uint64_t>(n - 1))));
  const int half = (bits + 1) / 2;
  const uint64_t mask = (uint64_t{1} << half) - 1;
  auto x = static_cast<uint64_t>(i);
  do {
    uint64_t left = x >> half, right = x & mask;
    for (uint64_t round = 0; round < 4; ++round) {
      const uint64_t next = (left ^ rng.fork(round).bits64(right)) & mask;
      left = right;
      right = next;
    }
    x = (left << half) | right;
  } while (x >= static_cast<uint64_t>(n));
  return static_cast<int64_t>(x);
}

}  // namespace lathe
