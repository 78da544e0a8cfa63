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

double exact_match(const RewardInput& in, const RewardKeys&) {
  return in.completion == answer_of(in) ? 1 : 0;
}

bool is_letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// The last number in a text, without the commas of thousands. A minus behind a letter or digit ("9-5") is no
// sign of the number.
std::optional<double> last_number(std::string_view text) {
  std::optional<double> last;
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
    if (parse_number(digits, number)) last = negative ? -number : number;
  }
  return last;
}

double number_match(const RewardInput& in, const RewardKeys&) {
  const auto wanted = last_number(answer_of(in)), given = last_number(in.completion);
  return wanted && given && std::abs(*wanted - *given) <= 1e-6 * std::max(1.0, std::abs(*wanted))
             ? 1
             : 0;
}

double format(const RewardInput& in, const RewardKeys&) {
  if (!is_valid_utf8(in.completion)) return 0;
  double found = 0;
  in.pattern->for_each_match(in.completion, [&](size_t, size_t) { found = 1; });
  return found;
}

double length_band(const RewardInput& in, const RewardKeys& keys) {
  return in.tokens >= keys.length_min && in.tokens <= keys.length_max ? 1 : 0;
}

double ended(const RewardInput& in, const RewardKeys&) { return in.ended ? 1 : 0; }

// Minus the share of 3-grams of words that occurred before in the answer.
double repetition(const RewardInput& in, const RewardKeys&) {
  std::vector<std::string_view> words;
  for (size_t i = 0; i < in.completion.size();) {
    const size_t end = std::min(in.completion.find_first_of(" \n\t", i), in.completion.size());
    if (end > i) words.push_back(in.completion.substr(i, end - i));
    i = end + 1;
  }
  if (words.size() < 3) return 0;
  std::set<std::vector<std::string_view>> seen;
  double again = 0;
  for (size_t i = 0; i + 3 <= words.size(); ++i)
    again += seen.insert({words[i], words[i + 1], words[i + 2]}).second ? 0 : 1;
  return -again / static_cast<double>(words.size() - 2);
}

}  // namespace

std::span<const RewardFunction> reward_functions() {
  static constexpr RewardFunction kFunctions[] = {
      {"exact_match", "1 if the answer equals the row's `answer`", exact_match},
      {"number_match", "1 if the last number of the answer is that of the row's `answer`",
       number_match},
      {"format", "1 if the whole answer matches reward.pattern", format},
      {"length_band", "1 if the answer has length_min to length_max tokens", length_band},
      {"ended", "1 if the model ended its answer before max_completion_length", ended},
      {"repetition", "minus the share of the answer's 3-grams of words that occurred before",
       repetition},
  };
  return kFunctions;
}

}  // namespace lathe
