// The terminal side of a chat: lines in, answers out, and commands that begin with a slash.
#pragma once

#include <functional>
#include <istream>
#include <ostream>
#include <string_view>

#include "lathe/chat/chat_session.h"

namespace lathe {

struct ChatLoop {
  std::istream& in;
  std::ostream& out;
  bool prompts;  // show where a line is expected
  std::function<ChatAnswer(const Conversation&)> answer;
  // A line about the last answer, shown below it; empty for none.
  std::function<std::string(const ChatAnswer&)> describe;

  // Until the end of the input or /quit. An error is shown, and the conversation is what it was
  // before the line; only kInterrupted ends the loop.
  void run(Conversation& conversation);
};

// "/undo   takes the last question back" and the like, a line for each command.
std::string chat_help();

}  // namespace lathe
