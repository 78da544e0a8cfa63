#include "lathe/corpus/language.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <vector>

#include "lathe/base/utf8.h"

namespace lathe {
namespace {

struct Block {
  char32_t first, last;
  std::string_view script;
};
// Without the digits and marks of a sentence's end that stand among the letters.
constexpr Block kBlocks[] = {
    {0x41, 0x5A, "Latin"},     {0x61, 0x7A, "Latin"},        {0xC0, 0x24F, "Latin"},
    {0x370, 0x3FF, "el"},      {0x400, 0x52F, "Cyrillic"},   {0x530, 0x58F, "hy"},
    {0x590, 0x5FF, "he"},      {0x620, 0x65F, "Arabic"},     {0x66E, 0x6D3, "Arabic"},
    {0x6D5, 0x6FF, "Arabic"},  {0x900, 0x963, "Devanagari"}, {0x971, 0x97F, "Devanagari"},
    {0x980, 0x9FF, "bn"},      {0xA00, 0xA7F, "pa"},         {0xA80, 0xAFF, "gu"},
    {0xB80, 0xBFF, "ta"},      {0xC00, 0xC7F, "te"},         {0xC80, 0xCFF, "kn"},
    {0xD00, 0xD7F, "ml"},      {0xE00, 0xE7F, "th"},         {0x10A0, 0x10FF, "ka"},
    {0x1E00, 0x1EFF, "Latin"}, {0x3040, 0x30FF, "ja"},       {0x3400, 0x9FFF, "zh"},
    {0xAC00, 0xD7AF, "ko"},    {0x20000, 0x31FFF, "zh"},
};

struct FunctionWords {
  std::string_view language, script;
  std::set<std::string_view> words;
};

// The most frequent words of each that few of the others have.
// Not words that English has, too, nor Latin single letters, which stand in formulas.
const std::vector<FunctionWords>& function_words() {
  static const std::vector<FunctionWords> kWords = {
      {"en",
       "Latin",
       {"the", "and", "of", "to", "is", "that", "it", "for", "with", "you", "are", "this", "what",
        "not", "be", "have", "how"}},
      {"de",
       "Latin",
       {"der", "und", "das", "ist", "nicht", "ein", "eine", "zu", "den", "mit", "von", "auf", "für",
        "sich", "dem", "ich", "werden"}},
      {"fr",
       "Latin",
       {"le", "les", "et", "des", "est", "une", "dans", "que", "pour", "du", "qui", "pas", "sur",
        "au", "avec", "ce", "il"}},
      {"es",
       "Latin",
       {"el", "los", "las", "una", "es", "por", "para", "con", "del", "se", "que", "su", "más",
        "como", "en", "la"}},
      {"it",
       "Latin",
       {"il", "di", "che", "è", "per", "non", "una", "della", "sono", "con", "gli", "del", "le",
        "si", "anche", "nel"}},
      {"pt",
       "Latin",
       {"os", "não", "uma", "para", "com", "da", "em", "dos", "mais", "por", "você", "são", "ao",
        "que", "de"}},
      {"nl",
       "Latin",
       {"het", "een", "en", "van", "niet", "dat", "op", "zijn", "voor", "met", "ook", "aan", "je",
        "wordt"}},
      {"pl",
       "Latin",
       {"na", "się", "nie", "jest", "że", "jak", "dla", "są", "przez", "czy", "które"}},
      {"tr", "Latin", {"ve", "bir", "bu", "için", "ile", "olarak", "çok", "daha", "olan"}},
      {"vi",
       "Latin",
       {"và", "của", "là", "có", "không", "các", "cho", "được", "trong", "một", "với"}},
      {"id",
       "Latin",
       {"yang", "dan", "untuk", "dengan", "ini", "itu", "dari", "tidak", "pada", "adalah", "ke"}},
      {"ru", "Cyrillic", {"и", "в", "не", "на", "что", "с", "это", "как", "по", "для", "из", "к"}},
      {"uk", "Cyrillic", {"і", "в", "не", "на", "що", "з", "це", "як", "та", "для", "до", "є"}},
      {"bg",
       "Cyrillic",
       {"и", "в", "не", "на", "се", "са", "че", "като", "това", "ще", "от", "е", "към", "със"}},
      {"fi",
       "Latin",
       {"ja", "ei", "että", "kun", "ovat", "joka", "mutta", "myös", "oli", "hän", "tämä", "kuin"}},
      {"sw",
       "Latin",
       {"na", "ya", "wa", "kwa", "ni", "katika", "za", "kama", "hii", "cha", "kuwa"}},
      {"ar",
       "Arabic",
       {"في", "من", "على", "إلى", "أن", "هذا", "هذه", "التي", "الذي", "عن", "مع", "كان", "لا"}},
      {"fa", "Arabic", {"و", "در", "به", "از", "که", "این", "را", "با", "است", "برای", "آن", "می"}},
      {"ur", "Arabic", {"کے", "میں", "کی", "ہے", "اور", "کو", "سے", "کا", "نے", "پر", "یہ", "ہیں"}},
      {"hi",
       "Devanagari",
       {"है", "और", "के", "में", "की", "को", "का", "से", "यह", "हैं", "कि", "पर", "लिए"}},
      {"mr",
       "Devanagari",
       {"आहे", "आणि", "हे", "ते", "आहेत", "नाही", "मध्ये", "एक", "तो", "ही", "करा", "होते", "साठी"}},
      {"ne",
       "Devanagari",
       {"छ", "र", "हो", "छन्", "यो", "पनि", "मा", "लागि", "गर्न", "थियो", "भएको", "तथा", "हुन्छ"}},
  };
  return kWords;
}

std::string_view script_of(char32_t c) {
  for (const Block& block : kBlocks)
    if (c >= block.first && c <= block.last) return block.script;
  return {};
}

// In lower case where that is a constant away.
char32_t lower(char32_t c) {
  if ((c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7) || (c >= 0x410 && c <= 0x42F))
    return c + 32;
  return c == 0x404 ? 0x454 : c == 0x406 ? 0x456 : c == 0x401 ? 0x451 : c;
}

struct Counts {
  std::map<std::string_view, int64_t> letters;  // by script
  std::map<std::string, int64_t> words;
  int64_t all = 0, other = 0;  // letters; other visible characters
};

Counts count(std::string_view text) {
  Counts counts;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) ++counts.words[word];
    word.clear();
  };
  const auto* p = reinterpret_cast<const uint8_t*>(text.data());
  const uint8_t* end = p + text.size();
  while (p < end) {
    const CodePoint c = decode_utf8(p, end);
    p += c.size;
    const std::string_view script = script_of(c.value);
    if (script.empty()) {
      end_word();
      counts.other += c.value > 0x20 ? 1 : 0;
      continue;
    }
    ++counts.letters[script];
    ++counts.all;
    append_utf8(word, lower(c.value));
  }
  end_word();
  return counts;
}

