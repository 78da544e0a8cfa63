#include "lathe/text/split/pretokenizer.h"

#include <array>

#include "lathe/text/split/makers.h"

namespace lathe {
namespace {

using text_json::Json;

void add_steps(const Json& json, const PreTokenizerSteps& to) {
  text_json::check_depth(to.depth, "pre_tokenizer", to.origin);
  const std::string type = text_json::type_of(json, "pre_tokenizer", to.origin);
  for (const PreTokenizerEntry& entry : kPreTokenizerTypes)
    if (entry.name == type) return entry.make(json, to);
  fail_unknown_name(ErrorKind::kFormat, fmt::format("{}: pre_tokenizer", to.origin), type,
                    names_of(kPreTokenizerTypes));
}

void make_sequence(const Json& json, const PreTokenizerSteps& to) {
  for (const Json& part : text_json::get_array(json, "pretokenizers", to.origin))
    add_steps(part, {to.origin, to.parts, to.depth + 1});
}

constexpr std::array kTable = {
    PreTokenizerEntry{"ByteLevel", "bytes as characters, by default behind GPT-2's expression",
                      "Radford et al. 2019", make_byte_level},
    PreTokenizerEntry{"Metaspace", "spaces made visible, each the beginning of a piece",
                      "Kudo and Richardson 2018, arXiv:1808.06226", make_metaspace},
    PreTokenizerEntry{"Whitespace", "words and runs of symbols, without white space", "",
                      make_whitespace},
    PreTokenizerEntry{"WhitespaceSplit", "what stands between white space", "",
                      make_whitespace_split},
    PreTokenizerEntry{"BertPreTokenizer", "what stands between white space, punctuation by itself",
                      "Devlin et al. 2018, arXiv:1810.04805", make_bert},
    PreTokenizerEntry{"Split", "at the matches of a string or of an expression", "", make_split},
    PreTokenizerEntry{"Digits", "numbers by themselves, in runs or one by one", "", make_digits},
    PreTokenizerEntry{"Punctuation", "punctuation by itself", "", make_punctuation},
    PreTokenizerEntry{"UnicodeScripts", "where the script changes",
                      "Kudo and Richardson 2018, arXiv:1808.06226", make_unicode_scripts},
    PreTokenizerEntry{"CharDelimiterSplit", "at one character, which is dropped", "",
                      make_char_delimiter_split},
    PreTokenizerEntry{"FixedLength", "after every so many characters", "", make_fixed_length},
    PreTokenizerEntry{"Sequence", "several, one after the other", "", make_sequence},
};

}  // namespace

const std::span<const PreTokenizerEntry> kPreTokenizerTypes = kTable;

PreTokenizer PreTokenizer::from_json(const Json& json, std::string_view origin) {
  PreTokenizer pre_tokenizer;
  if (!json.is_null()) add_steps(json, {origin, pre_tokenizer.parts_});
  return pre_tokenizer;
}

Json PreTokenizer::json_for(Pattern pattern) {
  const PatternInfo& info = pattern_info(pattern);
  const auto byte_level = [](bool use_regex) {
    return Json{{"type", "ByteLevel"},
                {"add_prefix_space", false},
                {"trim_offsets", true},
                {"use_regex", use_regex}};
  };
  if (info.byte_level_regex) return byte_level(true);
  const Json split = {{"type", "Split"},
                      {"pattern", {{"Regex", info.regex}}},
                      {"behavior", "Isolated"},
                      {"invert", false}};
  return Json{{"type", "Sequence"}, {"pretokenizers", Json::array({split, byte_level(false)})}};
}

std::string_view PreTokenizer::split(std::string_view text, size_t start, Scratch& scratch) const {
  scratch.pieces.clear();
  if (text.empty()) return text;
  scratch.pieces.push_back({0, text.size()});
  scratch.start = start;
  for (const auto& step : parts_.steps) text = step->run(text, scratch);
  return text;
}

}  // namespace lathe
