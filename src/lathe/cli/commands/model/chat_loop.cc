#include "lathe/cli/commands/model/chat_loop.h"

#include <algorithm>
#include <array>
#include <string>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/io/json_file.h"

namespace lathe {
namespace {

class Turns {
 public:
  Turns(ChatLoop& loop, Conversation& conversation) : loop_(loop), conversation_(conversation) {}

  // False to leave.
  bool take(const std::string& line);

  void system(const std::string& text) {
    conversation_.set_system(text);
    loop_.out << (text.empty() ? "no system message\n" : "system message set\n");
  }
  void undo(const std::string&) {
    loop_.out << (conversation_.undo() ? "took the last question back\n"
                                       : "there is no question to take back\n");
  }
  void retry(const std::string&) {
    if (!conversation_.take_back_answer()) {
      loop_.out << "there is no answer to give again\n";
      return;
    }
    answer();
  }
  void tool(const std::string& text) {
    if (!conversation_.add_tool_result(replace_invalid_utf8(text))) {
      loop_.out << "no call waits for a tool\n";
      return;
    }
    if (conversation_.waits_for_answer())
      answer();
    else
      loop_.out << "the next call waits for its tool\n";
  }
  void save(const std::string& path) {
    require(!path.empty(), ErrorKind::kUsage, "/save", "needs the path of a file: /save talk.json");
    write_json_file(path, {{"messages", conversation_.messages()}});
    loop_.out << "wrote " << path << "\n";
  }
  void help(const std::string&) { loop_.out << chat_help(); }

 private:
  void answer() {
    const ChatAnswer answer = loop_.answer(conversation_);
    conversation_.add_answer(answer.turn);
    loop_.out << "\n";
    if (const std::string line = loop_.describe(answer); !line.empty()) loop_.out << line << "\n";
    loop_.out << std::flush;
  }

  ChatLoop& loop_;
  Conversation& conversation_;
};

struct SlashCommand {
  std::string_view name, argument, meaning;
  void (Turns::*run)(const std::string&);
};
constexpr std::array kCommands = {
    SlashCommand{"/system", "TEXT",
                 "what the model is told before everything; without text, nothing", &Turns::system},
    SlashCommand{"/undo", "", "takes the last question and its answer back", &Turns::undo},
    SlashCommand{"/retry", "", "answers the last question again", &Turns::retry},
    SlashCommand{"/tool", "RESULT", "what the tool that was called gives back", &Turns::tool},
    SlashCommand{"/save", "FILE", "writes the conversation as JSON", &Turns::save},
    SlashCommand{"/help", "", "shows these lines", &Turns::help},
};
constexpr std::string_view kQuit = "/quit";

bool Turns::take(const std::string& line) {
  if (line.empty()) return true;
  if (line == kQuit) return false;
  if (line[0] != '/') {
    conversation_.add_user(replace_invalid_utf8(line));
    answer();
    return true;
  }
  const size_t space = std::min(line.find(' '), line.size());
  const std::string name = line.substr(0, space);
  const auto* command = std::ranges::find(kCommands, name, &SlashCommand::name);
  require(command != kCommands.end(), ErrorKind::kUsage, name,
          "is not a command of the chat; /help lists them");
  (this->*command->run)(space < line.size() ? line.substr(space + 1) : "");
  return true;
}

}  // namespace

std::string chat_help() {
  std::string text;
  for (const SlashCommand& c : kCommands)
    text += fmt::format("{:<14}{}\n", fmt::format("{} {}", c.name, c.argument), c.meaning);
  return text + fmt::format("{:<14}{}\n", kQuit, "leaves; so does the end of the input");
}

void ChatLoop::run(Conversation& conversation) {
  Turns turns(*this, conversation);
  std::string line;
  while (true) {
    if (prompts) out << "> " << std::flush;
    if (!std::getline(in, line)) return;
    const Conversation before = conversation;
    try {
      if (!turns.take(line)) return;
    } catch (const Error& e) {
      conversation = before;  // no question stays without an answer
      if (e.kind() == ErrorKind::kInterrupted) throw;
      out << "\n" << e.what() << "\n" << std::flush;
    }
  }
}

}  // namespace lathe