// The script that most letters are in, of a text that has some; a language where one alone has it.
std::string_view script_of(const Counts& counts) {
  const auto most =
      std::ranges::max_element(counts.letters, {}, [](const auto& each) { return each.second; });
  // Japanese is written in Han, too; more than a twentieth of kana tells it apart.
  const auto kana = counts.letters.find("ja");
  const bool is_japanese =
      most->first == "zh" && kana != counts.letters.end() && kana->second * 20 > counts.all;
  return is_japanese ? "ja" : most->first;
}

// How many words of the text are the language's.
int64_t words_of(const FunctionWords& language, const Counts& counts) {
  int64_t found = 0;
  for (const std::string_view word : language.words)
    if (const auto at = counts.words.find(std::string(word)); at != counts.words.end())
      found += at->second;
  return found;
}

}  // namespace

std::string language_of(std::string_view text) {
  const Counts counts = count(text);
  if (counts.all == 0 || counts.other > counts.all) return "none";
  const std::string_view script = script_of(counts);
  std::string_view best = script;
  int64_t highest = 1;  // two function words at least
  for (const FunctionWords& each : function_words()) {
    if (each.script != script) continue;
    const int64_t found = words_of(each, counts);
    if (found <= highest) continue;
    highest = found;
    best = each.language;
  }
  return std::string(best);
}

std::vector<std::string> known_languages() {
  std::set<std::string> all;
  for (const Block& block : kBlocks)
    if (block.script.size() == 2) all.emplace(block.script);
  for (const FunctionWords& each : function_words()) all.emplace(each.language);
  return {all.begin(), all.end()};
}

bool may_be_in(std::string_view text, std::string_view language) {
  const Counts counts = count(text);
  if (counts.all == 0) return true;
  const std::string_view script = script_of(counts);
  if (script == language) return true;
  const auto own = std::ranges::find(function_words(), language, &FunctionWords::language);
  if (own == function_words().end() || own->script != script) return false;
  const int64_t found = words_of(*own, counts);
  return std::ranges::none_of(function_words(), [&](const FunctionWords& each) {
    return each.script == script && words_of(each, counts) > found;
  });
}

}  // namespace lathe
