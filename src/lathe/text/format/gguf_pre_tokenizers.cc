// Names of pre-tokenisers to regular expressions.
#include "lathe/text/format/gguf_pre_tokenizers.h"

#include <algorithm>
#include <string>

#include "lathe/base/strings.h"
#include "lathe/text/split/patterns.h"
#include "lathe/text/split/pretokenizer.h"

namespace lathe {
namespace {

using text_json::Json;
using Regexes = std::vector<std::string_view>;

constexpr std::string_view kWhere = "pre_tokenizer";

std::string_view regex_of(Pattern pattern) { return pattern_info(pattern).regex; }

// Words as in o200k, but without contractions.
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// o200k with every digit alone.
constexpr std::string_view kYoutuWords =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// o200k with runs of Han characters apart from other letters. The original intersects sets.
constexpr std::string_view kKimi =
    R"(\p{Han}+)"
    R"(|[^\r\n\p{L}\p{N}]?(?:(?!\p{Han})[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])*)"
    R"((?:(?!\p{Han})[\p{Ll}\p{Lm}\p{Lo}\p{M}])+(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?(?:(?!\p{Han})[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])+)"
    R"((?:(?!\p{Han})[\p{Ll}\p{Lm}\p{Lo}\p{M}])*(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N})"
    R"(| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kJais2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S))"
    R"(|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})";
constexpr std::string_view kSeedCoder =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kExaoneMoe =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N})"
    R"(| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr std::string_view kMinicpm5 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kUfakzeka =
    R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kBloom = R"( ?[^(\s|.,!?…。，、।۔،)]+)";

// DeepSeek's letters: the cased scripts, listed.
constexpr std::string_view kCasedLetters =
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)";
constexpr std::string_view kCjk = "[一-龥ࠀ-一가-퟿]+",
                           kCjkAndKana = "[一-龥぀-ゟ゠-ヿ]+";
constexpr std::string_view kPunctuationWord =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)";
// A \p{P} or \p{S} run with the line breaks behind it, as DeepSeek V3 has it.
const std::string kDeepseekV3 =
    std::string(kPunctuationWord) + R"(| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string kSpark =
    std::string(kPunctuationWord) + R"(| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+)";
// Groups of three digits counted from the right.
constexpr std::string_view kThreesFromTheRight = R"(\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N})))";
constexpr std::string_view kAsianScripts =
    "[一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+";
constexpr std::string_view kLines = R"([^\n]+|[\n]+)";

using Table = std::vector<GgufPreTokenizer>;

// A family shares its regular expressions; `like` holds what else its names have in common.
void add(Table& table, const Regexes& regexes, const GgufPreTokenizer& like,
         std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    table.push_back(like);
    table.back().name = name;
    table.back().regexes = regexes;
  }
}

constexpr bool kNotClean = false;

// Of names that mean the same the most telling one comes first: it is what gets written.
void add_gpt2_like(Table& table) {
  const std::string_view gpt2 = regex_of(Pattern::kGpt2);
  const GgufPreTokenizer plain, exact = {.clean_spaces = kNotClean};
  add(table, {gpt2}, plain,
      {"gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0",
       "mellum", "modern-bert", "jina-v1-en", "jina-v2-code", "roberta-bpe", "exaone4", "mpt",
       "olmo", "jais"});
  add(table, {gpt2}, exact, {"trillion", "granite-docling"});
  add(table, {R"(\p{N})", gpt2}, exact, {"smollm", "command-r"});
  add(table, {R"(\p{N})", gpt2}, plain,
      {"starcoder", "refact", "codeshell", "exaone", "minerva-7b", "mellum2"});
  add(table, {R"([\p{P}\$\+<=>\^~\|`]+)", gpt2, "[0-9][0-9][0-9]"}, plain, {"falcon"});
  add(table, {R"([\p{P}\$\+<=>\^~\|]+)", gpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}, plain, {"default"});
  add(table,
      {R"(<sentinel:[0-9]+>)", R"((IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z)", R"(([\t\n]|    |  ))",
       R"(\p{N})", R"([\p{P}!-/:-@\[-`{-~])", gpt2},
      {.add_bos = true, .clean_spaces = kNotClean}, {"chameleon"});
  add(table, {kBloom}, plain, {"bloom", "gpt3-finnish"});
  add(table, {kBloom}, exact, {"poro-chat"});
  add(table, {kBloom, R"(\p{N})"}, exact, {"viking"});
}

