// NFC, NFD, NFKC, NFKD, and NFKC_CF.
//
// The library's tables are those of Unicode 9: what is newer and would move, decompose or compose
// stands there like an ideograph, and so it does here (kAfterForms). NFKC_CF, which is ours, has
// all of ICU's Unicode 15.
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>

#include <climits>

#include "lathe/text/library_class.h"
#include "lathe/text/normalize/makers.h"
#include "lathe/text/normalize/mark_order.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "normalizer";

using Instance = const icu::Normalizer2* (*)(UErrorCode&);

const icu::Normalizer2& load(Instance instance, std::string_view name) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* form = instance(status);
  require(U_SUCCESS(status), ErrorKind::kIo, kWhere, "ICU cannot load {}: {}", name,
          u_errorName(status));
  return *form;
}

class UnicodeForm : public Normalizer::Step {
 public:
  UnicodeForm(std::string_view name, Instance form, Instance decomposition, uint16_t foreign)
      : name_(name),
        form_(load(form, name)),
        decomposition_(load(decomposition, name)),
        foreign_(foreign) {}

  bool apply(std::string_view text, std::string& out, size_t& start) const override {
    std::string ordered;
    const bool long_runs = order_long_mark_runs(text, decomposition_, foreign_, ordered);
    if (!bring_to_form(long_runs ? ordered : text, out)) {
      if (!long_runs) return false;
      out = std::move(ordered);
    }
    start = start_of(text.substr(0, start), out);
    return true;
  }

 private:
  // A stretch of the text that the form may change, and the unit behind it that it may not.
  struct Stretch {
    const uint8_t *end, *after;
    bool ascii;
  };
  Stretch stretch_at(const uint8_t* p, const uint8_t* end) const {
    const LibraryClasses& classes = LibraryClasses::get();
    bool ascii = true;
    while (p < end) {
      if (*p < 0x80) {
        ++p;
        continue;
      }
      const CodePoint c = decode_utf8(p, end);
      if (c.value == kInvalidByte || (classes.of(c.value) & foreign_))
        return {p, p + c.size, ascii};
      ascii = false;
      p += c.size;
    }
    return {p, p, ascii};
  }

  bool bring_to_form(std::string_view text, std::string& out) const {
    require(text.size() < INT_MAX, ErrorKind::kData, kWhere,
            "a text of {} bytes cannot be normalised to {}, expected less than 2 GiB; split it",
            text.size(), name_);
    bool changed = false;
    const uint8_t *p = as_bytes(text), *end = p + text.size();
    while (p < end) {
      const Stretch s = stretch_at(p, end);
      const icu::StringPiece run(reinterpret_cast<const char*>(p), static_cast<int32_t>(s.end - p));
      UErrorCode status = U_ZERO_ERROR;
      if (!changed && !s.ascii && !form_.isNormalizedUTF8(run, status)) {
        changed = true;
        out.assign(text.data(), reinterpret_cast<const char*>(p));
      }
      if (changed && s.ascii) {
        out.append(run.data(), static_cast<size_t>(run.size()));
      } else if (changed) {
        icu::StringByteSink<std::string> sink(&out);
        form_.normalizeUTF8(0, run, sink, nullptr, status);
      }
      require(U_SUCCESS(status), ErrorKind::kData, kWhere, "{} failed: {}", name_,
              u_errorName(status));
      if (changed) out.append(reinterpret_cast<const char*>(s.end), s.after - s.end);
      p = s.after;
    }
    return changed;
  }

  // Of `out`, what `first` became: where marks from further on moved in between, or composed with
  // its last character, as far as the two agree. The first character always derives from it.
  size_t start_of(std::string_view first, const std::string& out) const {
    if (first.empty() || out.empty()) return 0;
    std::string alone;
    if (!bring_to_form(first, alone)) alone = first;
    const uint8_t *begin = as_bytes(out), *end = begin + out.size();
    size_t at = decode_utf8(begin, end).size;
    while (at < out.size()) {
      const size_t size = decode_utf8(begin + at, end).size;
      if (std::string_view(alone).substr(0, at + size) !=
          std::string_view(out).substr(0, at + size))
        break;
      at += size;
    }
    return at;
  }

  std::string_view name_;
  const icu::Normalizer2 &form_, &decomposition_;  // owned by ICU
  uint16_t foreign_;
};

constexpr Instance kNfc = icu::Normalizer2::getNFCInstance;
constexpr Instance kNfd = icu::Normalizer2::getNFDInstance;
constexpr Instance kNfkc = icu::Normalizer2::getNFKCInstance;
constexpr Instance kNfkd = icu::Normalizer2::getNFKDInstance;

}  // namespace

std::unique_ptr<Normalizer::Step> nfd_step() {
  return std::make_unique<UnicodeForm>("NFD", kNfd, kNfd, kAfterForms);
}

void make_nfc(const text_json::Json&, const NormalizerSteps& to) {
  to.steps.push_back(std::make_unique<UnicodeForm>("NFC", kNfc, kNfd, kAfterForms));
}

void make_nfd(const text_json::Json&, const NormalizerSteps& to) { to.steps.push_back(nfd_step()); }

void make_nfkc(const text_json::Json&, const NormalizerSteps& to) {
  to.steps.push_back(std::make_unique<UnicodeForm>("NFKC", kNfkc, kNfkd, kAfterForms));
}

void make_nfkd(const text_json::Json&, const NormalizerSteps& to) {
  to.steps.push_back(std::make_unique<UnicodeForm>("NFKD", kNfkd, kNfkd, kAfterForms));
}

void make_nfkc_cf(const text_json::Json&, const NormalizerSteps& to) {
  to.steps.push_back(std::make_unique<UnicodeForm>("NFKC", kNfkc, kNfkd, uint16_t{0}));
  to.steps.push_back(fold_case_step());
}

}  // namespace lathe
