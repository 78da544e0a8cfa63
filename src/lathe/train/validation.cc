#include "lathe/train/validation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lathe/base/error.h"
#include "lathe/ops/cross_entropy.h"
#include "lathe/train/batch_pass.h"

namespace lathe {
namespace {

using Bucket = ValidationLoss::Bucket;

std::vector<Bucket> make_buckets(int64_t length, int64_t count) {
  count = std::clamp<int64_t>(count, 1, length);
  std::vector<Bucket> out;
  for (int64_t i = 0; i < count; ++i)
    out.push_back({{}, length * i / count, length * (i + 1) / count});
  return out;
}

}  // namespace

NamedShard parse_named_shard(std::string_view text) {
  const size_t equals = text.find('=');
  const size_t slash = text.find('/');
  if (equals != std::string_view::npos && equals > 0 &&
      (slash == std::string_view::npos || equals < slash))
    return {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
  return {std::filesystem::path(text).filename().string(), std::string(text)};
}

int64_t ValidationLoss::labels() const {
  return std::accumulate(buckets.begin(), buckets.end(), int64_t{0},
                         [](int64_t n, const Bucket& b) { return n + b.labels; });
}

double ValidationLoss::loss() const {
  double sum = 0;
  for (const Bucket& b : buckets) sum += b.sum;
  return sum / static_cast<double>(labels());
}

std::optional<double> ValidationLoss::bits_per_byte() const {
  if (bytes == 0) return std::nullopt;
  return loss() * static_cast<double>(labels()) / std::log(2.0) / static_cast<double>(bytes);
}

namespace {

DataLoader in_order(const TokenShard& shard, const ValidationOptions& o) {
  return {
      SampleSource({&shard}, {},
                   {.seq_len = o.seq_len, .shuffle = false, .rng = Rng(0).fork("validation")}),
      o.format,
      {.batch_size = o.batch_size, .vocab_size = o.vocab_size, .document_mask = o.document_mask}};
}

}  // namespace

ValidationSet::ValidationSet(NamedShard shard, const ValidationOptions& options)
    : shard_name_(std::move(shard)),
      options_(options),
      shard_(std::make_unique<TokenShard>(shard_name_.prefix)),
      loader_(in_order(*shard_, options)),
      samples_(options.samples == 0 ? loader_.samples_per_epoch()
                                    : std::min(options.samples, loader_.samples_per_epoch())) {}

void ValidationSet::add(Transformer& model, const Adapters* adapters, const Batch& batch,
                        ValidationLoss& loss) const {
  ModelPass pass(model, {.adapters = adapters});
  const Var hidden = pass.hidden(inputs_of(batch));
  Tensor losses;
  ops::linear_cross_entropy(hidden, pass.head(), batch.labels,
                            {.normalizer = 1.0, .losses = &losses});
  add_by_kind(batch, losses, loss.kinds);
  const std::vector<double> each = losses.to_vector();
  const auto labels = batch.labels.span<int32_t>();
  const int64_t width = batch.labels.size(1);
  for (Bucket& b : loss.buckets)
    for (int64_t row = 0; row < batch.labels.size(0); ++row)
      for (int64_t t = b.begin; t < std::min(b.end, width); ++t)
        if (const auto i = static_cast<size_t>(row * width + t); labels[i] >= 0) b.add(each[i]);
  for (const int32_t label : labels)
    if (label >= 0 && static_cast<size_t>(label) < options_.token_bytes.size())
      loss.bytes += options_.token_bytes[static_cast<size_t>(label)];
}

ValidationLoss ValidationSet::measure(Transformer& model,
                                      const std::function<void(int64_t)>& on_progress,
                                      const Adapters* adapters) const {
  ValidationLoss loss{
      make_buckets(options_.format->longest().ids, options_.buckets), {}, samples_, 0};
  for (int64_t first = 0; first < samples_; first += options_.batch_size) {
    const Batch batch = loader_.rows(first, std::min(options_.batch_size, samples_ - first));
    if (batch.label_count > 0) add(model, adapters, batch, loss);
    if (on_progress) on_progress(std::min(samples_, first + options_.batch_size));
  }
  require(loss.labels() > 0, ErrorKind::kData, shard_name_.prefix,
          "no token to predict in the first {} samples; give a shard with longer documents",
          samples_);
  std::erase_if(loss.buckets, [](const Bucket& b) { return b.labels == 0; });
  return loss;
}

}  // namespace lathe
