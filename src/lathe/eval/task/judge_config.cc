#include "lathe/eval/task/judge_config.h"

#include <string_view>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/text/split/regex.h"

namespace lathe {
namespace {

// Whether a template has the name of a variable in it.
bool mentions(const std::string& source, const std::string& name) {
  const Regex word(fmt::format(R"((?<![\w.'"]){}(?![\w'"]))", name), name, Regex::Dialect::kPython);
  bool found = false;
  word.for_each_match(replace_invalid_utf8(source), [&](size_t, size_t) { found = true; });
  return found;
}

}  // namespace

void JudgeConfig::visit(Visitor& v) {
  v.field("prompt", prompt,
          "template of what the judge is asked: with request, which the model was asked, and "
          "response, or first and second of a comparison",
          required());
  v.field("system", system, "template of the message of the system before it");
  v.field("rating", rating, "expression that finds the number in what the judge writes");
  v.field("lowest", lowest, "with rating: a number below it is no verdict");
  v.field("highest", highest, "with rating: a number above it is no verdict");
  v.field("baseline", baseline, "template of the answer with which the model's is compared");
  v.field("first", first, "with baseline: expression that says that the first answer is better");
  v.field("second", second, "with baseline: … that the second one is");
  v.field("tie", tie, "with baseline: … that neither is");
  v.choice("which", which, {"first", "last"}, "which of several places where they match");
  v.field("max_tokens", max_tokens, "longest text of the judge", at_least(1));
}

void JudgeConfig::check(const std::string& where) const {
  require(rating.has_value() != baseline.has_value(), ErrorKind::kConfig, where,
          "has {}; it takes 'rating', by which a number is found in what the judge writes, or "
          "'baseline', the answer with which the model's is compared",
          rating ? "both 'rating' and 'baseline'" : "neither 'rating' nor 'baseline'");
  const bool rates = rating.has_value();
  const char* form = rates ? "rating" : "baseline";
  const auto check_key = [&](const char* key, bool is_set, bool of_rating, bool needed = true) {
    require(!is_set || of_rating == rates, ErrorKind::kConfig, where,
            "{} means nothing with '{}'; leave it out", key, form);
    require(is_set || of_rating != rates || !needed, ErrorKind::kConfig, where,
            "{} is missing, which '{}' needs", key, form);
  };
  check_key("lowest", lowest.has_value(), true);
  check_key("highest", highest.has_value(), true);
  check_key("first", first.has_value(), false);
  check_key("second", second.has_value(), false);
  check_key("tie", tie.has_value(), false, /*needed=*/false);
  require(!rates || *lowest < *highest, ErrorKind::kConfig, where,
          "lowest is {:g} and highest {:g}, expected the lower and the higher end of the ratings",
          lowest.value_or(0), highest.value_or(0));
  for (const std::string_view name : {"response", "first", "second"})
    require(rates != (name == "response") || mentions(prompt, std::string(name)),
            ErrorKind::kConfig, where,
            "prompt has no {{{{ {} }}}}, so that the judge would not see what it judges", name);
}

}  // namespace lathe
