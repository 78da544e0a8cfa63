// Tools in rollouts: the calls that a policy writes in the syntax of its chat template, their answers, and how the
// conversation goes on, as tokens.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/chat/answer_reader.h"
#include "lathe/io/sandbox/python.h"
#include "lathe/train/answering_program.h"
#include "lathe/train/objective/rollout_config.h"
#include "lathe/train/task/rollout.h"

namespace lathe {

// The schemas of RolloutToolConfig::tools, as rows are shown them that have no `tools` of their own.
nlohmann::ordered_json offered_tools(const RolloutToolConfig& config);

// The tools of a row: all of `config`'s, or those that its `tools` name (a list of names) or describe (a list as
// OpenAI has it). Error kData, naming `place`, for one that there is not, unless a program answers the rest
// (tool_command).
std::set<std::string> tools_of_row(const nlohmann::ordered_json& row,
                                   const RolloutToolConfig& config, const std::string& place);

// Not thread-safe.
class ToolTurns {
 public:
  // `folder` is that of the policy's tokenizer, `ends` the ids that end a turn. Errors: kConfig for a folder without a
  // chat template; kData for a template that writes no calls.
  ToolTurns(const RolloutToolConfig& config, const SandboxConfig& sandbox,
            const std::string& folder, const Tokenizer& tokenizer, std::span<const int32_t> ends,
            Log log);

  // Error kConfig if a tool runs programs and cannot here (PythonSandbox::prepare()).
  void check();

  struct Turn {
    std::vector<int32_t> prompt;    // all that stands before it
    std::span<const int32_t> turn;  // of the policy; ends with one of `ends`
    std::set<std::string> allowed;  // tools_of_row()
  };
  struct Reply {
    std::vector<int32_t>
        ids;  // what the template writes between the end of the turn and the next answer
    std::vector<ToolUse> uses;  // in the order of the calls
  };
  // To each turn, in order; nullopt for one that calls no tool. What a tool refuses, an unknown tool and arguments that
  // are no JSON object are answered with a text that begins with "error:". Programs of all turns run in parallel;
  // `while_waiting` is called meanwhile and may throw.
  std::vector<std::optional<Reply>> replies_to(std::span<const Turn> turns,
                                               const std::function<void()>& while_waiting);

 private:
  struct Program {  // of a call, which `use` waits for
    std::string text;
    ToolUse* use;
  };
  ChatMessage message_of(const Turn& turn) const;
  void answer(const ToolCall& call, const std::set<std::string>& allowed, ToolUse& use,
              std::vector<Program>& programs);
  void run(std::span<const Program> programs, const std::function<void()>& while_waiting);
  std::string ask(const ToolCall& call, const nlohmann::ordered_json& arguments);
  std::vector<int32_t> continuation(const nlohmann::ordered_json& turn,
                                    const std::vector<ToolUse>& uses, int32_t end) const;

  const RolloutToolConfig config_;
  const std::string folder_;
  const Tokenizer& tokenizer_;
  const Log log_;
  const ChatTemplate template_;
  const ToolCallSyntax syntax_;
  const std::optional<ThinkingTags> thinking_;
  AnsweringProgram program_;
  PythonSandbox python_;
};

}  // namespace lathe
