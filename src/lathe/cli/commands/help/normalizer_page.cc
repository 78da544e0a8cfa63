// What the normalisers of `lathe tokenizer train --normalizer` do to texts in which they differ.
#include <fmt/format.h>

#include <array>

#include "lathe/base/utf8.h"
#include "lathe/cli/commands/help/markdown_table.h"
#include "lathe/cli/commands/help/pages.h"
#include "lathe/text/normalize/normalizer.h"
#include "lathe/text/train/text_preparation.h"

namespace lathe {
namespace {

struct Sample {
  std::string_view text, what;
};

constexpr std::array kSamples = {
    Sample{"a\tb", "code: a tab"},
    Sample{"a\nb", "code: the end of a line"},
    Sample{"a\u00A0b", "code: a no-break space"},
    Sample{"a  b", "code: two spaces"},
    Sample{"\uFF1D\uFF0B", "code: full-width operators"},
    Sample{"\uFB01", "code: a ligature, as PDF files have it"},
    Sample{"MaxLen", "code: a name with capitals"},
    Sample{"\u2026", "text: an ellipsis"},
    Sample{"x\u00B2", "mathematics: a power"},
    Sample{"H\u2082O", "mathematics: an index"},
    Sample{"2\u00BD", "mathematics: a fraction"},
    Sample{"\u210C", "mathematics: a black-letter capital"},
    Sample{"\U0001D465", "mathematics: an italic letter"},
    Sample{"\u2126", "mathematics: the ohm sign, which is not the letter omega"},
    Sample{"\u2260", "mathematics: not equal, one character"},
    Sample{"e\u0301", "French: a letter and its accent apart"},
    Sample{"Stra\u00DFe", "German: sharp s"},
    Sample{"\u00AA", "Spanish: the ordinal indicator"},
    Sample{"\uFF0C", "Chinese: the comma"},
    Sample{"\u3002", "Chinese: the full stop"},
    Sample{"\uFF11\uFF12", "Chinese: full-width digits"},
    Sample{"\u3000", "Chinese: the ideographic space"},
    Sample{"\uF900", "Chinese: a compatibility ideograph"},
    Sample{"\u2F00", "Chinese: a radical"},
    Sample{"\uFF76\uFF9E", "Japanese: half-width katakana with its voicing mark"},
    Sample{"\u337F", "Japanese: four characters in one square"},
    Sample{"\uFF5E", "Japanese: the full-width tilde"},
    Sample{"\u1112\u1161\u11AB", "Korean: a syllable as three jamo"},
    Sample{"\u314E", "Korean: a compatibility jamo"},
    Sample{"\uFEFB", "Arabic: lam-alif in its isolated form"},
    Sample{"\uFE91", "Arabic: beh in its initial form"},
    Sample{"\u0627\u0653", "Arabic: alif and madda apart"},
    Sample{"\u0E19\u0E33", "Thai: sara am, U+0E33"},
    Sample{"\u0645\u06CC\u200C\u0631\u0648", "Persian: a zero-width non-joiner inside a word"},
    Sample{"\u09AF\u09BC", "Bengali: ya and its dot apart"},
    Sample{"\u09DF", "Bengali: the same in one character"},
    Sample{"\U0001F469\u200D\U0001F4BB", "emoji: two joined by a zero-width joiner"},
    Sample{"\u2764\uFE0F", "emoji: with a variation selector"},
    Sample{"\u2122", "emoji: the trade-mark sign"},
    Sample{"a\u200Bb", "text: a zero-width space"},
    Sample{"a\u00ADb", "text: a soft hyphen"},
};

constexpr std::array<std::string_view, 4> kShown = {"nfc", "nfkc", "nfkc_cf", "nmt_nfkc"};

// The text, where it has no control characters, and its code points, where it is not ASCII.
std::string shown(std::string_view text) {
  std::string code_points;
  bool plain = true, ascii = true;
  const uint8_t *p = as_bytes(text), *end = p + text.size();
  while (p < end) {
    const CodePoint c = decode_utf8(p, end);
    plain = plain && c.value >= 0x20;
    ascii = ascii && c.value < 0x80;
    code_points +=
        fmt::format("{}{:04X}", p == as_bytes(text) ? "" : " ", static_cast<uint32_t>(c.value));
    p += c.size;
  }
  if (!plain) return code_points;
  return fmt::format("`{}`{}", text, ascii ? "" : " " + code_points);
}

std::string normalized(const Normalizer& normalizer, std::string_view text) {
  std::string buffer;
  return std::string(normalizer.apply(text, buffer).text);
}

// Empty where nothing changes; "=" behind what Unicode calls canonically equivalent.
std::string change(std::string_view text, std::string_view after, const Normalizer& canonical) {
  if (after == text) return "";
  const bool equivalent = normalized(canonical, text) == normalized(canonical, after);
  return shown(after) + (equivalent ? " =" : "");
}

}  // namespace

std::string normalizers_markdown() {
  const Normalizer canonical = Normalizer::from_json({{"type", "NFD"}}, "help");
  std::vector<Normalizer> normalizers;
  for (const std::string_view name : kShown)
    normalizers.push_back(Normalizer::from_json(normalizer_named(std::string(name)), "help"));

  std::vector<std::string> columns = {"text", "what it is"};
  for (const std::string_view name : kShown) columns.push_back(fmt::format("`{}`", name));
  MarkdownTable table(columns);
  for (const Sample& s : kSamples) {
    std::vector<std::string> cells = {shown(s.text), std::string(s.what)};
    for (const Normalizer& n : normalizers)
      cells.push_back(change(s.text, normalized(n, s.text), canonical));
    table.row(cells);
  }
  return table.text();
}

}  // namespace lathe
