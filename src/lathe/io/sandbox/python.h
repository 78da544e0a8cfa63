// Python programs that a model wrote, in a sandbox (sandbox.h). Lathe itself needs no Python: only what runs such
// programs does.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/config/visit.h"
#include "lathe/io/sandbox/sandbox.h"

namespace lathe {

// The section [sandbox] of a recipe.
struct SandboxConfig {
  std::string python = "python3";
  double seconds = 10;
  int64_t memory = 512;  // MiB
  int64_t processes = 16;
  void visit(Visitor& v);
};

// Not thread-safe.
class PythonSandbox {
 public:
  // `where` is the key that asks for it. `search_path`: where the interpreter and bwrap are looked for, as in PATH; by
  // default the PATH of this process.
  PythonSandbox(SandboxConfig config, std::string where,
                std::optional<std::string> search_path = std::nullopt);

  // Looks for the interpreter and tries it in the sandbox, the first time that it is called, and before the first
  // program runs. Error kConfig if there is none, naming sandbox.python, or no sandbox, naming `where`; they say what
  // to do.
  void prepare();

  // A program that gets `input` on its standard input. Nothing of the environment reaches it; hashes have a fixed
  // seed. Only behind prepare().
  SandboxJob job(std::string_view program, std::string input = {}) const;
  // As many at a time as there are cores for. As Sandbox::run().
  std::vector<SandboxResult> run(std::span<const SandboxJob> jobs,
                                 const std::function<void()>& while_waiting = {}) const;
  const SandboxConfig& config() const { return config_; }

 private:
  const SandboxConfig config_;
  const std::string where_, search_path_;
  std::string interpreter_;
  std::optional<Sandbox> sandbox_;
};

// A program, and texts of Python that test it: they run behind it, in its scope, in order.
struct PythonTests {
  std::string program;
  std::vector<std::string> tests;
};

struct PythonVerdict {
  // kFailed: the program raised an error or left before its tests were done. kRefused as SandboxResult::End.
  // kBadTests: the tests are no Python.
  enum class End : uint8_t { kTested, kFailed, kTimeout, kTooMuchOutput, kRefused, kBadTests };
  End end = End::kRefused;
  // Each `assert` that stands alone in a text of tests is one, and a text without any. What was not reached did not
  // pass.
  int64_t passed = 0, total = 0;
  std::string error;  // the first one
  bool all_passed() const { return end == End::kTested && passed == total; }
};

// In the order of `all`. The program cannot end the tests early with success, nor by replacing what is called in
// them later than it runs; one that searches the frames of the interpreter that tests it can, so that a result is no
// proof against a program that was written to deceive.
std::vector<PythonVerdict> run_tests(PythonSandbox& python, std::span<const PythonTests> all,
                                     const std::function<void()>& while_waiting = {});

}  // namespace lathe
