#include "lathe/text/normalize/charsmap_rules.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/utf16.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <unordered_map>
#include <vector>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"

namespace lathe {
namespace {

using Rules = CharsMap::Rules;
constexpr std::string_view kWhere = "character map";

std::u32string to_form(const icu::Normalizer2& form, const std::u32string& text) {
  const auto in = icu::UnicodeString::fromUTF32(reinterpret_cast<const UChar32*>(text.data()),
                                                static_cast<int32_t>(text.size()));
  UErrorCode status = U_ZERO_ERROR;
  const icu::UnicodeString out = form.normalize(in, status);
  require(U_SUCCESS(status), ErrorKind::kIo, kWhere, "ICU cannot normalise: {}",
          u_errorName(status));
  std::u32string result(static_cast<size_t>(out.countChar32()), U'\0');
  out.toUTF32(reinterpret_cast<UChar32*>(result.data()), static_cast<int32_t>(result.size()),
              status);
  return result;
}

// Finds rules by what they replace. Those of at most kShort characters, which are asked for most and
// are few beside the others, have an index.
class RuleFinder {
 public:
  explicit RuleFinder(const Rules& rules) : rules_(rules) {}
  void add(const Rules::value_type& rule) {
    if (rule.first.size() <= kShort) short_.emplace(rule.first, &rule.second);
  }
  // Null without one. A short rule must have been added.
  const std::u32string* find(std::u32string_view from) const {
    if (from.size() <= kShort) {
      const auto found = short_.find(from);
      return found == short_.end() ? nullptr : found->second;
    }
    const auto found = rules_.find(std::u32string(from));
    return found == rules_.end() ? nullptr : &found->second;
  }

