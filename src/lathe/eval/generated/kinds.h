// The kinds; what they are stands in the catalogue (generated.cc).
#pragma once

#include "lathe/eval/generated/generated.h"

namespace lathe {

GeneratedItem make_addition(const Rng& rng, int64_t size);
GeneratedItem make_copy(const Rng& rng, int64_t size);
GeneratedItem make_reverse(const Rng& rng, int64_t size);
GeneratedItem make_sort(const Rng& rng, int64_t size);
GeneratedItem make_recall(const Rng& rng, int64_t size);
GeneratedItem make_hop(const Rng& rng, int64_t size);
GeneratedItem make_induction(const Rng& rng, int64_t size);
GeneratedItem make_labels(const Rng& rng, int64_t size);
GeneratedItem make_linear(const Rng& rng, int64_t size);
GeneratedItem make_instructions(const Rng& rng, int64_t size);
GeneratedItem make_addition_of_many(const Rng& rng, int64_t size);
GeneratedItem make_cot_addition(const Rng& rng, int64_t size);

GeneratedItem make_needle(const Rng& rng, const ItemShape& shape);

constexpr int64_t kLinearArguments = 21;  // from 0 to 20, all different in an item

}  // namespace lathe
