// The keys of requests for text that all interfaces share: how tokens are chosen, how many, and what their answer shows.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lathe/constraint/grammar.h"
#include "lathe/serve/generation.h"
#include "lathe/serve/request_fields.h"

namespace lathe {

struct TextFields {
  GenerationConfig sampling;  // every key of it, under its own name
  std::optional<int64_t> max_tokens, max_completion_tokens;
  int64_t n = 1;
  bool stream = false;
  bool include_usage = false;  // of stream_options
  bool return_token_ids = false;
  bool cache_prompt = true;
  int64_t priority = 0;
  std::optional<int64_t> thinking_budget;
  std::optional<std::string> grammar,
      regex;  // what the answer must fit, as `lathe generate` has them
  std::vector<std::string> choice;
  std::optional<std::string> user, safety_identifier,
      prompt_cache_key;                          // labels, without effect on the answer
  std::vector<std::string> adapters;             // of `lora`, a name or several
  bool has_seed = false, has_own_limit = false;  // whether `seed` and `max_new_tokens` are there

  void visit(Visitor& v);

  // Before and after the fields are read: the model's defaults, and what can only be checked then.
  void begin(RequestFields& fields, const ServedModel& model);
  void finish();

  // What the answer must fit by grammar, regex or choice; nothing without them.
  std::optional<constraint::Grammar> constraint_grammar() const;
  // All that follows from these fields, for these prompts. `param` is the key of the prompts, for errors.
  GenerationRequest request(const ServedModel& model, std::vector<std::vector<int32_t>> prompts,
                            std::string_view param) const;
};

// Reads them, and what an interface has beside them, from a request to this model, whose defaults stand in for keys that
// are absent. Keys of other forms are read before.
template <class Fields>
void read_text_fields(Fields& out, RequestFields& fields, const ServedModel& model) {
  out.begin(fields, model);
  fields.read(out);
  out.finish();
}

// A grammar on the model's vocabulary, with these tokens read as themselves. ApiError 400 where no token ends an answer.
std::shared_ptr<const Constraint> constraint_of(constraint::Grammar grammar,
                                                const ServedModel& model,
                                                const std::vector<int32_t>& marks = {});

}  // namespace lathe
