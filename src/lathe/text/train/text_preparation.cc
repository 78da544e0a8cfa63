#include "lathe/text/train/text_preparation.h"

#include <array>
#include <filesystem>

#include "lathe/base/strings.h"
#include "lathe/io/mapped_file.h"
#include "lathe/text/base64.h"
#include "lathe/text/format/part_json.h"
#include "lathe/text/normalize/charsmap_rules.h"
#include "lathe/text/split/patterns.h"

namespace lathe {
namespace {

using text_json::Json;

Json precompiled(const CharsMap& map) {
  return {{"type", "Precompiled"}, {"precompiled_charsmap", to_base64(map.compiled())}};
}

CharsMap named_map(std::string_view name) {
  return CharsMap::build(named_charsmap_rules(name).value());
}

constexpr std::array kNormalizerTable = {
    NormalizerChoice{"none", "text stays as it is", [] { return Json(); }, "identity"},
    NormalizerChoice{"nfc", "Unicode's canonical composition; loses nothing that is seen",
                     [] {
                       return Json{{"type", "NFC"}};
                     },
                     ""},
    NormalizerChoice{"nfkc", "and characters that differ in form only become one (² is 2)",
                     [] {
                       return Json{{"type", "NFKC"}};
                     },
                     "nfkc"},
    NormalizerChoice{"nfkc_cf", "nfkc and lower case",
                     [] { return precompiled(named_map("nfkc_cf")); }, "nfkc_cf"},
    NormalizerChoice{"nmt_nfkc",
                     "nfkc, all white space is a space, no control characters: SentencePiece's",
                     [] { return precompiled(named_map("nmt_nfkc")); }, "nmt_nfkc"},
    NormalizerChoice{"bert_cased", "BERT's: spaces around ideographs, no control characters",
                     [] { return bert_normalizer_json(false); }, ""},
    NormalizerChoice{"bert_uncased", "and lower case without accents",
                     [] { return bert_normalizer_json(true); }, ""},
};

const NormalizerChoice* choice_named(const std::string& name) {
  for (const NormalizerChoice& choice : kNormalizerTable)
    if (choice.name == name) return &choice;
  return nullptr;
}

CharsMap map_of_file(const std::string& path) {
  std::error_code ignored;
  require(std::filesystem::exists(path, ignored), ErrorKind::kUsage, "normalizer",
          "'{}' is neither a file of rules nor one of the known normalisers: {}", path,
          join(names_of(kNormalizerTable), ", "));
  return CharsMap::build(read_charsmap_rules(read_file(path), path));
}

Json metaspace_decoder(bool byte_fallback) {
  return byte_fallback ? mark_decoder_json(true, true) : metaspace_json("always");
}

Json fuse_decoder(bool byte_fallback) {
  if (!byte_fallback) return {{"type", "Fuse"}};
  return {{"type", "Sequence"}, {"decoders", {{{"type", "ByteFallback"}}, {{"type", "Fuse"}}}}};
}

// Words are joined by spaces.
Json no_decoder(bool) { return {}; }

constexpr std::array kSplitTable = {
    SplitChoice{"metaspace", "words begin with \u2581, which stands for a space: SentencePiece's",
                [] { return metaspace_json("always"); }, metaspace_decoder,
                SentenceUnit::kBetweenSpaces},
    SplitChoice{"bert", "words at white space, each punctuation mark a word: BERT's",
                [] {
                  return Json{{"type", "BertPreTokenizer"}};
                },
                no_decoder, SentenceUnit::kBetweenSpaces},
    SplitChoice{"whitespace", "words at white space, runs of symbols apart",
                [] {
                  return Json{{"type", "Whitespace"}};
                },
                no_decoder, SentenceUnit::kBetweenSpaces},
    SplitChoice{"none", "a line is one piece of text", [] { return Json(); }, fuse_decoder,
                SentenceUnit::kLineWithFeed},
};

}  // namespace

const std::span<const NormalizerChoice> kNormalizerChoices = kNormalizerTable;
const std::span<const SplitChoice> kSplitChoices = kSplitTable;

Json normalizer_named(const std::string& name) {
  if (const NormalizerChoice* choice = choice_named(name)) return choice->make();
  return precompiled(map_of_file(name));
}

CharsMap charsmap_named(const std::string& name) {
  const NormalizerChoice* choice = choice_named(name);
  if (choice == nullptr) return map_of_file(name);
  require(!choice->charsmap.empty(), ErrorKind::kUsage, "normalizer",
          "a SentencePiece model has no normaliser '{}'; use none, nfkc, nfkc_cf, nmt_nfkc or a "
          "file of rules, or leave out --sentencepiece",
          name);
  return named_map(choice->charsmap);
}

std::vector<std::string> split_names() {
  std::vector<std::string> names = names_of(kSplitTable);
  for (const PatternInfo& pattern : kPreTokenizers) names.emplace_back(pattern.name);
  return names;
}

}  // namespace lathe
