#include "lathe/train/data_loader.h"

#include <algorithm>
#include <vector>

#include "lathe/base/error.h"

namespace lathe {

Row DataLoader::row_of(const SampleSource::Sample& sample) const {
  const int64_t tokens = source_.seq_len();
  std::vector<int32_t> window(static_cast<size_t>(tokens) + 1);
  sample.shard->read(sample.begin, sample.begin + tokens + 1, window, options_.vocab_size);
  return format_->row(window, sample.rng);
}

void DataLoader::mask_documents(const SampleSource::Sample& sample, int64_t row, Batch& out) const {
  const int64_t tokens = source_.seq_len(), begin = sample.begin;
  int32_t* labels = out.labels.data<int32_t>() + row * tokens;
  int32_t* positions = out.positions.data<int32_t>() + row * tokens;
  int32_t* segments = out.segments.data<int32_t>() + row * tokens;
  const std::vector<int64_t> starts = sample.shard->document_starts(begin, begin + tokens + 1);
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
    // The target would be the next document's first token.
    if (next < starts.size() && starts[next] == t + 1) labels[t] = -1;
  }
}

namespace {

using Part = std::vector<int32_t> Row::*;

int64_t longest(std::span<const Row> rows, Part part) {
  size_t most = 0;
  for (const Row& row : rows) most = std::max(most, (row.*part).size());
  return static_cast<int64_t>(most);
}

Tensor stacked(std::span<const Row> rows, Part part, int32_t filling) {
  const int64_t width = longest(rows, part);
  Tensor t({static_cast<int64_t>(rows.size()), width}, DType::kI32);
  std::ranges::fill(t.span<int32_t>(), filling);
  for (size_t i = 0; i < rows.size(); ++i)
    std::ranges::copy(rows[i].*part, t.data<int32_t>() + static_cast<int64_t>(i) * width);
  return t;
}

// 1 where a row has text, 0 where it is filled up; undefined when no row is.
Tensor filled_segments(std::span<const Row> rows, int64_t width) {
  Tensor t = Tensor::zeros({static_cast<int64_t>(rows.size()), width}, DType::kI32);
  bool all = true;
  for (size_t i = 0; i < rows.size(); ++i) {
    const size_t length = rows[i].text.size();
    std::fill_n(t.data<int32_t>() + static_cast<int64_t>(i) * width, length, 1);
    all &= static_cast<int64_t>(length) == width;
  }
  return all ? Tensor() : t;
}

Tensor prefixes(std::span<const Row> rows) {
  Tensor t({static_cast<int64_t>(rows.size())}, DType::kI32);
  for (size_t i = 0; i < rows.size(); ++i)
    t.data<int32_t>()[i] = static_cast<int32_t>(rows[i].prefix);
  return t;
}

}  // namespace

Batch DataLoader::batch(int64_t index) const {
  return rows(index * options_.batch_size, options_.batch_size);
}

Batch DataLoader::rows(int64_t first, int64_t count) const {
  std::vector<Row> rows;
  std::vector<SampleSource::Sample> samples;
  for (int64_t row = 0; row < count; ++row) {
    samples.push_back(source_.at(first + row));
    rows.push_back(row_of(samples.back()));
  }
  Batch out;
  out.ids = stacked(rows, &Row::ids, 0);
  out.labels = stacked(rows, &Row::labels, -1);
  if (std::ranges::any_of(rows, [](const Row& row) { return row.prefix > 0; }))
    out.prefix = prefixes(rows);
  if (const int64_t width = longest(rows, &Row::text); width > 0) {
    out.text = stacked(rows, &Row::text, 0);
    out.text_segments = filled_segments(rows, width);
  }
  if (options_.document_mask) {
    out.positions = Tensor(out.ids.shape(), DType::kI32);
    out.segments = Tensor(out.ids.shape(), DType::kI32);
    for (size_t row = 0; row < samples.size(); ++row)
      mask_documents(samples[row], static_cast<int64_t>(row), out);
  }
  if (!rows[0].kind.empty())
    for (const Row& row : rows) out.kinds.push_back(row.kind);
  out.label_count =
      std::ranges::count_if(out.labels.span<int32_t>(), [](int32_t l) { return l >= 0; });
  return out;
}

}  // namespace lathe
