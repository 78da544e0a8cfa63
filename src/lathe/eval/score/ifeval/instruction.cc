#include "lathe/eval/score/ifeval/instruction.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/eval/score/ifeval/checks.h"
#include "lathe/text/jinja/characters.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

bool is_absent(const Json& value) {
  return value.is_null() || (value.is_string() && value.get_ref<const std::string&>().empty()) ||
         (value.is_array() && value.empty());
}

std::string stripped(const std::string& text) {
  return std::string(jinja::strip_left(jinja::strip_right(text)));
}

}  // namespace

InstructionArguments::InstructionArguments(const Json& kwargs, std::string place,
                                           std::string instruction)
    : kwargs_(kwargs), place_(std::move(place)), instruction_(std::move(instruction)) {}

bool InstructionArguments::has(const char* key) const {
  const auto found = kwargs_.find(key);
  return found != kwargs_.end() && !is_absent(*found);
}

void InstructionArguments::refuse(const char* key, std::string_view expected) const {
  fail(ErrorKind::kData, place_, "kwargs of '{}': {} is {}, expected {}", instruction_, key,
       has(key) ? kwargs_.at(key).dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 60)
                : "absent",
       expected);
}

std::string InstructionArguments::text(const char* key) const {
  if (!has(key) || !kwargs_.at(key).is_string()) refuse(key, "a text");
  return stripped(kwargs_.at(key).get<std::string>());
}

std::vector<std::string> InstructionArguments::texts(const char* key) const {
  const auto is_text = [](const Json& each) { return each.is_string(); };
  if (!has(key) || !kwargs_.at(key).is_array() || !std::ranges::all_of(kwargs_.at(key), is_text))
    refuse(key, "a list of texts");
  return kwargs_.at(key).get<std::vector<std::string>>();
}

int64_t InstructionArguments::number(const char* key) const {
  if (!has(key) || !kwargs_.at(key).is_number()) refuse(key, "a number");
  const double number = kwargs_.at(key).get<double>();
  constexpr double kMost = 1e9;
  if (number < 0 || number > kMost || number != static_cast<double>(static_cast<int64_t>(number)))
    refuse(key, "a whole number, not negative");
  return static_cast<int64_t>(number);
}

WantedCount InstructionArguments::count(const char* number_key, const char* relation_key) const {
  const std::string relation = text(relation_key);
  if (relation != "less than" && relation != "at least")
    refuse(relation_key, "'less than' or 'at least'");
  return {.n = number(number_key), .less_than = relation == "less than"};
}

std::vector<std::string> InstructionArguments::given() const {
  std::vector<std::string> all;
  for (const auto& [key, value] : kwargs_.items())
    if (!is_absent(value)) all.push_back(key);
  return all;
}

const std::vector<InstructionRule>& instructions() {
  static const std::vector<InstructionRule> kAll = {
      {"keywords:existence", "all keywords", {"keywords"}, keywords_exist},
      {"keywords:frequency",
       "a keyword so often",
       {"keyword", "frequency", "relation"},
       keyword_frequency},
      {"keywords:forbidden_words", "none of these words", {"forbidden_words"}, forbidden_words},
      {"keywords:letter_frequency",
       "a letter so often",
       {"letter", "let_frequency", "let_relation"},
       letter_frequency},
      {"language:response_language", "in this language", {"language"}, response_language},
      {"length_constraints:number_sentences",
       "so many sentences",
       {"num_sentences", "relation"},
       number_sentences},
      {"length_constraints:number_paragraphs",
       "so many paragraphs, between lines `***`",
       {"num_paragraphs"},
       number_paragraphs},
      {"length_constraints:number_words", "so many words", {"num_words", "relation"}, number_words},
      {"length_constraints:nth_paragraph_first_word",
       "so many paragraphs, between empty lines, one of which begins with this word",
       {"num_paragraphs", "nth_paragraph", "first_word"},
       nth_paragraph_first_word},
      {"detectable_content:number_placeholders",
       "at least so many `[placeholders]`",
       {"num_placeholders"},
       number_placeholders},
      {"detectable_content:postscript", "a postscript", {"postscript_marker"}, postscript},
      {"detectable_format:number_bullet_lists",
       "exactly so many bullet points",
       {"num_bullets"},
       number_bullet_lists},
      {"detectable_format:constrained_response",
       "'My answer is yes.', '… no.' or '… maybe.'",
       {},
       constrained_response},
      {"detectable_format:number_highlighted_sections",
       "at least so many `*highlighted*` parts",
       {"num_highlights"},
       number_highlighted_sections},
      {"detectable_format:multiple_sections",
       "at least so many sections, each with a numbered heading",
       {"section_spliter", "num_sections"},
       multiple_sections},
      {"detectable_format:json_format", "JSON, alone or in a fence", {}, json_format},
      {"detectable_format:title", "a title in `<<angular brackets>>`", {}, title},
      {"combination:two_responses",
       "two different answers, between them `******`",
       {},
       two_responses},
      {"combination:repeat_prompt",
       "first the request, word for word",
       {"prompt_to_repeat"},
       repeat_prompt},
      {"startend:end_checker", "this phrase at the end", {"end_phrase"}, end_phrase},
      {"startend:quotation", "all of it in double quotation marks", {}, quotation},
      {"change_case:capital_word_frequency",
       "so many words in capital letters",
       {"capital_frequency", "capital_relation"},
       capital_word_frequency},
      {"change_case:english_capital", "English, in capital letters", {}, english_capital},
      {"change_case:english_lowercase", "English, in small letters", {}, english_lowercase},
      {"punctuation:no_comma", "no comma", {}, no_comma},
  };
  return kAll;
}

InstructionCheck instruction_check(const std::string& name, const Json& kwargs,
                                   const std::string& place) {
  const auto rule = std::ranges::find(instructions(), name, &InstructionRule::name);
  if (rule == instructions().end())
    fail_unknown_name(ErrorKind::kData, fmt::format("{}: instruction_id_list", place), name,
                      names_of(instructions()));
  const InstructionArguments arguments(kwargs, place, name);
  for (const std::string& key : arguments.given())
    require(std::ranges::find(rule->arguments, key) != rule->arguments.end(), ErrorKind::kData,
            place, "kwargs of '{}' has {}, which means nothing to it; it takes {}", name, key,
            rule->arguments.empty() ? "none" : join(rule->arguments, ", "));
  return rule->check_of(arguments);
}

}  // namespace lathe
