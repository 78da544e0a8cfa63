#include "lathe/text/normalize/normalizer.h"

#include <algorithm>
#include <array>

#include "lathe/base/utf8.h"
#include "lathe/text/normalize/makers.h"

namespace lathe {
namespace {

using text_json::Json;

void add_steps(const Json& json, const NormalizerSteps& to) {
  text_json::check_depth(to.depth, "normalizer", to.origin);
  const std::string type = text_json::type_of(json, "normalizer", to.origin);
  for (const NormalizerEntry& entry : kNormalizers)
    if (entry.name == type) return entry.make(json, to);
  fail_unknown_name(ErrorKind::kFormat, fmt::format("{}: normalizer", to.origin), type,
                    names_of(kNormalizers));
}

void make_sequence(const Json& json, const NormalizerSteps& to) {
  for (const Json& part : text_json::get_array(json, "normalizers", to.origin))
    add_steps(part, {to.origin, to.steps, to.depth + 1});
}

constexpr std::string_view kUax15 = "Unicode Standard Annex #15";
constexpr std::string_view kBert = "Devlin et al. 2018, arXiv:1810.04805";
constexpr std::string_view kNmt = "Kudo and Richardson 2018, arXiv:1808.06226";

constexpr std::array kTable = {
    NormalizerEntry{"NFC", "canonical decomposition, then composition", kUax15, make_nfc},
    NormalizerEntry{"NFD", "canonical decomposition", kUax15, make_nfd},
    NormalizerEntry{"NFKC", "compatibility decomposition, then composition", kUax15, make_nfkc},
    NormalizerEntry{"NFKD", "compatibility decomposition", kUax15, make_nfkd},
    NormalizerEntry{"NFKC_CF", "NFKC, then simple case folding, as SentencePiece's nfkc_cf", kNmt,
                    make_nfkc_cf},
    NormalizerEntry{"Nmt", "control characters dropped, all kinds of white space made a space",
                    kNmt, make_nmt},
    NormalizerEntry{"Lowercase", "small letters", "", make_lowercase},
    NormalizerEntry{"Strip", "white space dropped at the beginning and the end", "", make_strip},
    NormalizerEntry{"StripAccents", "combining marks dropped", "", make_strip_accents},
    NormalizerEntry{"BertNormalizer", "control characters, ideographs, accents, case as in BERT",
                    kBert, make_bert_normalizer},
    NormalizerEntry{"Replace", "a string or what an expression matches becomes another string", "",
                    make_replace},
    NormalizerEntry{"Prepend", "a string before a text that is not empty", "", make_prepend},
    NormalizerEntry{"ByteLevel", "every byte as a character of GPT-2's byte alphabet",
                    "Radford et al. 2019", make_byte_level_normalizer},
    NormalizerEntry{"Precompiled", "a character map of SentencePiece, as tokenizers applies it",
                    kNmt, make_precompiled},
    NormalizerEntry{"SentencePiece", "all that SentencePiece's normaliser does", kNmt,
                    make_sentencepiece},
    NormalizerEntry{"Sequence", "several, one after the other", "", make_sequence},
};

}  // namespace

const std::span<const NormalizerEntry> kNormalizers = kTable;

Normalizer Normalizer::from_json(const Json& json, std::string_view origin) {
  Normalizer normalizer;
  if (!json.is_null()) add_steps(json, {origin, normalizer.steps_});
  return normalizer;
}

Normalizer::Result Normalizer::apply(std::string_view text, std::string& buffer) const {
  size_t start = text.empty() ? 0 : decode_utf8(as_bytes(text), as_bytes(text) + text.size()).size;
  std::string next;
  for (const auto& step : steps_) {
    next.clear();
    if (!step->apply(text, next, start)) continue;
    buffer.swap(next);
    text = buffer;
  }
  return {text, start};
}

}  // namespace lathe
