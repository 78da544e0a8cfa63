// run_tests(): a program of ours runs the model's in its own interpreter, and tells by lines that begin with a mark,
// which the model's does not know, what passed.

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <random>

#include "lathe/base/error.h"
#include "lathe/io/sandbox/python.h"

namespace lathe {
namespace {

using Json = nlohmann::json;
using End = PythonVerdict::End;

// The functions that it needs behind the model's program are its own names, since the model's may replace those of
// modules. `describe` gives what the last line of a traceback says.
constexpr const char* kTester = R"python(
import ast, json, os, sys, types

def test():
    job = json.loads(sys.stdin.buffer.read())
    mark, program = job["mark"], job["program"]
    write, leave, run, build, node, error = os.write, os._exit, exec, compile, ast.Module, BaseException
    text, kind, out = str, type, os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

    def say(what, more=""):
        write(out, ("\n" + mark + " " + what + " " + more.replace("\n", " ")[:400] + "\n").encode("utf-8", "replace"))

    def describe(raised):
        try:
            return kind(raised).__name__ + ": " + text(raised)
        except error:
            return "an error that cannot be shown"

    units = []  # code, and whether it is one of the tests
    try:
        for source in job["tests"]:
            body = ast.parse(source).body
            alone = not any(isinstance(each, ast.Assert) for each in body)
            parts = [body] if alone else [[each] for each in body]
            for part in parts:
                counts = alone or isinstance(part[0], ast.Assert)
                units.append((build(node(body=part, type_ignores=[]), "<tests>", "exec"), counts))
    except (SyntaxError, ValueError) as raised:
        say("bad_tests", describe(raised))
        leave(0)
    say("total", text(sum(counts for _, counts in units)))

    solution = types.ModuleType("solution")
    sys.modules["solution"] = solution
    scope = solution.__dict__
    del job
    try:
        run(build(program, "<answer>", "exec"), scope)
    except error as raised:
        say("failed", describe(raised))
        leave(0)
    for code, counts in units:
        try:
            run(code, scope)
        except error as raised:
            say("wrong" if counts else "failed", describe(raised))
            if not counts:
                leave(0)
        else:
            if counts:
                say("passed")
    say("end")
    leave(0)

test()
)python";

// Nothing that is computed depends on it.
std::string new_mark() {
  std::random_device source;
  std::string mark;
  for (int i = 0; i < 4; ++i) mark += fmt::format("{:08x}", source());
  return mark;
}

struct Line {
  std::string_view what, more;
};

// The lines of `output` that begin with `mark`.
std::vector<Line> marked(std::string_view output, std::string_view mark) {
  std::vector<Line> lines;
  for (size_t begin = 0; begin < output.size();) {
    const size_t end = std::min(output.find('\n', begin), output.size());
    std::string_view line = output.substr(begin, end - begin);
    begin = end + 1;
    if (!line.starts_with(mark)) continue;
    line.remove_prefix(std::min(line.size(), mark.size() + 1));
    const size_t blank = std::min(line.find(' '), line.size());
    lines.push_back({line.substr(0, blank), line.substr(std::min(blank + 1, line.size()))});
  }
  return lines;
}

End end_of(const SandboxResult& result) {
  switch (result.end) {
    case SandboxResult::End::kTimeout:
      return End::kTimeout;
    case SandboxResult::End::kTooMuchOutput:
      return End::kTooMuchOutput;
    case SandboxResult::End::kRefused:
      return End::kRefused;
    case SandboxResult::End::kExit:
      break;
  }
  return End::kFailed;  // unless the tester says that it came to its end
}

PythonVerdict verdict_of(const SandboxResult& result, std::string_view mark) {
  PythonVerdict verdict{.end = end_of(result), .error = {}};
  for (const Line& line : marked(result.output, mark)) {
    if (line.what == "total")
      std::from_chars(line.more.data(), line.more.data() + line.more.size(), verdict.total);
    if (line.what == "passed") ++verdict.passed;
    if (line.what == "end" && result.end == SandboxResult::End::kExit) verdict.end = End::kTested;
    if (line.what == "bad_tests") verdict.end = End::kBadTests;
    if (verdict.error.empty()) verdict.error = line.what == "total" ? "" : line.more;
  }
  verdict.passed = std::min(verdict.passed, verdict.total);
  if (verdict.end == End::kRefused)
    verdict.error = result.errors.substr(0, result.errors.find('\n'));
  if (verdict.end == End::kFailed && verdict.error.empty())
    verdict.error = "the program left before its tests were done";
  return verdict;
}

}  // namespace

std::vector<PythonVerdict> run_tests(PythonSandbox& python, std::span<const PythonTests> all,
                                     const std::function<void()>& while_waiting) {
  python.prepare();
  std::vector<SandboxJob> jobs;
  std::vector<std::string> marks;
  for (const PythonTests& each : all) {
    marks.push_back(new_mark());
    const Json input = {{"mark", marks.back()}, {"program", each.program}, {"tests", each.tests}};
    jobs.push_back(python.job(kTester, input.dump(-1, ' ', false, Json::error_handler_t::replace)));
  }
  const std::vector<SandboxResult> results = python.run(jobs, while_waiting);
  std::vector<PythonVerdict> verdicts;
  for (size_t i = 0; i < results.size(); ++i) verdicts.push_back(verdict_of(results[i], marks[i]));
  return verdicts;
}

}  // namespace lathe
