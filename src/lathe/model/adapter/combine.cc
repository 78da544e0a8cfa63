#include "lathe/model/adapter/combine.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/model/adapter/module_adapter.h"
#include "lathe/model/adapter/svd.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/rearrange.h"

namespace lathe {
namespace {

using Numbers = std::vector<double>;

// The tensors of one module, one of each adapter that has it.
struct Task {
  std::vector<Numbers> tensors;
  Numbers weights;
};

struct Pruning {
  std::string how;  // without "_svd"
  double density;
  Rng rng;
};

void keep_largest(Numbers& t, double density) {
  const auto kept = static_cast<size_t>(density * static_cast<double>(t.size()));
  if (kept >= t.size()) return;
  std::vector<size_t> order(t.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order,
                           [&](size_t a, size_t b) { return std::abs(t[a]) > std::abs(t[b]); });
  for (size_t i = kept; i < order.size(); ++i) t[order[i]] = 0;
}

void keep_random(Numbers& t, double density, const Rng& rng) {
  for (size_t i = 0; i < t.size(); ++i) t[i] = rng.uniform64(i) < density ? t[i] / density : 0.0;
}

Numbers weighted_sum(const Task& task) {
  Numbers sum(task.tensors[0].size(), 0.0);
  for (size_t k = 0; k < task.tensors.size(); ++k)
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += task.weights[k] * task.tensors[k][i];
  return sum;
}

// The mean over those whose sign is that of the sum of all.
Numbers of_prevailing_sign(const Task& task) {
  Numbers mean(task.tensors[0].size(), 0.0);
  for (size_t i = 0; i < mean.size(); ++i) {
    double total = 0, sum = 0, count = 0;
    for (const Numbers& t : task.tensors) total += t[i];
    for (size_t k = 0; k < task.tensors.size(); ++k) {
      const double v = task.tensors[k][i];
      if (v == 0 || (v > 0) != (total >= 0)) continue;
      sum += task.weights[k] * v;
      ++count;
    }
    mean[i] = count > 0 ? sum / count : 0.0;
  }
  return mean;
}

Numbers combined(Task task, const Pruning& p) {
  const bool random = p.how.starts_with("dare");
  for (size_t k = 0; k < task.tensors.size() && p.how != "linear"; ++k)
    random ? keep_random(task.tensors[k], p.density, p.rng.fork(k))
           : keep_largest(task.tensors[k], p.density);
  return p.how.ends_with("ties") ? of_prevailing_sign(task) : weighted_sum(task);
}

// A LoRA's matrices of one module: A and B as PEFT has them, of tables lora_embedding_A and _B.
struct Factors {
  Tensor a, b;  // [r, inputs], [outputs, r], f64
  double scale = 1;
};

Factors factors_of(const AdaptedModule& module, std::string_view where) {
  const auto all = module.adapter->factors();
  require(all.size() == 1 && module.site.experts == 0, ErrorKind::kConfig, where,
          "'{}' is adapted by more than a plain LoRA, and only those can be combined; merge one "
          "adapter after the other",
          module.site.module);
  const LowRankFactors& f = all[0];
  const Tensor a = module.is_lookup ? f.a.transpose(0, 1).clone() : f.a;
  return {a.to(DType::kF64), f.b.to(DType::kF64), f.scale};
}

Numbers values_of(const Tensor& t) { return t.to_vector(); }
Tensor matrix_from(const Numbers& values, const Shape& shape) {
  return Tensor::of<double>(values, shape);
}

class Combiner {
 public:
  Combiner(std::span<const std::shared_ptr<const Adapter>> adapters, const Combination& c,
           const Transformer& model)
      : adapters_(adapters), combination_(c), model_(model) {
    check();
    constexpr std::string_view kSvd = "svd";
    by_update_ = c.how.ends_with(kSvd);
    how_ = c.how == "svd" ? "linear"
           : by_update_   ? c.how.substr(0, c.how.size() - kSvd.size() - 1)
                          : c.how;
    const auto& config = adapters[0]->config();
    svd_rank_ = config.r.value_or(8);
  }

  std::unique_ptr<Adapter> combine() {
    AdapterConfig config = adapters_[0]->config();
    config.rank_pattern.clear();
    config.alpha_pattern.clear();
    config.target_modules.clear();
    auto result = std::make_unique<Adapter>(config, model_);
    std::vector<Factors> values;
    for (const auto& [key, which] : modules()) {
      const AdaptedModule& like = *which[0].second;
      values.push_back(combined_factors(which, like.prefix));
      result->add(module_of_rank(like, values.back().a.size(0)));
    }
    result->allocate(model_);
    for (size_t i = 0; i < values.size(); ++i)
      for_each_parameter(*result->modules()[i].adapter, [&](const std::string& name, Parameter& p) {
        const bool is_a = name.find("_A") != std::string::npos;
        p.value.tensor().copy_from(is_a ? values[i].a : values[i].b);
      });
    return result;
  }

 private:
  using Which = std::vector<std::pair<size_t, const AdaptedModule*>>;  // number of an adapter

