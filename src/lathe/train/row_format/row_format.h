// Row formats: how a piece of text becomes a row, that is, the model's inputs and the labels to
// predict. The row source (train/sample_source.h) decides where the text comes from.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/config/visit.h"
#include "lathe/model/body.h"

namespace lathe {

// One row of a batch.
struct Row {
  std::vector<int32_t> text = {};  // what the encoder reads, in a body that has one
  std::vector<int32_t> ids = {};
  std::vector<int32_t> labels = {};  // of each id; -1: no loss
  int64_t prefix = 0;                // ids that see each other
  std::string_view kind = {};        // for a format that mixes several; lives as long as the format
};

// How tokens are hidden: keys of [objective] that the formats which hide tokens share.
struct HidingConfig {
  double mask_rate = 0.15;
  double mean_span = 3.0;
  int64_t sentinels = 100;
  void visit(Visitor& v);
};

// What all formats are given.
struct RowShape {
  Body body = {};
  int64_t vocab_size = 0;
  int64_t seq_len = 0;
  std::optional<int64_t> eos_token_id = {}, decoder_start = {};
  HidingConfig hiding = {};
};

// The maximum lengths of the parts of a row.
struct RowLengths {
  int64_t text = 0, ids = 0;
};

// Stateless and thread-safe: a row is a function of its tokens and its random stream.
class RowFormat {
 public:
  virtual ~RowFormat() = default;
  // Makes a row from seq_len + 1 consecutive tokens. Throws kData for tokens that the format
  // reserves for itself.
  virtual Row row(std::span<const int32_t> tokens, const Rng& rng) const = 0;
  virtual RowLengths longest() const = 0;
  // Whether `ids` are the text itself and every label is the next token: documents can then be kept
  // apart, and a label has the bytes of its token.
  virtual bool is_plain_text() const { return false; }
};

// The row in which a model gets `inputs` and predicts `targets`: in the encoder and the decoder, or
// one after the other, with the inputs as the prefix if the body has one.
Row join_row(const RowShape& shape, std::span<const int32_t> inputs,
             std::span<const int32_t> targets);
RowLengths joined_lengths(const RowShape& shape, int64_t inputs, int64_t targets);

}  // namespace lathe
