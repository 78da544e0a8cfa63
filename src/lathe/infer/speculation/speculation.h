// How an engine guesses, for those who make engines.
#pragma once

#include <functional>
#include <memory>

#include "lathe/infer/cache_plan.h"
#include "lathe/infer/speculation/drafter.h"

namespace lathe {

struct Speculation {
  // Makes the drafter of an engine with these options; empty: nothing is guessed.
  std::function<std::unique_ptr<Drafter>(const EngineOptions&)> make = {};
  int64_t draft_tokens = 16;  // as in EngineOptions

  std::unique_ptr<Drafter> drafter(const EngineOptions& options) const {
    return make ? make(options) : nullptr;
  }
};

}  // namespace lathe