void add_cl100k_like(Table& table) {
  const std::string_view cl100k = regex_of(Pattern::kCl100k), qwen2 = regex_of(Pattern::kQwen2);
  const GgufPreTokenizer plain, exact = {.clean_spaces = kNotClean};
  add(table, {cl100k}, {.ignore_merges = true, .add_bos = true},
      {"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
       "jina-v5-nano"});
  add(table, {cl100k}, plain, {"dbrx", "smaug-bpe", "chatglm-bpe"});
  add(table, {cl100k}, {.ignore_merges = true}, {"glm4", "glm5"});
  add(table, {R"(\p{N}{1,3})", kMinicpm5}, {.ignore_merges = true}, {"minicpm5"});
  add(table, {kJais2}, plain, {"jais-2"});
  add(table, {qwen2}, exact,
      {"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "hunyuan", "grok-2", "solar-open",
       "bailingmoe", "bailingmoe2", "llada-moe"});
  add(table, {qwen2}, plain, {"stablelm2", "megrez"});
  add(table, {kLines, qwen2}, exact, {"laguna"});
  add(table, {kQwen35}, exact, {"qwen35"});
  add(table, {kSeedCoder}, exact, {"seed-coder"});
  add(table, {kUfakzeka}, exact, {"ufakzeka"});
  add(table, {kExaoneMoe}, plain, {"exaone-moe"});
}

void add_o200k_like(Table& table) {
  const std::string_view o200k = regex_of(Pattern::kO200k);
  const GgufPreTokenizer exact = {.clean_spaces = kNotClean};
  const GgufPreTokenizer whole = {.ignore_merges = true, .clean_spaces = kNotClean};
  add(table, {o200k}, exact, {"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"});
  add(table, {o200k}, whole, {"granite-embed-multi-97m"});
  add(table, {R"(\d{1,3}(?=(?:\d{3})*\b))", o200k}, exact, {"tiny_aya", "cohere2moe"});
  add(table, {kTekken}, {.ignore_merges = true, .add_bos = true, .clean_spaces = kNotClean},
      {"tekken"});
  add(table,
      {"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+",
       kYoutuWords},
      whole, {"youtu"});
  add(table, {kKimi}, exact, {"kimi-k2"});
}

void add_deepseek_like(Table& table) {
  const GgufPreTokenizer exact = {.clean_spaces = kNotClean};
  add(table,
      {R"([\r\n])", kCasedLetters, R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)", R"(\s+$)", kCjk,
       R"(\p{N}+)"},
      exact, {"deepseek-llm"});
  add(table, {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kCjk, R"(\p{N})"}, exact,
      {"deepseek-coder"});
  add(table, {R"(\p{N}{1,3})", kCjkAndKana, kDeepseekV3}, exact,
      {"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"});
  add(table, {R"(\p{N}{1,3})", kCjkAndKana, kSpark, R"(\p{N})"}, exact, {"spark2_5"});
  add(table, {kThreesFromTheRight, kAsianScripts, kDeepseekV3}, exact, {"afmoe"});
  add(table, {R"(\p{N}+)", R"((?=(\d{3})+(?!\d)))"}, exact, {"superbpe"});
}

void add_sentencepiece_like(Table& table) {
  add(table, {kLines}, {.add_bos = true, .byte_level = false},
      {"gemma4", "granite-embed-multi-311m"});
  add(table, {kLines}, {.clean_spaces = kNotClean, .byte_level = false}, {"sarvam-moe"});
}

// Appends the expressions that a pre_tokenizer applies, with the catalogue's spelling; false when
// it does something that no list of expressions does.
bool flatten(const Json& json, Regexes& out, bool& byte_level);

bool flatten_split(const Json& json, Regexes& out) {
  const Json* pattern = text_json::find(json, "pattern");
  if (pattern == nullptr || !pattern->is_object()) return false;
  const Json* regex = text_json::find(*pattern, "Regex");
  if (regex == nullptr || !regex->is_string()) return false;
  const std::string_view text = regex->get_ref<const std::string&>();
  const auto known = pattern_of_regex(text);
  const bool invert = text_json::get_bool(json, "invert", false, kWhere);
  const std::string behavior = text_json::get_string(json, "behavior", kWhere);
  // The catalogue's patterns leave no gaps, so dropping the gaps is isolating the matches.
  if ((behavior != "Isolated" || invert) && !(known && behavior == "Removed" && invert))
    return false;
  out.push_back(known ? regex_of(*known) : text);
  return true;
}

