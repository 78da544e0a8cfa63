#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>

#include "fuzz/fuzz.h"
#include "lathe/base/utf8.h"
#include "lathe/text/library_class.h"
#include "lathe/text/normalize/normalizer.h"

namespace lathe::fuzz {
namespace {

// By the library alone.
std::string plain(const icu::Normalizer2& form, std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  form.normalizeUTF8(0, {text.data(), static_cast<int32_t>(text.size())}, sink, nullptr, status);
  promise(U_SUCCESS(status));
  return out;
}

// A character that every form leaves as it is: an invalid byte, or one newer than the forms.
bool stays(const CodePoint& c) {
  return c.value == kInvalidByte || (LibraryClasses::get().of(c.value) & kAfterForms);
}
}  // namespace

// The first byte says how often the rest follows itself. Every form of what stands between the
// characters that stay is ICU's.
void check(std::string_view bytes) {
  if (bytes.empty()) return;
  std::string text;
  for (int n = 1 + (bytes[0] & 31); n > 0; --n) text += bytes.substr(1);
  using Instance = const icu::Normalizer2* (*)(UErrorCode&);
  const std::pair<const char*, Instance> forms[] = {{"NFC", icu::Normalizer2::getNFCInstance},
                                                    {"NFD", icu::Normalizer2::getNFDInstance},
                                                    {"NFKC", icu::Normalizer2::getNFKCInstance},
                                                    {"NFKD", icu::Normalizer2::getNFKDInstance}};
  for (const auto& [name, instance] : forms) {
    const Normalizer normalizer = Normalizer::from_json({{"type", name}}, "f");
    UErrorCode status = U_ZERO_ERROR;
    const icu::Normalizer2& form = *instance(status);
    std::string buffer, wanted;
    const std::string_view got = normalizer.apply(text, buffer).text;
    const uint8_t *p = as_bytes(text), *end = p + text.size();
    while (p < end) {
      const uint8_t* valid = p;
      while (p < end && !stays(decode_utf8(p, end))) p += decode_utf8(p, end).size;
      wanted += plain(form, {reinterpret_cast<const char*>(valid), static_cast<size_t>(p - valid)});
      for (uint32_t n = p < end ? decode_utf8(p, end).size : 0; n > 0; --n)
        wanted += static_cast<char>(*p++);
    }
    promise(got == wanted);
  }
}

std::vector<Seed> seeds() {
  return {{"marks",
           "\x1F"
           "a\u0301\u0316\u0327\u0F73\u0344"},
          {"words", std::string(1, '\0') + "r\u00e9sum\u00e9 \uFF9E\uAC00\u1100\u1161 \xFF"}};
}

}  // namespace lathe::fuzz
