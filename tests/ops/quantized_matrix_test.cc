// A matrix of quantised blocks in products. The kernels' own tests are in
// tests/kernels/quantized_matmul_test.cc.
#include "lathe/ops/quantized_matrix.h"

#include "ops/harness.h"

namespace lathe::testing {
namespace {

using Vars = std::vector<Var>;

// Random rows of blocks, and the parts of a matrix that point to them.
class Blocks {
 public:
  Blocks(std::string_view type, int64_t rows, int64_t columns) : type_(find_block_type(type)) {
    std::vector<float> x(static_cast<size_t>(rows * columns));
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(Rng(17).normal(i));
    row_bytes_ = columns / type_->block * type_->bytes;
    bytes_.resize(static_cast<size_t>(rows * row_bytes_));
    type_->encode(x, {}, bytes_);
    elements_.resize(x.size());
    type_->decode(bytes_, elements_);
  }
  ops::QuantizedMatrix::Rows rows(std::span<const int64_t> order) const {
    ops::QuantizedMatrix::Rows out{type_, {}};
    for (const int64_t row : order) out.blocks.push_back(bytes_.data() + row * row_bytes_);
    return out;
  }
  ops::QuantizedMatrix::Rows rows() const {
    std::vector<int64_t> order;
    for (int64_t at = 0; at * row_bytes_ < static_cast<int64_t>(bytes_.size()); ++at)
      order.push_back(at);
    return rows(order);
  }
  const std::vector<float>& elements() const { return elements_; }

 private:
  const BlockType* type_;
  int64_t row_bytes_;
  std::vector<std::byte> bytes_;
  std::vector<float> elements_;
};

std::vector<Case> cases() {
  static Arena arena;
  static const Blocks q8("Q8_0", 5, 32), q4("Q4_1", 17, 32);
  static const ops::QuantizedMatrix w(32, std::vector{q8.rows(), q4.rows()}, arena);
  return {{"plain",
           {{{3, 32}}},
           [](const Vars& v) -> Vars { return {ops::packed_linear(v[0], w, Var())}; }},
          {"bias", {{{2, 2, 32}}, {{22}, Kind::kGain}}, [](const Vars& v) -> Vars {
             return {ops::packed_linear(v[0], w, v[1])};
           }}};
}

class QuantizedLinear : public ::testing::TestWithParam<Case> {};
TEST_P(QuantizedLinear, HasTheGradientOfItsValue) { check_gradients(GetParam()); }
TEST_P(QuantizedLinear, AddsItsGradients) { check_sums(GetParam()); }
INSTANTIATE_TEST_SUITE_P(, QuantizedLinear, ::testing::ValuesIn(cases()), case_name);

TEST(QuantizedMatrix, IsTheRowsInTheirOrder) {
  Arena arena;
  const Blocks q6("Q6_K", 9, 256), q5("Q5_0", 4, 256);
  const std::vector<int64_t> order = {8, 0, 3, 3};
  const ops::QuantizedMatrix w(256, std::vector{q6.rows(order), q5.rows()}, arena);
  EXPECT_EQ(w.shape(), (Shape{8, 256}));
  const std::vector<double> dense = w.dense(DType::kF32).to_vector();
  for (size_t r = 0; r < 8; ++r)
    for (size_t i = 0; i < 256; ++i) {
      const size_t at = r < 4 ? static_cast<size_t>(order[r]) : r - 4;
      const auto& from = r < 4 ? q6.elements() : q5.elements();
      ASSERT_EQ(dense[r * 256 + i], static_cast<double>(from[at * 256 + i])) << r << " " << i;
    }
  const std::vector<double> some = w.dense_rows(3, 2).to_vector();
  EXPECT_EQ(some, std::vector<double>(dense.begin() + 3 * 256, dense.begin() + 5 * 256));
  EXPECT_EQ(w.dense(DType::kBF16).to_vector(), w.dense(DType::kF32).to(DType::kBF16).to_vector());
}

// 300 rows: more than a backward product decodes at a time.
TEST(QuantizedMatrix, BackwardIsThatOfTheDenseMatrix) {
  Arena arena;
  const Blocks blocks("Q4_0", 300, 64);
  const ops::QuantizedMatrix w(64, std::vector{blocks.rows()}, arena);
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    Tensor dy({7, 300}, DType::kF32);
    for (int64_t i = 0; i < dy.numel(); ++i)
      dy.data<float>()[i] = static_cast<float>(Rng(2).normal(static_cast<uint64_t>(i)));
    dy = dy.to(dtype);
    const Tensor dx = w.product_backward(dy), want({7, 64}, DType::kF64);
    EXPECT_EQ(dx.dtype(), dtype);
    kernels::ref_kernels().matmul(dy.to(DType::kF64), w.dense(DType::kF64), {}, want,
                                  kernels::Write::kOverwrite);
    const std::vector<double> got = dx.to_vector(), all = want.to_vector();
    for (size_t i = 0; i < all.size(); ++i)
      EXPECT_NEAR(got[i], all[i], dtype == DType::kF32 ? 1e-4 : 0.3) << i;
  }
}

TEST(QuantizedMatrix, RowsOfWholePartsAreAMatrix) {
  Arena arena;
  const Blocks q4("Q4_0", 5, 32), q8("Q8_0", 3, 32);
  const std::vector parts{q4.rows(), q8.rows(), q4.rows()};
  const ops::QuantizedMatrix w(32, parts, arena);
  const auto some = w.rows(5, 8);
  EXPECT_EQ(some->shape(), (Shape{8, 32}));
  EXPECT_EQ(some->dense(DType::kF32).to_vector(), w.dense_rows(5, 8).to_vector());
  EXPECT_EQ(some->bytes() + w.rows(0, 5)->bytes(), w.bytes());
  const Tensor x = tensor_of(random_values(3 * 32, Rng(1)), {3, 32}, DType::kF32, Device::kCpu);
  EXPECT_EQ(some->product(x, {}, DType::kF32).to_vector(),
            w.product(x, {}, DType::kF32).narrow(1, 5, 8).to_vector());
  EXPECT_THROW(w.rows(4, 4), Error);
  EXPECT_THROW(w.rows(5, 4), Error);
  EXPECT_THROW(w.rows(8, 6), Error);
}

TEST(QuantizedMatrix, RefusesOtherTypes) {
  Arena arena;
  const Blocks f16("F16", 2, 32), q8("Q8_0", 2, 32);
  EXPECT_THROW(ops::QuantizedMatrix(32, std::vector{f16.rows()}, arena), Error);
  EXPECT_THROW(ops::QuantizedMatrix(16, std::vector{q8.rows()}, arena), Error);
}

}  // namespace
}  // namespace lathe::testing
