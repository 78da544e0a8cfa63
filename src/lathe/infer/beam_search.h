// Beam search: the most likely whole answers, as far as a few open ones at a time can find them, and
// with groups that avoid each other (diverse beam search, Vijayakumar et al. 2016, arXiv:1610.02424).
//
// A hypothesis of n tokens with the log-probabilities l scores Σ l / n^length_penalty (Wu et al.
// 2016, arXiv:1609.08144, in the form that transformers uses). Of a group's candidates, those
// that end the text become hypotheses if they are among the best as many as the group has beams; the
// best of the others are the next beams. It knows no model:
// what it is given are the rows of log-probabilities that follow each beam.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lathe/infer/sampler/generation_config.h"

namespace lathe {

// Not thread-safe.
class BeamSearch {
 public:
  struct Hypothesis {
    std::vector<int32_t> tokens;
    double score = 0;
  };
  // The next token of a beam, which continues the text of beam `parent`.
  struct Beam {
    int64_t parent = 0;
    int32_t token = 0;
  };

  // num_beams, num_beam_groups, length_penalty, early_stopping, diversity_penalty and max_new_tokens
  // of `config`; `ends` are the tokens that end a text. Errors: kConfig for beams that cannot be parted
  // into the groups.
  BeamSearch(const GenerationConfig& config, std::vector<int32_t> ends);

  // How many beams the next call gets rows for, from the first on; 1 at the beginning.
  int64_t beams() const { return static_cast<int64_t>(texts_.size()); }
  // Takes the log-probabilities [V] that follow each beam, −inf where a token must not follow, and
  // returns the beams that take their places. Empty when the search is over.
  std::vector<Beam> step(std::span<const std::span<const float>> rows);
  bool ends(int32_t token) const;
  // The best hypotheses that have ended, best first; at most `most`.
  std::vector<Hypothesis> best(int64_t most) const;

 private:
  struct Text {
    std::vector<int32_t> tokens;
    double sum = 0;  // of log-probabilities
  };
  struct Candidate {
    int64_t parent;
    int32_t token;
    double sum, judged;  // with the penalty for what earlier groups took
  };
  struct Group {
    std::vector<int64_t> members;   // in texts_
    std::vector<Hypothesis> ended;  // best first
    bool done = false;
  };
  std::vector<Candidate> candidates(const Group& group,
                                    std::span<const std::span<const float>> rows,
                                    std::span<const int32_t> taken) const;
  double score(double sum, int64_t length) const;
  void end(Group& group, const Candidate& candidate);
  bool is_over(const Group& group, double best_open) const;

  GenerationConfig config_;
  std::vector<int32_t> ends_;
  int64_t each_;  // beams of a group
  int64_t length_ = 0;
  std::vector<Text> texts_;
  std::vector<Group> groups_;
};

}  // namespace lathe
