// Made items against the rule that their prompt states, worked out here from the prompt alone.
#include "lathe/eval/generated/generated.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cctype>
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

// Where the target begins in a solved line.
size_t end_of_prompt(std::string_view kind, const std::string& line) {
  if (kind == "addition" || kind == "addition_of_many") return line.find('=') + 1;
  if (kind == "instructions" || kind == "cot_addition") return line.find(':') + 1;
  return line.rfind("->") + 2;
}

std::string joined(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += " " + word;
  return text;
}

size_t place_of(const Words& words, const std::string& word) {
  return static_cast<size_t>(std::ranges::find(words, word) - words.begin());
}

Words split(const std::string& text, const std::string& between) {
  Words parts;
  size_t at = 0;
  for (size_t end; (end = text.find(between, at)) != std::string::npos; at = end + between.size())
    parts.push_back(text.substr(at, end - at));
  parts.push_back(text.substr(at));
  return parts;
}

// "12+34+56=" or "12+34+56 step by step:".
std::string truth_of_sum(const std::string& line) {
  const Words numbers = split(line.substr(0, line.find_first_of(" =")), "+");
  std::string steps;
  int64_t sum = std::stoll(numbers[0]);
  for (size_t i = 1; i < numbers.size(); ++i) {
    const std::string before = std::to_string(sum);
    sum += std::stoll(numbers[i]);
    steps += (i == 1 ? " " : "; ") + before + "+" + numbers[i] + "=" + std::to_string(sum);
  }
  return line.ends_with("=") ? std::to_string(sum) : steps;
}

// From the first two examples; the others must agree.
std::string truth_of_line(const std::string& line) {
  const Words parts = split(line.substr(8), ";");
  std::vector<std::array<double, 2>> points;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    std::istringstream in(parts[i]);
    double x = 0, y = 0;
    in >> x >> y;
    points.push_back({x, y});
  }
  const double a = (points[1][1] - points[0][1]) / (points[1][0] - points[0][0]),
               b = points[0][1] - a * points[0][0];
  for (const auto& [x, y] : points) EXPECT_NEAR(a * x + b, y, 1e-9) << line;
  EXPECT_TRUE(a >= 1 && a <= 9 && b >= 0 && b <= 9) << line;
  return " " + std::to_string(std::lround(a * std::stod(parts.back()) + b));
}

std::string truth_of_instruction(const std::string& line) {
  const size_t list = line.find("words ") + 6, with = line.find(", with a ");
  std::string asked = line.substr(list, with - list);
  const size_t last = asked.find(" and ");
  Words words = split(asked.substr(0, last), ", ");
  asked = asked.substr(last + 5);
  words.push_back(asked.substr(0, asked.find(' ')));
  asked = asked.substr(asked.find(' ') + 1);
  std::string separator = line.substr(with + 9, line.find(" between them:") - with - 9), text;
  separator = std::map<std::string, std::string>{
      {"blank", " "},
      {"comma", ","},
      {"hyphen", "-"},
      {"slash",
       "/"}}.at(separator);
  if (asked == "in alphabetical order")
    words = [&] {
      const std::set<std::string> ordered(words.begin(), words.end());
      return Words(ordered.begin(), ordered.end());
    }();
  if (asked == "from the last to the first") std::ranges::reverse(words);
  const std::map<std::string, int> times = {{"each two times in a row", 2},
                                            {"each three times in a row", 3},
                                            {"each four times in a row", 4}};
  for (std::string word : words) {
    if (line.starts_with("Write the first letters of ")) word = word.substr(0, 1);
    if (asked == "in capital letters")
      std::ranges::transform(word, word.begin(), [](unsigned char c) { return std::toupper(c); });
    for (int i = times.contains(asked) ? times.at(asked) : 1; i > 0; --i)
      text += (text.empty() ? "" : separator) + word;
  }
  return " " + text;
}

// What the sentence says that names what is asked for at the end.
std::string truth_of_needle(const std::string& prompt) {
  const size_t question = prompt.rfind("\n\nWhat is the ") + 14;
  const std::string name = prompt.substr(question, prompt.find('?', question) - question);
  EXPECT_TRUE(prompt.ends_with("? The " + name + " is")) << prompt;
  const size_t number = prompt.rfind("The " + name + " is ") + name.size() + 8;
  return " " + prompt.substr(number, prompt.find('.', number) - number);
}

std::string truth(std::string_view kind, const std::string& prompt) {
  const std::string line = prompt.substr(prompt.rfind('\n') + 1);
  if (kind.find("addition") != std::string_view::npos) return truth_of_sum(line);
  if (kind == "linear") return truth_of_line(line);
  if (kind == "instructions") return truth_of_instruction(line);
  Words words = words_of(prompt);
  if (kind == "needle") return truth_of_needle(prompt);
  if (kind == "labels") {  // dax -> A; wug -> B; dax ->
    std::map<std::string, std::string> labels;
    words = split(line.substr(8), "; ");
    for (size_t i = 0; i + 1 < words.size(); ++i)
      labels[words[i].substr(0, 3)] = words[i].substr(7);
    EXPECT_EQ(words.back().substr(3), " ->");
    return " " + labels.at(words.back().substr(0, 3));
  }
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
      for (const GeneratedItem& item : made(kind, {.sizes = {size}, .items = 25, .seed = 3})) {
        EXPECT_EQ(item.target, truth(kind.name, item.prompt)) << item.prompt;
        EXPECT_GT(item.chance, 0) << item.prompt;
        EXPECT_LT(item.chance, 1) << item.prompt;
      }
}

