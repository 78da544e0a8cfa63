// Hostile input: the text is validated once by the caller and PCRE2 told so (it would otherwise
// re-validate the whole text for every match, which is quadratic); JIT code gets a stack of its own
// when the small one does not suffice; PCRE2's match limit bounds each search.
#include "lathe/text/split/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <unicode/uchar.h>

#include "lathe/base/error.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "regex";
constexpr size_t kMaxPattern = 1 << 16;
constexpr uint32_t kMatchLimit = 10'000'000;
constexpr size_t kJitStackStart = 64 << 10, kJitStackMax = 64 << 20;

constexpr std::string_view kWordSet = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";

bool is_script(const std::string& name) {
  return u_getPropertyValueEnum(UCHAR_SCRIPT, name.c_str()) != UCHAR_INVALID_CODE;
}

// Rewrites one escape at pattern[i] == '\\'; returns the index after it.
size_t translate_escape(std::string_view pattern, size_t i, bool in_class, std::string& out,
                        std::string_view origin) {
  const char c = i + 1 < pattern.size() ? pattern[i + 1] : '\0';
  switch (c) {
    case 's':
      out += R"(\p{White_Space})";
      return i + 2;
    case 'S':
      out += R"(\P{White_Space})";
      return i + 2;
    case 'h':
      out += in_class ? "0-9a-fA-F" : "[0-9a-fA-F]";
      return i + 2;
    case 'w':
      out += in_class ? std::string(kWordSet) : fmt::format("[{}]", kWordSet);
      return i + 2;
    case 'H':
    case 'W':
      require(!in_class, ErrorKind::kFormat, kWhere,
              "{}: \\{} inside a set is not supported in '{}'; list the characters instead", origin,
              c, pattern);
      out += c == 'H' ? "[^0-9a-fA-F]" : fmt::format("[^{}]", kWordSet);
      return i + 2;
    case 'p':
    case 'P': {
      const size_t close = pattern.find('}', i);
      if (i + 2 < pattern.size() && pattern[i + 2] == '{' && close != std::string_view::npos) {
        std::string name(pattern.substr(i + 3, close - i - 3));
        const std::string caret = name.starts_with('^') ? "^" : "";
        name.erase(0, caret.size());
        if (name.size() > 2 && is_script(name)) name = "sc:" + name;
        out += fmt::format("\\{}{{{}{}}}", c, caret, name);
        return close + 1;
      }
      break;
    }
    default:
      break;
  }
  out += pattern.substr(i, 2);
  return i + 2;
}

// "(?m" and "(?-m": Oniguruma's m lets the dot match line breaks, which PCRE2 calls s.
size_t translate_group(std::string_view pattern, size_t i, std::string& out) {
  size_t j = i + 2;
  while (j < pattern.size() && std::string_view("imx-").find(pattern[j]) != std::string_view::npos)
    ++j;
  if (j < pattern.size() && (pattern[j] == ':' || pattern[j] == ')')) {
    out += "(?";
    for (size_t k = i + 2; k < j; ++k) out += pattern[k] == 'm' ? 's' : pattern[k];
    return j;
  }
  out += "(?";
  return i + 2;
}

}  // namespace

std::string Regex::translate(std::string_view pattern, std::string_view origin) {
  std::string out;
  int class_depth = 0;
  for (size_t i = 0; i < pattern.size();) {
    const char c = pattern[i];
    if (c == '\\') {
      i = translate_escape(pattern, i, class_depth > 0, out, origin);
      continue;
    }
    if (class_depth > 0) {
      require(pattern.substr(i, 2) != "&&", ErrorKind::kFormat, kWhere,
              "{}: set intersection (&&) is not supported in '{}'", origin, pattern);
      if (c == '[' && pattern.substr(i, 2) != "[:") {
        fail(ErrorKind::kFormat, kWhere, "{}: a set inside a set is not supported in '{}'", origin,
             pattern);
      }
      if (c == '[') {  // [:alpha:]
        const size_t close = pattern.find(":]", i + 2);
        if (close != std::string_view::npos) {
          out += pattern.substr(i, close + 2 - i);
          i = close + 2;
          continue;
        }
      }
      if (c == ']') --class_depth;
    } else if (c == '[') {
      ++class_depth;
      out += c;
      if (pattern.substr(i + 1, 1) == "^") out += pattern[++i];
      if (pattern.substr(i + 1, 1) == "]") {  // a bracket in first place is a member
        out += "\\]";
        ++i;
      }
      ++i;
      continue;
    } else if (pattern.substr(i, 2) == "(?") {
      i = translate_group(pattern, i, out);
      continue;
    }
    out += c;
    ++i;
  }
  return out;
}

struct Regex::Compiled {
  pcre2_code* code = nullptr;
  ~Compiled() { pcre2_code_free(code); }
};

