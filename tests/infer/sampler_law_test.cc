// The law of every sampler that only draws can show: the tokens that a chain draws, by Pearson's
// chi-square against the probabilities of the definition, which are computed here a second time
// from probabilities instead of logits. Seeds are fixed, so a test always gives the same result;
// the bound is the one that a right sampler passes in 9,999 of 10,000 seeds.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/infer/sampler/chain.h"

namespace lathe {
namespace {

using Law = std::vector<double>;  // probability by token, or by path
using Ids = std::vector<int32_t>;

const Law kModel = {0.30, 0.22, 0.16, 0.11, 0.08, 0.05, 0.035, 0.02, 0.015, 0.01};

std::vector<float> logits_of(const Law& law) {
  std::vector<float> row;
  for (const double p : law) row.push_back(static_cast<float>(std::log(p)) + 1.5f);
  return row;
}

Law normalised(Law law) {
  const double total = std::accumulate(law.begin(), law.end(), 0.0);
  for (double& p : law) p /= total;
  return law;
}

// Keeps the tokens for which `keep` of their probability is true.
Law filtered(Law law, const std::function<bool(double)>& keep) {
  for (double& p : law)
    if (!keep(p)) p = 0;
  return normalised(law);
}

Law powered(Law law, double power) {
  for (double& p : law) p = std::pow(p, power);
  return normalised(law);
}

// What a chi-square variable of `freedom` degrees exceeds once in 10,000 times (Wilson and Hilferty
// 1931).
double critical(double freedom) {
  const double v = 2 / (9 * freedom);
  return freedom * std::pow(1 - v + 3.719 * std::sqrt(v), 3);
}

// Cells with an expected count below 5 are taken together; what has probability 0 must not occur.
void expect_law(const std::vector<int64_t>& counts, const Law& law) {
  ASSERT_EQ(counts.size(), law.size());
  const auto draws = static_cast<double>(std::accumulate(counts.begin(), counts.end(), int64_t{0}));
  double chi_square = 0, cells = 0, rare = 0, rare_expected = 0;
  const auto add = [&](double count, double expected) {
    chi_square += (count - expected) * (count - expected) / expected;
    cells += 1;
  };
  for (size_t i = 0; i < law.size(); ++i) {
    const double expected = draws * law[i], count = static_cast<double>(counts[i]);
    if (law[i] == 0) {
      EXPECT_EQ(counts[i], 0) << "token or path " << i;
    } else if (expected < 5) {
      rare += count, rare_expected += expected;
    } else {
      add(count, expected);
    }
  }
  if (rare_expected > 0) add(rare, std::max(rare_expected, 1.0));
  if (cells == 1) return;  // one token: nothing was left to chance
  EXPECT_LT(chi_square, critical(cells - 1)) << cells << " cells";
}

void expect_draws(const GenerationConfig& config, const Law& law,
                  const TokenHistory& history = {}) {
  constexpr uint64_t kDraws = 40'000;
  const SamplerChain chain(config);
  std::vector<int64_t> counts(kModel.size(), 0);
  for (uint64_t i = 0; i < kDraws; ++i) {
    std::vector<float> row = logits_of(kModel);
    SamplerState state;
    ++counts[static_cast<size_t>(chain.next(row, history, Rng(5).fork(0).fork(i), state))];
  }
  expect_law(counts, law);
}

TEST(SamplerLaw, ATestThatCanFail) {
  std::vector<int64_t> fair = {5000, 3000, 2000}, wrong = {5000, 3300, 1700};
  const Law law = {0.5, 0.3, 0.2};
  expect_law(fair, law);
  double chi_square = 0;
  for (size_t i = 0; i < 3; ++i) {
    const double expected = 1e4 * law[i], off = static_cast<double>(wrong[i]) - expected;
    chi_square += off * off / expected;
  }
  EXPECT_GT(chi_square, critical(2));
  EXPECT_NEAR(critical(9) / 33.72, 1, 0.02);  // of the table
}

TEST(SamplerLaw, Plain) { expect_draws({}, kModel); }

TEST(SamplerLaw, Temperature) {
  expect_draws({.temperature = 0.6}, powered(kModel, 1 / 0.6));
  expect_draws({.temperature = 2.5}, powered(kModel, 1 / 2.5));
}

TEST(SamplerLaw, Filters) {
  expect_draws({.top_k = 4}, filtered(kModel, [](double p) { return p >= 0.11; }));
  expect_draws({.top_p = 0.75}, filtered(kModel, [](double p) { return p >= 0.11; }));  // 0.79
  expect_draws({.min_p = 0.2}, filtered(kModel, [](double p) { return p >= 0.06; }));
}

TEST(SamplerLaw, Typical) {
  double entropy = 0;
  for (const double p : kModel) entropy -= p * std::log(p);
  std::vector<double> by_distance = kModel;
  const auto distance = [=](double p) { return std::abs(-std::log(p) - entropy); };
  std::ranges::sort(by_distance, {}, distance);
  double mass = 0, last = 0;
  for (const double p : by_distance) {
    mass += p;
    last = distance(p);
    if (mass >= 0.5) break;
  }
  expect_draws({.typical_p = 0.5},
               filtered(kModel, [&](double p) { return distance(p) <= last + 1e-6; }));
}

TEST(SamplerLaw, Penalties) {
  const Ids generated = {0, 3, 0};
  Law law = kModel;
  law[0] *= std::exp(-(0.5 + 2 * 0.25));
  law[3] *= std::exp(-(0.5 + 0.25));
  expect_draws({.presence_penalty = 0.5, .frequency_penalty = 0.25}, normalised(law),
               {{}, generated});
}

TEST(SamplerLaw, LogitBias) {
  Law law = kModel;
  law[2] *= std::exp(1.25);
  law[9] *= std::exp(3.0);
  law[0] = 0;  // e^-100
  expect_draws({.logit_bias = {{2, 1.25}, {9, 3.0}, {0, -100}}}, normalised(law));
}

TEST(SamplerLaw, TopNSigma) {
  double mean = 0, squares = 0;
  for (const double p : kModel) mean += std::log(p) / 10;
  for (const double p : kModel) squares += std::pow(std::log(p) - mean, 2) / 10;
  const double lowest = std::log(0.30) - 1.2 * std::sqrt(squares);
  const Law law = filtered(kModel, [&](double p) { return std::log(p) >= lowest; });
  EXPECT_EQ(std::ranges::count(law, 0.0), 5);  // σ = 1.08
  expect_draws({.top_n_sigma = 1.2}, law);
  expect_draws({.temperature = 3, .top_n_sigma = 1.2}, powered(law, 1.0 / 3));
}

TEST(SamplerLaw, DynamicTemperature) {
  double entropy = 0;
  for (const double p : kModel) entropy -= p * std::log(p);
  const double share = std::pow(entropy / std::log(10.0), 2);
  const double t = 0.4 + (1.6 - 0.4) * share;
  EXPECT_GT(t, 1.1);
  expect_draws({.dynatemp_range = 0.6, .dynatemp_exponent = 2}, powered(kModel, 1 / t));
}

TEST(SamplerLaw, Xtc) {
  // 0.30, 0.22 and 0.16 reach the threshold; the last of them stays.
  const Law without = filtered(kModel, [](double p) { return p < 0.2; });
  Law law(kModel.size());
  for (size_t i = 0; i < law.size(); ++i) law[i] = 0.35 * without[i] + 0.65 * kModel[i];
  expect_draws({.xtc_probability = 0.35, .xtc_threshold = 0.15}, law);
  expect_draws({.xtc_probability = 1, .xtc_threshold = 0.15}, without);
  expect_draws({.xtc_probability = 1, .xtc_threshold = 0.25}, kModel);  // only one reaches it
}

// The probability of every path of three tokens by Mirostat's definition; path i has the digits of i.
using Truncate = std::function<Law(const Law&, double bound)>;
constexpr double kTau = 1.8, kEta = 0.7;
constexpr size_t kPaths = 1000;

Law mirostat_paths(const Truncate& truncate) {
  Law law(kPaths, 1.0);
  for (size_t path = 0; path < kPaths; ++path) {
    double bound = 2 * kTau;
    for (const size_t token : {path / 100, path / 10 % 10, path % 10}) {
      law[path] *= truncate(kModel, bound)[token];
      bound -= kEta * (-std::log2(kModel[token]) - kTau);
    }
  }
  return law;
}

void expect_mirostat(int64_t version, const Law& law) {
  const SamplerChain chain({.mirostat = version, .mirostat_tau = kTau, .mirostat_eta = kEta});
  std::vector<int64_t> counts(kPaths, 0);
  for (uint64_t i = 0; i < 60'000; ++i) {
    SamplerState state;
    size_t path = 0;
    for (uint64_t step = 0; step < 3; ++step) {
      std::vector<float> row = logits_of(kModel);
      path = path * 10 + static_cast<size_t>(chain.next(row, {}, Rng(9).fork(i).fork(step), state));
    }
    ++counts[path];
  }
  expect_law(counts, law);
}

TEST(SamplerLaw, Mirostat1) {
  expect_mirostat(
      1, mirostat_paths([](const Law& law, double bound) {
        double products = 0, squares = 0;
        for (size_t i = 1; i < law.size(); ++i) {
          const double t = std::log(static_cast<double>(i + 1) / static_cast<double>(i));
          products += t * std::log(law[i - 1] / law[i]);
          squares += t * t;
        }
        const double s = products / squares, e = s - 1;
        const double k = std::pow(e * std::exp2(bound) / (1 - std::pow(10.0, -e)), 1 / s);
        const double rank = std::clamp(std::round(k), 1.0, 10.0);
        const double least = law[static_cast<size_t>(rank) - 1];
        return filtered(law, [=](double p) { return p >= least; });
      }));
}

TEST(SamplerLaw, Mirostat2) {
  expect_mirostat(2, mirostat_paths([](const Law& law, double bound) {
                    return filtered(law,
                                    [=](double p) { return p == 0.30 || -std::log2(p) <= bound; });
                  }));
}

TEST(Mirostat, HoldsTheSurpriseOfALongText) {
  for (const int64_t version : {1, 2}) {
    for (const double target : {3.5, 5.0}) {
      const SamplerChain chain({.mirostat = version, .mirostat_tau = target});
      SamplerState state;
      double total = 0;
      constexpr uint64_t kTokens = 1500;
      for (uint64_t i = 0; i < kTokens; ++i) {
        const Rng step = Rng(3).fork(i);
        std::vector<float> row(2000);
        for (size_t v = 0; v < row.size(); ++v)
          row[v] = static_cast<float>(-1.1 * std::log(static_cast<double>(v + 1)) +
                                      0.5 * step.fork("row").normal(v));
        const std::vector<float> before = row;
        double sum = 0;
        for (const float l : before) sum += std::exp(l);
        const int32_t token = chain.next(row, {}, step, state);
        total += (std::log(sum) - before[static_cast<size_t>(token)]) / std::log(2.0);
      }
      EXPECT_NEAR(total / kTokens, target, 0.15) << version;
    }
  }
}

}  // namespace
}  // namespace lathe
