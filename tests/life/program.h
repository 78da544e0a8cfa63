// The built program as a user runs it, and a small life of a model for it to live.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/temp_folder.h"
#include "lathe/base/rng.h"
#include "paths.h"

namespace lathe::testing {

namespace fs = std::filesystem;

struct Finished {
  int code = 0;          // 128 + signal for a process that was killed
  int64_t peak_kib = 0;  // of resident memory
  std::string out, err;
};

struct Surroundings {
  rlim_t largest_file = RLIM_INFINITY;  // bytes; writing beyond fails as on a full disk
};

class Program {
 public:
  // Starts `lathe arguments…` with its output in files below `folder`.
  Program(const fs::path& folder, const std::vector<std::string>& arguments,
          const Surroundings& around = {})
      : out_(folder / "stdout"), err_(folder / "stderr") {
    std::vector<std::string> words = {built_program()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& w : words) argv.push_back(w.data());
    argv.push_back(nullptr);
    const std::string out = out_.string(), err = err_.string();
    pid_ = ::fork();
    if (pid_ == 0) run_child(argv.data(), out.c_str(), err.c_str(), around);
  }
  ~Program() {
    if (pid_ > 0) kill_hard();
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  bool running() {
    if (pid_ > 0 && ::waitpid(pid_, &status_, WNOHANG) == pid_) pid_ = -1;
    return pid_ > 0;
  }
  void kill_hard() {
    ::kill(pid_, SIGKILL);
    wait();
  }
  void interrupt(int signal = SIGINT) const { ::kill(pid_, signal); }
  Finished wait() {
    struct rusage usage = {};
    if (pid_ > 0) ::wait4(pid_, &status_, 0, &usage);
    pid_ = -1;
    const int code = WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
    return {code, usage.ru_maxrss, content_of(out_), content_of(err_)};
  }

 private:
  [[noreturn]] static void run_child(char* const* argv, const char* out, const char* err,
                                     const Surroundings& around) {
    ::dup2(::open(out, O_WRONLY | O_CREAT | O_TRUNC, 0644), STDOUT_FILENO);
    ::dup2(::open(err, O_WRONLY | O_CREAT | O_TRUNC, 0644), STDERR_FILENO);
    const rlimit limit{around.largest_file, around.largest_file};
    if (around.largest_file != RLIM_INFINITY) {
      ::signal(SIGXFSZ, SIG_IGN);
      ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    ::execv(argv[0], argv);
    ::_exit(127);
  }

  fs::path out_, err_;
  pid_t pid_ = -1;
  int status_ = 0;
};

// Words drawn from a small vocabulary, in sentences and paragraphs.
inline std::string some_prose(size_t words, uint64_t seed) {
  static constexpr const char* kWords[] = {"the",  "sea", "gave", "every", "small", "boat", "a",
                                           "wind", "and", "no",   "one",   "asked", "why",  "it"};
  std::string text;
  for (size_t i = 0; i < words; ++i) {
    text += kWords[Rng(seed).below(i, std::size(kWords))];
    text += i % 40 == 39 ? ".\n\n" : i % 9 == 8 ? ". " : " ";
  }
  return text;
}

class Life : public ::testing::Test {
 protected:
  Finished lathe(const std::vector<std::string>& arguments, const Surroundings& around = {}) {
    return Program(folder_.path(), arguments, around).wait();
  }
  void expect_works(const std::vector<std::string>& arguments) {
    const Finished f = lathe(arguments);
    ASSERT_EQ(f.code, 0) << arguments[0] << "\n" << f.err;
  }
  // Ends with `code` and an error that names every one of `parts`.
  void expect_error(const Finished& f, int code, const std::vector<std::string>& parts) {
    EXPECT_EQ(f.code, code) << f.err;
    for (const std::string& part : parts)
      EXPECT_NE(f.err.find(part), std::string::npos) << "no '" << part << "' in:\n" << f.err;
  }
  std::string at(const std::string& name) const { return (folder_ / name).string(); }

  // Text, tokenizer (tok), shard (data) and recipe (run.toml, out: `out`).
  void prepare(const std::string& train_keys = "steps = 6\ncheckpoint_every = 2\n") {
    folder_.write("text.txt", some_prose(2000, 1));
    expect_works({"tokenizer", "train", at("text.txt"), "--vocab-size", "300", "--special-token",
                  "<|endoftext|>", "--out", at("tok")});
    expect_works({"shard", at("text.txt"), "--tokenizer", at("tok"), "--out", at("data"), "--split",
                  "blank-lines"});
    write_recipe("run.toml", "out", train_keys);
  }
  void write_recipe(const std::string& name, const std::string& out,
                    const std::string& train_keys) {
    folder_.write(name,
                  "[model]\nvocab_size = 304\nhidden_size = 32\nnum_hidden_layers = 2\n"
                  "num_attention_heads = 4\nnum_key_value_heads = 2\nintermediate_size = 64\n"
                  "hidden_dropout = 0.1\n[data]\ntrain = \"" +
                      at("data") + "\"\ntokenizer = \"" + at("tok") +
                      "\"\n[train]\nbatch_size = 2\nseq_len = 16\nprecision = \"fp32\"\n"
                      "eval_every = 0\nout = \"" +
                      at(out) + "\"\n" + train_keys + "[optim]\nlr = 0.01\n");
  }
  // Every file below a folder that is no temporary, and what it holds.
  static std::vector<std::pair<std::string, std::string>> contents(const fs::path& folder) {
    std::vector<std::pair<std::string, std::string>> all;
    if (!fs::exists(folder)) return all;
    for (const auto& e : fs::recursive_directory_iterator(folder))
      if (e.is_regular_file()) all.emplace_back(e.path().string(), content_of(e.path()));
    std::sort(all.begin(), all.end());
    return all;
  }

  TempFolder folder_;
};

}  // namespace lathe::testing
