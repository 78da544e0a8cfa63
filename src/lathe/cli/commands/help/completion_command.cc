#include "lathe/cli/commands/commands.h"
#include "lathe/cli/frame/completion.h"

namespace lathe {
namespace {

struct CompletionOptions {
  std::string shell;
  void visit(Visitor& v) {
    v.positional_choice("shell", shell, {"bash", "zsh", "fish"}, "name of the shell");
  }
};

int run_completion(const CompletionOptions& options, CommandContext& context) {
  context.out << completion_script(commands(), options.shell);
  return 0;
}

}  // namespace

Command completion_command() {
  return make_command<CompletionOptions>(
      {.name = "completion",
       .summary = "print a script that completes lathe's commands and options in your shell",
       .help = "  source <(lathe completion bash)            # this shell\n"
               "  lathe completion bash > ~/.local/share/bash-completion/completions/lathe\n"
               "  lathe completion fish > ~/.config/fish/completions/lathe.fish\n"},
      run_completion);
}

}  // namespace lathe
