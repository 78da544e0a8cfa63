// Log probabilities, entropies and the likeliest tokens against whole logits in plain loops.

#include "lathe/ops/token_log_probs.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "lathe/ops/cross_entropy.h"
#include "ops/harness.h"

namespace lathe::testing {
namespace {

struct Setting {
  std::string name;
  int64_t rows = 7, vocabulary = 11, width = 5;
  bool bias = true, entropy = true;
  double softcap = 0.0, temperature = 1.0;
  std::vector<int64_t> ignored = {2, 5};  // rows
  Place place = kSpecification;
  double tolerance = 1e-12;
};
std::ostream& operator<<(std::ostream& out, const Setting& s) { return out << s.name; }

// The values that both computations begin with, exact in the dtype of the setting.
struct Operands {
  Values hidden, weight, bias;
  std::vector<int32_t> labels;
  Values g, h;  // gradients of log probability and entropy; every fourth g is 0
};

Values exact(int64_t count, int stream, DType dtype) {
  return tensor_of(random_values(count, Rng(stream)), {count}, dtype, Device::kCpu).to_vector();
}

Operands operands_of(const Setting& s) {
  Operands o{.hidden = exact(s.rows * s.width, 1, s.place.dtype),
             .weight = exact(s.vocabulary * s.width, 2, s.place.dtype),
             .bias = exact(s.vocabulary, 3, DType::kF32),
             .labels = {},
             .g = exact(s.rows, 5, DType::kF32),
             .h = exact(s.rows, 6, DType::kF32)};
  for (int64_t n = 0; n < s.rows; ++n)
    o.labels.push_back(static_cast<int32_t>(Rng(4).below(static_cast<uint64_t>(n), s.vocabulary)));
  for (const int64_t n : s.ignored) o.labels[static_cast<size_t>(n)] = -1 - static_cast<int32_t>(n);
  for (size_t n = 1; n < o.g.size(); n += 4) o.g[n] = 0;
  if (!s.bias) o.bias.assign(o.bias.size(), 0.0);
  if (!s.entropy) o.h.assign(o.h.size(), 0.0);
  return o;
}

struct Outputs {
  Values log_probs, entropies, dhidden, dweight, dbias;
};

double dot(const double* a, const double* b, int64_t size) {
  return std::inner_product(a, a + size, b, 0.0);
}

// Row n: its results, and in `dlogits` what they give to logits before soft cap and temperature.
void naive_row(const Setting& s, const Operands& o, int64_t n, Outputs& out, Values& dlogits) {
  const auto size = static_cast<size_t>(s.vocabulary), row = static_cast<size_t>(n);
  const int32_t label = o.labels[row];
  if (label < 0) return;
  Values raw(size), z(size), p(size);
  for (size_t v = 0; v < size; ++v) {
    raw[v] = dot(&o.hidden[row * s.width], &o.weight[v * s.width], s.width) + o.bias[v];
    z[v] = (s.softcap > 0 ? s.softcap * std::tanh(raw[v] / s.softcap) : raw[v]) / s.temperature;
  }
  const double max = std::ranges::max(z);
  for (size_t v = 0; v < size; ++v) p[v] = std::exp(z[v] - max);
  const double sum = std::accumulate(p.begin(), p.end(), 0.0), lse = max + std::log(sum);
  double& entropy = out.entropies[row];
  for (double& each : p) each /= sum;
  for (size_t v = 0; v < size; ++v) entropy -= p[v] * (z[v] - lse);
  out.log_probs[row] = z[static_cast<size_t>(label)] - lse;
  for (size_t v = 0; v < size; ++v) {
    const double tanh = s.softcap > 0 ? std::tanh(raw[v] / s.softcap) : 0.0;
    const double onehot = v == static_cast<size_t>(label) ? 1.0 : 0.0;
    dlogits[v] = (o.g[row] * (onehot - p[v]) - o.h[row] * p[v] * (z[v] - lse + entropy)) /
                 s.temperature * (1 - tanh * tanh);
  }
}

Outputs naive(const Setting& s, const Operands& o) {
  Outputs out{Values(o.g.size(), 0), Values(o.g.size(), 0), Values(o.hidden.size(), 0),
              Values(o.weight.size(), 0), Values(o.bias.size(), 0)};
  for (int64_t n = 0; n < s.rows; ++n) {
    Values dlogits(o.bias.size(), 0.0);
    naive_row(s, o, n, out, dlogits);
    for (size_t v = 0; v < dlogits.size(); ++v) {
      out.dbias[v] += dlogits[v];
      for (int64_t c = 0; c < s.width; ++c) {
        const auto x = static_cast<size_t>(n * s.width + c), w = v * s.width + c;
        out.dhidden[x] += dlogits[v] * o.weight[w];
        out.dweight[w] += dlogits[v] * o.hidden[x];
      }
    }
  }
  if (!s.entropy) out.entropies.clear();
  if (!s.bias) out.dbias.clear();
  return out;
}

// A loss with the gradients g and h, of which the second belongs to an optional value.
Var weighed(const Var& a, const Tensor& g, const Var& b, const Tensor& h) {
  return record("weighed", Tensor::scalar(0, g.dtype(), g.device()), {&a, &b},
                [a = a.ref(), b = b.ref(), g, h](Gradients& gradients) {
                  gradients.add(a, g);
                  gradients.add(b, h);
                });
}

Outputs compute(const Setting& s, const Operands& o) {
  const DType dtype = s.place.dtype;
  const Device device = s.place.device;
  const DType sums = wide(dtype);
  const auto of = [&](const Values& values, const Shape& shape, DType type) {
    return tensor_of(values, shape, type, device);
  };
  GradBuffer dweight{Tensor({s.vocabulary, s.width}, sums, device)},
      dbias{Tensor({s.vocabulary}, sums, device)};
  Tape tape;
  const Var hidden = tape.leaf(of(o.hidden, {s.rows, s.width}, dtype));
  ops::OutputHead head(tape.leaf(of(o.weight, {s.vocabulary, s.width}, dtype), &dweight));
  if (s.bias) head.bias = tape.leaf(of(o.bias, {s.vocabulary}, sums), &dbias);
  head.softcap = s.softcap;
  Var entropy;
  const Var log_probs = ops::token_log_probs(
      hidden, head, Tensor::of<int32_t>(o.labels, {s.rows}),
      {.temperature = s.temperature, .entropy = s.entropy ? &entropy : nullptr});
  tape.backward(weighed(log_probs, of(o.g, {s.rows}, sums), entropy, of(o.h, {s.rows}, sums)));
  return {log_probs.value.to_vector(), s.entropy ? entropy.value.to_vector() : Values(),
          tape.grad(hidden).to_vector(), dweight.tensor.to_vector(),
          s.bias ? dbias.tensor.to_vector() : Values()};
}

std::vector<Setting> settings() {
  std::vector<int64_t> second_chunk(256);
  std::iota(second_chunk.begin(), second_chunk.end(), 256);
  const Place f32{DType::kF32, Device::kCpu}, bf16{DType::kBF16, Device::kCpu};
  std::vector<Setting> all = {
      {.name = "plain", .bias = false, .entropy = false, .ignored = {}},
      {.name = "bias", .entropy = false},
      {.name = "entropy"},
      {.name = "capped", .softcap = 2.5},
      {.name = "capped_without_entropy", .entropy = false, .softcap = 2.5},
      {.name = "cold", .temperature = 0.4},
      {.name = "hot_and_capped", .softcap = 4.0, .temperature = 1.7},
      {.name = "one_token", .vocabulary = 1, .ignored = {}},
      {.name = "one_row", .rows = 1, .ignored = {}},
      {.name = "all_ignored", .rows = 3, .ignored = {0, 1, 2}},
      {.name = "chunks", .rows = 260, .vocabulary = 16384, .width = 2, .softcap = 3.0}};
  for (size_t i = 0, count = all.size(); i < count; ++i)
    for (const Place& place : {f32, bf16}) {
      Setting s = all[i];
      s.name += place.dtype == DType::kF32 ? "_f32" : "_bf16";
      s.place = place;
      s.tolerance = place.dtype == DType::kF32 ? 1e-5 : 1e-2;
      all.push_back(s);
    }
  // Three chunks of 256 rows, of which one counts nothing and one is not full.
  Setting three{.name = "three_chunks_f32",
                .rows = 600,
                .vocabulary = 20000,
                .width = 3,
                .temperature = 0.8,
                .ignored = second_chunk,
                .place = f32,
                .tolerance = 1e-5};
  all.push_back(three);
  three.name = "three_chunks_without_entropy_f32";
  three.entropy = false;
  all.push_back(three);
  return all;
}

class TokenLogProbsOf : public ::testing::TestWithParam<Setting> {};
TEST_P(TokenLogProbsOf, ChunksAreThoseOfWholeLogits) {
  const Setting& s = GetParam();
  const Operands o = operands_of(s);
  const Outputs want = naive(s, o), got = compute(s, o);
  EXPECT_LE(error_of(got.log_probs, want.log_probs), s.tolerance);
  EXPECT_LE(error_of(got.entropies, want.entropies), s.tolerance);
  EXPECT_LE(error_of(got.dhidden, want.dhidden), s.tolerance);
  EXPECT_LE(error_of(got.dweight, want.dweight), s.tolerance);
  EXPECT_LE(error_of(got.dbias, want.dbias), s.tolerance);
  for (const int64_t n : s.ignored) {
    EXPECT_EQ(got.log_probs[static_cast<size_t>(n)], 0.0);
    if (s.entropy) {
      EXPECT_EQ(got.entropies[static_cast<size_t>(n)], 0.0);
    }
  }
}
INSTANTIATE_TEST_SUITE_P(, TokenLogProbsOf, ::testing::ValuesIn(settings()),
                         [](const auto& each) { return each.param.name; });

// A head whose logits are its bias.
ops::OutputHead head_of(const Values& logits) {
  const auto size = static_cast<int64_t>(logits.size());
  ops::OutputHead head(Tensor::zeros({size, 1}, DType::kF64, Device::kRef));
  head.bias = tensor_of(logits, {size}, DType::kF64, Device::kRef);
  return head;
}

Var ones(int64_t rows) {
  return tensor_of(Values(static_cast<size_t>(rows), 1.0), {rows, 1}, DType::kF64, Device::kRef);
}

TEST(TopTokens, AreTheLikeliestInOrder) {
  const ops::OutputHead head = head_of({1, 3, 2, 3, -1});
  ops::TopTokens top{.k = 4};
  const Var got =
      ops::token_log_probs(ones(3), head, Tensor::of<int32_t>(std::vector{2, -1, 4}, {3}),
                           {.temperature = 2, .top = &top});
  EXPECT_EQ(top.ids.shape(), Shape({3, 4}));
  const auto ids = top.ids.span<int32_t>();
  EXPECT_EQ(std::vector<int32_t>(ids.begin(), ids.end()),
            (std::vector<int32_t>{1, 3, 2, 0, -1, -1, -1, -1, 1, 3, 2, 0}));
  const double lse = std::log(std::exp(0.5) + 2 * std::exp(1.5) + std::exp(1.0) + std::exp(-0.5));
  const Values row = {1.5 - lse, 1.5 - lse, 1.0 - lse, 0.5 - lse};
  const Values values = top.log_probs.to_vector();
  for (size_t i = 0; i < row.size(); ++i) {
    EXPECT_NEAR(values[i], row[i], 1e-14);
    EXPECT_EQ(values[4 + i], 0.0);
    EXPECT_EQ(values[8 + i], values[i]);
  }
  EXPECT_NEAR(got.value.to_vector()[0], row[2], 1e-14);
}

// All of them, in two chunks: their probabilities sum to 1, and the log probability of the
// likeliest is that of the label with its id.
TEST(TopTokens, OfAllMakeADistribution) {
  constexpr int64_t kRows = 260, kWidth = 3, kVocabulary = 17000;
  const Var hidden =
      tensor_of(random_values(kRows * kWidth, Rng(1)), {kRows, kWidth}, DType::kF32, Device::kCpu);
  const ops::OutputHead head(tensor_of(random_values(kVocabulary * kWidth, Rng(2)),
                                       {kVocabulary, kWidth}, DType::kF32, Device::kCpu));
  ops::TopTokens top{.k = kVocabulary}, best;
  const Tensor any = Tensor::of<int32_t>(std::vector<int32_t>(kRows, 7), {kRows});
  ops::token_log_probs(hidden, head, any, {.top = &top});
  const Tensor first = top.ids.narrow(1, 0, 1).clone().reshape({kRows});
  const Values log_probs =
      ops::token_log_probs(hidden, head, first, {.top = &best}).value.to_vector();
  EXPECT_LE(error_of(log_probs, best.log_probs.to_vector()), 1e-6);
  const auto values = top.log_probs.span<float>();
  for (int64_t n = 0; n < kRows; ++n) {
    const auto row = values.subspan(static_cast<size_t>(n * kVocabulary), kVocabulary);
    EXPECT_TRUE(std::ranges::is_sorted(row, std::greater<>())) << n;
    double sum = 0;
    for (const float x : row) sum += std::exp(static_cast<double>(x));
    EXPECT_NEAR(sum, 1.0, 1e-5) << n;
  }
}

// A token of probability 0, which is the label of the first row: −inf there, but entropies,
// gradients and the likeliest tokens are those of the tokens that are possible.
TEST(TokenLogProbs, OfAnImpossibleTokenLeaveTheRestFinite) {
  const double none = -std::numeric_limits<double>::infinity();
  const double p = 0.75, q = 0.25, h = -(p * std::log(p) + q * std::log(q));
  const ops::OutputHead constant = head_of({std::log(3.0), none, 0.0});
  Tape tape;
  ops::OutputHead head(constant.weight);
  head.bias = tape.leaf(constant.bias.value);
  Var entropy;
  ops::TopTokens top{.k = 3};
  const Var got = ops::token_log_probs(ones(2), head, Tensor::of<int32_t>(std::vector{1, 0}, {2}),
                                       {.entropy = &entropy, .top = &top});
  EXPECT_EQ(got.value.to_vector()[0], none);
  EXPECT_NEAR(got.value.to_vector()[1], std::log(p), 1e-14);
  EXPECT_LE(error_of(entropy.value.to_vector(), {h, h}), 1e-14);
  const Values best = top.log_probs.to_vector();
  for (const size_t row : {0, 1}) {
    EXPECT_NEAR(best[3 * row], std::log(p), 1e-14);
    EXPECT_NEAR(best[3 * row + 1], std::log(q), 1e-14);
    EXPECT_EQ(best[3 * row + 2], none);
  }
  tape.backward(ops::add(got, entropy), ones(2).value.reshape({2}));
  const Values want = {(1 - p) - p - 2 * p * (std::log(p) + h), 1.0,
                       -2 * q - 2 * q * (std::log(q) + h)};
  EXPECT_LE(error_of(tape.grad(head.bias).to_vector(), want), 1e-14);
}

// log Σ p² of rows in two chunks, also where the likeliest token has all; without a gradient of its own.
TEST(TokenLogProbs, CollisionsAreThatOfTwoDraws) {
  const double none = -std::numeric_limits<double>::infinity();
  Tensor collision;
  ops::token_log_probs(ones(3), head_of({std::log(3.0), none, 0.0}),
                       Tensor::of<int32_t>(std::vector{0, -1, 2}, {3}), {.collision = &collision});
  const double want = std::log(0.75 * 0.75 + 0.25 * 0.25);
  EXPECT_LE(error_of(collision.to_vector(), {want, 0, want}), 1e-14);
  ops::token_log_probs(ones(1), head_of({2e4, 0, -2e4}), Tensor::of<int32_t>(std::vector{1}, {1}),
                       {.collision = &collision});
  EXPECT_EQ(collision.to_vector(), Values({0}));
  ops::token_log_probs(ones(1), head_of(Values(64, 7.5)), Tensor::of<int32_t>(std::vector{1}, {1}),
                       {.temperature = 0.5, .collision = &collision});
  EXPECT_NEAR(collision.to_vector()[0], -std::log(64.0), 1e-14);
}

TEST(TokenLogProbs, CollisionsOfChunksAreThoseOfTheirDistributions) {
  constexpr int64_t kRows = 300, kVocabulary = 17000;
  const Var hidden =
      tensor_of(random_values(kRows * 2, Rng(1)), {kRows, 2}, DType::kF32, Device::kCpu);
  const ops::OutputHead head(tensor_of(random_values(kVocabulary * 2, Rng(2)), {kVocabulary, 2},
                                       DType::kF32, Device::kCpu));
  ops::TopTokens top{.k = kVocabulary};
  Tensor collision;
  ops::token_log_probs(hidden, head, Tensor::zeros({kRows}, DType::kI32),
                       {.temperature = 0.7, .collision = &collision, .top = &top});
  const Values log_probs = top.log_probs.to_vector(), got = collision.to_vector();
  for (size_t n = 0; n < kRows; ++n) {
    double sum = 0;
    for (size_t v = 0; v < kVocabulary; ++v) sum += std::exp(2 * log_probs[n * kVocabulary + v]);
    EXPECT_NEAR(got[n], std::log(sum), 1e-5) << n;
  }
}

TEST(TokenLogProbs, OfNoRowsAreEmptyAndGiveNoGradient) {
  const Tensor hidden({0, 3}, DType::kF32), labels({0}, DType::kI32);
  GradBuffer buffer{Tensor({5, 3}, DType::kF32)};
  Tape tape;
  Var entropy;
  ops::TopTokens top{.k = 2};
  const Var weight = tape.leaf(Tensor::zeros({5, 3}, DType::kF32), &buffer);
  const Var got = ops::token_log_probs(hidden, weight, labels, {.entropy = &entropy, .top = &top});
  EXPECT_EQ(got.shape(), Shape({0}));
  EXPECT_EQ(entropy.shape(), Shape({0}));
  EXPECT_EQ(top.ids.shape(), Shape({0, 2}));
  tape.backward(got, Tensor({0}, DType::kF32));
  EXPECT_FALSE(buffer.written);
}

TEST(TokenLogProbs, RefuseALabelOutsideTheVocabularyAsBadData) {
  try {
    ops::token_log_probs(ones(1), head_of({1, 2}), Tensor::of<int32_t>(std::vector{2}, {1}));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kData);
  }
}

struct Pass {
  double loss;
  Values dhidden, dweight, dbias;  // of the loss times the number of labels
};

// −sum / count of the log probabilities of 300 rows in two chunks, or the mean cross entropy.
Pass mean_loss(DType dtype, bool as_sum) {
  constexpr int64_t kRows = 300, kWidth = 4, kVocabulary = 20000;
  std::vector<int32_t> labels;
  for (int64_t n = 0; n < kRows; ++n)
    labels.push_back(n % 7 == 3 ? -1 : static_cast<int32_t>(Rng(3).below(n, kVocabulary)));
  const auto count =
      static_cast<double>(std::ranges::count_if(labels, [](int32_t label) { return label >= 0; }));
  const auto values = [&](const Shape& shape, int stream, DType type) {
    return tensor_of(random_values(shape.numel(), Rng(stream)), shape, type, Device::kCpu);
  };
  Tape tape;
  GradBuffer dweight{Tensor({kVocabulary, kWidth}, DType::kF32)};
  const Var hidden = tape.leaf(values({kRows, kWidth}, 1, dtype));
  ops::OutputHead head(tape.leaf(values({kVocabulary, kWidth}, 2, dtype), &dweight));
  head.bias = tape.leaf(values({kVocabulary}, 4, DType::kF32));
  head.softcap = 5.0;
  const Tensor all = Tensor::of<int32_t>(labels, {kRows});
  Pass pass;
  if (as_sum) {
    const Var log_probs = ops::token_log_probs(hidden, head, all);
    const Values each = log_probs.value.to_vector();
    pass.loss = -std::accumulate(each.begin(), each.end(), 0.0) / count;
    tape.backward(log_probs,
                  tensor_of(Values(kRows, -1 / count), {kRows}, DType::kF32, Device::kCpu));
  } else {
    const Var loss = ops::linear_cross_entropy(hidden, head, all);
    pass.loss = loss.value.item();
    tape.backward(loss);
  }
  pass.dhidden = tape.grad(hidden).to_vector();
  pass.dweight = dweight.tensor.to_vector();
  pass.dbias = tape.grad(head.bias).to_vector();
  for (Values* gradient : {&pass.dhidden, &pass.dweight, &pass.dbias})
    for (double& x : *gradient) x *= count;
  return pass;
}

TEST(TokenLogProbs, SumUpToTheCrossEntropy) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    SCOPED_TRACE(name_of(dtype));
    const Pass want = mean_loss(dtype, false), got = mean_loss(dtype, true);
    const double rounding = dtype == DType::kF32 ? 1e-6 : 4e-3;
    EXPECT_NEAR(got.loss, want.loss, 1e-6 * want.loss);
    EXPECT_LE(error_of(got.dhidden, want.dhidden), rounding);
    EXPECT_LE(error_of(got.dweight, want.dweight), rounding);
    EXPECT_LE(error_of(got.dbias, want.dbias), rounding);
  }
}

