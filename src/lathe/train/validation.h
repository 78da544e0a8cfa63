// The loss of a model over a token shard, which training validates with and `lathe eval` prints.
//
//   loss = Σ −log p(label) / labels   (nats a label, over the first `samples` samples in order)
//
// It does not depend on the batch size, except for the last bits of the sums.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/corpus/token_shard.h"
#include "lathe/model/transformer.h"
#include "lathe/train/batch_pass.h"
#include "lathe/train/data_loader.h"

namespace lathe {

// "PREFIX" or "NAME=PREFIX"; the name is the last part of the prefix unless it is given.
struct NamedShard {
  std::string name, prefix;
};
NamedShard parse_named_shard(std::string_view text);

struct ValidationOptions {
  int64_t seq_len = 1, batch_size = 1;
  int64_t samples = 0;  // 0: all
  int64_t vocab_size = 0;
  bool document_mask = false;
  std::shared_ptr<const RowFormat> format = nullptr;
  // The number of bytes of each token id, for bits per byte; empty if the labels are not text.
  std::vector<int32_t> token_bytes = {};
  int64_t buckets = 1;  // ranges of positions whose loss is reported
};

struct ValidationLoss {
  // Of the labels of positions [begin, end).
  struct Bucket : LossSum {
    int64_t begin = 0, end = 0;
  };
  std::vector<Bucket> buckets;
  LossByKind kinds;
  int64_t samples = 0, bytes = 0;

  int64_t labels() const;
  double loss() const;
  std::optional<double> bits_per_byte() const;
};

class ValidationSet {
 public:
  // Throws kData if the shard is shorter than one sample.
  ValidationSet(NamedShard shard, const ValidationOptions& options);

  const std::string& name() const { return shard_name_.name; }
  const std::string& prefix() const { return shard_name_.prefix; }
  const TokenShard& shard() const { return *shard_; }
  int64_t samples() const { return samples_; }  // that measure() reads

  // `on_progress` gets the number of samples that are done; if it throws, the measurement ends.
  // Throws kData if there is nothing to predict.
  ValidationLoss measure(Transformer& model,
                         const std::function<void(int64_t samples)>& on_progress = {},
                         const Adapters* adapters = nullptr) const;

 private:
  void add(Transformer& model, const Adapters* adapters, const Batch& batch,
           ValidationLoss& loss) const;

  NamedShard shard_name_;
  ValidationOptions options_;
  std::unique_ptr<TokenShard> shard_;
  DataLoader loader_;
  int64_t samples_;
};

}  // namespace lathe
