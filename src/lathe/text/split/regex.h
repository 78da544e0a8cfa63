// Regular expressions, run by PCRE2 with its JIT: those of tokenizer.json (Oniguruma's syntax), and those of Python's
// `re`, which PCRE2 reads as they are.
//
// Oniguruma's dialect and PCRE2's differ in small ways that change token ids, so the expression is translated:
//   \s \S        the White_Space property (PCRE2's own \s also takes U+180E)
//   \h \H        a hexadecimal digit (PCRE2: horizontal white space)
//   \w \W        letters, marks, decimal digits and connector punctuation
//   \p{Han} …    the Script property (PCRE2 10.40 and later would take Script_Extensions)
//   ^ $          at every line (Oniguruma has no other meaning); (?m:…) is PCRE2's (?s:…)
// Set intersection (&&), which PCRE2 lacks, is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

class Regex {
 public:
  enum class Dialect : uint8_t { kOniguruma, kPython };

  // `origin` names the file in messages. Throws kFormat for an expression that cannot be used.
  Regex(std::string_view expression, std::string_view origin,
        Dialect dialect = Dialect::kOniguruma);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  const std::string& source() const { return source_; }

  // Calls f(begin, end) for the successive non-overlapping matches in `text`, which must be valid
  // UTF-8. Throws kData when the search exceeds PCRE2's limits (an expression that backtracks
  // without bound on this text). Thread-safe.
  void for_each_match(std::string_view text,
                      const std::function<void(size_t begin, size_t end)>& f) const;

  // The same with the groups of each match: the whole match first, nullopt for one that took no part.
  using Groups = std::vector<std::optional<std::string_view>>;
  void for_each_match(std::string_view text, const std::function<void(const Groups&)>& f) const;
  // `text` without its matches.
  std::string removed_from(std::string_view text) const;

  // Exposed for tests.
  static std::string translate(std::string_view oniguruma, std::string_view origin);

 private:
  struct Compiled;
  class Search;

  // f(search) for each match.
  template <class F>
  void search(std::string_view text, F&& f) const;

  std::string source_;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace lathe