 private:
  static constexpr size_t kShort = 2;
  const Rules& rules_;
  std::unordered_map<std::u32string_view, const std::u32string*> short_;
};

// `text` by the rules, leftmost and longest first, none of them longer than `longest`.
std::u32string replaced(const RuleFinder& rules, std::u32string_view text, size_t longest) {
  std::u32string out;
  for (size_t i = 0; i < text.size();) {
    const std::u32string* to = nullptr;
    size_t n = std::min(longest, text.size() - i);
    for (; n > 0; --n)
      if (to = rules.find(text.substr(i, n)); to != nullptr) break;
    out += to == nullptr ? text.substr(i, 1) : std::u32string_view(*to);
    i += std::max<size_t>(n, 1);
  }
  return out;
}

// Without the rules that shorter ones make needless.
Rules without_redundant(Rules rules) {
  std::vector<std::vector<Rules::iterator>> by_length;
  for (auto rule = rules.begin(); rule != rules.end(); ++rule) {
    by_length.resize(std::max(by_length.size(), rule->first.size() + 1));
    by_length[rule->first.size()].push_back(rule);
  }
  RuleFinder shorter(rules);
  for (size_t length = 1; length < by_length.size(); ++length) {
    const std::vector<Rules::iterator>& same = by_length[length];
    std::vector<uint8_t> needless(same.size(), 0);
    parallel_for(static_cast<int64_t>(same.size()), 1024, [&](int64_t i) {
      const auto& [from, to] = *same[static_cast<size_t>(i)];
      needless[static_cast<size_t>(i)] = length > 1 && to == replaced(shorter, from, length - 1);
    });
    for (size_t i = 0; i < same.size(); ++i) {
      if (needless[i]) {
        rules.erase(same[i]);
      } else {
        shorter.add(*same[i]);
      }
    }
  }
  return rules;
}

// Calls f for every string that differs from `text` by characters which decompose into one of
// `text`'s alone.
template <class F>
void for_each_origin(const std::u32string& text, const std::map<char32_t, std::u32string>& origins,
                     F&& f) {
  std::vector<std::u32string> choices;
  for (const char32_t c : text) {
    const auto at = origins.find(c);
    choices.push_back(std::u32string(1, c) + (at == origins.end() ? U"" : at->second));
  }
  std::vector<size_t> chosen(text.size(), 0);
  for (size_t i = 0; i < text.size();) {
    std::u32string origin;
    for (size_t k = 0; k < text.size(); ++k) origin += choices[k][chosen[k]];
    f(origin);
    for (i = 0; i < text.size() && ++chosen[i] == choices[i].size(); ++i) chosen[i] = 0;
  }
}

Rules nfkc_rules() {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* nfkc = icu::Normalizer2::getNFKCInstance(status);
  const icu::Normalizer2* nfkd = icu::Normalizer2::getNFKDInstance(status);
  require(U_SUCCESS(status), ErrorKind::kIo, kWhere, "ICU cannot load NFKC: {}",
          u_errorName(status));
  Rules rules;
  std::map<char32_t, std::u32string> origins;  // characters that decompose into this one alone
  std::set<std::u32string> decomposed;
  for (char32_t c = 1; c <= 0x10FFFF; ++c) {
    if (!U_IS_UNICODE_CHAR(c)) continue;
    const auto code = static_cast<UChar32>(c);
    if (nfkc->isInert(code) && nfkd->isInert(code)) continue;
    const std::u32string text(1, c), composed = to_form(*nfkc, text), parts = to_form(*nfkd, text);
    if (composed != text) rules[text] = composed;
    if (parts.size() != 1) {
      decomposed.insert(parts);
    } else if (parts != text) {
      origins[parts[0]] += c;
    }
  }
  for (const std::u32string& parts : decomposed) {
    const std::u32string composed = to_form(*nfkc, parts);
    if (composed == parts) continue;  // by characters one at a time
    for_each_origin(parts, origins, [&](const std::u32string& origin) {
      if (origin != composed) rules[origin] = composed;
    });
  }
  return rules;
}

// What translation systems want of white space and control characters.
Rules with_nmt(Rules rules) {
  for (const char32_t c : std::u32string_view(U"\t\n\f\r\u061C\u1680\u200B\u200C\u200E\u200F\u2028"
                                              U"\u2029\u2581\uFEFF\uFFFD"))
    rules[std::u32string(1, c)] = std::u32string(1, U' ');
  for (char32_t c = 1; c < 0x20; ++c)
    if (c != '\t' && c != '\n' && c != '\f' && c != '\r') rules[std::u32string(1, c)].clear();
  for (const char32_t c : {0x7F, 0x8F, 0x9F}) rules[std::u32string(1, c)].clear();
  rules.erase(U"\uFF5E");
  return rules;
}

Rules with_case_folding(Rules rules) {
  const auto folded = [](char32_t c) {
    return static_cast<char32_t>(u_foldCase(static_cast<UChar32>(c), U_FOLD_CASE_DEFAULT));
  };
  for (auto& [from, to] : rules)
    for (char32_t& c : to) c = folded(c);
  for (char32_t c = 1; c <= 0x10FFFF; ++c)
    if (U_IS_UNICODE_CHAR(c) && folded(c) != c)
      rules.emplace(std::u32string(1, c), std::u32string(1, folded(c)));
  return rules;
}

std::u32string read_code_points(std::string_view field, std::string_view origin, size_t line) {
  std::u32string out;
  while (!field.empty()) {
    const size_t blank = std::min(field.find(' '), field.size());
    std::string_view word = field.substr(0, blank);
    field.remove_prefix(std::min(blank + 1, field.size()));
    if (word.empty()) continue;
    if (word.starts_with("U+")) word.remove_prefix(2);
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value, 16);
    require(error == std::errc() && end == word.data() + word.size() && value > 0 &&
                value <= 0x10FFFF && !(value >= 0xD800 && value < 0xE000),
            ErrorKind::kFormat, kWhere,
            "{}: line {}: '{}' is not the hexadecimal number of a code point", origin, line, word);
    out += static_cast<char32_t>(value);
  }
  return out;
}

}  // namespace

std::optional<Rules> named_charsmap_rules(std::string_view name) {
  if (name == "identity") return Rules{};
  if (name == "nfkc") return without_redundant(nfkc_rules());
  if (name == "nmt_nfkc") return without_redundant(with_nmt(nfkc_rules()));
  if (name == "nfkc_cf") return without_redundant(with_case_folding(nfkc_rules()));
  if (name == "nmt_nfkc_cf") return without_redundant(with_case_folding(with_nmt(nfkc_rules())));
  return std::nullopt;
}

Rules read_charsmap_rules(std::string_view tsv, std::string_view origin) {
  Rules rules;
  for (size_t line = 1; !tsv.empty(); ++line) {
    const size_t newline = std::min(tsv.find('\n'), tsv.size());
    std::string_view row = tsv.substr(0, newline);
    tsv.remove_prefix(std::min(newline + 1, tsv.size()));
    if (row.ends_with('\r')) row.remove_suffix(1);
    const size_t tab = std::min(row.find('\t'), row.size());
    std::string_view to = row.substr(std::min(tab + 1, row.size()));
    to = to.substr(0, to.find('\t'));
    const std::u32string from = read_code_points(row.substr(0, tab), origin, line);
    require(!from.empty(), ErrorKind::kFormat, kWhere,
            "{}: line {} has no code points before its first tab; expected 'FROM<tab>TO'", origin,
            line);
    rules[from] = read_code_points(to, origin, line);
  }
  return rules;
}

}  // namespace lathe
