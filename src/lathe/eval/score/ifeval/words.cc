#include "lathe/eval/score/ifeval/words.h"

#include <algorithm>
#include <set>
#include <string>

#include "lathe/eval/score/ifeval/text_parts.h"

namespace lathe {
namespace {

using Characters = std::u32string_view;

std::u32string characters_in(std::string_view text) {
  const std::vector<char32_t> all = jinja::characters_of(text);
  return {all.begin(), all.end()};
}

bool is_word(char32_t c) { return c == '_' || jinja::is_word_character(c); }

template <class F>
void for_each_stretch(Characters text, F&& f) {
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    while (end < text.size() && !jinja::is_space(text[end])) ++end;
    if (end > begin) f(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

bool has_only_capitals(Characters word) {
  return jinja::has_case(jinja::text_of({word.begin(), word.end()}), true);
}

// Whether c is a word of its own wherever it stands.
bool is_mark(char32_t c) {
  constexpr Characters kMarks = U";@#$%&?!*[](){}<>\"`«»“”„‘’\u2012\u2013\u2014\u2015";
  return kMarks.find(c) != Characters::npos;
}

// Characters that are one word by themselves at `at`: 0 where a word goes on.
size_t mark_at(Characters text, size_t at) {
  const Characters rest = text.substr(at);
  if (rest.starts_with(U"--") || rest.starts_with(U"''")) return 2;
  if (rest.starts_with(U"..")) return std::min(rest.find_first_not_of(U'.'), rest.size());
  const bool in_number = rest.size() > 1 && rest[1] >= '0' && rest[1] <= '9';
  if ((rest[0] == ',' || rest[0] == ':') && !in_number) return 1;
  return is_mark(rest[0]) ? 1 : 0;
}

// The length of one of `endings` at the end of a word that has more before it.
size_t ending_of(Characters word, std::initializer_list<Characters> endings) {
  for (const Characters ending : endings)
    if (word.size() > ending.size() && word.ends_with(ending) &&
        word[word.size() - ending.size() - 1] != '\'')
      return ending.size();
  return 0;
}

// A word without marks, cut before 's, n't and the like.
int64_t capitals_of_word(Characters word) {
  int64_t count = 0;
  const auto cut = [&](std::initializer_list<Characters> endings) {
    const size_t size = ending_of(word, endings);
    count += size > 0 && has_only_capitals(word.substr(word.size() - size));
    word.remove_suffix(size);
  };
  cut({U"'s", U"'S", U"'m", U"'M", U"'d", U"'D", U"'"});
  cut({U"'ll", U"'LL", U"'re", U"'RE", U"'ve", U"'VE", U"n't", U"N'T"});
  return count + has_only_capitals(word);
}

int64_t capitals_of_stretch(Characters stretch) {
  int64_t count = 0;
  size_t begin = 0;
  for (size_t at = 0; at < stretch.size();) {
    const size_t mark = mark_at(stretch, at);
    if (mark == 0) {
      ++at;
      continue;
    }
    count += capitals_of_word(stretch.substr(begin, at - begin));
    begin = at += mark;
  }
  return count + capitals_of_word(stretch.substr(begin));
}

// Two words that are written as one.
const Regex& joined_words() {
  static const SharedRegex kJoined = expression(
      R"((?i)\b(?:can(?=not\b)|gim(?=me\b)|gon(?=na\b)|got(?=ta\b)|lem(?=me\b)|wan(?=na\s)|d(?='ye\b)|more(?='n\b)))");
  return *kJoined;
}

// Of a word before a point that ends no sentence; in small letters.
bool is_abbreviation(std::string_view word) {
  static const std::set<std::string_view> kAbbreviations = {
      "mr",  "mrs",  "ms",   "dr",  "prof", "st",  "jr",  "sr",  "vs",  "etc",  "inc", "ltd",
      "co",  "corp", "no",   "fig", "al",   "e.g", "i.e", "cf",  "vol", "dept", "est", "gen",
      "col", "sgt",  "capt", "lt",  "rev",  "hon", "gov", "sen", "rep", "jan",  "feb", "mar",
      "apr", "aug",  "sept", "oct", "nov",  "dec", "a.m", "p.m", "ave", "blvd", "mt",  "approx"};
  const bool initials =
      word.size() == 1 ? (word[0] >= 'a' && word[0] <= 'z') : word.find('.') != word.npos;
  return initials || kAbbreviations.contains(word);
}

bool is_first_word(std::string_view word) {
  static const std::set<std::string_view> kFirst = {
      "the",  "this", "that",  "these", "those", "it",   "he",      "she", "they", "we",  "you",
      "in",   "on",   "at",    "but",   "and",   "so",   "however", "if",  "when", "for", "there",
      "what", "who",  "where", "why",   "how",   "then", "a",       "an",  "i"};
  return kFirst.contains(word);
}

bool has_capital_first(std::string_view word) {
  return !word.empty() && word[0] >= 'A' && word[0] <= 'Z';
}

// Whether a sentence ends behind `word`, before `next`.
bool ends_sentence(std::string_view word, std::string_view next) {
  constexpr std::string_view kClosing = "\"')]}*_", kOpening = "\"'([{*_";
  while (!word.empty() && kClosing.find(word.back()) != kClosing.npos) word.remove_suffix(1);
  word.remove_prefix(std::min(word.find_first_not_of(kOpening), word.size()));
  next.remove_prefix(std::min(next.find_first_not_of(kOpening), next.size()));
  if (word.ends_with('?') || word.ends_with('!')) return true;
  if (!word.ends_with('.')) return false;
  if (word.ends_with("..")) return has_capital_first(next);
  word.remove_suffix(1);
  if (!is_abbreviation(jinja::lower_case_of(word))) return true;
  const std::string first =
      jinja::lower_case_of(next.substr(0, std::min(next.find_first_of(".,;:!?'"), next.size())));
  return word.size() > 1 && has_capital_first(next) && is_first_word(first);
}

}  // namespace

int64_t count_words(std::string_view text) {
  int64_t count = 0;
  bool inside = false;
  for (const char32_t c : jinja::characters_of(text)) {
    count += is_word(c) && !inside;
    inside = is_word(c);
  }
  return count;
}

int64_t count_capital_words(std::string_view text) {
  std::string apart;
  size_t at = 0;
  joined_words().for_each_match(text, [&](size_t, size_t end) {
    apart.append(text.substr(at, end - at)).append(" ");
    at = end;
  });
  const std::u32string all = characters_in(apart.append(text.substr(at)));
  int64_t count = 0;
  for_each_stretch(all, [&](Characters stretch) { count += capitals_of_stretch(stretch); });
  return count;
}

int64_t count_sentences(std::string_view text) {
  std::vector<std::string> words;
  for_each_stretch(characters_in(text), [&](Characters stretch) {
    words.push_back(jinja::text_of({stretch.begin(), stretch.end()}));
  });
  int64_t count = words.empty() ? 0 : 1;
  for (size_t i = 0; i + 1 < words.size(); ++i) count += ends_sentence(words[i], words[i + 1]);
  return count;
}

}  // namespace lathe
