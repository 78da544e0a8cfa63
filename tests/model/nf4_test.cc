// Matrices that stay in NF4 are the rounded ones: as elements, in products and in their gradients.

#include "lathe/model/nf4.h"

#include <gtest/gtest.h>

#include <cmath>

#include "io/temp_folder.h"
#include "lathe/model/family.h"
#include "lathe/model/folder.h"
#include "lathe/model/load_model.h"
#include "lathe/model/transformer.h"
#include "lathe/ops/nf4_matrix.h"

namespace lathe::testing {
namespace {

// Shapes whose rows are no whole blocks of 64, fused and permuted on disk, and stored the other way round.
std::unique_ptr<Transformer> small_model(const std::string& family, DType dtype = DType::kF32) {
  ModelConfig c = default_config(find_family(family));
  c.vocab_size = 50;
  c.hidden_size = family == "gpt_neox" ? 32 : 24;  // an even number of channels rotates
  c.num_hidden_layers = 2;
  c.num_attention_heads = 4;
  c.intermediate_size = 40;
  if (c.moe.enabled() || family == "qwen3_moe") {
    c.moe.num_experts = 3;
    c.moe.num_experts_per_tok = 2;
    c.moe.moe_intermediate_size = 20;
  }
  auto model = std::make_unique<Transformer>(c);
  model->allocate(dtype);
  model->initialize(Rng(3));
  return model;
}

// Read in four bits from where `model` is saved.
std::unique_ptr<Transformer> packed(Transformer& model, DType dtype, bool scales) {
  const TempFolder folder;
  std::filesystem::create_directory(folder / "model");
  save_model(model, folder / "model", {});
  auto read = std::make_unique<Transformer>(model.config());
  load_as_nf4(*read, folder / "model", dtype, Device::kCpu, scales);
  return read;
}

class Nf4 : public ::testing::TestWithParam<const char*> {};

// Also where a file has other rows together than the model, or in another order.
TEST_P(Nf4, PackedMatricesAreTheRoundedOnes) {
  for (const bool scales : {false, true})
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      const auto rounded = small_model(GetParam(), dtype);
      const auto read = packed(*rounded, dtype, scales);
      round_to_nf4(*rounded, scales);
      EXPECT_EQ(read->activations(), dtype);
      const auto a = rounded->parameters(), b = read->parameters();
      int count = 0;
      for (size_t i = 0; i < a.size(); ++i) {
        const ops::PackedMatrix* w = b[i]->value.packed();
        const Tensor values = w != nullptr ? w->dense(dtype) : b[i]->value.tensor();
        EXPECT_EQ(a[i]->value.tensor().to_vector(), values.to_vector()) << a[i]->name;
        if (w == nullptr) continue;
        ++count;
        EXPECT_LT(b[i]->value.bytes(), a[i]->value.bytes() / (dtype == DType::kF32 ? 5 : 2))
            << a[i]->name;
      }
      EXPECT_GE(count, 8);
    }
}

INSTANTIATE_TEST_SUITE_P(, Nf4,
                         ::testing::Values("llama", "gpt2", "gpt_neox", "qwen3_moe", "falcon",
                                           "phi3"),
                         [](const auto& each) { return std::string(each.param); });

TEST(Nf4Matrix, ProductsAreThoseOfItsElements) {
  const auto model = packed(*small_model("llama"), DType::kF32, false);
  for (const Parameter* p : model->parameters()) {
    const ops::PackedMatrix* w = p->value.packed();
    if (w == nullptr) continue;
    const Tensor dense = w->dense(DType::kF64).to(Device::kRef);
    const auto [rows, columns] = std::pair(w->shape()[0], w->shape()[1]);
    const auto random = [&](int64_t n, int64_t m, int stream) {
      const Tensor t({n, m}, DType::kF32);
      for (int64_t i = 0; i < t.numel(); ++i)
        t.data<float>()[i] = static_cast<float>(Rng(stream).normal(static_cast<uint64_t>(i)));
      return t;
    };
    const Tensor x = random(5, columns, 1), dy = random(5, rows, 2),
                 bias = random(1, rows, 3).reshape({rows});
    const auto y = w->product(x, bias, DType::kF32).to_vector(),
               dx = w->product_backward(dy).to_vector();
    const auto xs = x.to_vector(), dys = dy.to_vector(), ws = dense.to_vector(),
               bs = bias.to_vector();
    for (int64_t n = 0; n < 5; ++n) {
      for (int64_t o = 0; o < rows; ++o) {
        double sum = bs[static_cast<size_t>(o)];
        for (int64_t i = 0; i < columns; ++i)
          sum +=
              xs[static_cast<size_t>(n * columns + i)] * ws[static_cast<size_t>(o * columns + i)];
        EXPECT_NEAR(y[static_cast<size_t>(n * rows + o)], sum, 1e-5 * (1 + std::abs(sum)));
      }
      for (int64_t i = 0; i < columns; ++i) {
        double sum = 0;
        for (int64_t o = 0; o < rows; ++o)
          sum += dys[static_cast<size_t>(n * rows + o)] * ws[static_cast<size_t>(o * columns + i)];
        EXPECT_NEAR(dx[static_cast<size_t>(n * columns + i)], sum, 1e-5 * (1 + std::abs(sum)));
      }
    }
  }
}

}  // namespace
}  // namespace lathe::testing
