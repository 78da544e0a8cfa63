#include "lathe/serve/api/prompt_list.h"

#include <algorithm>

#include "lathe/base/utf8.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostPrompts = 2048;

bool is_ids(const Json& value) {
  return value.is_array() && !value.empty() &&
         std::ranges::all_of(value, [](const Json& id) { return id.is_number_integer(); });
}

void add_text(PromptList& out, const Json& text, std::string_view key, const ServedModel& model,
              bool special) {
  out.texts.push_back(text.get<std::string>());
  out.ids.push_back(model.tokenizer().encode(out.texts.back(), {.add_special_tokens = special}));
  if (out.texts.back().empty() || out.ids.back().empty())
    refuse(key, "an empty text has no tokens");
}

void add_ids(PromptList& out, const Json& list, std::string_view key, const ServedModel& model) {
  std::vector<int32_t> ids;
  for (const Json& id : list) {
    if (id < 0 || id >= model.model().config().vocab_size)
      refuse(key, "{} is no token of {}", id.dump(), model.name());
    ids.push_back(id.get<int32_t>());
  }
  std::vector<int32_t> known;  // a model's table is often longer than its vocabulary
  std::ranges::copy_if(ids, std::back_inserter(known),
                       [&](int32_t id) { return model.tokenizer().has(id); });
  out.texts.push_back(readable_utf8(model.tokenizer().decode(known)));
  out.ids.push_back(std::move(ids));
}

}  // namespace

PromptList read_prompts(RequestFields& fields, std::string_view key, const ServedModel& model,
                        bool add_special_tokens) {
  const Json& value = fields.get(key);
  PromptList out;
  if (value.is_string()) {
    add_text(out, value, key, model, add_special_tokens);
  } else if (is_ids(value)) {
    add_ids(out, value, key, model);
  } else {
    if (!value.is_array() || value.empty() || value.size() > kMostPrompts)
      refuse(key, "expected a text, a list of texts or a list of ids, at most {} of them",
             kMostPrompts);
    for (const Json& one : value) {
      if (!one.is_string() && !is_ids(one))
        refuse(key, "expected texts, or lists of ids, of which none is empty");
      one.is_string() ? add_text(out, one, key, model, add_special_tokens)
                      : add_ids(out, one, key, model);
    }
  }
  return out;
}

}  // namespace lathe
