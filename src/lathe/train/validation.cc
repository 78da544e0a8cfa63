#include "lathe/train/validation.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "lathe/base/error.h"
#include "lathe/ops/cross_entropy.h"
#include "lathe/train/batch_pass.h"

namespace lathe {
namespace {

using Bucket = ValidationLoss::Bucket;

std::vector<Bucket> make_buckets(int64_t length, int64_t count) {
  count = std::clamp<int64_t>(count, 1, length);
  std::vector<Bucket> out;
  for (int64_t i = 0; i < count; ++i) out.push_back({length * i / count, length * (i + 1) / count});
  return out;
}

void add_labels(const Tensor& hidden, const ops::OutputHead& head, const Tensor& labels,
                Bucket& bucket) {
  bucket.labels += std::ranges::count_if(labels.span<int32_t>(), [](int32_t l) { return l >= 0; });
  bucket.sum +=
      ops::linear_cross_entropy(Var(hidden), head, labels, {.normalizer = 1.0}).value.item();
}

// Labels of the rows of one kind; none elsewhere.
Tensor labels_of_kind(const Batch& batch, std::string_view kind) {
  Tensor labels = batch.labels.clone();
  const int64_t width = labels.size(1);
  for (size_t row = 0; row < batch.kinds.size(); ++row)
    if (batch.kinds[row] != kind)
      std::fill_n(labels.data<int32_t>() + static_cast<int64_t>(row) * width, width, -1);
  return labels;
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

LoaderOptions in_order(const ValidationOptions& o) {
  return {.batch_size = o.batch_size,
          .seq_len = o.seq_len,
          .vocab_size = o.vocab_size,
          .shuffle = false,
          .document_mask = o.document_mask,
          .rng = Rng(0).fork("validation"),
          .objective = o.objective};
}

}  // namespace

ValidationSet::ValidationSet(NamedShard shard, const ValidationOptions& options)
    : shard_name_(std::move(shard)),
      options_(options),
      shard_(std::make_unique<TokenShard>(shard_name_.prefix)),
      loader_(*shard_, in_order(options)),
      samples_(options.samples == 0 ? loader_.samples_per_epoch()
                                    : std::min(options.samples, loader_.samples_per_epoch())) {}

void ValidationSet::add(Transformer& model, const Batch& batch, ValidationLoss& loss) const {
  const BatchPass pass(model, Forward(), batch, Recompute::kNone);
  const ops::OutputHead head = model.head(pass.forward);
  for (const std::string_view kind :
       std::set<std::string_view>(batch.kinds.begin(), batch.kinds.end()))
    add_labels(pass.hidden.value, head, labels_of_kind(batch, kind), loss.kinds[std::string(kind)]);
  const int64_t length = batch.labels.size(1);
  for (Bucket& b : loss.buckets) {
    const int64_t width = std::min(b.end, length) - b.begin;
    if (width <= 0) continue;
    const bool whole = width == length;
    const auto part = [&](const Tensor& t) {
      return whole ? t : t.narrow(1, b.begin, width).clone();
    };
    add_labels(part(pass.hidden.value), head, part(batch.labels), b);
  }
  for (const int32_t label : batch.labels.span<int32_t>())
    if (label >= 0 && static_cast<size_t>(label) < options_.token_bytes.size())
      loss.bytes += options_.token_bytes[static_cast<size_t>(label)];
}

ValidationLoss ValidationSet::measure(Transformer& model,
                                      const std::function<void(int64_t)>& on_progress) const {
  const int64_t length = options_.objective ? options_.objective->longest().ids : options_.seq_len;
  ValidationLoss loss{make_buckets(length, options_.buckets), {}, samples_, 0};
  for (int64_t first = 0; first < samples_; first += options_.batch_size) {
    const Batch batch = loader_.rows(first, std::min(options_.batch_size, samples_ - first));
    if (batch.label_count > 0) add(model, batch, loss);
    if (on_progress) on_progress(std::min(samples_, first + options_.batch_size));
  }
  require(loss.labels() > 0, ErrorKind::kData, shard_name_.prefix,
          "no token to predict in the first {} samples; give a shard with longer documents",
          samples_);
  std::erase_if(loss.buckets, [](const Bucket& b) { return b.labels == 0; });
  return loss;
}

}  // namespace lathe
