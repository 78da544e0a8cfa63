#include "lathe/train/reward/reward_functions.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/config/literal.h"
#include "lathe/text/split/regex.h"

namespace lathe {
namespace {

// The row's `answer` as text.
std::string answer_of(const RewardInput& in) {
  const auto found = in.row.find("answer");
  require(
      found != in.row.end() && !found->is_null(), ErrorKind::kData, "reward",
      "the row {} has no 'answer' to compare with; add the field, or choose another of "
      "reward.functions",
      in.row.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).substr(0, 80));
  return found->is_string() ? found->get<std::string>() : found->dump();
}

double exact_match(const RewardInput& in, const RewardKeys&, const Regex*) {
  return in.completion == answer_of(in) ? 1 : 0;
}

bool is_letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// The numbers of a text, without the commas of thousands. A minus behind a letter or digit ("9-5") is no
// sign of the number.
std::vector<double> numbers_in(std::string_view text) {
  std::vector<double> numbers;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto is_digit = [&](size_t at) {
      return at < text.size() && text[at] >= '0' && text[at] <= '9';
    };
    if (!is_digit(i)) continue;
    const bool negative =
        i > 0 && text[i - 1] == '-' && (i == 1 || !is_letter_or_digit(text[i - 2]));
    std::string digits;
    for (;
         is_digit(i) || (i < text.size() && (text[i] == ',' || text[i] == '.') && is_digit(i + 1));
         ++i)
      if (text[i] != ',') digits += text[i];
    double number = 0;
    if (parse_number(digits, number)) numbers.push_back(negative ? -number : number);
  }
  return numbers;
}
std::optional<double> first_number(std::string_view text) {
  const std::vector<double> numbers = numbers_in(text);
  return numbers.empty() ? std::nullopt : std::optional(numbers.front());
}
std::optional<double> last_number(std::string_view text) {
  const std::vector<double> numbers = numbers_in(text);
  return numbers.empty() ? std::nullopt : std::optional(numbers.back());
}

// What stands in the last \boxed{…}, with the braces in it; nullopt without one that is closed.
std::optional<std::string_view> boxed(std::string_view text) {
  constexpr std::string_view kBox = "\\boxed{";
  const size_t found = text.rfind(kBox);
  if (found == std::string_view::npos) return std::nullopt;
  text.remove_prefix(found + kBox.size());
  int64_t depth = 1;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0) return text.substr(0, i);
  }
  return std::nullopt;
}

// The number that a text gives as its result: as marked in MATH (Hendrycks et al. 2021, arXiv:2103.03874), as
// in GSM8K (Cobbe et al. 2021, arXiv:2110.14168), else the last one, which is also that behind the last "=".
std::optional<double> result_of(std::string_view text) {
  if (const auto box = boxed(text)) return last_number(*box);
  constexpr std::string_view kMark = "####";
  const size_t mark = text.rfind(kMark);
  return mark == std::string_view::npos ? last_number(text)
                                        : first_number(text.substr(mark + kMark.size()));
}

double number_match(const RewardInput& in, const RewardKeys&, const Regex*) {
  const auto wanted = result_of(answer_of(in)), given = result_of(in.completion);
  return wanted && given && std::abs(*wanted - *given) <= 1e-6 * std::max(1.0, std::abs(*wanted))
             ? 1
             : 0;
}

double format(const RewardInput& in, const RewardKeys&, const Regex* pattern) {
  if (!is_valid_utf8(in.completion)) return 0;
  double found = 0;
  pattern->for_each_match(in.completion, [&](size_t, size_t) { found = 1; });
  return found;
}

double length_band(const RewardInput& in, const RewardKeys& keys, const Regex*) {
  return in.tokens() >= keys.length_min && in.tokens() <= keys.length_max ? 1 : 0;
}

double ended(const RewardInput& in, const RewardKeys&, const Regex*) { return in.ended ? 1 : 0; }

// Minus the share of n-grams of tokens that occurred before in the answer (Yeo et al. 2025, arXiv:2502.03373,
// appendix C.2).
double repetition(const RewardInput& in, const RewardKeys& keys, const Regex*) {
  const auto n = static_cast<size_t>(keys.ngram_size.value_or(3));
  const auto ids = in.ids.first(static_cast<size_t>(in.tokens()));
  if (ids.size() < n) return 0;
  std::set<std::vector<int32_t>> seen;
  double again = 0;
  for (size_t i = 0; i + n <= ids.size(); ++i)
    again += seen.emplace(ids.begin() + static_cast<std::ptrdiff_t>(i),
                          ids.begin() + static_cast<std::ptrdiff_t>(i + n))
                     .second
                 ? 0
                 : 1;
  return -again / static_cast<double>(ids.size() - n + 1);
}

// DAPO's soft punishment (Yu et al. 2025, arXiv:2503.14476, equation 13) of |y| tokens, the ending one
// among them: 0 up to max − cache, from there linearly to −1 at max.
double soft_overlong(const RewardInput& in, const RewardKeys& keys, const Regex*) {
  const int64_t length = std::ssize(in.ids),
                safe = keys.max_completion_len - keys.soft_punish_cache;
  if (length <= safe) return 0;
  if (length > keys.max_completion_len) return -1;
  return static_cast<double>(safe - length) / static_cast<double>(keys.soft_punish_cache);
}

double tool_use(const RewardInput& in, const RewardKeys&, const Regex*) {
  return !in.tool_calls.empty() && std::ranges::none_of(in.tool_calls, &ToolUse::failed) ? 1 : 0;
}

}  // namespace

std::span<const RewardFunction> reward_functions() {
  static constexpr RewardFunction kFunctions[] = {
      {"exact_match", "1 if the answer equals the row's `answer`", exact_match},
      {"number_match",
       "1 if the number of the answer is that of the row's `answer`: the last one in \\boxed{…}, else the "
       "first behind the last ####, else the last of all",
       number_match},
      {"format", "1 if the whole answer matches reward.pattern", format},
      {"length_band", "1 if the answer has length_min to length_max tokens", length_band},
      {"ended", "1 if the model ended its answer before max_completion_length", ended},
      {"repetition",
       "minus the share of the answer's n-grams of tokens that occurred before "
       "(ngram_size)",
       repetition},
      {"soft_overlong",
       "0 for answers of up to max_completion_len - soft_punish_cache tokens, falling to -1 at "
       "max_completion_len",
       soft_overlong},
      {"tool_use", "1 if the answer called a tool (objective.tools) and no call failed", tool_use},
      {"unit_tests",
       "1 if the Python code of the answer passes the row's `tests`, in a sandbox ([sandbox]); with partial_credit the "
       "share that it passes",
       nullptr},
  };
  return kFunctions;
}

}  // namespace lathe
