#include "lathe/eval/score/python_programs.h"

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/eval/task/key_template.h"
#include "lathe/io/sandbox/python.h"
#include "lathe/text/split/regex.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using End = PythonVerdict::End;

constexpr const char* kKey = "program";

// The template with the last {{ … response … }} in a block that says where its text ends. Blanks around the block are
// treated as those around the braces were.
std::string with_marked_response(const TaskConfig& config) {
  const std::string& source = *config.program;
  const Regex uses(R"(\{\{(?:(?!\}\})[\s\S])*?(?<![\w.'"])response(?![\w'"])[\s\S]*?\}\})", kKey,
                   Regex::Dialect::kPython);
  size_t begin = 0, end = 0;
  uses.for_each_match(source, [&](size_t b, size_t e) {
    begin = b;
    end = e;
  });
  require(end > 0, ErrorKind::kConfig, config.file.string(),
          "program has no {{{{ response }}}}, so that nothing of an answer would be run");
  const std::string inside = source.substr(begin, end - begin);
  const char* open = inside.starts_with("{{-") ? "{%- generation %}" : "{%+ generation %}";
  const char* close = inside.ends_with("-}}") ? "{% endgeneration -%}" : "{% endgeneration +%}";
  return source.substr(0, begin) + open + inside + close + source.substr(end);
}

class PythonPrograms : public Scorer {
 public:
  explicit PythonPrograms(const EvalTask& task)
      : config_(task.config()),
        program_(config_, kKey, with_marked_response(config_)),
        python_({.python = "python3",
                 .seconds = config_.limits.seconds,
                 .memory = config_.limits.mebibytes().value()},
                config_.file.string() + ": scorer") {}

  void score(std::span<const Answered> items, const TakeScore& take,
             const std::function<void()>& while_waiting) override {
    std::vector<PythonTests> programs;
    for (const Answered& item : items)
      for (const std::string& response : item.responses)
        programs.push_back(program_of(item, response));
    const std::vector<PythonVerdict> verdicts = run_tests(python_, programs, while_waiting);
    size_t next = 0;
    for (size_t i = 0; i < items.size(); ++i) {
      const size_t count = items[i].responses.size();
      take(i, score_of(items[i], std::span(verdicts).subspan(next, count)));
      next += count;
    }
  }

 private:
  PythonTests program_of(const Answered& item, const std::string& response) const {
    Json fields = item.row;
    fields["response"] = replace_invalid_utf8(response);
    const jinja::Rendered rendered = program_.rendered(fields, item.item.place);
    require(!rendered.generations.empty(), ErrorKind::kData, item.item.place,
            "program leaves the response out, so that nothing of it would be run");
    const size_t end = rendered.generations.back().end;
    return {.program = rendered.text.substr(0, end), .tests = {rendered.text.substr(end)}};
  }

  Score score_of(const Answered& item, std::span<const PythonVerdict> verdicts) const {
    Score score;
    Judged& judged = score.judged.emplace_back();
    for (size_t i = 0; i < verdicts.size(); ++i) {
      const PythonVerdict& verdict = verdicts[i];
      require(verdict.end != End::kRefused, ErrorKind::kDevice, item.item.place,
              "the sandbox could not be made for an answer to this item, and nothing was run: {}; "
              "free some memory or processes, and go on with --resume",
              verdict.error);
      require(verdict.end != End::kBadTests, ErrorKind::kData, item.item.place,
              "what stands behind the response in program is no Python by itself: {}",
              verdict.error);
      judged.texts.push_back(item.responses[i]);
      judged.right.push_back(verdict.all_passed());
    }
    if (!verdicts[0].all_passed()) score.reason = reason_of(verdicts[0]);
    return score;
  }

  std::string reason_of(const PythonVerdict& verdict) const {
    if (verdict.end == End::kTimeout)
      return fmt::format("it ran longer than {:g} s", config_.limits.seconds);
    if (verdict.end == End::kTooMuchOutput) return "it wrote too much output";
    return verdict.error;
  }

  const TaskConfig& config_;
  const KeyTemplate program_;
  PythonSandbox python_;
};

}  // namespace

std::unique_ptr<Scorer> make_python_programs(const EvalTask& task, const ScorerContext&) {
  return std::make_unique<PythonPrograms>(task);
}

}  // namespace lathe