  void check() const {
    const auto known = combinations();
    const std::vector<std::string> names(known.begin(), known.end());
    if (std::ranges::find(known, combination_.how) == known.end())
      fail_unknown_name(ErrorKind::kConfig, "combination", combination_.how, names);
    require(combination_.weights.size() == adapters_.size(), ErrorKind::kConfig, "weight",
            "{} weights for {} adapters; give one for each", combination_.weights.size(),
            adapters_.size());
    require(combination_.density > 0 && combination_.density <= 1, ErrorKind::kConfig, "density",
            "{} is not in (0, 1]", combination_.density);
    for (const auto& adapter : adapters_)
      require(
          adapter->config().peft_type == "LORA" && adapter->replaced().empty(), ErrorKind::kConfig,
          "combination",
          "only plain LoRAs can be combined, but one is {}{}; merge one adapter after the other",
          adapter->config().peft_type,
          adapter->replaced().empty()
              ? ""
              : fmt::format(" with '{}' trained as a whole", adapter->replaced()[0].name));
  }

  std::map<std::string, Which> modules() const {
    std::map<std::string, Which> all;
    for (size_t k = 0; k < adapters_.size(); ++k)
      for (const AdaptedModule& module : adapters_[k]->modules())
        all[module.prefix].emplace_back(k, &module);
    return all;
  }

  Factors combined_factors(const Which& which, const std::string& prefix) const {
    std::vector<Factors> each;
    for (const auto& [k, module] : which) each.push_back(factors_of(*module, "combination"));
    const Rng rng = combination_.rng.fork(prefix);
    if (by_update_) return of_update(which, each, {how_, combination_.density, rng});
    if (how_ == "cat") return joined(which, each);
    require(std::ranges::all_of(each,
                                [&](const Factors& f) { return f.a.shape() == each[0].a.shape(); }),
            ErrorKind::kConfig, "combination",
            "the LoRAs of '{}' have different ranks, but \"{}\" combines their factors; use cat or "
            "svd",
            prefix, combination_.how);
    Task a, b;
    for (size_t i = 0; i < each.size(); ++i) {
      const double weight = combination_.weights[which[i].first] * each[i].scale;
      const double root = std::sqrt(std::abs(weight));
      a.tensors.push_back(values_of(each[i].a));
      a.weights.push_back(std::copysign(root, weight));
      b.tensors.push_back(values_of(each[i].b));
      b.weights.push_back(root);
    }
    return {
        matrix_from(combined(a, {how_, combination_.density, rng.fork("A")}), each[0].a.shape()),
        matrix_from(combined(b, {how_, combination_.density, rng.fork("B")}), each[0].b.shape())};
  }

  Factors joined(const Which& which, const std::vector<Factors>& each) const {
    std::vector<Var> a, b;
    for (size_t i = 0; i < each.size(); ++i) {
      a.push_back(ops::scale(Var(each[i].a), combination_.weights[which[i].first] * each[i].scale));
      b.push_back(ops::transpose(Var(each[i].b)));
    }
    return {ops::join_rows(a).value, ops::transpose(ops::join_rows(b)).value};
  }

  Factors of_update(const Which& which, const std::vector<Factors>& each,
                    const Pruning& pruning) const {
    Task task;
    Shape shape;
    for (size_t i = 0; i < each.size(); ++i) {
      const Var delta = ops::scale(matmul(Var(each[i].b), Var(each[i].a)), each[i].scale);
      shape = delta.shape();
      task.tensors.push_back(values_of(delta.value));
      task.weights.push_back(combination_.weights[which[i].first]);
    }
    const Svd svd = singular_values(matrix_from(combined(task, pruning), shape), svd_rank_);
    return {svd.right, ops::multiply(Var(svd.left),
                                     Var(Tensor::of<double>(svd.values, {std::ssize(svd.values)})))
                           .value};
  }

  static AdaptedModule module_of_rank(const AdaptedModule& like, int64_t rank) {
    ModuleSite site = like.site;
    site.rank = rank;
    site.alpha = static_cast<double>(rank);  // a scale of 1
    const ModuleAdapterKind& lora = find_in(module_adapters(), "peft_type", "LORA");
    return {.prefix = like.prefix,
            .site = site,
            .at = like.at,
            .adapter = lora.make_with_defaults(site),
            .is_lookup = like.is_lookup};
  }

  std::span<const std::shared_ptr<const Adapter>> adapters_;
  const Combination& combination_;
  const Transformer& model_;
  bool by_update_ = false;
  std::string how_;
  int64_t svd_rank_ = 0;
};

}  // namespace

std::span<const std::string_view> combinations() {
  static constexpr std::string_view kAll[] = {"linear",
                                              "cat",
                                              "svd",
                                              "ties",
                                              "ties_svd",
                                              "dare_linear",
                                              "dare_ties",
                                              "dare_linear_svd",
                                              "dare_ties_svd",
                                              "magnitude_prune",
                                              "magnitude_prune_svd"};
  return kAll;
}

std::unique_ptr<Adapter> combine(std::span<const std::shared_ptr<const Adapter>> adapters,
                                 const Combination& combination, const Transformer& model) {
  return Combiner(adapters, combination, model).combine();
}

}  // namespace lathe
