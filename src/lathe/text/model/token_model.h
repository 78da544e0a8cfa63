// What turns one pre-token into ids: byte-pair encoding, Unigram, WordPiece, WordLevel.
//
// A model is immutable, hence thread-safe. What a thread needs while it encodes (buffers, the words
// it has met before) is a TextEncoder, which the model makes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/text/vocabulary.h"

namespace lathe {

class PreTokenizer;

// Cuts normalised text into pre-tokens and encodes them, on one thread.
class TextEncoder {
 public:
  virtual ~TextEncoder() = default;
  // Called with the bytes of the segment that are done, at least every 256 KiB. May throw.
  using Progress = std::function<void(size_t done)>;
  // Appends the ids of a stretch of normalised text without added tokens. `start`: see
  // PreTokenizer::split.
  virtual void encode(std::string_view segment, size_t start, const Progress& progress,
                      std::vector<int32_t>& out) = 0;
};

class TokenModel {
 public:
  explicit TokenModel(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  virtual ~TokenModel() = default;

  // As `type` of a tokenizer.json's model.
  virtual std::string_view type() const = 0;
  const Vocabulary& vocabulary() const { return vocabulary_; }
  virtual int64_t merge_count() const { return 0; }
  // The token of what has none, or -1.
  virtual int32_t unknown_id() const { return -1; }

  // `pre_tokenizer` and the model must outlive the encoder.
  virtual std::unique_ptr<TextEncoder> encoder(const PreTokenizer& pre_tokenizer) const = 0;

  // Other segmentations of one pre-token than the one that encoding takes. The defaults throw
  // kUsage: most models know of one segmentation only.
  struct Segmentation {
    std::vector<int32_t> ids;
    double score = 0;  // log-probability; of a Unigram model the sum of its tokens' scores
  };
  // The n best, best first; fewer where there are fewer.
  virtual std::vector<Segmentation> nbest(std::string_view piece, int64_t n) const;
  // One drawn with probability proportional to exp(alpha · score) (Kudo 2018, arXiv:1804.10959).
  virtual std::vector<int32_t> sample(std::string_view piece, double alpha, const Rng& rng) const;
  // BPE-dropout (Provilkov et al. 2020, arXiv:1910.13267): a merge that could be made is passed
  // over with this probability, each time anew.
  virtual std::vector<int32_t> encode_with_dropout(std::string_view piece, double dropout,
                                                   const Rng& rng) const;

  // A piece that stands in a text, and what speaks for it there.
  struct LatticePiece {
    size_t begin = 0, end = 0;  // bytes of the text
    int32_t id = -1;            // -1: a character without a token, which becomes its bytes
    double score = 0;           // log-probability
    // Of a segmentation with this piece, where each is as likely as exp(score) says.
    double probability = 0;
    bool best = false;  // one of the best segmentation
  };
  // All pieces of which the segmentations of a pre-token are made: by where they begin, and of
  // those the shortest first (Unigram).
  virtual std::vector<LatticePiece> lattice(std::string_view piece) const;

  // What makes the model take a token rather than others: the log-probability of a Unigram model's
  // token ("score"), the place in the list of merges of the first that makes it ("merge"; BPE).
  struct Weight {
    std::string_view name;
    double value;
  };
  virtual std::optional<Weight> weight_of(int32_t id) const;

 private:
  Vocabulary vocabulary_;
};

}  // namespace lathe
