// How well texts answer a query, by what a model was made for:
//
//   pair        a classifier of sequences with one score (a cross-encoder): σ(s), where s is its score of query and text
//               as one sequence, encoded as transformers' tokenizer(query, text); from 0 to 1
//   cosine      an encoder, or any model whose folder has a modules.json: the cosine of the vectors of query and text
//               (embed/sentence_encoder.h); from -1 to 1
//   likelihood  any other language model: the mean log-probability (natural) of the query's tokens behind the text's,
//               1/|q| Σ log p(q_i | text, q_<i), without special tokens and with nothing between the two; at most 0
//               (Ponte & Croft 1998, "A language modeling approach to information retrieval")
//
// Scores of different kinds cannot be compared.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/embed/sentence_encoder.h"
#include "lathe/text/text_pair.h"

namespace lathe {

// Thread-safe. What it is given must outlive it.
class Relevance {
 public:
  enum class Kind : uint8_t { kPair, kCosine, kLikelihood };

  // `encoder`: of the same model; null for one that has no vectors. Errors: kConfig for a classifier with another number
  // of scores than one, and for a model that is none of the three; kFormat for a tokenizer that puts no pairs together.
  Relevance(const Transformer& model, const Tokenizer& tokenizer, const SentenceEncoder* encoder);

  Kind kind() const { return kind_; }

  struct Scores {
    std::vector<double> of_texts;  // in their order
    int64_t tokens = 0;            // that the model read
  };
  // A text's score does not depend on the others. `most`: tokens that a sequence may have, at most what the model reads;
  // nothing is cut. `between` is called between passes and may throw. Errors: kData, with the text's number from 0, for
  // what is empty or too long.
  Scores of(std::string_view query, std::span<const std::string> texts, int64_t most,
            const std::function<void()>& between = {}) const;

 private:
  Scores of_pairs(std::string_view query, std::span<const std::string> texts, int64_t most,
                  const std::function<void()>& between) const;
  Scores of_vectors(std::string_view query, std::span<const std::string> texts, int64_t most,
                    const std::function<void()>& between) const;
  Scores of_likelihoods(std::string_view query, std::span<const std::string> texts, int64_t most,
                        const std::function<void()>& between) const;
  std::vector<double> scores_of_pairs(std::span<const TextPair> pairs) const;

  const Transformer& model_;
  const Tokenizer& tokenizer_;
  const SentenceEncoder* encoder_;
  Kind kind_;
  std::unique_ptr<const PairEncoder> pairs_;
};

}  // namespace lathe
