// Needles: that the text around one is the text that was given, and the needle stands where it was asked to.
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <sstream>

#include "io/temp_folder.h"
#include "lathe/base/catalogue.h"
#include "lathe/eval/generated/generated.h"
#include "lathe/eval/generated/haystack.h"

namespace lathe {
namespace {

int64_t words_of(const std::string& text) {
  std::istringstream in(text);
  int64_t count = 0;
  for (std::string word; in >> word;) ++count;
  return count;
}

size_t count_of(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

// Sentences of 1 to 20 words, some over two lines and some at the end of a paragraph.
std::string book(int64_t sentences) {
  std::string text;
  for (int64_t s = 0; s < sentences; ++s) {
    const int64_t words = 1 + s * 7 % 20;
    for (int64_t w = 0; w < words; ++w)
      text += "w" + std::to_string(s) + "x" + std::to_string(w) +
              (w + 1 == words ? "."
               : w % 9 == 8   ? "\n"
                              : " ");
    text += s % 5 == 4 ? "\n\n" : " ";
  }
  return text;
}

std::vector<GeneratedItem> needles(const GeneratedOptions& options) {
  std::vector<GeneratedItem> items;
  make_items(find_in(generated_kinds(), "kind", "needle"), options,
             [&](const GeneratedItem& item) { items.push_back(item); });
  return items;
}

struct Parts {
  std::string before, needle, behind;  // of the haystack; the needle's sentence
};

Parts parts_of(const GeneratedItem& item) {
  const size_t question = item.prompt.rfind("\n\nWhat is the ");
  const std::string name =
      item.prompt.substr(question + 14, item.prompt.find('?', question) - question - 14);
  EXPECT_TRUE(item.prompt.ends_with("\n\nWhat is the " + name + "? The " + name + " is"));
  const std::string haystack = item.prompt.substr(0, question);
  const std::string needle = "The " + name + " is" + item.target + ".";
  EXPECT_EQ(count_of(item.prompt, needle), 1U) << item.prompt;
  EXPECT_EQ(count_of(item.prompt, item.target), 1U) << item.prompt;
  const size_t at = haystack.find(needle);
  return {haystack.substr(0, at), needle, haystack.substr(at + needle.size())};
}

TEST(Needle, StandsOnceAtItsDepthInTextOfItsLength) {
  const std::string text = book(400);
  const Haystack haystack(text, "book");
  GeneratedOptions o{.sizes = {60, 100, 700}, .items = 75, .seed = 3, .depths = {0, 25, 60, 100}};
  for (const Haystack* given : {static_cast<const Haystack*>(nullptr), &haystack}) {
    o.text = given;
    size_t i = 0;
    for (const GeneratedItem& item : needles(o)) {
      SCOPED_TRACE(item.prompt);
      EXPECT_EQ(item.size, o.sizes[i % 3]);
      EXPECT_EQ(item.depth, o.depths[i++ / 3 % 4]);
      const Parts parts = parts_of(item);
      const int64_t before = words_of(parts.before), all = before + words_of(parts.behind);
      // A sentence has 20 words at most.
      EXPECT_NEAR(all, item.size, 10);
      EXPECT_NEAR(before, static_cast<double>(item.depth * all) / 100, 10);
      EXPECT_TRUE(parts.before.empty() || parts.before.ends_with(". ") ||
                  parts.before.ends_with(".\n\n"));
      EXPECT_EQ(parts.before.empty(), item.depth == 0);
      EXPECT_EQ(parts.behind.empty(), item.depth == 100);
      if (!given) continue;
      // Without the needle it is a stretch of the text, white space and all.
      const std::string around = parts.behind.empty()
                                     ? parts.before.substr(0, parts.before.size() - 1)
                                     : parts.before + parts.behind.substr(1);
      EXPECT_NE(text.find(around), std::string::npos);
      EXPECT_EQ(item.chance, 1.0 / 90000);
    }
  }
}

TEST(Needle, DistractorsHaveOtherNamesAndNumbers) {
  const auto items = needles({.sizes = {60}, .items = 40, .depths = {0, 50}, .distractors = 3});
  for (const GeneratedItem& item : items) {
    SCOPED_TRACE(item.prompt);
    const Parts parts = parts_of(item);
    std::set<std::string> names, numbers;
    const std::string start = "The number of the ", haystack = parts.before + parts.behind;
    for (size_t at = haystack.find(start); at != std::string::npos;
         at = haystack.find(start, at + 1)) {
      const size_t is = haystack.find(" is ", at);
      names.insert(haystack.substr(at, is - at));
      numbers.insert(haystack.substr(is + 3, 6));
    }
    EXPECT_EQ(names.size(), 3U);
    EXPECT_EQ(numbers.size(), 3U);
    EXPECT_FALSE(numbers.contains(item.target));
    EXPECT_FALSE(names.contains(parts.needle.substr(0, parts.needle.find(" is "))));
    EXPECT_DOUBLE_EQ(item.chance, 0.25);
    EXPECT_EQ(parts.before.empty(), item.depth == 0);  // nothing stands where the needle does
  }
}

TEST(Needle, ASeedGivesTheSameBytesAndNoneTwice) {
  const Haystack haystack(book(60), "book");
  const GeneratedOptions o{.sizes = {30}, .items = 200, .seed = 5, .text = &haystack};
  const auto once = needles(o), again = needles(o);
  GeneratedOptions other = o;
  other.seed = 6;
  const auto others = needles(other);
  std::set<std::string> prompts;
  for (size_t i = 0; i < once.size(); ++i) {
    EXPECT_EQ(once[i].prompt, again[i].prompt);
    EXPECT_EQ(once[i].target, again[i].target);
    EXPECT_NE(once[i].prompt, others[i].prompt);
    prompts.insert(once[i].prompt);
  }
  EXPECT_EQ(prompts.size(), once.size());
}

TEST(Needle, ShotsAreSolvedNeedlesOfTheSameLength) {
  for (const GeneratedItem& item : needles({.sizes = {25}, .items = 5, .shots = 2})) {
    EXPECT_EQ(count_of(item.prompt, "\n\nWhat is the number of the "), 3U);
    EXPECT_EQ(count_of(item.prompt, item.target + "."), 1U);
    EXPECT_NEAR(words_of(item.prompt), 3 * (25 + 8 + 12), 60);
  }
}

TEST(Haystack, SentencesEndWhereTheyEnd) {
  const auto borders = [](const std::string& text) {
    const Haystack haystack(text, "t");
    Draws draws(Rng(1));
    const Passage all = haystack.passage(draws, haystack.words());
    std::vector<std::string> pieces;
    for (size_t b = 0; b + 1 < all.borders.size(); ++b)
      pieces.push_back(all.text.substr(all.borders[b], all.borders[b + 1] - all.borders[b]));
    return pieces;
  };
  using Pieces = std::vector<std::string>;
  EXPECT_EQ(
      borders("  Mr. J. Smith came.  \"Did he?\" I asked!\nHe said 3.5 no… Well"),
      (Pieces{"Mr. J. Smith came.  ", "\"Did he?\" ", "I asked!\n", "He said 3.5 no… ", "Well"}));
  EXPECT_EQ(borders("A heading\n\nand text\nthat goes on.\n"),
            (Pieces{"A heading\n\n", "and text\nthat goes on."}));
  // A sentence of too many words is cut at its lines, a line of too many after a hundred.
  std::string lines, line;
  for (int i = 0; i < 120; ++i) lines += i % 10 == 9 ? "x\n" : "x ";
  for (int i = 0; i < 250; ++i) line += "x ";
  EXPECT_EQ(borders(lines + "end.").size(), 13U);
  EXPECT_EQ(borders(line + "end.").size(), 3U);
}

TEST(Haystack, ATextThatIsTooShortSaysWhatToDo) {
  TempFolder folder;
  const std::string file = folder.write("short.txt", "Three words only.").string();
  const Haystack haystack = Haystack::of_files(std::vector{file});
  EXPECT_EQ(haystack.words(), 3);
  EXPECT_EQ(error_text([&] {
              needles({.sizes = {3, 50}, .text = &haystack});
            }),
            "[" + file +
                "] has 3 words (between white space), but an item of size 50 takes as many; name "
                "more or longer files with --text, or ask for smaller sizes");
  EXPECT_EQ(error_text([&] { needles({.sizes = {3}, .items = 1, .text = &haystack}); }),
            "no error");
  EXPECT_TRUE(error_text([&] {
                Haystack::of_files(std::vector{(folder / "none.txt").string()});
              }).find("none.txt") != std::string::npos);
}

}  // namespace
}  // namespace lathe
