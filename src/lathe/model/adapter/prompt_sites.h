// Where virtual tokens and prefixes go in a model, and rows of its token table.
#pragma once

#include <span>
#include <string_view>

#include "lathe/model/adapter/adapter_config.h"
#include "lathe/model/adapter/prompt_encoder.h"
#include "lathe/model/transformer.h"

namespace lathe {

// Error kConfig, naming `where`, for a model that cannot have virtual tokens of this kind.
PromptSite prompt_site(const AdapterConfig& config, const Transformer& model,
                       std::string_view where);

// The indices as i32 [n]. Error kConfig for none, one twice, or one beyond the table.
Tensor token_rows(std::span<const int64_t> indices, int64_t vocabulary, std::string_view where);

}  // namespace lathe
