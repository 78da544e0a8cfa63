// The divergence from a teacher: its values against whole logits in plain loops, its gradients through the
// harness, and chunks against rows one at a time.

#include "lathe/ops/token_divergence.h"

#include <algorithm>
#include <limits>

#include "ops/harness.h"

namespace lathe::testing {
namespace {

using Measure = ops::Divergence::Kind;

struct Setting {
  std::string name;
  ops::Divergence divergence;
  int64_t rows = 3, vocabulary = 6, width = 4, teacher_width = 5;
  bool bias = true;
  double softcap = 0, teacher_softcap = 0;
};
std::ostream& operator<<(std::ostream& out, const Setting& s) { return out << s.name; }

std::vector<Setting> settings() {
  std::vector<Setting> all;
  for (const auto& [name, kind] : {std::pair("forward", Measure::kForward),
                                   {"reverse", Measure::kReverse},
                                   {"jensen_shannon", Measure::kJensenShannon}}) {
    const std::string prefix = name;
    all.push_back({.name = prefix, .divergence = {.kind = kind}, .bias = false});
    all.push_back({.name = prefix + "_hot", .divergence = {.kind = kind, .temperature = 2.5}});
    all.push_back({.name = prefix + "_cold_capped",
                   .divergence = {.kind = kind, .beta = 0.2, .temperature = 0.6},
                   .softcap = 1.5,
                   .teacher_softcap = 3.0});
    all.push_back({.name = prefix + "_one_token", .divergence = {.kind = kind}, .vocabulary = 1});
    all.push_back({.name = prefix + "_one_row",
                   .divergence = {.kind = kind, .beta = 0.9},
                   .rows = 1,
                   .teacher_width = 1});
  }
  return all;
}

struct Teacher {
  Tensor hidden;
  ops::OutputHead head;
};

Teacher teacher_of(const Setting& s, DType dtype, Device device) {
  const auto of = [&](const Shape& shape, int stream, DType type) {
    return tensor_of(random_values(shape.numel(), Rng(stream).fork("teacher")), shape, type,
                     device);
  };
  Teacher teacher{of({s.rows, s.teacher_width}, 1, dtype),
                  ops::OutputHead(of({s.vocabulary, s.teacher_width}, 2, dtype))};
  if (s.bias) teacher.head.bias = of({s.vocabulary}, 3, wide(dtype));
  teacher.head.softcap = s.teacher_softcap;
  return teacher;
}

Var divergence_of(const Setting& s, const std::vector<Var>& v) {
  const Tensor& like = v[0].value;
  const Teacher teacher = teacher_of(s, like.dtype(), like.device());
  ops::OutputHead head(v[1]);
  if (s.bias) head.bias = v[2];
  head.softcap = s.softcap;
  return ops::token_divergence(v[0], head, teacher.hidden, teacher.head, s.divergence);
}

Case case_of(const Setting& s) {
  Case c{
      .name = "divergence_" + s.name,
      .inputs = {{{s.rows, s.width}}, {{s.vocabulary, s.width}, Kind::kWeight}},
      .run = [s](const std::vector<Var>& v) -> std::vector<Var> { return {divergence_of(s, v)}; }};
  if (s.bias) c.inputs.push_back({{s.vocabulary}, Kind::kGain});
  return c;
}

// softmax(logits / temperature) of one row.
Values distribution(const Values& hidden, const Values& weight, const Values& bias, int64_t row,
                    double softcap, double temperature) {
  const size_t width = weight.size() / bias.size(), first = static_cast<size_t>(row) * width;
  Values p(bias.size());
  for (size_t v = 0; v < p.size(); ++v) {
    double logit = bias[v];
    for (size_t c = 0; c < width; ++c) logit += hidden[first + c] * weight[v * width + c];
    p[v] = std::exp((softcap > 0 ? softcap * std::tanh(logit / softcap) : logit) / temperature);
  }
  double sum = 0;
  for (const double x : p) sum += x;
  for (double& x : p) x /= sum;
  return p;
}

double kl(const Values& a, const Values& b) {
  double sum = 0;
  for (size_t v = 0; v < a.size(); ++v) sum += a[v] * std::log(a[v] / b[v]);
  return sum;
}

double naive(const ops::Divergence& d, const Values& p, const Values& q) {
  if (d.kind == Measure::kForward) return kl(q, p);
  if (d.kind == Measure::kReverse) return kl(p, q);
  Values m(p.size());
  for (size_t v = 0; v < m.size(); ++v) m[v] = d.beta * q[v] + (1 - d.beta) * p[v];
  return d.beta * kl(q, m) + (1 - d.beta) * kl(p, m);
}

class TokenDivergenceOf : public ::testing::TestWithParam<Setting> {};

TEST_P(TokenDivergenceOf, IsThatOfTheDistributions) {
  const Setting& s = GetParam();
  const Case c = case_of(s);
  const auto values = input_values(c, DType::kF64);
  const Values got = evaluate(c, values, kSpecification, 0).outputs[0];
  const Teacher teacher = teacher_of(s, DType::kF64, Device::kRef);
  const Values none(static_cast<size_t>(s.vocabulary), 0.0);
  Values want;
  for (int64_t n = 0; n < s.rows; ++n)
    want.push_back(
        naive(s.divergence,
              distribution(values[0], values[1], s.bias ? values[2] : none, n, s.softcap,
                           s.divergence.temperature),
              distribution(teacher.hidden.to_vector(), teacher.head.weight.value.to_vector(),
                           s.bias ? teacher.head.bias.value.to_vector() : none, n,
                           s.teacher_softcap, s.divergence.temperature)));
  EXPECT_LE(error_of(got, want), 1e-13);
  for (const double each : got) EXPECT_GE(each, -1e-15);
}

TEST_P(TokenDivergenceOf, HasTheGradientOfItsValue) { check_gradients(case_of(GetParam())); }
TEST_P(TokenDivergenceOf, AddsItsGradients) { check_sums(case_of(GetParam())); }
TEST_P(TokenDivergenceOf, AgreesOnTheCpu) { check_agreement(case_of(GetParam())); }
INSTANTIATE_TEST_SUITE_P(, TokenDivergenceOf, ::testing::ValuesIn(settings()),
                         [](const auto& each) { return each.param.name; });

// 600 rows of a vocabulary whose chunks have 256: each row as if it were alone, and the sum of their gradients.
TEST(TokenDivergence, OfChunksIsThatOfRows) {
  constexpr int64_t kRows = 600, kVocabulary = 20000, kWidth = 3, kTeacher = 2;
  const auto of = [](const Shape& shape, int stream) {
    return tensor_of(random_values(shape.numel(), Rng(stream)), shape, DType::kF32, Device::kCpu);
  };
  const Tensor hidden = of({kRows, kWidth}, 1), weight = of({kVocabulary, kWidth}, 2),
               theirs = of({kRows, kTeacher}, 3);
  const ops::OutputHead teacher(of({kVocabulary, kTeacher}, 4));
  for (const Measure kind : {Measure::kForward, Measure::kReverse, Measure::kJensenShannon}) {
    GradBuffer all{Tensor({kVocabulary, kWidth}, DType::kF32)},
        some{Tensor({kVocabulary, kWidth}, DType::kF32)};
    const auto run = [&](int64_t first, int64_t count, GradBuffer& buffer, Values& values,
                         Values& gradient) {
      Tape tape;
      const Var h = tape.leaf(hidden.narrow(0, first, count).clone());
      ops::OutputHead head(tape.leaf(weight, &buffer));
      head.softcap = 4;
      const Var got =
          ops::token_divergence(h, head, theirs.narrow(0, first, count).clone(), teacher,
                                {.kind = kind, .beta = 0.3, .temperature = 1.5});
      const Values each = got.value.to_vector();
      values.insert(values.end(), each.begin(), each.end());
      Values upstream;
      for (int64_t n = first; n < first + count; ++n)
        upstream.push_back(static_cast<double>(n % 5) - 1.5);
      tape.backward(got, tensor_of(upstream, {count}, DType::kF32, Device::kCpu));
      const Values of_hidden = tape.grad(h).to_vector();
      gradient.insert(gradient.end(), of_hidden.begin(), of_hidden.end());
    };
    Values whole, parts, dwhole, dparts;
    run(0, kRows, all, whole, dwhole);
    for (int64_t first = 0; first < kRows; first += 40) run(first, 40, some, parts, dparts);
    EXPECT_EQ(whole, parts);
    EXPECT_EQ(dwhole, dparts);
    EXPECT_LE(error_of(all.tensor.to_vector(), some.tensor.to_vector()), 1e-4);
  }
}

// Impossible tokens of one of both: the divergences that are defined there are finite, with their gradients.
TEST(TokenDivergence, OfImpossibleTokens) {
  const double none = -std::numeric_limits<double>::infinity();
  const auto head_of = [](const Values& logits) {
    ops::OutputHead head(Tensor::zeros({std::ssize(logits), 1}, DType::kF64, Device::kRef));
    head.bias = tensor_of(logits, {std::ssize(logits)}, DType::kF64, Device::kRef);
    return head;
  };
  const auto measured = [&](Measure kind, const Values& own, const Values& theirs,
                            Values& gradient) {
    Tape tape;
    ops::OutputHead head = head_of(own);
    head.bias = tape.leaf(head.bias.value);
    const Tensor one = tensor_of({1}, {1, 1}, DType::kF64, Device::kRef);
    const Var got = ops::token_divergence(one, head, one, head_of(theirs), {.kind = kind});
    tape.backward(got, tensor_of({1}, {1}, DType::kF64, Device::kRef));
    gradient = tape.grad(head.bias).to_vector();
    return got.value.to_vector()[0];
  };
  Values g;
  const Values both = {0, 0, none}, half = {0, none, none};
  // The teacher has half of what the model has.
  EXPECT_NEAR(measured(Measure::kForward, both, half, g), std::log(2.0), 1e-14);
  EXPECT_LE(error_of(g, {-0.5, 0.5, 0}), 1e-14);
  EXPECT_NEAR(measured(Measure::kReverse, half, both, g), std::log(2.0), 1e-14);
  EXPECT_LE(error_of(g, {0, 0, 0}), 1e-14);
  EXPECT_EQ(measured(Measure::kReverse, both, half, g), -none);
  EXPECT_EQ(measured(Measure::kForward, half, both, g), -none);
  const double jsd =
      0.5 * std::log(1 / 0.75) + 0.5 * (0.5 * std::log(0.5 / 0.75) + 0.5 * std::log(2.0));
  EXPECT_NEAR(measured(Measure::kJensenShannon, both, half, g), jsd, 1e-14);
  for (const double x : g) EXPECT_TRUE(std::isfinite(x));
  EXPECT_NEAR(measured(Measure::kJensenShannon, half, both, g), jsd, 1e-14);
  for (const double x : g) EXPECT_TRUE(std::isfinite(x));
}

// Far logits: no overflow, and nothing for equal distributions.
TEST(TokenDivergence, OfFarLogits) {
  for (const Measure kind : {Measure::kForward, Measure::kReverse, Measure::kJensenShannon}) {
    const Tensor hidden = tensor_of({3e4, -3e4}, {2, 1}, DType::kF32, Device::kCpu);
    const ops::OutputHead up(tensor_of({1, -1, 0.5}, {3, 1}, DType::kF32, Device::kCpu)),
        down(tensor_of({-1, 1, 0.5}, {3, 1}, DType::kF32, Device::kCpu));
    for (const double x :
         ops::token_divergence(hidden, up, hidden, up, {.kind = kind}).value.to_vector())
      EXPECT_NEAR(x, 0, 1e-6);
    const Values far =
        ops::token_divergence(hidden, up, hidden, down, {.kind = kind}).value.to_vector();
    for (const double x : far) {
      EXPECT_TRUE(std::isfinite(x));
      EXPECT_NEAR(x, kind == Measure::kJensenShannon ? std::log(2.0) : 6e4, 1e-2);
    }
  }
}

TEST(TokenDivergence, OfNoRowsIsEmpty) {
  const Tensor none({0, 3}, DType::kF32);
  GradBuffer buffer{Tensor({5, 3}, DType::kF32)};
  Tape tape;
  const Var weight = tape.leaf(Tensor::zeros({5, 3}, DType::kF32), &buffer);
  const Var got = ops::token_divergence(none, weight, none, ops::OutputHead(weight.value), {});
  EXPECT_EQ(got.shape(), Shape({0}));
  tape.backward(got, Tensor({0}, DType::kF32));
  EXPECT_FALSE(buffer.written);
}

}  // namespace
}  // namespace lathe::testing
