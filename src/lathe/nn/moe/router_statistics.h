// Statistics of the routers of a model in one training step, layer by layer, and the balancing
// based on them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lathe/nn/parameter.h"

namespace lathe {

class Router;

struct RouterReport {
  std::vector<double> load;   // [E]: choices of each expert before any was dropped
  double tokens = 0;          // N
  double wanted = 0;          // slots that tokens and experts asked for
  double dropped = 0;         // of those, over capacity
  double entropy = 0;         // of the probabilities, nats, summed over tokens
  double balance_loss = 0;    // ops::balance_loss · N; 0 when the router needs none
  double z_loss = 0;          // ops::router_z_loss · N
  Parameter* bias = nullptr;  // Router::correction_bias()
  double bias_rate = 0;
};

// A summary over the layers with experts.
struct RouterSummary {
  double load_max =
      0;  // load of the busiest expert of any layer over the mean of its layer: 1 to E
  double drop_rate = 0;                              // dropped / wanted
  double entropy = 0, balance_loss = 0, z_loss = 0;  // means over tokens and layers
};

// Not thread-safe.
class RouterStatistics {
 public:
  // The report of one router on the current micro-batch; a second report of the same router
  // replaces the first, so that recomputation counts once.
  void report(const Router* router, RouterReport report);
  void end_micro_batch();
  // The micro-batches that `more` has completed count here, too.
  void add(const RouterStatistics& more);

  // Sums over the completed micro-batches, in the order in which routers first reported.
  const std::vector<RouterReport>& layers() const { return totals_; }
  // nullopt if no router reported.
  std::optional<RouterSummary> summary() const;

 private:
  std::vector<const Router*> routers_;
  std::vector<RouterReport> totals_;
  std::vector<std::optional<RouterReport>> pending_;
};

// bias_e += rate · sign(mean load - load_e) for every layer that has such a bias (Wang et al. 2024,
// arXiv:2408.15664; DeepSeek-AI 2024, arXiv:2412.19437, section 2.1.2). Call once after each
// optimiser step.
void update_router_biases(const RouterStatistics& statistics);

}  // namespace lathe