struct Memory {
  double peak;  // above what was there before
  double kept;  // between forward and backward
};

Memory memory_of(int64_t rows, int64_t vocabulary, bool entropy, double softcap) {
  const Tensor hidden = Tensor::zeros({rows, 2}, DType::kF32),
               labels = Tensor::zeros({rows}, DType::kI32);
  GradBuffer dweight{Tensor({vocabulary, 2}, DType::kF32)};
  const auto before = static_cast<double>(host_allocator().bytes_in_use());
  host_allocator().reset_peak();
  Tape tape;
  ops::OutputHead head(tape.leaf(Tensor::zeros({vocabulary, 2}, DType::kF32), &dweight));
  head.softcap = softcap;
  Var entropies;
  const Var got = ops::token_log_probs(tape.leaf(hidden), head, labels,
                                       {.entropy = entropy ? &entropies : nullptr});
  const auto kept = static_cast<double>(host_allocator().bytes_in_use()) - before;
  tape.backward(got, Tensor::zeros({rows}, DType::kF32));
  return {static_cast<double>(host_allocator().peak_bytes()) - before, kept};
}

// Chunks of 2048 rows, 16 MiB of logits each, beside which kernels need a little: one without
// entropies and soft cap, three with. The whole logits would be 128 MiB.
TEST(TokenLogProbs, NeverHoldAllLogits) {
  constexpr int64_t kRows = 16384, kVocabulary = 2048;
  constexpr double kChunk = 16 << 20, kSmall = 64 * (kRows + kVocabulary);
  const Memory plain = memory_of(kRows, kVocabulary, false, 0.0),
               all = memory_of(kRows, kVocabulary, true, 10.0);
  EXPECT_LE(plain.kept, kSmall);
  EXPECT_LE(plain.peak, 1.5 * kChunk);
  EXPECT_LE(all.kept, kSmall);
  EXPECT_LE(all.peak, 3.5 * kChunk);
}

}  // namespace
}  // namespace lathe::testing
