// What a server counts, in the text format of Prometheus.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lathe {

// How often a value was at most each of some bounds.
class Histogram {
 public:
  void add(double value);
  void write(std::string& out, std::string_view name, const std::string& labels) const;

 private:
  // Seconds: from a token of a small model to a request that waits.
  static constexpr std::array kBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                         0.5,   1.0,    2.5,   5.0,  10.0,  30.0, 60.0};
  std::array<uint64_t, kBounds.size() + 1> counts_{};
  double sum_ = 0;
};

// Thread-safe.
class ServeMetrics {
 public:
  void request(std::string_view endpoint, int status);
  void cancelled(const std::string& model);
  // From the request until it leaves the queue, until its first token, and from each token of it to the next.
  void queued(const std::string& model, double seconds);
  void first_token(const std::string& model, double seconds);
  void next_token(const std::string& model, double seconds);
  void tokens(const std::string& model, int64_t prompt, int64_t cached, int64_t written,
              int64_t drafted, int64_t accepted);

  // A value that is known elsewhere at the time of asking.
  struct Gauge {
    std::string_view name, help;
    std::vector<std::pair<std::string, double>> by_model;
  };
  std::string text(std::span<const Gauge> gauges) const;

 private:
  struct OfModel {
    uint64_t cancelled = 0, prompt = 0, cached = 0, written = 0, drafted = 0, accepted = 0;
    Histogram queue, first, next;
  };
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, uint64_t> requests_;
  std::map<std::string, OfModel> models_;
};

}  // namespace lathe
