// What goes wrong in reinforcement, as it shows in the numbers of the steps: for a run that goes on, for `lathe runs`,
// `lathe rollouts` and a run's report. docs/alignment.md has the formula, the bound and the advice of each flag.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

struct RolloutFlag {
  std::string name;     // "length_hacking"
  std::string finding;  // what was seen, with its numbers
  std::string advice;
};

// Not thread-safe.
class RolloutWatch {
 public:
  // Means are those of the last kWindow steps; what has changed is measured against the first kWindow ones, once
  // there are twice as many.
  static constexpr int64_t kWindow = 20;

  // `precision` is train.precision, on which it depends how far log-probabilities may be off.
  explicit RolloutWatch(std::string_view precision);

  // The numbers of one more step, by their names in metrics.jsonl; a step without "reward" is left out.
  void add(const std::function<std::optional<double>(const std::string& name)>& number);

  // What is to be seen at the last step, in a fixed order. Empty for a run without rollouts.
  std::vector<RolloutFlag> flags() const;

 private:
  struct Rule;
  static const std::vector<Rule>& rules();
  // Means of the first and of the last steps; nullopt while there are too few.
  std::optional<double> first(const std::string& name) const;
  std::optional<double> last(const std::string& name) const;
  double correlation() const;

  const double most_off_;
  int64_t steps_ = 0;
  struct Series {
    std::vector<double> first, last;  // kWindow each, at most
  };
  std::map<std::string, Series> series_;
  // Of reward x and length y over all steps: Σx, Σy, Σx², Σy², Σxy.
  double x_ = 0, y_ = 0, xx_ = 0, yy_ = 0, xy_ = 0;
};

}  // namespace lathe
