// Instructions in plain English that have exactly one right answer.
#include <algorithm>
#include <array>

#include "lathe/eval/draws.h"
#include "lathe/eval/generated/kinds.h"

namespace lathe {
namespace {

using Words = std::vector<std::string>;

constexpr std::array<const char*, 40> kNouns = {
    "apple", "bread",  "chair", "cloud", "coat",  "door",  "eagle",  "field", "fish",   "flower",
    "fox",   "garden", "glass", "hand",  "horse", "house", "island", "key",   "lake",   "lamp",
    "leaf",  "letter", "moon",  "night", "ocean", "paper", "pear",   "queen", "river",  "road",
    "salt",  "ship",   "stone", "table", "tree",  "uncle", "valley", "wall",  "winter", "yard"};

Words repeated(const Words& words, size_t times) {
  Words out;
  for (const std::string& word : words) out.insert(out.end(), times, word);
  return out;
}

Words in_capitals(Words words) {
  for (std::string& word : words)
    for (char& c : word) c = static_cast<char>(c - 'a' + 'A');
  return words;
}

Words initials(Words words) {
  for (std::string& word : words) word.resize(1);
  return words;
}

Words sorted(Words words) {
  std::ranges::sort(words);
  return words;
}

struct Instruction {
  const char* before;  // the words
  const char* behind;  // them
  Words (*follow)(const Words&);
};
constexpr std::array<Instruction, 7> kInstructions = {{
    {"the words", "in capital letters", [](const Words& w) { return in_capitals(w); }},
    {"the words", "from the last to the first",
     [](const Words& w) { return Words(w.rbegin(), w.rend()); }},
    {"the words", "in alphabetical order", [](const Words& w) { return sorted(w); }},
    {"the first letters of the words", "in this order", [](const Words& w) { return initials(w); }},
    {"the words", "each two times in a row", [](const Words& w) { return repeated(w, 2); }},
    {"the words", "each three times in a row", [](const Words& w) { return repeated(w, 3); }},
    {"the words", "each four times in a row", [](const Words& w) { return repeated(w, 4); }},
}};

struct Separator {
  const char *name, *text;
};
constexpr std::array<Separator, 4> kSeparators = {
    {{"blank", " "}, {"comma", ","}, {"hyphen", "-"}, {"slash", "/"}}};

std::string joined(const Words& words, std::string_view between) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += between;
    text += word;
  }
  return text;
}

std::string listed(const Words& words) {
  return joined({words.begin(), words.end() - 1}, ", ") + " and " + words.back();
}

}  // namespace

// A guess follows one of the instructions, with one of the separators, on the words of the prompt.
GeneratedItem make_instructions(const Rng& rng, int64_t size) {
  Draws draws(rng);
  Words words;
  for (const int64_t noun : draws.different(size, std::ssize(kNouns)))
    words.emplace_back(kNouns[static_cast<size_t>(noun)]);
  const Instruction& asked =
      kInstructions[static_cast<size_t>(draws.below(std::ssize(kInstructions)))];
  const Separator& between = kSeparators[static_cast<size_t>(draws.below(std::ssize(kSeparators)))];
  const std::string target = joined(asked.follow(words), between.text);
  double right = 0;
  for (const Instruction& instruction : kInstructions)
    for (const Separator& separator : kSeparators)
      right += joined(instruction.follow(words), separator.text) == target;
  return {std::string("Write ") + asked.before + " " + listed(words) + " " + asked.behind +
              ", with a " + between.name + " between them:",
          " " + target, right / static_cast<double>(kInstructions.size() * kSeparators.size())};
}

}  // namespace lathe
