// The JSON that `lathe logits` and `lathe generate` read, and what options of models share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/cli/frame/command.h"
#include "lathe/config/visit.h"
#include "lathe/infer/sampler/generation_config.h"
#include "lathe/model/load_model.h"
#include "lathe/ops/rows.h"

namespace lathe {

// tree[key] as rows of token ids (one flat list is one row). Errors kData name the key, the row and
// the value.
IdRows id_rows(const nlohmann::ordered_json& tree, std::string_view key);

// Rows of equal length as i32 [B,T]; throws kData otherwise.
Tensor id_matrix(const IdRows& rows, std::string_view key);

// The largest size of one weight file that may be requested: 1 EiB.
inline constexpr double kMostShardMib = double{int64_t{1} << 40};

// The model folder's generation_config.json, where there is one, with what the command line gave on
// top. Ids that end a text are those of both files. Where the result is a search, the folder's ways to
// draw are left out. Errors kUsage for options that would have no effect: those of beams without
// beams, those of draws with a search; and for an end token outside the vocabulary.
GenerationConfig generation_of(const std::string& folder, const GenerationConfig& line,
                               const ModelConfig& model, const CommandContext& context);

// The option that says how quantised weights are computed with.
void visit_weights(Visitor& v, std::string& weights);
QuantisedWeights quantised_weights(const std::string& weights);

// The option that says how keys and values are kept while a text is written, for
// EngineOptions::cache_precision.
void visit_cache_precision(Visitor& v, std::optional<std::string>& precision);
std::optional<DType> cache_dtype(const std::optional<std::string>& precision);

}  // namespace lathe
