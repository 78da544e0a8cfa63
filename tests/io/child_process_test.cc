#include "lathe/io/child_process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <thread>

#include "io/temp_folder.h"

namespace lathe {
namespace {

using Answer = ChildProcess::Answer;
using std::chrono::milliseconds;

constexpr milliseconds kLong{20'000}, kShort{60};

std::string asked(ChildProcess& program, std::string_view line) {
  std::string answer;
  const Answer got = program.ask(line, kLong, answer);
  EXPECT_EQ(got, Answer::kLine) << static_cast<int>(got);
  return answer;
}

Answer outcome(ChildProcess& program, std::string_view line, milliseconds timeout = kLong) {
  std::string answer;
  return program.ask(line, timeout, answer);
}

// The program's own number, which it tells when asked.
pid_t pid_of(ChildProcess& program) { return static_cast<pid_t>(std::stol(asked(program, "who"))); }

// A killed process may take a moment to be gone; one that is a child of nobody is taken by init.
bool ends(pid_t pid) {
  for (int i = 0; i < 400; ++i) {
    if (::kill(pid, 0) != 0) return true;
    // Where nobody takes over orphans they stay as zombies, which run no more.
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    std::getline(stat, text);
    const size_t name = text.rfind(") ");
    if (name != std::string::npos && text[name + 2] == 'Z') return true;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return false;
}

TEST(ChildProcess, AnswersLineByLineInOneProcess) {
  ChildProcess program("n=0; while read -r a; do n=$((n+1)); printf '%s %s\\n' $n \"$a\"; done");
  for (int i = 1; i <= 200; ++i)
    EXPECT_EQ(asked(program, "a \"b\" \\n"), std::to_string(i) + " a \"b\" \\n");
}

TEST(ChildProcess, MayAnswerNothingAndEndLinesAsItLikes) {
  ChildProcess program("while read -r a; do echo; done");
  EXPECT_EQ(asked(program, "x"), "");
  EXPECT_EQ(asked(program, ""), "");
  ChildProcess windows("while read -r a; do printf '1\\r\\n'; done");
  EXPECT_EQ(asked(windows, "x"), "1\r");
}

TEST(ChildProcess, SaysSoWhenTheProgramHasEnded) {
  for (const char* command : {"exit 0", "exit 3", "/nowhere/at/all 2>/dev/null", "read a; exit 0",
                              "read a; printf 1", "kill -9 $$"}) {
    ChildProcess program(command);
    EXPECT_EQ(outcome(program, "x"), Answer::kEnded) << command;
    EXPECT_EQ(outcome(program, "x"), Answer::kEnded) << command << ", again";
  }
}

// Whose input is closed will answer no more.
TEST(ChildProcess, SaysSoWhenTheProgramClosesItsInput) {
  ChildProcess program("read a; exec 0<&-; echo \"$a\"; exec sleep 1000");
  EXPECT_EQ(asked(program, "x"), "x");
  EXPECT_EQ(outcome(program, "x"), Answer::kEnded);
}

TEST(ChildProcess, MayOpenItsInputByName) {
  ChildProcess program("while read -r a; do echo \"$a!\" > /dev/stdout; done < /dev/stdin");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(asked(program, "x"), "x!");
}

TEST(ChildProcess, GivesUpAtTheTimeout) {
  for (const char* command : {"exec sleep 1000", "read a; printf 1; exec sleep 1000",
                              "while :; do read a || exec sleep 1000; done"}) {
    ChildProcess program(command);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(outcome(program, "x", kShort), Answer::kTimeout) << command;
    const auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_GE(took, kShort) << command;
    EXPECT_LT(took, milliseconds(10'000)) << command;
  }
}

// More than sockets and pipes hold: the program does not read it.
TEST(ChildProcess, GivesUpWhereALineIsNeverRead) {
  ChildProcess program("exec sleep 1000");
  EXPECT_EQ(outcome(program, std::string(8 << 20, 'x'), kShort), Answer::kTimeout);
}

TEST(ChildProcess, PassesLongLinesBothWays) {
  ChildProcess program("exec cat");
  for (const size_t size : {size_t{1}, size_t{4095}, size_t{4096}, size_t{70'000},
                            ChildProcess::kLongest - 1, ChildProcess::kLongest}) {
    std::string line(size, 'x');
    line[size / 2] = 'y';
    EXPECT_EQ(asked(program, line), line) << size;
  }
}

TEST(ChildProcess, RefusesLinesLongerThanAMebibyte) {
  ChildProcess cat("exec cat"), endless("read a; head -c 3000000 /dev/zero; exec sleep 1000");
  EXPECT_EQ(outcome(cat, std::string(ChildProcess::kLongest + 1, 'x')), Answer::kTooLong);
  EXPECT_EQ(outcome(endless, "x"), Answer::kTooLong);
}

// A second line would be taken for the answer to the next question.
TEST(ChildProcess, RefusesWhatItDidNotAskFor) {
  ChildProcess two("while read -r a; do printf '1\\n2\\n'; done");
  EXPECT_EQ(asked(two, "x"), "1");
  EXPECT_EQ(outcome(two, "y"), Answer::kUnasked);
  ChildProcess part("while read -r a; do printf '1\\n2'; done");
  EXPECT_EQ(asked(part, "x"), "1");
  EXPECT_EQ(outcome(part, "y"), Answer::kUnasked);
  TempFolder folder;
  const std::string flag = (folder / "written").string();
  ChildProcess greeting("echo ready; touch '" + flag + "'; exec cat");
  while (!std::filesystem::exists(flag)) std::this_thread::sleep_for(milliseconds(2));
  EXPECT_EQ(outcome(greeting, "x"), Answer::kUnasked);
}

TEST(ChildProcess, LeavesNothingRunning) {
  TempFolder folder;
  const std::string child = (folder / "child").string();
  pid_t program_pid = 0, group_pid = 0;
  {
    ChildProcess program("sleep 1000 & echo $! > '" + child +
                         "'; trap '' TERM INT HUP; while read -r a; do echo $$; done");
    program_pid = pid_of(program);
    std::ifstream(child) >> group_pid;
    ASSERT_GT(group_pid, 0);
    EXPECT_EQ(::kill(program_pid, 0), 0);
    EXPECT_EQ(::getpgid(group_pid), program_pid);
    EXPECT_NE(::getpgid(program_pid), ::getpgid(0));
  }
  EXPECT_NE(::kill(program_pid, 0), 0);  // and it is no zombie of ours
  EXPECT_TRUE(ends(group_pid));
}

TEST(ChildProcess, WritingToOneThatHasEndedIsNoSignal) {
  ChildProcess program("exit 0");
  std::this_thread::sleep_for(milliseconds(50));
  for (int i = 0; i < 3; ++i)  // SIGPIPE would end this test
    EXPECT_EQ(outcome(program, std::string(1 << 20, 'x')), Answer::kEnded);
}

}  // namespace
}  // namespace lathe
