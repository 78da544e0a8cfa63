// The block types against the reference in goldens/blocks.gguf (tools/make_gguf_goldens.py), and
// what their own search for scales must fulfil.

#include "lathe/tensor/blocks/block_type.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/io/gguf.h"
#include "paths.h"

namespace lathe {
namespace {

const GgufReader& goldens() {
  static const GgufReader file((testing::tests_folder() / "io/goldens/blocks.gguf").string());
  return file;
}

std::vector<float> floats(const std::string& name) {
  const ArraySpan* array = goldens().find(name);
  EXPECT_NE(array, nullptr) << name;
  std::vector<float> out(array->bytes.size() / sizeof(float));
  std::memcpy(out.data(), array->bytes.data(), array->bytes.size());
  return out;
}

std::vector<std::byte> encode(const BlockType& type, std::span<const float> x,
                              std::span<const float> importance = {}) {
  const size_t blocks = x.size() / static_cast<size_t>(type.block);
  std::vector<std::byte> out(blocks * static_cast<size_t>(type.bytes));
  type.encode(x, importance, out);
  return out;
}

std::vector<float> decode(const BlockType& type, std::span<const std::byte> blocks) {
  std::vector<float> out(blocks.size() / static_cast<size_t>(type.bytes) *
                         static_cast<size_t>(type.block));
  type.decode(blocks, out);
  return out;
}

double squared_error(std::span<const float> x, std::span<const float> y,
                     std::span<const float> w = {}) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i)
    sum += (w.empty() ? 1.0 : w[i]) * std::pow(double{x[i]} - double{y[i]}, 2);
  return sum;
}

std::vector<float> normal(size_t count, uint64_t seed) {
  std::vector<float> x(count);
  const Rng rng(seed);
  for (size_t i = 0; i < count; ++i) x[i] = static_cast<float>(rng.normal(i));
  return x;
}

TEST(BlockType, TableHasNoTwins) {
  for (const BlockType& type : block_types()) {
    EXPECT_EQ(find_block_type(type.id), &type);
    EXPECT_EQ(find_block_type(type.name), &type);
    EXPECT_TRUE(type.encode == nullptr || type.decode != nullptr) << type.name;
  }
  EXPECT_EQ(find_block_type(uint32_t{4}), nullptr);
  EXPECT_EQ(find_block_type("Q4_2"), nullptr);
}

TEST(BlockType, DecodesAsTheReference) {
  size_t seen = 0;
  for (const BlockType& type : block_types()) {
    const ArraySpan* blocks = goldens().find(type.name);
    if (blocks == nullptr) continue;
    ++seen;
    EXPECT_EQ(decode(type, blocks->bytes), floats(std::string(type.name) + ".elements"))
        << type.name;
  }
  EXPECT_EQ(seen, 13u);
}

TEST(BlockType, SimpleTypesRoundAsTheReference) {
  const auto source = floats("source");
  for (const char* name : {"F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"}) {
    const auto want = goldens().find(name)->bytes;
    const auto got = encode(*find_block_type(name), source);
    EXPECT_TRUE(std::ranges::equal(got, want)) << name;
  }
}

// The relative error of each type on normal numbers, as measured with other quantisers; a wrong bit
// anywhere is far above it.
TEST(BlockType, ErrorOnNormalNumbers) {
  const auto x = normal(64 * 256, 3);
  const std::pair<const char*, double> most[] = {
      {"F32", 0},      {"F16", 5e-4},   {"BF16", 3e-3},  {"Q8_0", 0.008},
      {"Q4_0", 0.12},  {"Q4_1", 0.10},  {"Q5_0", 0.06},  {"Q5_1", 0.05},
      {"Q4_K", 0.080}, {"Q5_K", 0.040}, {"Q6_K", 0.020},
  };
  const std::vector<float> zero(x.size(), 0.0f);
  for (const auto& [name, bound] : most) {
    const BlockType& type = *find_block_type(name);
    const double error = squared_error(x, decode(type, encode(type, x))) / squared_error(x, zero);
    EXPECT_LE(std::sqrt(error), bound) << name;
  }
}

// With weights, the weighted error is smaller than with rounding that knows nothing of them.
TEST(BlockType, ImportanceLowersTheWeightedError) {
  const auto x = normal(16 * 256, 5);
  std::vector<float> w = normal(x.size(), 6);
  for (float& v : w) v = std::exp(2 * v);
  for (const BlockType& type : block_types()) {
    if (type.encode == nullptr || type.is_plain()) continue;
    const double plain = squared_error(x, decode(type, encode(type, x)), w);
    const double weighted = squared_error(x, decode(type, encode(type, x, w)), w);
    EXPECT_LT(weighted, plain) << type.name;
  }
}

TEST(BlockType, EqualNumbersAndZerosAreKept) {
  for (const BlockType& type : block_types()) {
    if (type.encode == nullptr) continue;
    for (const float value : {0.0f, 0.5f, -0.5f}) {
      const std::vector<float> x(256, value), ones(256, 1.0f);
      for (const auto& w : {std::vector<float>(), ones})
        for (const float y : decode(type, encode(type, x, w)))
          EXPECT_NEAR(y, value, 2e-3) << type.name;
    }
  }
}

// What was decoded is a fixed point of the simple types with an offset or a symmetric range.
TEST(BlockType, DecodedNumbersStay) {
  const auto x = normal(8 * 256, 9);
  for (const char* name : {"F16", "BF16", "Q8_0"}) {
    const BlockType& type = *find_block_type(name);
    const auto once = decode(type, encode(type, x));
    EXPECT_EQ(decode(type, encode(type, once)), once) << name;
  }
}

// Any integers on the grid of a block can be put into it, and are what it decodes to.
TEST(BlockType, IntegersOnTheGridAreDecoded) {
  const auto x = normal(256, 12);
  for (const BlockType& type : block_types()) {
    EXPECT_EQ(type.grid != nullptr, type.encode != nullptr && !type.is_plain()) << type.name;
    if (type.grid == nullptr) continue;
    const auto block = static_cast<size_t>(type.block);
    auto bytes = encode(type, std::span(x).first(block));
    std::vector<BlockGrid> grid(block);
    type.grid(bytes, grid);
    std::vector<int> q(block);
    std::vector<float> want(block);
    const Rng rng(7);
    for (size_t i = 0; i < block; ++i) {
      const int span = grid[i].highest - grid[i].lowest + 1;
      EXPECT_EQ(span, type.name == "Q8_0" ? 255 : 1 << (type.name[1] - '0')) << type.name;
      q[i] = grid[i].lowest + static_cast<int>(rng.uniform(i) * static_cast<float>(span));
      if (i < 2) q[i] = i == 0 ? grid[i].lowest : grid[i].highest;
      want[i] = grid[i].scale * static_cast<float>(q[i]) + grid[i].offset;
    }
    type.put(q, bytes);
    EXPECT_EQ(decode(type, bytes), want) << type.name;
    std::vector<BlockGrid> after(block);
    type.grid(bytes, after);
    for (size_t i = 0; i < block; ++i) EXPECT_EQ(after[i].scale, grid[i].scale) << type.name;
  }
}

}  // namespace
}  // namespace lathe
