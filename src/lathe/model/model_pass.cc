#include "lathe/model/model_pass.h"

#include "lathe/base/error.h"
#include "lathe/nn/adapters.h"
#include "lathe/ops/rearrange.h"

namespace lathe {
namespace {

// The texts at the positions that they have behind `count` more tokens. What they see of each other
// must be one text for each sequence.
Rows moved_by(const Rows& rows, int64_t count) {
  Rows moved = rows.with_positions();
  moved.positions = moved.positions.clone();
  for (int32_t& position : moved.positions.span<int32_t>()) position += static_cast<int32_t>(count);
  if (rows.prefix.defined()) {
    moved.prefix = rows.prefix.clone();
    for (int32_t& length : moved.prefix.span<int32_t>()) length += static_cast<int32_t>(count);
  }
  for (int64_t b = 0; rows.segments.defined() && b < rows.sequences.count(); ++b)
    for (int64_t t = rows.sequences.first(b); t < rows.sequences.first(b + 1); ++t)
      require(
          rows.segments.data<int32_t>()[t] ==
              rows.segments.data<int32_t>()[rows.sequences.first(b)],
          ErrorKind::kConfig, "adapters",
          "sequence {} holds several texts that do not see each other (packing) or padding, but "
          "virtual tokens stand before one text; give each text a sequence of its own",
          b);
  moved.segments = {};
  return moved;
}

// [virtual tokens, text] for each sequence: the numbers of `each` rows from `from` on in each.
Tensor rows_from(const Sequences& sequences, int64_t count, int64_t from, int64_t each) {
  Tensor rows({sequences.count() * each}, DType::kI32);
  int32_t* to = rows.data<int32_t>();
  for (int64_t b = 0; b < sequences.count(); ++b)
    for (int64_t i = 0; i < each; ++i)
      *to++ = static_cast<int32_t>(sequences.first(b) + b * count + from + i);
  return rows;
}

Tensor rows_of_texts(const Sequences& sequences, int64_t count) {
  Tensor rows({sequences.rows()}, DType::kI32);
  int32_t* to = rows.data<int32_t>();
  for (int64_t b = 0; b < sequences.count(); ++b)
    for (int64_t t = 0; t < sequences.length(b); ++t)
      *to++ = static_cast<int32_t>(sequences.first(b) + (b + 1) * count + t);
  return rows;
}

// `moved` with rows for the virtual tokens, at the positions 0, 1, …
Rows with_virtual_rows(const Rows& moved, int64_t count) {
  const Sequences& texts = moved.sequences;
  std::vector<int64_t> lengths;
  for (int64_t b = 0; b < texts.count(); ++b) lengths.push_back(texts.length(b) + count);
  Rows all = moved;
  all.sequences = Sequences(lengths);
  all.virtual_tokens = count;
  const Tensor places = rows_of_texts(texts, count);
  const auto spread = [&](const Tensor& of_texts) {
    const Tensor out = Tensor::zeros({all.sequences.rows()}, DType::kI32);
    for (int64_t i = 0; i < places.numel(); ++i)
      out.data<int32_t>()[places.data<int32_t>()[i]] = of_texts.data<int32_t>()[i];
    return out;
  };
  all.ids = spread(moved.ids);
  all.positions = spread(moved.positions);
  const Tensor own = rows_from(texts, count, 0, count);
  for (int64_t i = 0; i < own.numel(); ++i)
    all.positions.data<int32_t>()[own.data<int32_t>()[i]] = static_cast<int32_t>(i % count);
  if (moved.token_types.defined()) all.token_types = spread(moved.token_types);
  return all;
}

}  // namespace

Var ModelPass::hidden(const ModelInputs& inputs) {
  if (inputs.text && inputs.text->tokens() > 0)
    memory_ = model_.encode({&pass_, &*inputs.text, rng_}, recompute_);
  else if (inputs.text)
    memory_ = EncoderMemory{{}, inputs.text->sequences, {}};
  else if (memory_ && pass_.cache != nullptr)
    memory_ = EncoderMemory{{}, Sequences::equal(memory_->sequences.count(), 0), {}};
  rows_ = inputs.rows;
  before_first_ = {};
  const int64_t virtual_tokens = pass_.adapters != nullptr ? pass_.adapters->virtual_tokens() : 0;
  return virtual_tokens > 0 ? hidden_behind_virtual_tokens(inputs.rows, virtual_tokens)
                            : run(rows_);
}

Var ModelPass::states(const Rows& rows) const {
  require(pass_.adapters == nullptr || pass_.adapters->virtual_tokens() == 0, ErrorKind::kConfig,
          "adapters", "virtual tokens are computed for the output head only; leave them out");
  return model_.states({&pass_, &rows, rng_}, recompute_);
}

Var ModelPass::run(const Rows& rows) const {
  return model_.hidden({&pass_, &rows, rng_, memory_ ? &*memory_ : nullptr}, recompute_);
}

Var ModelPass::hidden_behind_virtual_tokens(const Rows& rows, int64_t count) {
  require(pass_.cache == nullptr, ErrorKind::kConfig, "adapters",
          "virtual tokens before a text are not kept in a cache yet; compute whole texts");
  require(!memory_, ErrorKind::kConfig, "adapters",
          "virtual tokens are supported for models of one text, not for encoder-decoders");
  const bool has_rows = pass_.adapters->virtual_embeddings(pass_).defined();
  rows_ = moved_by(rows, count);
  if (!has_rows) {
    Rows behind = rows_;
    behind.context.assign(static_cast<size_t>(rows.sequences.count()), count);
    return run(behind);
  }
  const Var all = run(with_virtual_rows(rows_, count));
  before_first_ = ops::take_rows(all, rows_from(rows.sequences, count, count - 1, 1));
  return ops::take_rows(all, rows_of_texts(rows.sequences, count));
}

Var ModelPass::mtp_hidden(int64_t depth, const Var& hidden, const Tensor& ids_ahead) const {
  return model_.mtp_hidden({&pass_, &rows_, rng_}, depth, hidden, ids_ahead);
}

}  // namespace lathe
