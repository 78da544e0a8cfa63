#include "lathe/nn/moe/router_statistics.h"

#include <algorithm>
#include <numeric>

namespace lathe {
namespace {

double mean_load(const RouterReport& r) {
  return std::accumulate(r.load.begin(), r.load.end(), 0.0) / static_cast<double>(r.load.size());
}

void add_report(RouterReport& total, const RouterReport& r) {
  total.load.resize(r.load.size(), 0.0);
  for (size_t e = 0; e < r.load.size(); ++e) total.load[e] += r.load[e];
  total.tokens += r.tokens;
  total.wanted += r.wanted;
  total.dropped += r.dropped;
  total.entropy += r.entropy;
  total.balance_loss += r.balance_loss;
  total.z_loss += r.z_loss;
  total.bias = r.bias;
  total.bias_rate = r.bias_rate;
}

template <class T>
void move_towards_balance(const Parameter& bias, const RouterReport& r) {
  const double mean = mean_load(r);
  for (size_t e = 0; e < r.load.size(); ++e) {
    const double sign = r.load[e] < mean ? 1.0 : (r.load[e] > mean ? -1.0 : 0.0);
    T& b = bias.value.tensor().data<T>()[e];
    b = static_cast<T>(static_cast<double>(b) + r.bias_rate * sign);
  }
}

}  // namespace

void RouterStatistics::report(const Router* router, RouterReport report) {
  const auto found = std::ranges::find(routers_, router);
  const auto at = static_cast<size_t>(found - routers_.begin());
  if (found == routers_.end()) {
    routers_.push_back(router);
    totals_.emplace_back();
    pending_.emplace_back();
  }
  pending_[at] = std::move(report);
}

void RouterStatistics::end_micro_batch() {
  for (size_t i = 0; i < pending_.size(); ++i) {
    if (pending_[i]) add_report(totals_[i], *pending_[i]);
    pending_[i].reset();
  }
}

void RouterStatistics::add(const RouterStatistics& more) {
  end_micro_batch();
  for (size_t i = 0; i < more.routers_.size(); ++i) report(more.routers_[i], more.totals_[i]);
  end_micro_batch();
}

std::optional<RouterSummary> RouterStatistics::summary() const {
  RouterSummary s;
  double tokens = 0, wanted = 0, dropped = 0;
  for (const RouterReport& r : totals_) {
    if (r.tokens == 0) continue;
    s.load_max = std::max(s.load_max, *std::ranges::max_element(r.load) / mean_load(r));
    s.entropy += r.entropy;
    s.balance_loss += r.balance_loss;
    s.z_loss += r.z_loss;
    tokens += r.tokens;
    wanted += r.wanted;
    dropped += r.dropped;
  }
  if (tokens == 0) return std::nullopt;
  for (double* mean : {&s.entropy, &s.balance_loss, &s.z_loss}) *mean /= tokens;
  s.drop_rate = dropped / wanted;
  return s;
}

void update_router_biases(const RouterStatistics& statistics) {
  for (const RouterReport& r : statistics.layers()) {
    if (r.bias == nullptr) continue;
    const Parameter& bias = *r.bias;
    if (bias.value.tensor().dtype() == DType::kF64)
      move_towards_balance<double>(bias, r);
    else
      move_towards_balance<float>(bias, r);
  }
}

}  // namespace lathe
