#include "lathe/eval/generated/generated.h"

#include <unordered_set>

#include "lathe/base/error.h"
#include "lathe/eval/generated/haystack.h"
#include "lathe/eval/generated/kinds.h"

namespace lathe {
namespace {

constexpr int64_t kMostWords = 256, kMostSummands = 64, kMostWordsOfText = 200000;

// A kind that is its size alone.
template <GeneratedItem (*kMake)(const Rng&, int64_t)>
GeneratedItem of_size(const Rng& rng, const ItemShape& shape) {
  return kMake(rng, shape.size);
}

constexpr GeneratedKind kKinds[] = {
    {"addition", "12+34=, the sum of two numbers", "digits of each number", 1, 17,
     of_size<make_addition>},
    {"copy", "copy: q w e ->, the same words again", "words", 2, kMostWords, of_size<make_copy>},
    {"reverse", "reverse: q w e ->, the words from the last to the first", "words", 2, kMostWords,
     of_size<make_reverse>},
    {"sort", "sort: 5 17 2 ->, the numbers in ascending order", "numbers", 2, kMostWords,
     of_size<make_sort>},
    {"recall", "recall: k 3 m 7 ? m ->, the digit behind the key that is asked for", "keys", 2,
     kMostWords, of_size<make_recall>},
    {"hop", "hop: a=b c=d b=c ? a 2 ->, where so many arrows lead from there", "arrows", 2,
     kMostWords, of_size<make_hop>},
    {"induction", "induction: q w e w ->, what followed the last word when it came before", "words",
     3, kMostWords, of_size<make_induction>},
    {"labels", "labels: dax -> A; wug -> B; dax ->, the label that the word has here", "words", 2,
     kMostWords, of_size<make_labels>},
    {"linear", "linear: 2 7; 5 13; 3 ->, y = a*x + b (a 1 to 9, b 0 to 9, x 0 to 20)", "examples",
     2, kLinearArguments - 1, of_size<make_linear>},
    {"instructions", "Write the words pear and fox in capital letters, with a comma between them:",
     "words", 2, 12, of_size<make_instructions>},
    {"addition_of_many", "12+34+56=, the sum, at once", "numbers of two digits", 2, kMostSummands,
     of_size<make_addition_of_many>},
    {"cot_addition", "12+34+56 step by step:, each sum on the way to the last",
     "numbers of two digits", 2, kMostSummands, of_size<make_cot_addition>},
    {"needle", "a sentence with a number somewhere in a long text, behind which it is asked for",
     "words of the text", 1, kMostWordsOfText, make_needle, true},
};

GeneratedItem with_shots(const GeneratedKind& kind, int64_t shots, const ItemShape& shape,
                         const Rng& rng, GeneratedItem item) {
  std::string before;
  for (int64_t shot = 0; shot < shots; ++shot) {
    const GeneratedItem solved =
        kind.make(rng.fork("shot").fork(static_cast<uint64_t>(shot)), shape);
    before += solved.prompt + solved.target + "\n";
  }
  item.prompt = before + item.prompt;
  return item;
}

void check_sizes(const GeneratedKind& kind, const GeneratedOptions& o) {
  require(!o.sizes.empty(), ErrorKind::kConfig, "sizes", "names no size");
  for (const int64_t size : o.sizes) {
    require(size >= kind.smallest && size <= kind.largest, ErrorKind::kConfig, "size",
            "{} is out of range; '{}' takes {} to {} {}", size, kind.name, kind.smallest,
            kind.largest, kind.size);
    if (o.text) o.text->require_words(size);
  }
}

}  // namespace

std::span<const GeneratedKind> generated_kinds() { return kKinds; }

void make_items(const GeneratedKind& kind, const GeneratedOptions& o,
                const std::function<void(const GeneratedItem&)>& use) {
  check_sizes(kind, o);
  const auto sizes = std::ssize(o.sizes), depths = std::ssize(o.depths);
  constexpr uint64_t kTries = 1000;
  // Prompts by their hashes: should two share one, the later is drawn again.
  std::unordered_set<uint64_t> seen;
  const Rng root = Rng(o.seed).fork(kind.name);
  for (int64_t i = 0; i < o.items; ++i) {
    const Rng rng = root.fork(static_cast<uint64_t>(i));
    const ItemShape shape{.size = o.sizes[static_cast<size_t>(i % sizes)],
                          .depth = o.depths[static_cast<size_t>(i / sizes % depths)],
                          .distractors = o.distractors,
                          .text = o.text};
    uint64_t attempt = 0;
    GeneratedItem item = kind.make(rng.fork(attempt), shape);
    while (!seen.insert(Rng().fork(item.prompt).key()).second) {
      require(
          ++attempt < kTries, ErrorKind::kConfig, "items",
          "'{}' of size {} has hardly more than {} different prompts; ask for fewer, or for a larger size",
          kind.name, shape.size, i / sizes);
      item = kind.make(rng.fork(attempt), shape);
    }
    item.size = shape.size;
    item.depth = shape.depth;
    use(with_shots(kind, o.shots, shape, rng, std::move(item)));
  }
}

}  // namespace lathe
