// Speculative decoding: guesses of the next tokens of a text, which the model then checks in one pass
// (Leviathan et al. 2022, arXiv:2211.17192; Stern et al. 2018, arXiv:1811.03115).
//
// The engine chooses each token from the model's own logits as it would without guesses, with the
// same random numbers, and goes on to the logits behind a guess only if the guess is the token that
// was chosen. Since every kernel computes a row without regard to the others, the tokens are the
// same as without guesses, to the bit, however good the guesses are: a drafter changes the speed and
// nothing else.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lathe/infer/token_chooser.h"
#include "lathe/tensor/tensor.h"

namespace lathe {

// What a drafter is asked for one sequence.
struct Draft {
  int64_t sequence = 0;                        // its number
  std::vector<int32_t> text = {};              // of the decoder, so far
  size_t begin = 0;                            // of the new tokens in it
  std::span<const int32_t> encoder_text = {};  // of an encoder-decoder
  int64_t most = 0;                            // guesses that are wanted
  // Chooses from logits as the sequence will: what is asked of it changes only this copy.
  TokenChooser chooser;
  std::vector<int32_t> guesses = {};  // the answer
};

// `a` and behind it `b`.
inline std::vector<int32_t> joined(std::vector<int32_t> a, std::span<const int32_t> b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Used by the thread that owns the engine.
class Drafter {
 public:
  virtual ~Drafter() = default;
  // Fills in guesses, at most `most` for each.
  virtual void guess(std::span<Draft> drafts) = 0;
  // The model's hidden states [n,C], the inputs of its head, of the tokens of a sequence from number
  // `first` on. All of them are settled; those of tokens that were found in the cache are never seen.
  virtual void see(int64_t sequence, int64_t first, const Tensor& hidden) {
    (void)sequence, (void)first, (void)hidden;
  }
  // The sequence has ended with this text.
  virtual void forget(int64_t sequence, std::span<const int32_t> text) {
    (void)sequence, (void)text;
  }
};

}  // namespace lathe
