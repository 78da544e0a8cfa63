// Mixtures of experts as the layers of transformers compute them: output, every gradient, the
// losses. tools/make_moe_goldens.py wrote the files.

#include <gtest/gtest.h>

#include <filesystem>

#include "lathe/io/safetensors.h"
#include "lathe/nn/moe/moe.h"
#include "lathe/nn/moe/router_statistics.h"
#include "model/grid.h"
#include "paths.h"

namespace lathe::testing {
namespace {

struct MoeGolden {
  std::string name;
  MoeConfig config;
  std::string activation = "silu";
};
std::ostream& operator<<(std::ostream& out, const MoeGolden& g) { return out << g.name; }

MoeConfig family_config(const std::string& router, int64_t experts, int64_t per_token) {
  MoeConfig c;
  c.router = router;
  c.num_experts = experts;
  c.num_experts_per_tok = per_token;
  return c;
}

// The settings of tools/make_moe_goldens.py, as moe_config.h says each family is written.
std::vector<MoeGolden> goldens() {
  std::vector<MoeGolden> all = {{"mixtral", family_config("softmax_topk", 4, 2)},
                                {"qwen2_moe", family_config("softmax_topk", 5, 3)},
                                {"qwen3_moe", family_config("softmax_topk", 6, 2)},
                                {"deepseek_v2", family_config("softmax_topk", 8, 3)},
                                {"deepseek_v2_groups", family_config("softmax_topk", 8, 3)},
                                {"deepseek_v3", family_config("sigmoid", 8, 3)},
                                {"switch", family_config("switch", 4, 1), "relu"}};
  all[1].config.norm_topk_prob = false;
  all[1].config.shared_expert_intermediate_size = 7;
  all[1].config.shared_expert_gate = true;
  for (const size_t i : {3, 4}) {
    all[i].config.norm_topk_prob = false;
    all[i].config.n_shared_experts = 2;
    all[i].config.routed_scaling_factor = 1.7;
  }
  for (const size_t i : {4, 5}) {
    all[i].config.n_group = 4;
    all[i].config.topk_group = 2;
  }
  all[5].config.n_shared_experts = 1;
  all[5].config.routed_scaling_factor = 2.5;
  all[6].config.expert = "mlp";
  all[6].config.expert_capacity = 2;
  all[6].config.router_bias = true;
  return all;
}

struct Arithmetic {
  DType dtype;
  Device device;
};

class MoeGoldenTest : public ::testing::TestWithParam<MoeGolden> {
 protected:
  MoeGoldenTest()
      : file_(tests_folder() / "model" / "goldens" / "moe" / (GetParam().name + ".safetensors")) {}

  Tensor read(const std::string& name) const {
    const ArraySpan* array = file_.find(name);
    require(array != nullptr, ErrorKind::kFormat, "golden", "no '{}'", name);
    Tensor t(Shape(std::span<const int64_t>(array->shape)), DType::kF32);
    std::copy(array->bytes.begin(), array->bytes.end(), t.raw());
    return t;
  }
  Tensor read(const std::string& name, const Arithmetic& a) const {
    return read(name).to(a.dtype).to(a.device);
  }

  std::unique_ptr<FeedForward> make(const Arithmetic& a) const {
    auto layer = make_moe({.hidden_size = 6,
                           .intermediate_size = 5,
                           .activation = kernels::find_activation(GetParam().activation)},
                          GetParam().config);
    for_each_parameter(*layer, [&](const std::string& name, Parameter& p) {
      p.value = read("weight." + name, a);
      EXPECT_EQ(p.value.tensor().shape(), p.shape) << name;
    });
    return layer;
  }

  SafetensorsReader file_;
};

TEST_P(MoeGoldenTest, OutputGradientsAndLossesAreThoseOfTransformers) {
  for (const Arithmetic& a : {Arithmetic{DType::kF64, Device::kRef}, {DType::kF32, Device::kCpu}}) {
    SCOPED_TRACE(name_of(a.dtype));
    const auto layer = make(a);
    Tape tape;
    ParameterGradients gradients;
    for_each_parameter(*layer, [&](const std::string&, Parameter& p) { gradients.add(p); });
    RouterStatistics statistics;
    const Pass pass{.tape = &tape, .gradients = &gradients, .router_statistics = &statistics};
    const Tensor input = read("x", a);  // [B,T,C]
    const Rows rows{.ids = {}, .sequences = Sequences::equal(input.size(0), input.size(1))};
    const Shape packed{input.size(0) * input.size(1), input.size(2)};
    const Var x = tape.leaf(input.reshape(packed));
    const Var y = layer->forward({&pass, &rows}, x);
    tape.backward(y, read("dy", a).reshape(packed));
    EXPECT_LE(largest_difference(y.value, read("y")), 2e-5);
    EXPECT_LE(largest_difference(tape.grad(x), read("dx")), 2e-5);
    size_t arrays = 4;
    for_each_parameter(*layer, [&](const std::string& name, Parameter& p) {
      arrays += p.trainable ? 2 : 1;
      if (!p.trainable) return;
      EXPECT_LE(largest_difference(gradients.find(p)->tensor, read("grad." + name)), 2e-5) << name;
    });
    statistics.end_micro_batch();
    if (file_.find("balance_loss") != nullptr) {
      EXPECT_NEAR(statistics.summary()->balance_loss, read("balance_loss").item(), 2e-6);
      EXPECT_NEAR(statistics.summary()->z_loss, read("z_loss").item(), 2e-5);
      arrays += 2;
    }
    EXPECT_EQ(file_.arrays().size(), arrays);
    EXPECT_EQ(statistics.summary()->drop_rate > 0, GetParam().name == "switch");
  }
}

INSTANTIATE_TEST_SUITE_P(, MoeGoldenTest, ::testing::ValuesIn(goldens()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace lathe::testing
