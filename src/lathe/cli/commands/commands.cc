#include "lathe/cli/commands/commands.h"

#include "lathe/cli/commands/help/pages.h"

namespace lathe {

const std::vector<Command>& commands() {
  static const std::vector<Command> kCommands = [] {
    std::vector<Command> all = {demo_command(), tokenizer_command(), shard_command(),
                                data_command(), train_command()};
    for (Command& preset : preset_commands()) all.push_back(std::move(preset));
    for (Command& command : std::vector<Command>{
             plan_command(),     loss_command(),   generate_command(), chat_command(),
             serve_command(),    index_command(),  search_command(),   ask_command(),
             logits_command(),   eval_command(),   convert_command(),  extend_command(),
             export_command(),   merge_command(),  quantize_command(), dequantize_command(),
             inspect_command(),  report_command(), plot_command(),     runs_command(),
             rollouts_command(), bench_command(),  lineage_command(),  completion_command()})
      all.push_back(std::move(command));
    return all;
  }();
  return kCommands;
}

Program lathe_program() {
  static constexpr HelpPage kPages[] = {{"--components", components_markdown},
                                        {"--recipe", recipe_markdown},
                                        {"--combinations", combinations_markdown},
                                        {"--tasks", tasks_markdown},
                                        {"--normalizers", normalizers_markdown}};
  return {commands(), kPages};
}

}  // namespace lathe
