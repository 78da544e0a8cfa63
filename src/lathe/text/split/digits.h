// How a recipe for training a tokenizer may have numbers cut, each as a pre-tokeniser that
// `tokenizers` reads, too.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "lathe/base/catalogue.h"
#include "lathe/text/format/json_fields.h"
#include "lathe/text/split/split_step.h"

namespace lathe {

// Makes a step to put before the others; null for none.
using MakeDigitStep = text_json::Json (*)();
using DigitPolicy = CatalogueEntry<MakeDigitStep>;
// none, single, threes, threes_from_right
extern const std::span<const DigitPolicy> kDigitPolicies;

// 1234567 as 1 234 567. An engine looks from each match to the end of the number, which is
// quadratic; threes_from_the_right() cuts the same pieces in one pass.
inline constexpr std::string_view kThreesFromTheRight = R"(\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N})))";
std::unique_ptr<Splitter> threes_from_the_right();

}  // namespace lathe
