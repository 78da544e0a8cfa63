// Quantisation with feedback of errors, against the paper's first form of it and against rounding.
#include "lathe/model/gguf/error_feedback.h"

#include <cmath>

#include "lathe/model/gguf/architecture.h"
#include "lathe/model/gguf/write_gguf.h"
#include "model/folder_testing.h"

namespace lathe::testing {
namespace {

Tensor normal(const Shape& shape, uint64_t seed) {
  const Tensor x(shape, DType::kF32);
  for (int64_t i = 0; i < x.numel(); ++i)
    x.data<float>()[i] = static_cast<float>(Rng(seed).normal(static_cast<uint64_t>(i)));
  return x;
}

// The mean of x·xᵀ of inputs each of which is like the one before it.
Tensor moments_of_related(int64_t columns) {
  constexpr int64_t kRows = 2000;
  const Tensor noise = normal({kRows, columns}, 3);
  const Tensor m = Tensor::zeros({columns, columns}, DType::kF32);
  for (int64_t row = 0; row < kRows; ++row) {
    float* x = noise.data<float>() + row * columns;
    for (int64_t c = 1; c < columns; ++c) x[c] = 0.9f * x[c - 1] + 0.44f * x[c];
    for (int64_t i = 0; i < columns; ++i)
      for (int64_t j = 0; j < columns; ++j) m.data<float>()[i * columns + j] += x[i] * x[j] / kRows;
  }
  return m;
}

// The inverse by elimination.
std::vector<std::vector<double>> inverse_of(std::vector<std::vector<double>> a) {
  const size_t n = a.size();
  for (size_t i = 0; i < n; ++i) {
    a[i].resize(2 * n);
    a[i][n + i] = 1;
  }
  for (size_t i = 0; i < n; ++i) {
    const double pivot = a[i][i];
    for (double& v : a[i]) v /= pivot;
    for (size_t r = 0; r < n; ++r) {
      const double factor = a[r][i];
      for (size_t c = 0; r != i && c < 2 * n; ++c) a[r][c] -= factor * a[i][c];
    }
  }
  for (auto& row : a) row.erase(row.begin(), row.begin() + static_cast<ptrdiff_t>(n));
  return a;
}

// One row by the formulas of optimal brain quantisation (Frantar & Alistarh 2022, arXiv:2208.11580):
// after a column is rounded, it is taken out of the inverse.
std::vector<std::byte> one_by_one(std::vector<double> w, const Tensor& moments,
                                  const BlockType& type) {
  const size_t n = w.size();
  std::vector<std::vector<double>> h(n, std::vector<double>(n));
  double mean = 0;
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) h[i][j] = moments.data<float>()[i * n + j];
  for (size_t i = 0; i < n; ++i) mean += h[i][i] / static_cast<double>(n);
  for (size_t i = 0; i < n; ++i) h[i][i] += 0.1 * mean;
  auto inverse = inverse_of(h);
  const auto width = static_cast<size_t>(type.block), bytes = static_cast<size_t>(type.bytes);
  std::vector<std::byte> out(n / width * bytes);
  std::vector<BlockGrid> grid(width);
  std::vector<int> q(width);
  for (size_t j = 0; j < n; ++j) {
    const auto block = std::span(out).subspan(j / width * bytes, bytes);
    if (j % width == 0) {
      const std::vector<float> now(w.begin() + static_cast<ptrdiff_t>(j),
                                   w.begin() + static_cast<ptrdiff_t>(j + width));
      type.encode(now, {}, block);
      type.grid(block, grid);
    }
    const BlockGrid& g = grid[j % width];
    q[j % width] =
        std::clamp(static_cast<int>(std::lround((w[j] - g.offset) / g.scale)), g.lowest, g.highest);
    const double error = w[j] - (double{g.scale} * q[j % width] + g.offset), pivot = inverse[j][j];
    for (size_t k = j; k < n; ++k) w[k] -= error * inverse[j][k] / pivot;
    const auto row = inverse[j];
    for (size_t a = 0; a < n; ++a)
      for (size_t b = 0; b < n; ++b) inverse[a][b] -= row[a] * row[b] / pivot;
    if (j % width == width - 1) type.put(q, block);
  }
  return out;
}

TEST(ErrorFeedback, IsThatOfOneColumnAfterTheOther) {
  constexpr int64_t kColumns = 96;  // more than a panel of the factorisation
  const Tensor w = normal({11, kColumns}, 1), moments = moments_of_related(kColumns);
  const ErrorFeedback feedback(moments);
  for (const char* name : {"Q8_0", "Q4_0", "Q5_1"}) {
    const BlockType& type = *find_block_type(name);
    const auto got = feedback.encode(w, type, {}).blocks;
    const size_t row_bytes = got.size() / 11;
    for (size_t row = 0; row < 11; ++row) {
      const float* from = w.data<float>() + row * kColumns;
      const auto want = one_by_one({from, from + kColumns}, moments, type);
      EXPECT_TRUE(std::equal(want.begin(), want.end(),
                             got.begin() + static_cast<ptrdiff_t>(row * row_bytes)))
          << name << row;
    }
  }
}

TEST(ErrorFeedback, LowersTheErrorOfOutputs) {
  const Tensor w = normal({64, 256}, 1);
  const ErrorFeedback feedback(moments_of_related(256));
  for (const BlockType& type : block_types()) {
    if (type.grid == nullptr) continue;
    const EncodedTensor plain = encode_tensor("w", w, type, {}), fed = feedback.encode(w, type, {});
    const auto error = [&](const EncodedTensor& encoded) {
      return feedback.output_error(w, decode_tensor(encoded.blocks, type, w.shape()));
    };
    EXPECT_LT(error(fed), 0.5 * error(plain)) << type.name;
    EXPECT_GT(fed.squared_error, plain.squared_error) << type.name;
  }
}

// Where inputs are not related, nothing can be made good.
TEST(ErrorFeedback, IsRoundingForUnrelatedInputs) {
  const Tensor w = normal({5, 256}, 1), moments = Tensor::zeros({256, 256}, DType::kF32);
  std::vector<float> importance;
  for (int64_t i = 0; i < 256; ++i) {
    moments.data<float>()[i * 257] = 1.0f + static_cast<float>(i % 5);
    importance.push_back(moments.data<float>()[i * 257]);
  }
  const ErrorFeedback feedback(moments);
  for (const char* name : {"Q4_K", "Q6_K", "Q4_0"}) {
    const BlockType& type = *find_block_type(name);
    EXPECT_EQ(feedback.encode(w, type, importance).blocks,
              encode_tensor("w", w, type, importance).blocks)
        << name;
  }
  // 2·(1²·1 + 3²·2), for errors of 1 and 3 in columns 0 and 1.
  const Tensor off = w.narrow(0, 0, 2).clone();
  for (int64_t row = 0; row < 2; ++row) {
    off.data<float>()[row * 256] += 1;
    off.data<float>()[row * 256 + 1] -= 3;
  }
  EXPECT_NEAR(feedback.output_error(w.narrow(0, 0, 2), off), 38, 1e-3);
  const ErrorFeedback blind(Tensor::zeros({256, 256}, DType::kF32));  // inputs that are always 0
  const BlockType& type = *find_block_type("Q4_K");
  EXPECT_EQ(blind.encode(w, type, {}).blocks, encode_tensor("w", w, type, {}).blocks);
}

class Moments : public Folder {
 protected:
  static ModelConfig config() {
    ModelConfig c = family_config("llama");
    c.hidden_size = 64;
    c.intermediate_size = 64;
    c.num_attention_heads = 4;
    c.num_key_value_heads = 2;
    c.head_dim = 16;
    return c;
  }
  static std::vector<int32_t> some_text() {
    std::vector<int32_t> text;
    for (int i = 0; i < 40; ++i) text.push_back(i * i % 7);
    return text;
  }
};

TEST_F(Moments, DiagonalIsTheImportance) {
  const auto model = make_model(config(), DType::kF32, Device::kCpu);
  const auto text = some_text();
  const Importances importances = calibrate(*model, text, {.window = 8});
  InputMoments together(*model, text, {.window = 8}), one_by_one(*model, text, {.window = 8}, 1);
  int matrices = 0;
  for (const DiskTensor& t : map_weights(*model, gguf_architecture_of(config()))) {
    const Tensor* moments = together.of(t);
    ASSERT_EQ(moments != nullptr, t.shape.rank() == 2 && t.name != "token_embd.weight") << t.name;
    if (moments == nullptr) continue;
    ++matrices;
    EXPECT_EQ(moments->to_vector(), one_by_one.of(t)->to_vector()) << t.name;
    const int64_t n = moments->size(0);
    for (int64_t i = 0; i < n; ++i) {
      const float diagonal = moments->data<float>()[i * n + i];
      EXPECT_NEAR(diagonal, importances.at(t.name)[static_cast<size_t>(i)], 1e-4 * diagonal);
    }
  }
  EXPECT_GE(matrices, 14);
}

TEST_F(Moments, AFileTakesWhatIsBetter) {
  const auto model = make_model(config(), DType::kF32, Device::kCpu);
  const auto text = some_text();
  InputMoments moments(*model, text, {.window = 8});
  const auto written =
      write_gguf(*model, folder_ / "fed.gguf",
                 {.types = {find_block_type("Q4_0")}, .from = "m", .moments = &moments});
  write_gguf(*model, folder_ / "plain.gguf", {.types = {find_block_type("Q4_0")}, .from = "m"});
  EXPECT_GT(std::ranges::count_if(written, &WrittenTensor::has_feedback), 7);
  InputMoments again(*model, text, {.window = 8});
  const auto fed = load_model(folder_ / "fed.gguf", {}),
             plain = load_model(folder_ / "plain.gguf", {});
  const auto tensors = [](Transformer& m) {
    return map_weights(m, gguf_architecture_of(m.config()));
  };
  const auto of_model = tensors(*model), of_fed = tensors(*fed), of_plain = tensors(*plain);
  for (size_t i = 0; i < of_model.size(); ++i) {
    const Tensor* m = again.of(of_model[i]);
    if (m == nullptr) continue;
    const ErrorFeedback measure(*m);
    const auto values = [&](const DiskTensor& t) { return t.gather(value_of).clone(); };
    const Tensor w = values(of_model[i]);
    const double with = measure.output_error(w, values(of_fed[i])),
                 without = measure.output_error(w, values(of_plain[i]));
    EXPECT_EQ(with < without, written[i].has_feedback) << written[i].name;
    EXPECT_LE(with, without) << written[i].name;
  }
}

TEST_F(Moments, ProgressMayStopIt) {
  const auto model = make_model(config(), DType::kF32, Device::kCpu);
  const auto text = some_text();
  InputMoments moments(*model, text, {.window = 8, .progress = [](int64_t) {
                                        fail(ErrorKind::kInterrupted, "test", "stopped");
                                      }});
  EXPECT_NE(error_text([&] {
              write_gguf(*model, folder_ / "x.gguf",
                         {.types = {find_block_type("Q4_0")}, .from = "m", .moments = &moments});
            }).find("stopped"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "x.gguf"));
}

}  // namespace
}  // namespace lathe::testing
