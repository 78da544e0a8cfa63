#include "lathe/eval/generated/generated.h"

#include <unordered_set>

#include "lathe/base/error.h"
#include "lathe/eval/generated/kinds.h"

namespace lathe {
namespace {

constexpr int64_t kMostWords = 256, kMostSummands = 64;

constexpr GeneratedKind kKinds[] = {
    {"addition", "12+34=, the sum of two numbers", "digits of each number", 1, 17, make_addition},
    {"copy", "copy: q w e ->, the same words again", "words", 2, kMostWords, make_copy},
    {"reverse", "reverse: q w e ->, the words from the last to the first", "words", 2, kMostWords,
     make_reverse},
    {"sort", "sort: 5 17 2 ->, the numbers in ascending order", "numbers", 2, kMostWords,
     make_sort},
    {"recall", "recall: k 3 m 7 ? m ->, the digit behind the key that is asked for", "keys", 2,
     kMostWords, make_recall},
    {"hop", "hop: a=b c=d b=c ? a 2 ->, where so many arrows lead from there", "arrows", 2,
     kMostWords, make_hop},
    {"induction", "induction: q w e w ->, what followed the last word when it came before", "words",
     3, kMostWords, make_induction},
    {"labels", "labels: dax -> A; wug -> B; dax ->, the label that the word has here", "words", 2,
     kMostWords, make_labels},
    {"linear", "linear: 2 7; 5 13; 3 ->, y = a*x + b (a 1 to 9, b 0 to 9, x 0 to 20)", "examples",
     2, kLinearArguments - 1, make_linear},
    {"instructions", "Write the words pear and fox in capital letters, with a comma between them:",
     "words", 2, 12, make_instructions},
    {"addition_of_many", "12+34+56=, the sum, at once", "numbers of two digits", 2, kMostSummands,
     make_addition_of_many},
    {"cot_addition", "12+34+56 step by step:, each sum on the way to the last",
     "numbers of two digits", 2, kMostSummands, make_cot_addition},
};

GeneratedItem with_shots(const GeneratedKind& kind, const GeneratedOptions& o, const Rng& rng,
                         GeneratedItem item) {
  std::string before;
  for (int64_t shot = 0; shot < o.shots; ++shot) {
    const GeneratedItem solved =
        kind.make(rng.fork("shot").fork(static_cast<uint64_t>(shot)), item.size);
    before += solved.prompt + solved.target + "\n";
  }
  item.prompt = before + item.prompt;
  return item;
}

}  // namespace

std::span<const GeneratedKind> generated_kinds() { return kKinds; }

void make_items(const GeneratedKind& kind, const GeneratedOptions& o,
                const std::function<void(const GeneratedItem&)>& use) {
  const int64_t last = o.last_size.value_or(o.size), sizes = last - o.size + 1;
  require(sizes >= 1, ErrorKind::kConfig, "sizes", "{}..{} has no size; expected the smaller first",
          o.size, last);
  for (const int64_t size : {o.size, last})
    require(size >= kind.smallest && size <= kind.largest, ErrorKind::kConfig, "size",
            "{} is out of range; '{}' takes {} to {} {}", size, kind.name, kind.smallest,
            kind.largest, kind.size);
  constexpr uint64_t kTries = 1000;
  // Prompts by their hashes: should two share one, the later is drawn again.
  std::unordered_set<uint64_t> seen;
  const Rng root = Rng(o.seed).fork(kind.name);
  for (int64_t i = 0; i < o.items; ++i) {
    const Rng rng = root.fork(static_cast<uint64_t>(i));
    const int64_t size = o.size + i % sizes;
    uint64_t attempt = 0;
    GeneratedItem item = kind.make(rng.fork(attempt), size);
    while (!seen.insert(Rng().fork(item.prompt).key()).second) {
      require(
          ++attempt < kTries, ErrorKind::kConfig, "items",
          "'{}' of size {} has hardly more than {} different prompts; ask for fewer, or for a larger size",
          kind.name, size, i / sizes);
      item = kind.make(rng.fork(attempt), size);
    }
    item.size = size;
    use(with_shots(kind, o, rng, std::move(item)));
  }
}

}  // namespace lathe
