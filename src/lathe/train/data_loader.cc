#include "lathe/train/data_loader.h"

#include <bit>
#include <vector>

#include "lathe/base/error.h"

namespace lathe {

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

DataLoader::DataLoader(const TokenShard& shard, const LoaderOptions& options)
    : shard_(shard), options_(options), samples_((shard.num_tokens() - 1) / options.seq_len) {
  require(samples_ >= 1, ErrorKind::kData, shard.prefix().string(),
          "{} tokens are fewer than one sample of seq_len + 1 = {}; use more text or a smaller "
          "train.seq_len",
          shard.num_tokens(), options.seq_len + 1);
}

int64_t DataLoader::sample_at(int64_t position) const {
  const int64_t epoch = position / samples_, i = position % samples_;
  return options_.shuffle ? permuted(options_.rng.fork(static_cast<uint64_t>(epoch)), i, samples_)
                          : i;
}

void DataLoader::fill_row(int64_t sample, int64_t row, Batch& out) const {
  const int64_t tokens = options_.seq_len, begin = sample * tokens;
  std::vector<int32_t> window(static_cast<size_t>(tokens) + 1);
  shard_.read(begin, begin + tokens + 1, window, options_.vocab_size);
  std::copy(window.begin(), window.end() - 1, out.ids.data<int32_t>() + row * tokens);
  int32_t* labels = out.labels.data<int32_t>() + row * tokens;
  std::copy(window.begin() + 1, window.end(), labels);
  out.label_count += tokens;
  if (!options_.document_mask) return;
  int32_t* positions = out.positions.data<int32_t>() + row * tokens;
  int32_t* segments = out.segments.data<int32_t>() + row * tokens;
  const std::vector<int64_t> starts = shard_.document_starts(begin, begin + tokens + 1);
  int32_t position = 0, segment = 0;
  size_t next = 0;
  for (int64_t t = 0; t < tokens; ++t) {
    if (next < starts.size() && starts[next] == t) {
      position = 0;
      ++segment;
      ++next;
    }
    positions[t] = position++;
    segments[t] = segment;
    if (next < starts.size() &&
        starts[next] == t + 1) {  // the target is the next document's first token
      labels[t] = -1;
      --out.label_count;
    }
  }
}

Batch DataLoader::batch(int64_t index) const {
  const Shape shape = {options_.batch_size, options_.seq_len};
  Batch out{Tensor(shape, DType::kI32), Tensor(shape, DType::kI32), {}, {}, 0};
  if (options_.document_mask) {
    out.positions = Tensor(shape, DType::kI32);
    out.segments = Tensor(shape, DType::kI32);
  }
  for (int64_t row = 0; row < options_.batch_size; ++row)
    fill_row(sample_at(index * options_.batch_size + row), row, out);
  return out;
}

}  // namespace lathe
