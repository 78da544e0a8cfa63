#include <nlohmann/json.hpp>

#include "lathe/base/parallel.h"
#include "lathe/cli/commands/bench/bench.h"
#include "lathe/cli/commands/bench/tokenizer.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/kernels/kernels.h"

namespace lathe {

void print_measured(CommandContext& context, nlohmann::ordered_json facts,
                    const std::string& text) {
  const std::string level = kernels::cpu_kernels().level;
  if (context.json) {
    facts["level"] = level;
    facts["threads"] = thread_count();
    context.print_json(facts);
    return;
  }
  context.out << text << fmt::format("kernels: {} on {} thread(s)\n", level, thread_count());
}

Command bench_command() {
  return command_group(
      {.name = "bench",
       .summary = "measure this machine's limits and compare Lathe with them",
       .help = "  lathe bench machine\n"
               "  lathe bench kernels\n"
               "  lathe bench train --preset m26 --precision bf16 --steps 6\n"
               "  lathe bench step --preset m26 --explain\n"},
      {bench_machine_command(), bench_kernels_command(), bench_train_command(),
       bench_step_command(), bench_attention_command(), bench_moe_command(), bench_decode_command(),
       bench_prefill_command(), bench_batch_command(), bench_cache_command(),
       bench_checkpoint_command(), bench_tokenizer_command()});
}

}  // namespace lathe
