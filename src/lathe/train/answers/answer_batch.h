// Examples as one pass through a model: sequences of their own lengths, one after the other, and
// which of their tokens are scored.
//
// Letters: S sequences, n scored tokens in all, N rows of the pass.
#pragma once

#include <span>
#include <vector>

#include "lathe/autograd/values.h"
#include "lathe/model/model_pass.h"
#include "lathe/train/example/example.h"

namespace lathe {

struct AnswerBatchOptions {
  std::optional<int64_t> decoder_start = {};  // of a body with an encoder, which reads the prompts
  bool score_prompts = false;                 // of the first answers, from their second token on
  bool whole = false;  // the last token is a row, too: for scores of whole texts
};

struct AnswerBatch {
  // Sequences are the first answers of all examples, then the second answers of those that have one, and so
  // on: of pairs all chosen come first, then all rejected.
  std::vector<const Example*> examples;
  // Of each sequence, the places of its example and of its answer there.
  struct Place {
    size_t example, answer;
  };
  std::vector<Place> places;
  ModelInputs inputs;
  Tensor rows;                     // i32 [n], the rows that predict the scored tokens
  Tensor labels;                   // i32 [n], these tokens
  Runs scored;                     // of each sequence
  std::vector<uint8_t> in_answer;  // [n]: whether a token is of the answer (else of its prompt)
  std::vector<int64_t> column;     // [n]: of the sequence's rows, which one
  Tensor last_rows;                // i32 [S]

  int64_t sequences() const { return scored.count(); }
  int64_t tokens() const { return scored.total(); }
  const Example& example_of(int64_t sequence) const {
    return *examples[places[static_cast<size_t>(sequence)].example];
  }
  const Answer& answer_of(int64_t sequence) const {
    return example_of(sequence).answers[places[static_cast<size_t>(sequence)].answer];
  }
  // Numbers that an example has for each id of its answer (old_logps, …) at the scored tokens; empty if
  // no example has them. Error kData if only some have.
  std::vector<double> at_scored(std::vector<double> Example::*numbers, std::string_view name) const;
};

// The examples must outlive the batch.
AnswerBatch make_answer_batch(std::span<const Example* const> examples,
                              const AnswerBatchOptions& options);

}  // namespace lathe
