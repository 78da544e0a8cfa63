// The generic tests over a covering set of combinations; grid_slow_test.cc runs more.

#include <set>

#include "io/temp_folder.h"
#include "lathe/model/folder.h"
#include "lathe/model/load_model.h"
#include "model/checks.h"

namespace lathe::testing {
namespace {

const std::vector<Variant>& variants() { return covering_variants(2); }

template <class F>
void for_each_model(DType dtype, Device device, F&& f) {
  for (const Variant& v : variants()) {
    SCOPED_TRACE(v.name);
    f(*make_model(v.config, dtype, device));
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(Grid, HoldsEveryPairOfChoices) {
  EXPECT_GE(variants().size(), 48u);
  EXPECT_LE(variants().size(), 150u);
  std::set<std::string> names;
  for (const Variant& v : variants()) names.insert(v.name);
  EXPECT_EQ(names.size(), variants().size());
}

TEST(Grid, GradientsReachEveryParameter) {
  for_each_model(DType::kF64, Device::kRef, expect_gradients_everywhere);
}

TEST(Grid, CachedDecodingEqualsTheFullForwardInDouble) {
  for_each_model(DType::kF64, Device::kRef,
                 [](Transformer& model) { expect_cached_equals_full(model, 1e-10); });
}

TEST(Grid, CachedDecodingEqualsTheFullForwardInSingle) {
  for_each_model(DType::kF32, Device::kCpu,
                 [](Transformer& model) { expect_cached_equals_full(model, 3e-5); });
}

TEST(Grid, SinglePrecisionFollowsDouble) {
  for (const Variant& v : variants()) {
    SCOPED_TRACE(v.name);
    const auto exact = make_model(v.config, DType::kF64, Device::kRef);
    const auto fast = make_model(v.config, DType::kF32, Device::kCpu);
    const LossWithGradients want = loss_with_gradients(*exact, some_ids(2, 7)),
                            got = loss_with_gradients(*fast, some_ids(2, 7));
    EXPECT_NEAR(got.loss, want.loss, 1e-5 * std::max(1.0, want.loss));
    // Without norms gradients reach millions, and what cancels leaves their rounding behind.
    double most = 1.0;
    for (const auto& [name, gradient] : want.gradients)
      most = std::max(most, largest_magnitude(gradient));
    for (const auto& [name, gradient] : want.gradients)
      EXPECT_LE(largest_difference(got.gradients.at(name), gradient),
                1e-4 * std::max(1.0, largest_magnitude(gradient)) + 1e-6 * most)
          << name;
  }
}

// Two steps against the gradient lower the loss by what the gradient says.
TEST(Grid, TrainingLowersTheLossAsPredicted) {
  for (Variant v : variants()) {
    SCOPED_TRACE(v.name);
    v.config.moe.router_aux_loss_coef = 0.0;  // not part of the reported loss
    const auto model = make_model(v.config, DType::kF64, Device::kRef);
    LossWithGradients now = loss_with_gradients(*model, some_ids(2, 7));
    for (int step = 0; step < 2; ++step) {
      double squares = 0;
      for (const auto& [name, gradient] : now.gradients)
        for (const double g : gradient.to_vector()) squares += g * g;
      const double wanted = 1e-7 * now.loss;
      for (Parameter* p : model->parameters()) {
        if (!p->trainable) continue;
        const double* gradient = now.gradients.at(p->name).data<double>();
        double* value = p->value.tensor().data<double>();
        for (int64_t i = 0; i < p->shape.numel(); ++i) value[i] -= wanted / squares * gradient[i];
      }
      const LossWithGradients next = loss_with_gradients(*model, some_ids(2, 7));
      EXPECT_NEAR(now.loss - next.loss, wanted, 0.01 * wanted);
      now = next;
    }
    if (::testing::Test::HasFailure()) return;
  }
}

// A batch row's logits are those it has alone.
TEST(Grid, RowsDoNotSeeEachOther) {
  for_each_model(DType::kF64, Device::kRef, [](Transformer& model) {
    const Tensor ids = some_ids(3, 6);
    const Tensor together = logits_of(model, ids);
    for (int64_t row = 0; row < 3; ++row)
      EXPECT_LE(largest_difference(logits_of(model, ids.narrow(0, row, 1).clone()),
                                   together.narrow(0, row, 1).clone()),
                1e-12);
  });
}

// What comes later changes nothing before it, except where it is seen.
TEST(Grid, TokensDoNotSeeTheFuture) {
  for_each_model(DType::kF64, Device::kRef, [](Transformer& model) {
    const Tensor ids = some_ids(1, 8);
    const Tensor changed = ids.clone();
    changed.data<int32_t>()[5] = (changed.data<int32_t>()[5] + 1) % kVocabulary;
    const Tensor a = logits_of(model, ids), b = logits_of(model, changed);
    if (!model.config().body_traits().causal) {
      EXPECT_GT(largest_difference(a.narrow(1, 4, 1).clone(), b.narrow(1, 4, 1).clone()), 1e-9);
      return;
    }
    EXPECT_EQ(a.narrow(1, 0, 5).clone().to_vector(), b.narrow(1, 0, 5).clone().to_vector());
    EXPECT_GT(largest_difference(a.narrow(1, 5, 1).clone(), b.narrow(1, 5, 1).clone()), 1e-6);
  });
}

TEST(Grid, RecomputingGivesTheSameBits) {
  for (Variant v : variants()) {
    SCOPED_TRACE(v.name);
    v.config.attention_dropout = 0.1;
    v.config.hidden_dropout = 0.2;
    for (const auto& [dtype, device] :
         {std::pair{DType::kF32, Device::kCpu}, {DType::kF64, Device::kRef}}) {
      const auto kept = make_model(v.config, dtype, device);
      const LossWithGradients want = loss_with_gradients(*kept, some_ids(2, 7));
      for (Recompute how : {Recompute::kSelective, Recompute::kFull}) {
        const auto again = make_model(v.config, dtype, device);
        const LossWithGradients got = loss_with_gradients(*again, some_ids(2, 7), how);
        EXPECT_EQ(got.loss, want.loss);
        for (const auto& [name, gradient] : want.gradients)
          EXPECT_EQ(got.gradients.at(name).to_vector(), gradient.to_vector()) << name;
      }
    }
  }
}

TEST(Grid, SavedAndLoadedIsTheSame) {
  const TempFolder folder;
  int number = 0;
  for_each_model(DType::kF32, Device::kCpu, [&](Transformer& model) {
    if (number++ % 5 != 0) return;  // files are made durable, which takes its time
    const auto first = folder / "first", second = folder / "second";
    std::filesystem::create_directories(first);
    std::filesystem::create_directories(second);
    save_model(model, first, {});
    const auto loaded = load_model(first, {});
    EXPECT_EQ(logits_of(*loaded, some_ids(2, 5)).to_vector(),
              logits_of(model, some_ids(2, 5)).to_vector());
    save_model(*loaded, second, {});
    for (const char* file : {"config.json", "model.safetensors", "generation_config.json"})
      EXPECT_EQ(content_of(first / file), content_of(second / file)) << file;
  });
}

}  // namespace
}  // namespace lathe::testing
