#include "lathe/serve/api/text_fields.h"

#include <algorithm>
#include <random>

#include "lathe/base/strings.h"
#include "lathe/constraint/choice_grammar.h"
#include "lathe/constraint/constraint.h"
#include "lathe/constraint/gbnf.h"
#include "lathe/constraint/regex_grammar.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostStops = 16, kLongestStop = 1024;

bool read_include_usage(RequestFields& fields) {
  const Json& options = fields.get("stream_options");
  if (options.is_null()) return false;
  if (!options.is_object())
    refuse("stream_options", "expected an object: {{\"include_usage\": true}}");
  bool include = false;
  for (const auto& [key, value] : options.items()) {
    if (key == "include_obfuscation" && (value == false || value.is_null())) continue;
    if (key != "include_usage" || !value.is_boolean())
      refuse("stream_options", "`{}` is not supported; expected {{\"include_usage\": true}}", key);
    include = value.get<bool>();
  }
  return include;
}

// A name, or a list of names.
std::vector<std::string> read_adapters(RequestFields& fields, const ServedModel& model) {
  const Json& given = fields.get("lora");
  if (given.is_null()) return {};
  std::vector<std::string> out;
  const std::vector<std::string> known = model.engine().adapters();
  for (const Json& name : given.is_array() ? given : Json::array({given})) {
    if (!name.is_string()) refuse("lora", "expected the name of an adapter, or a list of names");
    out.push_back(name.get<std::string>());
    if (std::ranges::find(known, out.back()) == known.end())
      refuse("lora", "{} has no adapter '{}'; it has: {}", model.name(), out.back(),
             known.empty() ? "none" : join(known, ", "));
  }
  return out;
}

}  // namespace

void TextFields::visit(Visitor& v) {
  sampling.visit(v);
  v.field("max_tokens", max_tokens, "tokens of an answer, at most", at_least(1));
  v.field("max_completion_tokens", max_completion_tokens, "the same, by its newer name",
          at_least(1));
  v.field("n", n, "answers to each prompt", between(1, 128));
  v.field("stream", stream, "the answer comes in pieces, as events");
  v.field("return_token_ids", return_token_ids,
          "the answer has the ids of the prompt and of its tokens");
  v.field("cache_prompt", cache_prompt, "prompts use the cache of prefixes and add to it");
  v.field("priority", priority, "requests with a higher one go first", between(-1000, 1000));
  v.field("thinking_budget", thinking_budget,
          "tokens of a thought, at most; 0: the model does not think", at_least(0));
  v.field("grammar", grammar, "a grammar in GBNF that the answer fits");
  v.field("regex", regex, "a regular expression that the whole answer matches");
  v.field("choice", choice, "the answer is one of these texts");
  v.field("user", user, "a label, without effect");
  v.field("safety_identifier", safety_identifier, "a label, without effect");
  v.field("prompt_cache_key", prompt_cache_key,
          "a label, without effect: all prompts share one cache");
}

void TextFields::begin(RequestFields& fields, const ServedModel& model) {
  sampling = model.defaults();
  include_usage = read_include_usage(fields);
  adapters = read_adapters(fields, model);
  has_seed = fields.has("seed");
  has_own_limit = fields.has("max_new_tokens");
}

void TextFields::finish() {
  if (has_own_limit && !max_tokens) max_tokens = sampling.max_new_tokens;
  if (max_completion_tokens) max_tokens = max_completion_tokens;
  if (sampling.stop.size() > kMostStops)
    refuse("stop", "{} texts, expected at most {}", sampling.stop.size(), kMostStops);
  for (const std::string& stop : sampling.stop)
    if (stop.size() > kLongestStop)
      refuse("stop", "a text of {} bytes, expected at most {}", stop.size(), kLongestStop);
  if (include_usage && !stream) refuse("stream_options", "needs \"stream\": true");
  if (!has_seed) sampling.seed = static_cast<int64_t>(std::random_device{}() & 0x7FFFFFFF);
}

std::optional<constraint::Grammar> TextFields::constraint_grammar() const {
  const int ways = (grammar ? 1 : 0) + (regex ? 1 : 0) + (choice.empty() ? 0 : 1);
  const char* key = grammar ? "grammar" : regex ? "regex" : "choice";
  if (ways > 1) refuse(key, "give at most one of `grammar`, `regex` and `choice`");
  try {
    if (grammar) return constraint::gbnf_grammar(*grammar);
    if (regex) return constraint::regex_grammar(*regex);
    if (!choice.empty()) return constraint::choice_grammar(choice);
  } catch (const Error& error) {
    throw ApiError(400, message_without_place(error), key);
  }
  return std::nullopt;
}

GenerationRequest TextFields::request(const ServedModel& model,
                                      std::vector<std::vector<int32_t>> prompts,
                                      std::string_view param) const {
  GenerationRequest out{.prompts = std::move(prompts), .sampling = sampling, .choices = n};
  out.cache_prompt = cache_prompt;
  out.priority = priority;
  out.adapters = adapters;
  // What is left behind the longest prompt; max_tokens is an upper bound.
  int64_t room = model.context();
  for (const auto& prompt : out.prompts) {
    if (prompt.empty()) refuse(param, "the prompt has no tokens");
    const int64_t left = std::min(model.context() - std::ssize(prompt),
                                  model.engine().room().new_tokens(std::ssize(prompt)));
    if (left < 1)
      throw ApiError(400,
                     fmt::format("the prompt has {} tokens, but a text may have {}; shorten it",
                                 prompt.size(), model.context()),
                     std::string(param), "context_length_exceeded");
    room = std::min(room, left);
  }
  out.sampling.max_new_tokens = std::min(max_tokens.value_or(room), room);
  for (const auto& [id, bias] : sampling.logit_bias)
    if (id < 0 || id >= model.model().config().vocab_size)
      refuse("logit_bias", "there is no token {}; ids go up to {}", id,
             model.model().config().vocab_size - 1);
  return out;
}

std::shared_ptr<const Constraint> constraint_of(constraint::Grammar grammar,
                                                const ServedModel& model,
                                                const std::vector<int32_t>& marks) {
  if (model.ends().empty())
    throw ApiError(400,
                   fmt::format("{} names no token that ends an answer, which a constraint needs",
                               model.name()));
  return std::make_shared<const Constraint>(std::move(grammar), model.vocabulary(marks));
}

}  // namespace lathe