// What one search needs beside the expression; made per call so that searches can run side by side.
class Regex::Search {
 public:
  explicit Search(const pcre2_code* code)
      : code_(code),
        data_(pcre2_match_data_create_from_pattern(code, nullptr)),
        context_(pcre2_match_context_create(nullptr)) {
    if (data_ != nullptr && context_ != nullptr) pcre2_set_match_limit(context_, kMatchLimit);
  }
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;
  ~Search() {
    pcre2_match_data_free(data_);
    pcre2_match_context_free(context_);
    pcre2_jit_stack_free(stack_);
  }

  // The first match at or after `from`.
  bool find(std::string_view text, size_t from) {
    require(data_ != nullptr && context_ != nullptr, ErrorKind::kDevice, kWhere, "out of memory");
    int rc = match(text, from);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT && stack_ == nullptr) {
      stack_ = pcre2_jit_stack_create(kJitStackStart, kJitStackMax, nullptr);
      pcre2_jit_stack_assign(context_, nullptr, stack_);
      rc = match(text, from);
    }
    if (rc == PCRE2_ERROR_NOMATCH) return false;
    if (rc < 0) {
      PCRE2_UCHAR message[256] = {};
      pcre2_get_error_message(rc, message, sizeof message);
      fail(ErrorKind::kData, kWhere,
           "an expression gave up at byte {} of a text of {} bytes: {}; cut the text into shorter "
           "parts, or write an expression that backtracks less",
           from, text.size(), reinterpret_cast<const char*>(message));
    }
    return true;
  }

  size_t begin() const { return pcre2_get_ovector_pointer(data_)[0]; }
  size_t end() const { return pcre2_get_ovector_pointer(data_)[1]; }
  Groups groups(std::string_view text) const {
    const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(data_);
    Groups groups(pcre2_get_ovector_count(data_));
    for (size_t g = 0; g < groups.size(); ++g)
      if (offsets[2 * g] != PCRE2_UNSET)
        groups[g] = text.substr(offsets[2 * g], offsets[2 * g + 1] - offsets[2 * g]);
    return groups;
  }

 private:
  int match(std::string_view text, size_t from) {
    return pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                       PCRE2_NO_UTF_CHECK, data_, context_);
  }
  const pcre2_code* code_;
  pcre2_match_data* data_;
  pcre2_match_context* context_;
  pcre2_jit_stack* stack_ = nullptr;
};

Regex::Regex(std::string_view expression, std::string_view origin, Dialect dialect)
    : source_(expression), compiled_(std::make_unique<Compiled>()) {
  require(expression.size() <= kMaxPattern, ErrorKind::kFormat, kWhere,
          "{}: an expression of {} bytes, expected at most {}", origin, expression.size(),
          kMaxPattern);
  const bool oniguruma = dialect == Dialect::kOniguruma;
  const std::string pattern = oniguruma ? translate(expression, origin) : std::string(expression);
  int error = 0;
  PCRE2_SIZE at = 0;
  const uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C |
                           (oniguruma ? uint32_t{PCRE2_MULTILINE} : uint32_t{0});
  compiled_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                  options, &error, &at, nullptr);
  if (compiled_->code == nullptr) {
    PCRE2_UCHAR message[256] = {};
    pcre2_get_error_message(error, message, sizeof message);
    fail(ErrorKind::kFormat, kWhere, "{}: '{}' (translated: '{}') at {}: {}", origin, expression,
         pattern, at, reinterpret_cast<const char*>(message));
  }
  // Without JIT on this machine the interpreter runs the same expression, only slower.
  pcre2_jit_compile(compiled_->code, PCRE2_JIT_COMPLETE);
}

Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

template <class F>
void Regex::search(std::string_view text, F&& f) const {
  Search search(compiled_->code);
  size_t from = 0, last_end = SIZE_MAX;
  while (from <= text.size() && search.find(text, from)) {
    const size_t begin = search.begin(), end = search.end();
    require(begin <= end && begin >= from, ErrorKind::kFormat, kWhere,
            "'{}' moves its match backwards (\\K); not supported", source_);
    // An empty match right behind the last match is none.
    if (begin < end || end != last_end) f(search);
    from = last_end = end;
    if (begin == end) {  // an empty match: go on behind the next character
      if (end == text.size()) return;
      ++from;
      while (from < text.size() && (static_cast<uint8_t>(text[from]) & 0xC0) == 0x80) ++from;
    }
  }
}

void Regex::for_each_match(std::string_view text,
                           const std::function<void(size_t, size_t)>& f) const {
  search(text, [&](const Search& match) { f(match.begin(), match.end()); });
}

void Regex::for_each_match(std::string_view text,
                           const std::function<void(const Groups&)>& f) const {
  search(text, [&](const Search& match) { f(match.groups(text)); });
}

std::string Regex::removed_from(std::string_view text) const {
  std::string left;
  size_t at = 0;
  search(text, [&](const Search& match) {
    left += text.substr(at, match.begin() - at);
    at = match.end();
  });
  return left += text.substr(at);
}

}  // namespace lathe
