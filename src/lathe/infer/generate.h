// Continues several prompts at once on the calling thread, in an engine made for them.
#pragma once

#include <functional>
#include <memory>

#include "lathe/infer/request.h"
#include "lathe/infer/sampler/generation_config.h"
#include "lathe/infer/speculation/speculation.h"
#include "lathe/model/adapter/row_adapters.h"
#include "lathe/model/transformer.h"

namespace lathe {

class Constraint;         // constraint/constraint.h
struct EngineStatistics;  // engine.h

struct GenerateRequest {
  IdRows prompts;  // none empty
  // Called with every new token; returning false ends that row. May be empty. What it throws ends
  // all rows and is thrown on.
  std::function<bool(size_t row, int32_t token)> on_token;
  std::shared_ptr<const Constraint> constraint = {};  // as in request.h
  std::optional<ContextShift> context_shift = {};     // as in request.h
  std::optional<Streaming> streaming = {};            // as in EngineOptions
  Adaptation adaptation = {};                         // of all rows
  Speculation speculation = {};
  std::optional<DType> cache_precision = {};  // as in EngineOptions
  std::function<void(size_t row, const Finished&)> on_finish = {};
  std::function<void(const EngineStatistics&)> on_end = {};  // if nothing went wrong
};

// What a cache keeps of a token beyond what every cache does.
struct KeptOfToken {
  std::optional<DType> cache_precision = {};  // as in EngineOptions
  bool states = false;                        // those of contrastive search
};
// The maximum number of new tokens after a prompt of `length` tokens: they must fit into the trained
// positions, if these are a table, and with the cache of `rows` such prompts into the memory of this
// machine. Throws kData for a prompt that does not fit itself, and what kept_as() throws.
int64_t room_after(const Transformer& model, int64_t length, int64_t rows = 1,
                   const KeptOfToken& kept = {});

// New tokens per row, without the prompt; the end-of-sequence token that ends a row is included.
// Prompts and ends are as in request.h. A row's tokens depend only on its prompt and its index, not
// on the other rows: token i of row r draws from Rng(seed).fork(r).fork(i). Errors: kData for an
// empty prompt, ids outside the vocabulary, more new tokens than room_after(), or a model that
// cannot continue a text, all before anything is computed; and those of the model and the samplers.
IdRows generate(const Transformer& model, const GenerationConfig& config,
                const GenerateRequest& request);

}  // namespace lathe
