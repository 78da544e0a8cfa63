// Ctrl-C while a command is somewhere that does not ask: it ends all the same, within a second, and
// leaves nothing half-written. A pipe that never ends is such a place on every machine.

#include <sys/stat.h>

#include <chrono>

#include "life/program.h"

namespace lathe::testing {
namespace {

class Stop : public Life {
 protected:
  void SetUp() override {
    prepare();
    ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  }
  // The command, stopped once it reads the pipe, which nobody writes into.
  Finished stopped(const std::vector<std::string>& arguments, int signal = SIGINT) {
    Program program(folder_.path(), arguments);
    const int writer = ::open(at("pipe").c_str(), O_WRONLY | O_CLOEXEC);  // waits for the reader
    EXPECT_GE(writer, 0);
    ::usleep(50'000);
    const auto begin = std::chrono::steady_clock::now();
    program.interrupt(signal);
    const Finished f = program.wait();
    ::close(writer);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(took.count(), 1.5) << arguments[0] << ": a second, and what a busy machine adds";
    return f;
  }
};

TEST_F(Stop, EveryCommandEndsAndLeavesNothing) {
  expect_works({"train", at("run.toml")});
  const auto before = entries_in(folder_.path());
  const std::vector<std::vector<std::string>> commands = {
      {"shard", at("pipe"), "--tokenizer", at("tok"), "--out", at("data"), "--val-fraction", "0.1"},
      {"tokenizer", "train", at("pipe"), "--vocab-size", "300", "--out", at("new")},
      {"tokenizer", "encode", at("tok"), "--input", at("pipe"), "--out", at("new.json")},
      {"tokenizer", "decode", at("tok"), "--input", at("pipe"), "--out", at("new.txt")},
      {"logits", at("out/model"), "--input", at("pipe"), "--out", at("new.safetensors")},
  };
  const auto shard = content_of(at("data.bin"));
  for (const auto& command : commands) {
    expect_error(stopped(command), 130, {"stopping; no half-written file is left"});
    EXPECT_EQ(entries_in(folder_.path()), before) << command[0];
  }
  EXPECT_EQ(content_of(at("data.bin")), shard) << "what was there stays";
}

TEST_F(Stop, OtherSignalsDoTheSame) {
  const std::vector<std::string> command = {"tokenizer", "encode", at("tok"),     "--input",
                                            at("pipe"),  "--out",  at("new.json")};
  EXPECT_EQ(stopped(command, SIGTERM).code, 130);
  EXPECT_EQ(stopped(command, SIGHUP).code, 130);
}

TEST_F(Stop, ASecondSignalEndsAtOnce) {
  Program program(folder_.path(),
                  {"shard", at("pipe"), "--tokenizer", at("tok"), "--out", at("new")});
  const int writer = ::open(at("pipe").c_str(), O_WRONLY | O_CLOEXEC);
  program.interrupt();
  ::usleep(20'000);
  program.interrupt(SIGTERM);
  const Finished f = program.wait();
  ::close(writer);
  EXPECT_EQ(f.code, 128 + SIGTERM) << f.err;
}

}  // namespace
}  // namespace lathe::testing
