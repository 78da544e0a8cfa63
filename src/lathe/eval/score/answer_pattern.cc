#include "lathe/eval/score/answer_pattern.h"

#include "lathe/base/error.h"
#include "lathe/text/jinja/characters.h"

namespace lathe {
namespace {

std::optional<std::string_view> group_of(const Regex::Groups& groups) {
  if (groups.size() == 1) return groups[0].value_or("");
  for (size_t g = 1; g < groups.size(); ++g)
    if (groups[g] && !groups[g]->empty()) return groups[g];
  return groups.size() == 2 ? std::optional<std::string_view>("") : std::nullopt;
}

}  // namespace

Regex task_expression(const std::string& source, const std::string& file, const std::string& key) {
  try {
    return Regex(source, key, Regex::Dialect::kPython);
  } catch (const Error& error) {
    fail(ErrorKind::kConfig, file, "{}", error.what());
  }
}

AnswerPattern::AnswerPattern(const std::string& source, std::string_view which,
                             const std::string& file, const std::string& key)
    : regex_(task_expression(source, file, key)), last_(which == "last") {}

std::optional<AnswerPattern::Found> AnswerPattern::in(std::string_view text) const {
  bool matched = false;
  std::optional<Found> found;
  regex_.for_each_match(text, [&](const Regex::Groups& groups) {
    if (matched && !last_) return;
    matched = true;
    found.reset();
    if (const auto group = group_of(groups))
      found = {groups[0] ? static_cast<size_t>(groups[0]->data() - text.data()) : text.size(),
               std::string(jinja::strip_left(jinja::strip_right(*group)))};
  });
  return found;
}

}  // namespace lathe