bool flatten_byte_level(const Json& json, Regexes& out, bool& byte_level) {
  if (text_json::get_bool(json, "add_prefix_space", true, kWhere)) return false;
  if (text_json::get_bool(json, "use_regex", true, kWhere)) out.push_back(regex_of(Pattern::kGpt2));
  byte_level = true;
  return true;
}

bool flatten(const Json& json, Regexes& out, bool& byte_level) {
  if (!json.is_object() || byte_level)
    return false;  // what follows ByteLevel sees other characters
  const std::string type = text_json::type_of(json, "pre_tokenizer", kWhere);
  if (type == "Sequence") {
    const Json* parts = text_json::find(json, "pretokenizers");
    return parts != nullptr && parts->is_array() &&
           std::ranges::all_of(*parts, [&](const Json& p) { return flatten(p, out, byte_level); });
  }
  if (type == "Split") return flatten_split(json, out);
  if (type == "ByteLevel") return flatten_byte_level(json, out, byte_level);
  if (type == "Digits") {
    out.push_back(text_json::get_bool(json, "individual_digits", false, kWhere) ? R"(\p{N})"
                                                                                : R"(\p{N}+)");
    return true;
  }
  return false;
}

}  // namespace

const Table& gguf_pre_tokenizers() {
  static const Table table = [] {
    Table all;
    add_gpt2_like(all);
    add_cl100k_like(all);
    add_o200k_like(all);
    add_deepseek_like(all);
    add_sentencepiece_like(all);
    return all;
  }();
  return table;
}

const GgufPreTokenizer& find_gguf_pre_tokenizer(std::string_view name, std::string_view origin) {
  const std::string_view wanted = name.empty() ? "default" : name;
  const Table& table = gguf_pre_tokenizers();
  const auto at = std::ranges::find(table, wanted, &GgufPreTokenizer::name);
  if (at != table.end()) return *at;
  std::vector<std::string> names;
  for (const GgufPreTokenizer& known : table) names.emplace_back(known.name);
  std::ranges::sort(names);
  fail(ErrorKind::kFormat, origin, "key 'tokenizer.ggml.pre': '{}' is unknown.{} Known are {}",
       name, did_you_mean(name, names), join(names, ", "));
}

Json json_of(const GgufPreTokenizer& pre_tokenizer) {
  const Regexes& regexes = pre_tokenizer.regexes;
  if (regexes.size() == 1 && pre_tokenizer.byte_level)
    if (const auto pattern = pattern_of_regex(regexes[0])) return PreTokenizer::json_for(*pattern);
  Json parts = Json::array();
  for (const std::string_view regex : regexes)
    parts.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", regex}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  if (pre_tokenizer.byte_level)
    parts.push_back({{"type", "ByteLevel"},
                     {"add_prefix_space", false},
                     {"trim_offsets", true},
                     {"use_regex", false}});
  return {{"type", "Sequence"}, {"pretokenizers", parts}};
}

std::optional<std::string_view> gguf_pre_tokenizer_name(const Json& pre_tokenizer,
                                                        bool ignore_merges) {
  Regexes regexes;
  bool byte_level = false;
  if (!flatten(pre_tokenizer, regexes, byte_level)) return std::nullopt;
  for (const GgufPreTokenizer& known : gguf_pre_tokenizers())
    if (known.regexes == regexes && known.byte_level == byte_level &&
        known.ignore_merges == ignore_merges)
      return known.name;
  return std::nullopt;
}

std::optional<std::string_view> gguf_pre_tokenizer_with_lone_digits(std::string_view name) {
  const GgufPreTokenizer& plain = find_gguf_pre_tokenizer(name, name);
  std::vector<std::string_view> apart = {R"(\p{N})"};
  apart.insert(apart.end(), plain.regexes.begin(), plain.regexes.end());
  for (const GgufPreTokenizer& known : gguf_pre_tokenizers())
    if (known.regexes == apart && known.byte_level == plain.byte_level &&
        known.ignore_merges == plain.ignore_merges)
      return known.name;
  return std::nullopt;
}

}  // namespace lathe
