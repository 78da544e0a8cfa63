// What all trainers of tokenizers share: what they are told, what they say, how they report.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "lathe/text/text_receiver.h"

namespace lathe {

struct TrainStats {
  int64_t bytes = 0;       // text read
  int64_t words = 0;       // words in it, by weight
  int64_t distinct = 0;    // of which distinct, when learning began
  int64_t forgotten = 0;   // distinct words dropped for the memory limit, once for each time
  int64_t last_count = 0;  // BPE and WordPiece: how often the last merged pair occurred
  int64_t characters = 0;  // distinct ones; 0 for models over bytes
  int64_t uncovered = 0;   // of which have no token of their own
};

// Called on the caller's thread with the name of a phase ("merging", "seeds", "pruning"), and how
// far it is. May throw, which ends the training.
using TrainProgress = std::function<void(std::string_view phase, int64_t done, int64_t total)>;

// Receives the texts of a corpus, and how often each counts.
class CorpusReceiver : public TextReceiver {
 public:
  // The texts that follow count `weight` times as often as those of weight 1. To be called between
  // texts. Throws kConfig unless it is one of the weights that the corpus was announced with.
  virtual void set_weight(double weight) = 0;
};

// Hands every text to the receiver that it is given.
using CorpusFeed = std::function<void(CorpusReceiver&)>;

}  // namespace lathe
