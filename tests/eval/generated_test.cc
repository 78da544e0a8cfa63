// Made items against the rule that their prompt states, worked out here from the prompt alone.
#include "lathe/eval/generated/generated.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <sstream>

#include "io/temp_folder.h"
#include "lathe/base/catalogue.h"

namespace lathe {
namespace {

using Words = std::vector<std::string>;

std::vector<GeneratedItem> made(const GeneratedKind& kind, const GeneratedOptions& options) {
  std::vector<GeneratedItem> items;
  make_items(kind, options, [&](const GeneratedItem& item) { items.push_back(item); });
  return items;
}

// Between the colon and the arrow of the last line.
Words words_of(const std::string& prompt) {
  const std::string line = prompt.substr(prompt.rfind('\n') + 1);
  std::istringstream in(line.substr(line.find(':') + 1));
  Words words;
  for (std::string word; in >> word && word != "->";) words.push_back(word);
  return words;
}

std::string joined(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += " " + word;
  return text;
}

size_t place_of(const Words& words, const std::string& word) {
  return static_cast<size_t>(std::ranges::find(words, word) - words.begin());
}

std::string truth(std::string_view kind, const std::string& prompt) {
  if (kind == "addition") {
    const std::string line = prompt.substr(prompt.rfind('\n') + 1);
    const size_t plus = line.find('+');
    EXPECT_EQ(line.back(), '=');
    return std::to_string(std::stoll(line.substr(0, plus)) + std::stoll(line.substr(plus + 1)));
  }
  Words words = words_of(prompt);
  if (kind == "copy") return joined(words);
  if (kind == "reverse") {
    std::ranges::reverse(words);
    return joined(words);
  }
  if (kind == "sort") {
    std::ranges::sort(words, {}, [](const std::string& word) { return std::stoi(word); });
    return joined(words);
  }
  if (kind == "induction") return " " + words[place_of(words, words.back()) + 1];
  const size_t asked = place_of(words, "?");
  std::map<std::string, std::string> next;
  if (kind == "recall") {
    for (size_t i = 0; i < asked; i += 2) next[words[i]] = words[i + 1];
    return " " + next.at(words[asked + 1]);
  }
  for (size_t i = 0; i < asked; ++i) {
    const size_t equals = words[i].find('=');
    next[words[i].substr(0, equals)] = words[i].substr(equals + 1);
  }
  std::string at = words[asked + 1];
  for (int hop = std::stoi(words[asked + 2]); hop > 0; --hop) at = next.at(at);
  return " " + at;
}

TEST(Generated, EveryTargetFollowsFromItsPrompt) {
  for (const GeneratedKind& kind : generated_kinds())
    for (const int64_t size : {kind.smallest, int64_t{6}, std::min<int64_t>(40, kind.largest)})
      for (const GeneratedItem& item : made(kind, {.size = size, .items = 25, .seed = 3})) {
        EXPECT_EQ(item.target, truth(kind.name, item.prompt)) << item.prompt;
        EXPECT_GT(item.chance, 0) << item.prompt;
        EXPECT_LT(item.chance, 1) << item.prompt;
      }
}

// Nor is there an answer that is right for a third of them.
TEST(Generated, NoPromptComesTwiceAndNoAnswerDominates) {
  for (const GeneratedKind& kind : generated_kinds()) {
    const auto items = made(kind, {.size = 6, .items = 300, .seed = 1});
    std::set<std::string> prompts;
    std::map<std::string, int> answers;
    int most = 0;
    for (const GeneratedItem& item : items) {
      prompts.insert(item.prompt);
      most = std::max(most, ++answers[item.target]);
    }
    EXPECT_EQ(prompts.size(), 300U) << kind.name;
    EXPECT_LT(most, 100) << kind.name;
  }
}

// A guesser that knows the form of an answer, and nothing of the rule.
TEST(Generated, AGuessIsRightAsOftenAsItIsSaid) {
  const auto hits = [](const char* kind, int64_t size, const auto& guess) {
    const auto items =
        made(find_in(generated_kinds(), "kind", kind), {.size = size, .items = 2000, .seed = 5});
    double right = 0, said = 0;
    uint64_t index = 0;
    for (const GeneratedItem& item : items) {
      right += guess(words_of(item.prompt), Rng(9).fork(index++)) == item.target;
      said += item.chance;
    }
    EXPECT_NEAR(right, said, 4 * std::sqrt(said)) << kind;
  };
  hits("recall", 5, [](const Words& words, const Rng& rng) {
    std::set<std::string> values;
    for (size_t i = 1; i < place_of(words, "?"); i += 2) values.insert(words[i]);
    return " " + *std::next(values.begin(), static_cast<ptrdiff_t>(rng.below(0, values.size())));
  });
  hits("induction", 5, [](const Words& words, const Rng& rng) {
    Words others(words.begin(), words.end() - 1);
    std::erase(others, words.back());
    return " " + others[rng.below(0, others.size())];
  });
  hits("hop", 4, [](const Words& words, const Rng& rng) {
    std::set<std::string> places;
    for (size_t i = 0; i < place_of(words, "?"); ++i)
      for (const size_t at : {size_t{0}, words[i].find('=') + 1})
        places.insert(words[i].substr(at, 1));
    places.erase(words[words.size() - 2]);
    return " " + *std::next(places.begin(), static_cast<ptrdiff_t>(rng.below(0, places.size())));
  });
  hits("reverse", 3, [](Words words, const Rng& rng) {
    for (size_t i = words.size(); i > 1; --i) std::swap(words[i - 1], words[rng.below(i, i)]);
    return joined(words);
  });
}

TEST(Generated, ASeedGivesTheSameItemsHoweverManyAreMade) {
  const GeneratedKind& kind = find_in(generated_kinds(), "kind", "recall");
  const auto some = made(kind, {.items = 5, .seed = 7}),
             more = made(kind, {.items = 50, .seed = 7}),
             other = made(kind, {.items = 5, .seed = 8});
  for (size_t i = 0; i < some.size(); ++i) {
    EXPECT_EQ(some[i].prompt, more[i].prompt);
    EXPECT_NE(some[i].prompt, other[i].prompt);
  }
}

TEST(Generated, ShotsAreSolvedAndStandBefore) {
  for (const GeneratedKind& kind : generated_kinds())
    for (const GeneratedItem& item : made(kind, {.size = 4, .items = 10, .shots = 2, .seed = 2})) {
      std::istringstream lines(item.prompt);
      std::string line;
      for (int shot = 0; shot < 2; ++shot) {
        ASSERT_TRUE(std::getline(lines, line));
        const size_t end = kind.name == "addition" ? line.find('=') + 1 : line.find("->") + 2;
        EXPECT_EQ(line.substr(end), truth(kind.name, line.substr(0, end))) << item.prompt;
      }
      EXPECT_EQ(item.target, truth(kind.name, item.prompt));
    }
}

TEST(Generated, RefusesWhatAKindDoesNotHave) {
  const auto refusal = [](const char* kind, const GeneratedOptions& options) {
    return error_text([&] { made(find_in(generated_kinds(), "kind", kind), options); });
  };
  EXPECT_EQ(refusal("induction", {.size = 2}),
            "[size] 2 is out of range; 'induction' takes 3 to 256 words");
  const std::string few = refusal("addition", {.size = 1, .items = 500});
  EXPECT_TRUE(few.starts_with("[items] 'addition' of size 1 has hardly more than ")) << few;
  EXPECT_EQ(refusal("addition", {.size = 2, .items = 500}), "no error");  // as it says
}

}  // namespace
}  // namespace lathe
