// Every product with a weight goes through nn/product.h: a weight in another form, and an adapter,
// reach all of them in models of every combination. A product that passed them by would ask for
// elements that are not there, or miss the adapter.

#include "lathe/nn/product.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>

#include "lathe/model/load_model.h"
#include "lathe/nn/adapters.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/embedding.h"
#include "lathe/ops/linear.h"
#include "lathe/ops/moe.h"
#include "model/checks.h"
#include "paths.h"

namespace lathe::testing {
namespace {

// Matrices that are multiplied: not the tables whose rows are looked up or added to scores, and not
// the taps of a convolution.
std::vector<Parameter*> multiplied(Transformer& model) {
  std::vector<Parameter*> all;
  for (Parameter* p : model.parameters()) {
    const bool is_head = p->name == "head.weight" ||
                         (p->name == "embedding.weight" && model.config().tie_word_embeddings);
    if (p->shape.rank() == 2 && (!p->is_table || is_head)) all.push_back(p);
  }
  return all;
}

class DensePacked : public ops::PackedMatrix {
 public:
  explicit DensePacked(Tensor matrix) : matrix_(std::move(matrix)) {}
  Shape shape() const override { return matrix_.shape(); }
  size_t bytes() const override { return matrix_.bytes(); }
  Tensor product(const Tensor& x, const TensorView& bias, DType out) const override {
    Tensor y({x.size(0), matrix_.size(0)}, out, x.device());
    kernels::kernels_for(x.device())
        .matmul(x, matrix_.transpose(0, 1), bias, y, kernels::Write::kOverwrite);
    return y;
  }
  Tensor product_backward(const Tensor& dy) const override {
    Tensor dx({dy.size(0), matrix_.size(1)}, dy.dtype(), dy.device());
    kernels::kernels_for(dy.device())
        .matmul(dy, matrix_, TensorView(), dx, kernels::Write::kOverwrite);
    return dx;
  }
  Tensor dense(DType dtype) const override { return matrix_.to(dtype); }
  Tensor lookup(const Tensor& ids, DType dtype) const override {
    return ops::embedding(Var(matrix_), ids, dtype).value;
  }
  std::shared_ptr<const ops::PackedMatrix> rows(int64_t first, int64_t count) const override {
    return std::make_shared<DensePacked>(matrix_.narrow(0, first, count));
  }

 private:
  Tensor matrix_;
};

// W + W, and which parameters it met.
class Doubling : public Adapters {
 public:
  Var add_to_product(const Pass& pass, const Parameter& p, const Var& x, const Var& y,
                     const Var&) const override {
    met_.insert(p.name);
    return ops::add(y, ops::linear(x, pass.use(p), Var()));
  }
  Var add_to_expert_product(const Pass& pass, const Parameter& p, const Var& x, const Var& y,
                            const ops::ExpertPlan& plan) const override {
    met_.insert(p.name);
    return ops::add(y, ops::grouped_linear(x, pass.use(p), Var(), plan));
  }
  Var add_to_weight(const Pass&, const Parameter& p, const Var& w, size_t) const override {
    met_.insert(p.name);
    return ops::scale(w, 2.0);
  }
  const std::set<std::string>& met() const { return met_; }

 private:
  mutable std::set<std::string> met_;
};

double error_between(const std::vector<double>& a, const std::vector<double>& b) {
  double error = a.size() == b.size() ? 0 : HUGE_VAL;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    error = std::max(error, std::abs(a[i] - b[i]));
  return error;
}

// Every matrix in another form: whoever asks for its elements gets an error. Their names.
std::set<std::string> pack(Transformer& model) {
  std::set<std::string> packed;
  for (Parameter* p : multiplied(model)) {
    p->value = Weight(std::make_shared<DensePacked>(p->value.tensor()));
    packed.insert(p->name);
  }
  return packed;
}

void expect_adapters_everywhere(const Transformer& model, Transformer& doubled) {
  std::set<std::string> names;
  for (Parameter* p : multiplied(doubled)) {
    names.insert(p->name);
    kernels::ref_kernels().scale(2.0, p->value.tensor(), p->value.tensor());
  }
  const Doubling adapters;
  const ModelInputs inputs = inputs_for(model, some_ids(2, 7));
  ModelPass pass(model, {.adapters = &adapters});
  const Tensor got = pass.logits(pass.hidden(inputs)).value;
  const Tensor want = logits_of(doubled, inputs);
  EXPECT_LE(largest_difference(got, want), 1e-9 * std::max(1.0, largest_magnitude(want)));
  EXPECT_EQ(adapters.met(), names);
}

class Products : public ::testing::TestWithParam<Variant> {};

TEST_P(Products, AWeightInAnotherFormReachesEachOfThem) {
  const auto model = make_model(GetParam().config, DType::kF64, Device::kRef);
  const Tensor ids = some_ids(2, 7), want = logits_of(*model, ids);
  const std::vector<int64_t> pieces = {4, 1, 2};
  const bool cached = model->config().body_traits().causal;
  const Tensor want_cached = cached ? cached_logits(*model, ids, pieces) : Tensor();
  const LossWithGradients dense = loss_with_gradients(*model, ids);

  const std::set<std::string> packed = pack(*model);
  EXPECT_EQ(logits_of(*model, ids).to_vector(), want.to_vector());
  if (cached) {
    EXPECT_EQ(cached_logits(*model, ids, pieces).to_vector(), want_cached.to_vector());
  }
  const LossWithGradients got = loss_with_gradients(*model, ids);
  EXPECT_EQ(got.loss, dense.loss);
  for (const auto& [name, gradient] : got.gradients) {
    EXPECT_FALSE(packed.contains(name)) << name;
    EXPECT_LE(error_between(gradient.to_vector(), dense.gradients.at(name).to_vector()), 1e-12)
        << name;
  }
  EXPECT_EQ(got.gradients.size() + packed.size(), dense.gradients.size());
}

TEST_P(Products, AnAdapterReachesEachOfThem) {
  ModelConfig config = GetParam().config;
  config.tie_word_embeddings = false;  // where the table is looked up, no adapter acts
  config.scale_tied_head = false;
  const auto model = make_model(config, DType::kF64, Device::kRef),
             doubled = make_model(config, DType::kF64, Device::kRef);
  expect_adapters_everywhere(*model, *doubled);
}

INSTANTIATE_TEST_SUITE_P(, Products, ::testing::ValuesIn(covering_variants(2)),
                         [](const auto& each) {
                           std::string name = each.param.name;
                           std::ranges::replace(name, '-', '_');
                           return std::to_string(each.index) + "_" + name.substr(0, 80);
                         });

// The families of config.json files, as transformers made them.
TEST(ProductsOfFamilies, AWeightInAnotherFormReachesEachOfThem) {
  namespace fs = std::filesystem;
  size_t families = 0;
  for (const auto& entry : fs::directory_iterator(tests_folder() / "model" / "goldens")) {
    if (!fs::exists(entry.path() / "model" / "config.json")) continue;
    SCOPED_TRACE(entry.path().filename().string());
    const auto model =
        load_model(entry.path() / "model", {.dtype = DType::kF64, .device = Device::kRef});
    const Tensor ids = some_ids(2, 7), want = logits_of(*model, ids);
    pack(*model);
    EXPECT_EQ(logits_of(*model, ids).to_vector(), want.to_vector());
    ++families;
  }
  EXPECT_GT(families, 30u);
}

}  // namespace
}  // namespace lathe::testing
