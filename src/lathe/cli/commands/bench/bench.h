// `lathe bench`: one file per measurement, each a child command.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

#include "lathe/cli/frame/command.h"

namespace lathe {

Command bench_machine_command();
Command bench_kernels_command();
Command bench_train_command();
Command bench_step_command();
Command bench_attention_command();
Command bench_moe_command();
Command bench_decode_command();
Command bench_prefill_command();
Command bench_batch_command();
Command bench_cache_command();
Command bench_checkpoint_command();

// Prints the result of a measurement: `facts` with the keys level and threads as the command's
// JSON, or `text` with a line for the level and threads.
void print_measured(CommandContext& context, nlohmann::ordered_json facts, const std::string& text);

// The seconds of each of `runs` calls of f, sorted.
template <class F>
std::vector<double> sorted_seconds(int64_t runs, F&& f) {
  std::vector<double> times;
  for (int64_t i = 0; i < runs; ++i) {
    const auto start = std::chrono::steady_clock::now();
    f();
    times.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::ranges::sort(times);
  return times;
}

}  // namespace lathe
