// The mixture-of-experts layer: gradients of everything for every router, agreement of types, the
// same bits, recomputation, experts without tokens, balancing, and upcycling.

#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/config/read_write.h"
#include "lathe/nn/moe/router.h"
#include "nn/moe_testing.h"

namespace lathe::testing {
namespace {

struct Outcome {
  Values output, dx;
  std::map<std::string, Values> gradients;
};

Tensor seed_for(const Var& y, const Place& place) { return tensor_of(probe(), y.shape(), place); }

Outcome backward_of(MoeLayer& layer, double auxiliary_scale = 1.0) {
  Tape tape;
  Pass pass = layer.pass(&tape);
  pass.auxiliary_scale = auxiliary_scale;
  const Var x = moe_input(layer.place(), &tape);
  const Var y = layer.run(pass, x);
  tape.backward(y, seed_for(y, layer.place()));
  layer.statistics().end_micro_batch();
  Outcome out{y.value.to_vector(), tape.grad(x).to_vector(), {}};
  for (const auto& [name, p] : layer.parameters()) out.gradients[name] = layer.gradient(name);
  return out;
}

class MoeLayerTest : public ::testing::TestWithParam<MoeCase> {
 protected:
  const MoeCase& moe() const { return GetParam(); }

  // probe · output plus what the layer attaches, read from what it reports.
  double loss(MoeLayer& layer, const Values& input) const {
    layer.statistics() = RouterStatistics();
    const Tensor x = tensor_of(input, {kBatch * kTokens, kWidth}, kSpecification);
    const Values y = layer.run(layer.pass(), x).value.to_vector();
    layer.statistics().end_micro_batch();
    const RouterReport& report = layer.statistics().layers()[0];
    double sum = std::inner_product(y.begin(), y.end(), probe().begin(), 0.0);
    if (moe().training)
      sum += (moe().config.balance_coefficient() * report.balance_loss +
              moe().config.router_z_loss_coef * report.z_loss) /
             report.tokens;
    return sum;
  }
};

// Four-point difference of `loss` along one number.
double slope(double& number, const std::function<double()>& loss) {
  constexpr double kStep = 1e-4;  // small, so that no expert is chosen differently
  const double kept = number;
  const auto at = [&](double steps) {
    number = kept + steps * kStep;
    return loss();
  };
  const double result = (at(-2) - 8 * at(-1) + 8 * at(1) - at(2)) / (12 * kStep);
  number = kept;
  return result;
}

TEST_P(MoeLayerTest, GradientsAreCentralDifferences) {
  MoeLayer layer(moe(), kSpecification);
  const Outcome got = backward_of(layer);
  Values input = moe_input(), dx;
  for (double& x : input) dx.push_back(slope(x, [&] { return loss(layer, input); }));
  EXPECT_LE(error_of(got.dx, dx), 1e-8) << "input";
  for (const auto& [name, p] : layer.parameters()) {
    if (!p->trainable) continue;
    Values want;
    for (double& w : p->value.tensor().span<double>())
      want.push_back(slope(w, [&] { return loss(layer, input); }));
    EXPECT_LE(error_of(got.gradients.at(name), want), 1e-8) << name;
    EXPECT_GT(*std::ranges::max_element(want), 1e-3) << name << ": nothing depends on it";
  }
}

TEST_P(MoeLayerTest, AgreesInEveryTypeAndGivesTheSameBits) {
  MoeLayer exact(moe(), kSpecification);
  const Outcome want = backward_of(exact);
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    const double tolerance = dtype == DType::kF32 ? 1e-5 : 3e-2;
    MoeLayer layer(moe(), {dtype, Device::kCpu}), second(moe(), {dtype, Device::kCpu});
    const Outcome got = backward_of(layer), again = backward_of(second);
    EXPECT_LE(error_of(got.output, want.output), tolerance) << name_of(dtype);
    EXPECT_LE(error_of(got.dx, want.dx), tolerance) << name_of(dtype);
    for (const auto& [name, g] : got.gradients)
      EXPECT_LE(error_of(g, want.gradients.at(name)), tolerance) << name_of(dtype) << " " << name;
    EXPECT_EQ(got.output, again.output);
    EXPECT_EQ(got.dx, again.dx);
    EXPECT_EQ(got.gradients, again.gradients);
  }
}

// Noise, chance, capacity and the attached losses are the same when the layer runs again in the
// backward, and the second run is not counted.
TEST_P(MoeLayerTest, RecomputationChangesNothingAndCountsOnce) {
  MoeLayer plain(moe(), {DType::kF32, Device::kCpu}), repeated(moe(), {DType::kF32, Device::kCpu});
  const Outcome want = backward_of(plain);
  Tape tape;
  const Var x = moe_input(repeated.place(), &tape);
  const Var y = checkpoint(
      &tape, x, [&](const Var& in, Tape* inner) { return repeated.run(repeated.pass(inner), in); });
  tape.backward(y, seed_for(y, repeated.place()));
  repeated.statistics().end_micro_batch();
  EXPECT_EQ(y.value.to_vector(), want.output);
  EXPECT_EQ(tape.grad(x).to_vector(), want.dx);
  for (const auto& [name, g] : want.gradients) EXPECT_EQ(repeated.gradient(name), g) << name;
  const RouterReport &once = plain.statistics().layers()[0],
                     &twice = repeated.statistics().layers()[0];
  EXPECT_EQ(twice.load, once.load);
  EXPECT_EQ(twice.tokens, once.tokens);
  EXPECT_EQ(twice.dropped, once.dropped);
  EXPECT_EQ(twice.balance_loss, once.balance_loss);
}

// Cheap operations made again in the backward.
TEST_P(MoeLayerTest, SelectiveRecomputationChangesNothing) {
  MoeLayer plain(moe(), {DType::kF32, Device::kCpu}), selective(moe(), {DType::kF32, Device::kCpu});
  const Outcome want = backward_of(plain);
  Tape tape({.keep_cheap = false});
  const Var x = moe_input(selective.place(), &tape);
  const Var y = selective.run(selective.pass(&tape), x);
  tape.backward(y, seed_for(y, selective.place()));
  EXPECT_EQ(tape.grad(x).to_vector(), want.dx);
  for (const auto& [name, g] : want.gradients) EXPECT_EQ(selective.gradient(name), g) << name;
}

INSTANTIATE_TEST_SUITE_P(, MoeLayerTest, ::testing::ValuesIn(moe_cases()), moe_case_name);

MoeCase plain_case(const std::string& router, int64_t experts, int64_t per_token) {
  return {.name = router, .config = moe_config(router, experts, per_token)};
}

TEST(Moe, EveryRouterOfTheCatalogueIsTested) {
  for (const auto& entry : routers())
    EXPECT_TRUE(std::ranges::any_of(moe_cases(), [&](const MoeCase& c) {
      return c.config.router == entry.name;
    })) << entry.name;
}

TEST(Moe, PartsListEveryMatrix) {
  MoeLayer layer(plain_case("softmax_topk", 3, 2), kSpecification);
  EXPECT_EQ(layer.parameters().at("experts.gate_up.weight")->shape, (Shape{30, kWidth}));
  EXPECT_EQ(layer.parameters().at("experts.gate_up.weight")->parts, (std::vector<int64_t>(6, 5)));
  EXPECT_EQ(layer.parameters().at("experts.down.weight")->shape, (Shape{3 * kWidth, 5}));
  EXPECT_EQ(layer.parameters().at("experts.down.weight")->parts, (std::vector<int64_t>(3, kWidth)));
}

// The router prefers expert 0 whatever the token: x·w is large where x is positive.
TEST(Moe, ExpertsWithoutTokensHaveZeroGradients) {
  MoeCase c = plain_case("switch", 4, 1);
  c.config.router_bias = true;
  MoeLayer layer(c, {DType::kF32, Device::kCpu});
  layer.parameters().at("router.bias")->value.tensor().data<float>()[2] = 100.0f;
  const Outcome got = backward_of(layer);
  for (const char* name : {"experts.gate_up.weight", "experts.down.weight"}) {
    const Values& g = got.gradients.at(name);
    const size_t each = g.size() / 4;
    for (size_t i = 0; i < g.size(); ++i)
      EXPECT_EQ(g[i] != 0, i / each == 2) << name << " element " << i;
  }
  EXPECT_EQ(layer.statistics().layers()[0].load, (Values{0, 0, kBatch * kTokens, 0}));
  EXPECT_EQ(layer.statistics().summary()->load_max, 4.0);
}

TEST(Moe, DroppedTokensGetExactZeros) {
  MoeCase c = plain_case("switch", 4, 1);
  c.config.router_bias = true;
  c.config.expert_capacity = 3;
  MoeLayer layer(c, {DType::kF32, Device::kCpu});
  layer.parameters().at("router.bias")->value.tensor().data<float>()[1] = 100.0f;
  const Outcome got = backward_of(layer);
  for (int64_t n = 0; n < kBatch * kTokens; ++n) {
    const bool zero =
        std::all_of(got.output.begin() + n * kWidth, got.output.begin() + (n + 1) * kWidth,
                    [](double y) { return y == 0; });
    EXPECT_EQ(zero, n % kTokens >= 3) << "token " << n;
  }
  EXPECT_EQ(layer.statistics().layers()[0].dropped, 8.0);
  EXPECT_NEAR(layer.statistics().summary()->drop_rate, 8.0 / 14.0, 1e-15);
}

TEST(Moe, CapacityFactorsCountOnlyWhereTheyAreSaidTo) {
  MoeCase c = plain_case("switch", 4, 1);
  c.config.capacity_factor = 0.5;
  const auto dropped = [&] {
    MoeLayer layer(c, kSpecification);
    layer.run(layer.pass(), moe_input(kSpecification, nullptr));
    layer.statistics().end_micro_batch();
    return layer.statistics().layers()[0].dropped;
  };
  EXPECT_GT(dropped(), 0);
  c.training = false;
  EXPECT_EQ(dropped(), 0);
  c.config.eval_capacity_factor = 0.5;
  EXPECT_GT(dropped(), 0);
}

// Capacity, choice and losses look at each sequence by itself, so that two micro-batches of one
// sequence, each weighing one half, do what one batch of two does.
TEST(Moe, MicroBatchesAddUpToTheBatch) {
  for (const char* router : {"softmax_topk", "switch", "expert_choice", "sigmoid"}) {
    MoeCase c = plain_case(router, 4, 2);
    c.config.balance_per_sequence = true;
    c.config.capacity_factor = 0.9;
    MoeLayer whole(c, kSpecification), halves(c, kSpecification);
    const Outcome want = backward_of(whole);
    const Tensor all = tensor_of(moe_input(), {kBatch * kTokens, kWidth}, kSpecification);
    const Tensor seed = tensor_of(probe(), all.shape(), kSpecification);
    for (int64_t b = 0; b < kBatch; ++b) {
      Tape tape;
      Pass pass = halves.pass(&tape);
      pass.auxiliary_scale = 1.0 / kBatch;
      const auto sequence = [b](const Tensor& t) {
        return t.narrow(0, b * kTokens, kTokens).clone();
      };
      tape.backward(halves.run(pass, sequence(all)), sequence(seed));
      halves.statistics().end_micro_batch();
    }
    for (const auto& [name, g] : want.gradients)
      EXPECT_LE(error_of(halves.gradient(name), g), 1e-12) << router << " " << name;
    EXPECT_EQ(halves.statistics().layers()[0].load, whole.statistics().layers()[0].load);
    EXPECT_NEAR(halves.statistics().summary()->balance_loss,
                whole.statistics().summary()->balance_loss, 1e-12);
    EXPECT_NEAR(halves.statistics().summary()->z_loss, whole.statistics().summary()->z_loss, 1e-12);
  }
}

TEST(Moe, LossesCountAsOftenAsTheirScaleSays) {
  const MoeCase c = plain_case("softmax_topk", 4, 2);
  const auto router_gradient = [&](double scale) {
    MoeLayer layer(c, kSpecification);
    return backward_of(layer, scale).gradients.at("router.weight");
  };
  const Values none = router_gradient(0), one = router_gradient(1), three = router_gradient(3);
  for (size_t i = 0; i < one.size(); ++i)
    EXPECT_NEAR(three[i] - none[i], 3 * (one[i] - none[i]), 1e-12);
  EXPECT_GT(error_of(one, none), 1e-3);
}

TEST(Moe, EvaluationAttachesNoLoss) {
  MoeCase c = plain_case("softmax_topk", 4, 2);
  c.training = false;
  MoeLayer with(c, kSpecification);
  c.config.router_aux_loss_coef = c.config.router_z_loss_coef = 0.0;
  MoeLayer without(c, kSpecification);
  EXPECT_EQ(backward_of(with).gradients, backward_of(without).gradients);
}

TEST(RouterStatistics, SayWhatAnEvenRouterDoes) {
  MoeCase c = plain_case("softmax_topk", 4, 2);
  MoeLayer layer(c, kSpecification);
  layer.parameters().at("router.weight")->value.tensor().fill_zero();
  layer.run(layer.pass(), moe_input(kSpecification, nullptr));
  EXPECT_FALSE(layer.statistics().summary().has_value());  // the micro-batch has not ended
  layer.statistics().end_micro_batch();
  const RouterSummary s = *layer.statistics().summary();
  EXPECT_NEAR(s.entropy, std::log(4.0), 1e-12);
  EXPECT_NEAR(s.balance_loss, 2.0, 1e-12);  // k, whatever the choices are
  EXPECT_NEAR(s.z_loss, std::log(4.0) * std::log(4.0), 1e-12);
  EXPECT_EQ(s.load_max, 2.0);  // ties go to experts 0 and 1
  EXPECT_EQ(s.drop_rate, 0.0);
}

TEST(SigmoidRouter, BiasesMoveAgainstTheLoadAndBalanceIt) {
  MoeCase c = plain_case("sigmoid", 4, 2);
  read_config(c.config, nlohmann::ordered_json{{"bias_update_rate", 0.01}}, "test");
  c.config.router_bias = true;
  MoeLayer layer(c, {DType::kF32, Device::kCpu});
  Parameter& bias = *layer.parameters().at("router.e_score_correction_bias");
  EXPECT_FALSE(bias.trainable);
  bias.value.tensor().fill_zero();
  layer.parameters().at("router.bias")->value.tensor().data<float>()[3] = 5.0f;
  backward_of(layer);
  const Values load = layer.statistics().layers()[0].load;
  const double first = layer.statistics().summary()->load_max;
  update_router_biases(layer.statistics());
  for (size_t e = 0; e < 4; ++e)
    EXPECT_EQ(bias.value.tensor().data<float>()[e],
              load[e] < 7 ? 0.01f : (load[e] > 7 ? -0.01f : 0.0f));
  for (int step = 0; step < 200; ++step) {
    layer.statistics() = RouterStatistics();
    layer.run(layer.pass(), moe_input(layer.place(), nullptr));
    layer.statistics().end_micro_batch();
    update_router_biases(layer.statistics());
  }
  EXPECT_GT(first, 1.8);
  EXPECT_LE(layer.statistics().summary()->load_max, 8.0 / 7.0);
}

std::unique_ptr<FeedForward> make_dense(const std::string& kind, const FeedForwardShape& shape) {
  return find_in(feed_forwards(), "test", kind).make_with_defaults(shape);
}

TEST(Upcycle, ComputesWhatTheDenseLayerDoes) {
  for (const bool gated : {true, false}) {
    MoeCase c = plain_case("softmax_topk", 4, 2);
    c.config.expert = gated ? "gated" : "mlp";
    c.config.moe_intermediate_size.reset();
    c.bias = true;
    MoeLayer layer(c, kSpecification);
    const FeedForwardShape shape{.hidden_size = kWidth,
                                 .intermediate_size = 9,
                                 .activation = kernels::find_activation("silu"),
                                 .bias = true};
    const auto dense = make_dense(c.config.expert, shape);
    for_each_parameter(*dense, [&](const std::string& name, Parameter& p) {
      p.value = tensor_of(random_values(p.shape.numel(), Rng(8).fork(name), 0.5), p.shape,
                          kSpecification);
    });
    upcycle(layer.layer(), *dense);
    const Var x = moe_input(kSpecification, nullptr);
    const Pass pass = layer.pass();
    EXPECT_LE(error_of(layer.run(pass, x).value.to_vector(),
                       dense->forward({&pass, nullptr}, x).value.to_vector()),
              1e-13);
  }
}

TEST(Upcycle, RefusesLayersOfAnotherShape) {
  MoeCase c = plain_case("softmax_topk", 4, 2);
  c.config.moe_intermediate_size = 3;  // four experts of width 3 are not a stack of width 6
  MoeLayer layer(c, kSpecification);
  FeedForwardShape s{.hidden_size = kWidth, .intermediate_size = 6, .activation = {}};
  const auto refused = [&](std::unique_ptr<FeedForward> dense) {
    for_each_parameter(*dense, [](const std::string&, Parameter& p) {
      p.value = Tensor::zeros(p.shape, DType::kF64, Device::kRef);
    });
    EXPECT_THROW(upcycle(layer.layer(), *dense), Error);
  };
  refused(make_dense("gated", s));
  s.intermediate_size = 3;
  refused(make_dense("mlp", s));
  s.bias = true;
  refused(make_dense("gated", s));
}

}  // namespace
}  // namespace lathe::testing
