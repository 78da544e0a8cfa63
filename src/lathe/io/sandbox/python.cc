#include "lathe/io/sandbox/python.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "lathe/base/env.h"
#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/io/child_process.h"
#include "lathe/io/started_process.h"

namespace lathe {
namespace {

using Json = nlohmann::json;

// What an interpreter that is found may be but a name for: pyenv and virtual environments.
struct Interpreter {
  std::string path;
  std::vector<std::filesystem::path> folders;  // what it reads
};

constexpr const char* kWhere =
    "import sys, json; sys.stdin.readline(); "
    "print(json.dumps([sys.executable, sys.prefix, sys.base_prefix]), flush=True)";

std::optional<Interpreter> interpreter_at(const std::filesystem::path& path) {
  ChildProcess asked({path.string(), "-c", kWhere});
  std::string line;
  if (asked.ask("", std::chrono::seconds(30), line) != ChildProcess::Answer::kLine)
    return std::nullopt;
  const Json said = Json::parse(line, nullptr, false);
  if (!said.is_array() || said.size() != 3) return std::nullopt;
  Interpreter found{.path = said[0].get<std::string>(), .folders = {}};
  found.folders = {found.path, std::filesystem::weakly_canonical(found.path)};
  for (const size_t i : {size_t{1}, size_t{2}})  // and nothing else of folders such as ~/.local
    for (const char* part : {"bin", "lib", "lib64", "pyvenv.cfg"})
      found.folders.push_back(std::filesystem::path(said[i].get<std::string>()) / part);
  return found;
}

SandboxLimits limits_of(const SandboxConfig& config) {
  return {.seconds = config.seconds, .memory = config.memory << 20, .processes = config.processes};
}

}  // namespace

void SandboxConfig::visit(Visitor& v) {
  v.field("python", python,
          "interpreter of programs that the model wrote: a name in PATH, or a path");
  v.field("seconds", seconds, "how long such a program may run", between(0.01, 86400));
  v.field("memory", memory, "MiB of address space of each of its processes", between(32, 1 << 20));
  v.field("processes", processes, "processes and threads that it may have", between(1, 1 << 15));
}

PythonSandbox::PythonSandbox(SandboxConfig config, std::string where,
                             std::optional<std::string> search_path)
    : config_(std::move(config)),
      where_(std::move(where)),
      search_path_(search_path ? *search_path : environment("PATH").value_or("")) {}

void PythonSandbox::prepare() {
  if (sandbox_) return;
  const Sandbox sandbox(limits_of(config_), where_, search_path_);
  std::vector<std::string> tried;
  for (const auto& path : find_programs(config_.python, search_path_)) {
    const std::optional<Interpreter> found = interpreter_at(path);
    if (!found) {
      tried.push_back(path.string() + " is no Python");
      continue;
    }
    interpreter_ = found->path;
    Sandbox with_python = sandbox.with_readable(found->folders);
    const SandboxResult said = with_python.run(job("print(6 * 7)"));
    if (said.end == SandboxResult::End::kExit && said.output == "42\n") {
      sandbox_.emplace(std::move(with_python));
      return;
    }
    tried.push_back(fmt::format("{} does not run in the sandbox ({})", path.string(),
                                said.end == SandboxResult::End::kTimeout
                                    ? "it took too long"
                                    : said.errors.substr(0, said.errors.find('\n'))));
  }
  fail(
      ErrorKind::kConfig, "sandbox.python",
      "it is '{}', and {}; install Python 3.8 or newer (Debian: apt-get install python3), or name another "
      "interpreter{}",
      config_.python,
      tried.empty() ? "there is no such program in PATH"
                    : fmt::format("{}", fmt::join(tried, "; ")),
      !tried.empty() && ::geteuid() == 0
          ? ", one that every user may read, such as /usr/bin/python3"
          : "");
}

SandboxJob PythonSandbox::job(std::string_view program, std::string input) const {
  return {.command = {interpreter_, "-s", "-B", "-c", std::string(program)},
          .input = std::move(input),
          .environment = {{"PYTHONHASHSEED", "0"},
                          {"PYTHONIOENCODING", "utf-8:replace"},
                          {"OMP_NUM_THREADS", "1"},
                          {"OPENBLAS_NUM_THREADS", "1"}}};
}

std::vector<SandboxResult> PythonSandbox::run(std::span<const SandboxJob> jobs,
                                              const std::function<void()>& while_waiting) const {
  return sandbox_->run(jobs, thread_count(), while_waiting);
}

}  // namespace lathe