// Nor is there an answer that is right for a third of them.
TEST(Generated, NoPromptComesTwiceAndNoAnswerDominates) {
  for (const GeneratedKind& kind : generated_kinds()) {
    const auto items = made(kind, {.sizes = {6}, .items = 300, .seed = 1});
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
        made(find_in(generated_kinds(), "kind", kind), {.sizes = {size}, .items = 2000, .seed = 5});
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

TEST(Generated, LabelsAreGuessedAmongThoseShown) {
  const auto items =
      made(find_in(generated_kinds(), "kind", "labels"), {.sizes = {8}, .items = 200, .seed = 4});
  for (const GeneratedItem& item : items) {
    std::set<std::string> labels;
    for (const std::string& each : split(item.prompt, "-> ")) labels.insert(each.substr(0, 1));
    labels.erase("l");  // what stands before the first
    EXPECT_EQ(item.chance, 1.0 / static_cast<double>(labels.size())) << item.prompt;
    EXPECT_EQ(labels.size(), 4U) << item.prompt;
  }
}

// Whoever follows any instruction is right as often as it is said.
TEST(Generated, AnInstructionIsGuessedAmongAll) {
  const auto items = made(find_in(generated_kinds(), "kind", "instructions"),
                          {.sizes = {2}, .items = 400, .seed = 6});
  double more = 0;
  for (const GeneratedItem& item : items) {
    EXPECT_GE(item.chance, 1.0 / 28) << item.prompt;
    more += item.chance > 1.0 / 28;
    const bool in_order = item.prompt.find("in alphabetical order") != std::string::npos ||
                          item.prompt.find("to the first") != std::string::npos;
    // Two instructions with one answer: the words from the last to the first are in order as well.
    EXPECT_TRUE(in_order || item.chance == 1.0 / 28) << item.prompt;
  }
  EXPECT_GT(more, 20);
}

TEST(Generated, SizesTakeTurns) {
  for (const GeneratedKind& kind : generated_kinds()) {
    const auto items = made(kind, {.sizes = {3, 4, 5}, .items = 20, .shots = 1, .seed = 1});
    for (size_t i = 0; i < items.size(); ++i) {
      EXPECT_EQ(items[i].size, static_cast<int64_t>(3 + i % 3));
      EXPECT_EQ(items[i].target, truth(kind.name, items[i].prompt)) << items[i].prompt;
    }
  }
  const GeneratedKind& reverse = find_in(generated_kinds(), "kind", "reverse");
  const auto items = made(reverse, {.sizes = {2, 3, 4, 5, 6, 7, 8, 9}, .items = 30});
  for (const GeneratedItem& item : items)
    EXPECT_EQ(std::ssize(words_of(item.prompt)), item.size) << item.prompt;
  EXPECT_EQ(error_text([&] { made(reverse, {.sizes = {}}); }), "[sizes] names no size");
  EXPECT_EQ(error_text([&] {
              made(reverse, {.sizes = {2, 300}});
            }),
            "[size] 300 is out of range; 'reverse' takes 2 to 256 words");
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
    for (const GeneratedItem& item :
         made(kind, {.sizes = {4}, .items = 10, .shots = 2, .seed = 2})) {
      EXPECT_EQ(item.target, truth(kind.name, item.prompt));
      if (kind.in_text) continue;  // of several lines; below
      std::istringstream lines(item.prompt);
      std::string line;
      for (int shot = 0; shot < 2; ++shot) {
        ASSERT_TRUE(std::getline(lines, line));
        const size_t end = end_of_prompt(kind.name, line);
        EXPECT_EQ(line.substr(end), truth(kind.name, line.substr(0, end))) << item.prompt;
      }
    }
}

TEST(Generated, RefusesWhatAKindDoesNotHave) {
  const auto refusal = [](const char* kind, const GeneratedOptions& options) {
    return error_text([&] { made(find_in(generated_kinds(), "kind", kind), options); });
  };
  EXPECT_EQ(refusal("induction", {.sizes = {2}}),
            "[size] 2 is out of range; 'induction' takes 3 to 256 words");
  const std::string few = refusal("addition", {.sizes = {1}, .items = 500});
  EXPECT_TRUE(few.starts_with("[items] 'addition' of size 1 has hardly more than ")) << few;
  EXPECT_EQ(refusal("addition", {.sizes = {2}, .items = 500}), "no error");  // as it says
}

}  // namespace
}  // namespace lathe
