// The catalogue of drafters that need nothing but the model itself. A draft model (draft_model.h) is
// given by those who have one.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "lathe/infer/cache_plan.h"
#include "lathe/infer/speculation/drafter.h"
#include "lathe/model/transformer.h"

namespace lathe {

struct DrafterInfo {
  std::string_view name;
  std::string_view summary;  // what is guessed
  std::string_view source;   // paper
  // For the engine of `model` with these options. Errors: kData for a model without what it needs.
  std::unique_ptr<Drafter> (*make)(const Transformer& model, const EngineOptions& options);
};

extern const std::span<const DrafterInfo> kDrafters;

}  // namespace lathe
