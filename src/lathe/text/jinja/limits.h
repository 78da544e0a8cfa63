// What a template may use before it is stopped.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lathe::jinja {

struct Limits {
  int64_t steps = 10'000'000;       // expressions, statements and elements worked on
  size_t bytes = size_t{1} << 30;   // of all texts and lists made on the way, added up
  size_t output = size_t{1} << 26;  // of one text
  int depth = 800;  // of expressions and statements within each other, calls included
};

inline constexpr int64_t kMaxRange = 100'000;  // elements of range(), as in Jinja's sandbox
inline constexpr int kMaxValueDepth = 200;     // lists in lists that are printed or compared
inline constexpr int kMaxNesting = 200;        // of a template's own expressions and blocks
inline constexpr int kMaxHeight = 500;         // of an expression: a + b + c has 3
inline constexpr size_t kMaxSource = size_t{1} << 24;

}  // namespace lathe::jinja
