// Prompts as texts or as ids, one or several: `prompt` of completions, `input` of embeddings.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lathe/serve/request_fields.h"
#include "lathe/serve/served_model.h"

namespace lathe {

struct PromptList {
  std::vector<std::vector<int32_t>> ids;
  std::vector<std::string> texts;  // of the same; what ids stand for where ids were given
};

// A text, a list of texts, a list of ids, or a list of such lists; none of them empty. Texts get the tokenizer's special
// tokens where that is asked for, ids are taken as they are. Errors: ApiError 400 for `key`.
PromptList read_prompts(RequestFields& fields, std::string_view key, const ServedModel& model,
                        bool add_special_tokens = false);

}  // namespace lathe
