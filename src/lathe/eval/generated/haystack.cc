#include "lathe/eval/generated/haystack.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "lathe/base/error.h"
#include "lathe/corpus/documents.h"

namespace lathe {
namespace {

constexpr int64_t kMostWordsOfAPiece = 100;

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

int64_t words_in(std::string_view text) {
  int64_t count = 0;
  for (size_t i = 0; i < text.size(); ++i)
    count += !is_space(text[i]) && (i == 0 || is_space(text[i - 1]));
  return count;
}

// Behind the white space at `at`, and how many line ends that has.
std::pair<size_t, int> behind_space(std::string_view text, size_t at) {
  int lines = 0;
  for (; at < text.size() && is_space(text[at]); ++at) lines += text[at] == '\n';
  return {at, lines};
}

// "Mr." or the "J." of a name.
bool is_abbreviation(std::string_view word) {
  constexpr std::string_view kAll[] = {"Mr.",  "Mrs.", "Ms.",  "Dr.",  "St.", "Prof.", "Capt.",
                                       "Col.", "Gen.", "Lt.",  "Rev.", "vs.", "No.",   "i.e.",
                                       "e.g.", "cf.",  "etc.", "viz.", "Vol."};
  const auto is = [&](std::string_view each) { return word == each; };
  return std::ranges::any_of(kAll, is) ||
         (word.size() == 2 && word[0] >= 'A' && word[0] <= 'Z' && word[0] != 'I' && word[1] == '.');
}

// Whether a word ends a sentence: … .” or ?) or !
bool ends_sentence(std::string_view word) {
  constexpr std::string_view kClosing[] = {"\"", "'", ")", "]", "_", "*", "”", "’", "»"};
  constexpr std::string_view kEnds[] = {".", "!", "?", "…"};
  if (is_abbreviation(word)) return false;
  for (bool cut = true; cut;) {
    cut = false;
    for (const std::string_view each : kClosing)
      if (word.ends_with(each)) {
        word.remove_suffix(each.size());
        cut = true;
      }
  }
  return std::ranges::any_of(kEnds, [&](std::string_view end) { return word.ends_with(end); });
}

// Calls use(word, where the next one begins, line ends before that) for each word of [begin, end).
template <class F>
void for_each_word(std::string_view text, size_t begin, size_t end, F&& use) {
  for (size_t at = begin; at < end;) {
    const size_t first = at;
    while (at < end && !is_space(text[at])) ++at;
    const std::string_view word = text.substr(first, at - first);
    const auto [next, lines] = behind_space(text.substr(0, end), at);
    at = next;
    use(word, at, lines);
  }
}

// Where the sentences of a text begin, and its end. It begins with a word.
std::vector<size_t> sentences_of(std::string_view text) {
  std::vector<size_t> begins = {0};
  for_each_word(text, 0, text.size(), [&](std::string_view word, size_t next, int lines) {
    if (next < text.size() && (lines > 1 || ends_sentence(word))) begins.push_back(next);
  });
  begins.push_back(text.size());
  return begins;
}

// Cuts what is too long at line ends, or else between words.
std::vector<size_t> pieces_of(std::string_view text, const std::vector<size_t>& sentences) {
  std::vector<size_t> begins;
  for (size_t i = 0; i + 1 < sentences.size(); ++i) {
    const size_t begin = sentences[i], end = sentences[i + 1];
    begins.push_back(begin);
    if (words_in(text.substr(begin, end - begin)) <= kMostWordsOfAPiece) continue;
    int64_t since = 0;
    for_each_word(text, begin, end, [&](std::string_view, size_t next, int lines) {
      if (next == end || (++since < kMostWordsOfAPiece && lines == 0)) return;
      begins.push_back(next);
      since = 0;
    });
  }
  begins.push_back(text.size());
  return begins;
}

std::string trimmed(std::string text) {
  while (!text.empty() && is_space(text.back())) text.pop_back();
  text.erase(0, behind_space(text, 0).first);
  return text;
}

// "a" or one of the others.
template <size_t kCount>
std::string one_of(Draws& draws, const std::array<const char*, kCount>& words) {
  return words[static_cast<size_t>(draws.below(kCount))];
}

std::string made_sentence(Draws& draws) {
  constexpr std::array<const char*, 16> kWho = {
      "baker", "captain", "carpenter", "clerk",  "doctor", "farmer",  "gardener",  "miller",
      "nurse", "painter", "porter",    "sailor", "tailor", "teacher", "traveller", "weaver"};
  constexpr std::array<const char*, 12> kHow = {"old",    "young",    "patient", "tired",
                                                "quiet",  "cheerful", "careful", "tall",
                                                "hungry", "honest",   "silent",  "proud"};
  constexpr std::array<const char*, 12> kDid = {"carried",    "cleaned",    "found",  "forgot",
                                                "kept",       "looked for", "mended", "painted",
                                                "remembered", "sold",       "wanted", "wrapped"};
  constexpr std::array<const char*, 16> kWhat = {
      "basket", "blanket", "bottle", "bucket", "candle", "chair", "coat",  "hammer",
      "kettle", "ladder",  "lamp",   "letter", "mirror", "rope",  "stove", "umbrella"};
  constexpr std::array<const char*, 12> kWhere = {
      "in the cellar",    "behind the barn", "under the bridge", "near the river",
      "at the old mill",  "by the window",   "on the road",      "in the kitchen",
      "beside the fence", "in the garden",   "across the field", "upstairs"};
  constexpr std::array<const char*, 10> kWhen = {
      "In the morning", "After supper",   "Before the rain", "On a warm day", "Late at night",
      "In the spring",  "Without a word", "Once again",      "For a while",   "Every autumn"};
  std::string text = draws.below(2) == 0 ? "The " : one_of(draws, kWhen) + " the ";
  text += one_of(draws, kHow) + " " + one_of(draws, kWho) + " " + one_of(draws, kDid) + " the " +
          one_of(draws, kWhat);
  if (draws.below(2) == 0) text += " of the " + one_of(draws, kWho);
  return text + " " + one_of(draws, kWhere) + ".";
}

}  // namespace

size_t Passage::border_at(int64_t depth) const {
  const auto wanted = static_cast<double>(depth * words_before.back()) / 100;
  const auto distance = [&](int64_t words) {
    return std::abs(static_cast<double>(words) - wanted);
  };
  return static_cast<size_t>(std::ranges::min_element(words_before, {}, distance) -
                             words_before.begin());
}

Haystack::Haystack(std::string text, std::string name)
    : text_(trimmed(std::move(text))),
      name_(std::move(name)),
      begins_(pieces_of(text_, sentences_of(text_))),
      words_({0}) {
  for (size_t i = 0; i + 1 < begins_.size(); ++i)
    words_.push_back(words_.back() + words_in(std::string_view(text_).substr(
                                         begins_[i], begins_[i + 1] - begins_[i])));
}

Haystack Haystack::of_files(std::span<const std::string> paths) {
  std::string text;
  for_each_document(list_text_files(paths).files, {}, [&](Document&& document) {
    text += document.text + "\n\n";
    return true;
  });
  return {std::move(text), paths.size() == 1 ? paths[0] : std::string("--text")};
}

void Haystack::require_words(int64_t words) const {
  require(words <= this->words(), ErrorKind::kData, name_,
          "has {} words (between white space), but an item of size {} takes as many; name more "
          "or longer files with --text, or ask for smaller sizes",
          this->words(), words);
}

Passage Haystack::passage(Draws& draws, int64_t words) const {
  // The last piece behind which, with its own, there are enough words.
  const auto last = std::ranges::upper_bound(words_, words_.back() - words) - words_.begin() - 1;
  const auto first = static_cast<size_t>(draws.below(last + 1));
  const int64_t before = words_[first];
  size_t end =
      static_cast<size_t>(std::ranges::lower_bound(words_, before + words) - words_.begin());
  if (end > first + 1 && before + words - words_[end - 1] < words_[end] - before - words) --end;
  Passage passage;
  passage.text = trimmed(text_.substr(begins_[first], begins_[end] - begins_[first]));
  for (size_t i = first; i <= end; ++i) {
    passage.borders.push_back(std::min(begins_[i] - begins_[first], passage.text.size()));
    passage.words_before.push_back(words_[i] - before);
  }
  return passage;
}

Passage made_passage(Draws& draws, int64_t words) {
  Passage passage{.text = {}, .borders = {0}, .words_before = {0}};
  while (passage.words_before.back() < words) {
    const std::string sentence = made_sentence(draws);
    const int64_t more = words_in(sentence), now = passage.words_before.back();
    if (now > 0 && words - now < now + more - words) break;
    passage.text += sentence + " ";
    passage.borders.push_back(passage.text.size());
    passage.words_before.push_back(now + more);
  }
  passage.text.pop_back();
  passage.borders.back() = passage.text.size();
  return passage;
}

}  // namespace lathe
