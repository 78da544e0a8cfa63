// A needle in a haystack (Kamradt 2023, LLMTest_NeedleInAHaystack): a sentence that has nothing to do with the text around
// it, and a question that only it answers. Needles with other names beside it are those of Hsieh et al. 2024,
// arXiv:2404.06654.
#include <algorithm>
#include <array>

#include "lathe/base/error.h"
#include "lathe/eval/draws.h"
#include "lathe/eval/generated/haystack.h"
#include "lathe/eval/generated/kinds.h"

namespace lathe {
namespace {

constexpr std::array<const char*, 16> kThings = {
    "archive", "bakery", "bridge", "brewery",     "cinema", "garden",  "harbour", "hospital",
    "library", "market", "museum", "observatory", "school", "station", "theatre", "tower"};
constexpr std::array<const char*, 24> kPlaces = {
    "Aarhus",  "Antwerp", "Bergen", "Bilbao", "Cork",     "Dresden", "Genoa",   "Ghent",
    "Haifa",   "Izmir",   "Krakow", "Leeds",  "Lyon",     "Malaga",  "Nantes",  "Odessa",
    "Palermo", "Porto",   "Quito",  "Riga",   "Santiago", "Tampere", "Utrecht", "Zagreb"};
constexpr int64_t kSmallestNumber = 10000, kLargestNumber = 99999;

struct Needle {
  std::string name, number;  // the number of the harbour at Odessa, 48213
  std::string sentence() const { return "The " + name + " is " + number + "."; }
};

// With names and numbers that are not in the text.
std::vector<Needle> drawn_needles(Draws& draws, int64_t count, const std::string& text) {
  const auto is_new = [&](const std::string& part) { return text.find(part) == std::string::npos; };
  std::vector<Needle> needles;
  const int64_t names = std::ssize(kThings) * std::ssize(kPlaces);
  for (const int64_t each : draws.different(names, names)) {
    if (std::ssize(needles) == count) break;
    Needle needle;
    needle.name = std::string("number of the ") +
                  kThings[static_cast<size_t>(each % std::ssize(kThings))] + " at " +
                  kPlaces[static_cast<size_t>(each / std::ssize(kThings))];
    needle.number = std::to_string(draws.between(kSmallestNumber, kLargestNumber));
    const bool taken = std::ranges::find(needles, needle.number, &Needle::number) != needles.end();
    if (!taken && is_new(needle.name) && is_new(needle.number))
      needles.push_back(std::move(needle));
  }
  require(std::ssize(needles) == count, ErrorKind::kData, "--text",
          "has so many of the needles' names and numbers that no {} are left; name another text",
          count);
  return needles;
}

// The text with the sentences of each border before it.
std::string with_sentences(const Passage& passage, const std::vector<std::string>& at_border) {
  std::string text;
  for (size_t b = 0; b < passage.borders.size(); ++b) {
    if (!at_border[b].empty()) {
      if (b + 1 == passage.borders.size()) text += ' ';
      text += at_border[b];
      if (b + 1 < passage.borders.size()) text += ' ';
    }
    if (b + 1 < passage.borders.size())
      text.append(passage.text, passage.borders[b], passage.borders[b + 1] - passage.borders[b]);
  }
  return text;
}

}  // namespace

// A guess is a number of five digits; where there are distractors one of those that the needles have.
GeneratedItem make_needle(const Rng& rng, const ItemShape& shape) {
  Draws draws(rng);
  const Passage passage =
      shape.text ? shape.text->passage(draws, shape.size) : made_passage(draws, shape.size);
  const std::vector<Needle> needles = drawn_needles(draws, shape.distractors + 1, passage.text);
  const size_t place = passage.border_at(shape.depth);
  std::vector<std::string> at_border(passage.borders.size());
  at_border[place] = needles[0].sentence();
  for (size_t i = 1; i < needles.size(); ++i) {
    auto other = static_cast<size_t>(draws.below(std::ssize(at_border) - 1));
    if (other >= place) ++other;
    at_border[other] += (at_border[other].empty() ? "" : " ") + needles[i].sentence();
  }
  const std::string& name = needles[0].name;
  return {with_sentences(passage, at_border) + "\n\nWhat is the " + name + "? The " + name + " is",
          " " + needles[0].number,
          1.0 / static_cast<double>(shape.distractors > 0 ? shape.distractors + 1
                                                          : kLargestNumber - kSmallestNumber + 1)};
}

}  // namespace lathe
