#include "lathe/text/normalize/normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>

#include <climits>

#include "lathe/base/utf8.h"
#include "lathe/text/normalize/mark_order.h"
#include "lathe/text/split/regex.h"

namespace lathe {
namespace {

using text_json::Json;
constexpr std::string_view kWhere = "normalizer";

class UnicodeForm : public Normalizer::Step {
 public:
  UnicodeForm(const icu::Normalizer2* form, const icu::Normalizer2* decomposition, std::string name)
      : form_(form), decomposition_(decomposition), name_(std::move(name)) {}

  bool apply(std::string_view text, std::string& out) const override {
    std::string ordered;
    if (!order_long_mark_runs(text, *decomposition_, ordered)) return bring_to_form(text, out);
    if (!bring_to_form(ordered, out)) out = std::move(ordered);
    return true;
  }

 private:
  bool bring_to_form(std::string_view text, std::string& out) const {
    require(text.size() < INT_MAX, ErrorKind::kData, kWhere,
            "a text of {} bytes cannot be normalised to {}, expected less than 2 GiB; split it",
            text.size(), name_);
    bool changed = false;
    const uint8_t *p = as_bytes(text), *end = p + text.size();
    while (p < end) {
      const uint8_t* q = p;
      bool ascii = true;
      while (q < end) {  // the longest valid run
        if (*q < 0x80) {
          ++q;
          continue;
        }
        const CodePoint c = decode_utf8(q, end);
        if (c.value == kInvalidByte) break;
        ascii = false;
        q += c.size;
      }
      const icu::StringPiece run(reinterpret_cast<const char*>(p), static_cast<int32_t>(q - p));
      UErrorCode status = U_ZERO_ERROR;
      if (!changed && !ascii && !form_->isNormalizedUTF8(run, status)) {
        changed = true;
        out.assign(text.data(), reinterpret_cast<const char*>(p));
      }
      if (changed && ascii) {
        out.append(run.data(), static_cast<size_t>(run.size()));
      } else if (changed) {
        icu::StringByteSink<std::string> sink(&out);
        form_->normalizeUTF8(0, run, sink, nullptr, status);
      }
      require(U_SUCCESS(status), ErrorKind::kData, kWhere, "{} failed: {}", name_,
              u_errorName(status));
      if (q < end && changed) out.push_back(static_cast<char>(*q));  // the invalid byte
      p = q < end ? q + 1 : q;
    }
    return changed;
  }

  const icu::Normalizer2 *form_, *decomposition_;  // owned by ICU
  std::string name_;
};

class ReplaceString : public Normalizer::Step {
 public:
  ReplaceString(std::string pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  bool apply(std::string_view text, std::string& out) const override {
    size_t at = text.find(pattern_);
    if (pattern_.empty() || at == std::string_view::npos) return false;
    size_t from = 0;
    for (; at != std::string_view::npos; at = text.find(pattern_, from)) {
      out.append(text.substr(from, at - from));
      out += content_;
      from = at + pattern_.size();
    }
    out.append(text.substr(from));
    return true;
  }

 private:
  std::string pattern_, content_;
};

class ReplaceRegex : public Normalizer::Step {
 public:
  ReplaceRegex(Regex pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  bool apply(std::string_view text, std::string& out) const override {
    require(is_valid_utf8(text), ErrorKind::kData, kWhere,
            "a text with invalid UTF-8 cannot be searched for '{}'; repair the text first",
            pattern_.source());
    bool changed = false;
    size_t from = 0;
    pattern_.for_each_match(text, [&](size_t begin, size_t end) {
      out.append(text.substr(from, begin - from));
      out += content_;
      from = end;
      changed = true;
    });
    if (changed) out.append(text.substr(from));
    return changed;
  }

 private:
  Regex pattern_;
  std::string content_;
};

class Prepend : public Normalizer::Step {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  bool apply(std::string_view text, std::string& out) const override {
    if (text.empty()) return false;
    out = prefix_;
    out.append(text);
    return true;
  }

 private:
  std::string prefix_;
};

const icu::Normalizer2* unicode_form(const std::string& type) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* form = nullptr;
  if (type == "NFC") form = icu::Normalizer2::getNFCInstance(status);
  if (type == "NFD") form = icu::Normalizer2::getNFDInstance(status);
  if (type == "NFKC") form = icu::Normalizer2::getNFKCInstance(status);
  if (type == "NFKD") form = icu::Normalizer2::getNFKDInstance(status);
  require(U_SUCCESS(status), ErrorKind::kIo, kWhere, "ICU cannot load {}: {}", type,
          u_errorName(status));
  return form;
}

}  // namespace

void Normalizer::add(const Json& json, int depth, std::string_view origin) {
  text_json::check_depth(depth, "normalizer", origin);
  const std::string type = text_json::type_of(json, "normalizer", origin);
  if (type == "Sequence") {
    for (const Json& part : text_json::get_array(json, "normalizers", origin))
      add(part, depth + 1, origin);
  } else if (const icu::Normalizer2* form = unicode_form(type)) {
    const icu::Normalizer2* decomposition = unicode_form(type.starts_with("NFK") ? "NFKD" : "NFD");
    steps_.push_back(std::make_unique<UnicodeForm>(form, decomposition, type));
  } else if (type == "Replace") {
    std::string content = text_json::get_string(json, "content", origin);
    const Json& pattern = text_json::get(json, "pattern", origin);
    if (pattern.is_object() && pattern.contains("Regex")) {
      Regex regex(text_json::get_string(pattern, "Regex", origin), origin);
      steps_.push_back(std::make_unique<ReplaceRegex>(std::move(regex), std::move(content)));
    } else if (pattern.is_object() && pattern.contains("String")) {
      steps_.push_back(std::make_unique<ReplaceString>(
          text_json::get_string(pattern, "String", origin), std::move(content)));
    } else {
      text_json::bad(origin, "the pattern of normalizer Replace is neither String nor Regex");
    }
  } else if (type == "Prepend") {
    steps_.push_back(std::make_unique<Prepend>(text_json::get_string(json, "prepend", origin)));
  } else {
    text_json::bad(origin,
                   "normalizer '{}' is not supported; supported are NFC, NFD, NFKC, NFKD, Replace, "
                   "Prepend, Sequence",
                   type);
  }
}

Normalizer Normalizer::from_json(const Json& json, std::string_view origin) {
  Normalizer normalizer;
  if (!json.is_null()) normalizer.add(json, 0, origin);
  return normalizer;
}

std::string_view Normalizer::apply(std::string_view text, std::string& buffer) const {
  std::string next;
  for (const auto& step : steps_) {
    next.clear();
    if (!step->apply(text, next)) continue;
    buffer.swap(next);
    text = buffer;
  }
  return text;
}

}  // namespace lathe
