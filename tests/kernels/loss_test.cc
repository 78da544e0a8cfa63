// Cross entropy, dropout and AdamW.
#include "kernels/harness.h"

namespace lathe::kernels::testing {
namespace {

using Views = std::vector<TensorView>;

std::vector<Case> cross_entropy_cases() {
  std::vector<Case> all;
  for (const Shape& s : {Shape{1, 1}, Shape{4, 7}, Shape{0, 5}, Shape{9, 4100}, Shape{3, 20011}})
    for (double size : {1.0, 30.0}) {  // of the logits
      const auto name = [&](const char* kernel) {
        return fmt::format("{}_{}_size{}", kernel, name_of_shape(s), size);
      };
      const auto fill = [size](int64_t, double z) { return size * z; };
      const Spec logits{.shape = s, .kind = Kind::kFloat, .fill = fill};
      const Spec in_place{.shape = s, .role = Role::kInOut, .kind = Kind::kFloat, .fill = fill};
      const Spec losses{{s[0]}, Role::kOut, Kind::kFloat};
      const int64_t vocab = s[1];
      const Spec labels{.shape = {s[0]}, .kind = Kind::kIndex, .fill = [vocab](int64_t i, double) {
                          return i % 4 == 1 ? -1.0 : static_cast<double>((i + 2) * 997 % vocab);
                        }};
      all.push_back(
          {name("gradient"),
           {logits, labels, losses, {s, Role::kOut}},
           [](const Kernels& k, const Views& v) { k.cross_entropy(v[0], v[1], v[2], v[3], 0.25); },
           1e-5,
           5e-3});
      all.push_back(
          {name("in_place"),
           {in_place, labels, losses},
           [](const Kernels& k, const Views& v) { k.cross_entropy(v[0], v[1], v[2], v[0], -2.0); },
           1e-5,
           1e-5});
      all.push_back({name("loss_only"),
                     {logits, labels, losses},
                     [](const Kernels& k, const Views& v) {
                       k.cross_entropy(v[0], v[1], v[2], TensorView{}, 1.0);
                     },
                     1e-5,
                     1e-5});
    }
  return all;
}
LATHE_KERNEL_SUITE(CrossEntropyKernel, cross_entropy_cases());

// Masked logits (-inf), and rows that climb so that the running maximum is rescaled in every block.
TEST(CrossEntropy, HandlesMaskedAndClimbingRows) {
  const MachineState restore;
  constexpr int64_t kVocab = 9000;
  Tensor logits({3, kVocab}, DType::kF32), losses({3}, DType::kF32), dx({3, kVocab}, DType::kF32);
  for (int64_t v = 0; v < kVocab; ++v) {
    logits.data<float>()[v] = static_cast<float>(v) * 0.01f;
    logits.data<float>()[kVocab + v] = v < 5000 ? -INFINITY : 1.0f;
    logits.data<float>()[2 * kVocab + v] = v == 17 ? std::nanf("") : -INFINITY;
  }
  const std::vector<int32_t> ids = {3, 8999, 4};
  const Tensor labels = Tensor::of<int32_t>(ids, {3});
  Tensor want({3}, DType::kF64);
  ref_kernels().cross_entropy(logits, labels, want, TensorView{}, 1.0);
  for (const std::string& level : cpu_levels()) {
    select_cpu_level(level);
    cpu_kernels().cross_entropy(logits, labels, losses, dx, 1.0);
    EXPECT_NEAR(losses.to_vector()[0], want.to_vector()[0], 1e-5);
    EXPECT_NEAR(losses.to_vector()[1], std::log(4000.0), 1e-5);
    EXPECT_TRUE(std::isnan(losses.to_vector()[2])) << level;
    EXPECT_NEAR(dx.to_vector()[kVocab + 100], 0.0, 1e-12);
    EXPECT_NEAR(dx.to_vector()[kVocab + 6000], 1.0 / 4000, 1e-9);
  }
}

std::vector<Case> dropout_cases() {
  std::vector<Case> all;
  for (int64_t n : {0, 1, 255, 256, 257, 9001})
    for (double p : {0.0, 0.1, 0.5, 0.9}) {
      const auto name = [&](const char* kernel) {
        return fmt::format("{}_{}_p{}", kernel, n, static_cast<int>(p * 100));
      };
      const uint64_t key = Rng(9).fork("dropout").key();
      const Spec x{.shape = {n}, .contiguous = true};
      const Spec out{.shape = {n}, .role = Role::kOut, .contiguous = true};
      const Spec inout{.shape = {n}, .role = Role::kInOut, .contiguous = true};
      all.push_back({name("dropout"), {x, out}, [=](const Kernels& k, const Views& v) {
                       k.dropout(v[0], v[1], p, key);
                     }});
      all.push_back({name("in_place"), {inout}, [=](const Kernels& k, const Views& v) {
                       k.dropout(v[0], v[0], p, key);
                     }});
    }
  return all;
}
LATHE_KERNEL_SUITE(DropoutKernel, dropout_cases());

TEST(Dropout, DropsTheRightShareAndFollowsTheStream) {
  constexpr int64_t kCount = 100000;
  const Rng rng = Rng(1).fork("layer");
  const Tensor x = Tensor::of<float>(std::vector<float>(kCount, 3.0f), {kCount});
  const Tensor y({kCount}, DType::kF32);
  cpu_kernels().dropout(x, y, 0.3, rng.key());
  int64_t dropped = 0;
  for (int64_t i = 0; i < kCount; ++i) {
    const float value = y.data<float>()[i];
    ASSERT_EQ(value == 0.0f, rng.uniform(static_cast<uint64_t>(i)) < 0.3) << i;
    if (value == 0.0f)
      ++dropped;
    else
      ASSERT_NEAR(value, 3.0 / 0.7, 1e-6);
  }
  EXPECT_NEAR(static_cast<double>(dropped) / kCount, 0.3, 0.005);
}

std::vector<Case> adamw_cases() {
  std::vector<Case> all;
  for (int64_t n : {0, 1, 77, 9003})
    for (int step : {1, 1000}) {
      const AdamWSpec spec{.lr = 3e-3,
                           .beta1 = 0.9,
                           .beta2 = 0.95,
                           .eps = 1e-8,
                           .weight_decay = 0.1,
                           .grad_scale = 0.5,
                           .correction1 = 1.0 - std::pow(0.9, step),
                           .correction2 = 1.0 - std::pow(0.95, step)};
      const Spec state{.shape = {n}, .role = Role::kInOut, .kind = Kind::kFloat};
      const Spec square{
          .shape = {n}, .role = Role::kInOut, .kind = Kind::kFloat, .fill = [](int64_t, double z) {
            return z * z;
          }};
      const Spec gradient{.shape = {n}, .kind = Kind::kFloat};
      all.push_back({fmt::format("copy_{}_step{}", n, step),
                     {state, gradient, state, square, {{n}, Role::kOut}},
                     [spec](const Kernels& k, const Views& v) {
                       k.adamw(v[0], v[1], v[2], v[3], v[4], spec);
                     },
                     2e-6,
                     4e-3});
      all.push_back({fmt::format("no_copy_{}_step{}", n, step),
                     {state, gradient, state, square},
                     [spec](const Kernels& k, const Views& v) {
                       k.adamw(v[0], v[1], v[2], v[3], TensorView{}, spec);
                     },
                     2e-6,
                     2e-6});
    }
  return all;
}
LATHE_KERNEL_SUITE(AdamWKernel, adamw_cases());

// One step worked out by hand: m = 0.1·2, v = 0.1·4, both corrected back to g and g²; so the step
// is lr·sign(g).
TEST(AdamW, FirstStepMovesByTheLearningRate) {
  Tensor w = Tensor::of<float>(std::vector<float>{1.0f, -4.0f}, {2});
  const Tensor g = Tensor::of<float>(std::vector<float>{2.0f, -0.5f}, {2});
  const Tensor m = Tensor::zeros({2}, DType::kF32), v = Tensor::zeros({2}, DType::kF32);
  cpu_kernels().adamw(w, g, m, v, TensorView{},
                      {.lr = 0.1f,
                       .beta1 = 0.9f,
                       .beta2 = 0.9f,
                       .eps = 0.0f,
                       .weight_decay = 0.5f,
                       .grad_scale = 1.0f,
                       .correction1 = 0.1f,
                       .correction2 = 0.1f});
  EXPECT_NEAR(w.to_vector()[0], 1.0 * 0.95 - 0.1, 1e-6);
  EXPECT_NEAR(w.to_vector()[1], -4.0 * 0.95 + 0.1, 1e-6);
}

}  // namespace
}  // namespace lathe::kernels::testing
