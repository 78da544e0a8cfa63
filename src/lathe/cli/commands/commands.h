// The catalogue of commands: one function per command, each in its own file below the folder of its
// group.
#pragma once

#include <vector>

#include "lathe/cli/frame/program.h"

namespace lathe {

// Of the argument of a command that reads a model.
inline constexpr const char* kModelHelp = "folder or GGUF file of the model";

Command bench_command();
Command completion_command();
Command convert_command();
Command data_command();
Command demo_command();
Command eval_command();
Command export_command();
Command extend_command();
Command merge_command();
Command quantize_command();
Command dequantize_command();
Command generate_command();
Command chat_command();
Command serve_command();
Command index_command();
Command search_command();
Command ask_command();
Command inspect_command();
Command lineage_command();
Command logits_command();
Command loss_command();
Command plan_command();
Command plot_command();
Command report_command();
Command runs_command();
Command rollouts_command();
Command shard_command();
Command train_command();
std::vector<Command> preset_commands();  // sft, dpo, grpo …
Command tokenizer_command();

// In the order in which the help lists them.
const std::vector<Command>& commands();
// The commands and the pages of docs/ that are written from catalogues.
Program lathe_program();

}  // namespace lathe
