#include "lathe/eval/score/ifeval.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/eval/score/ifeval/instruction.h"
#include "lathe/eval/score/ifeval/text_parts.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct Instruction {
  std::string name;
  InstructionCheck check;
};

const Json& list_of(const Answered& item, const char* key) {
  const auto found = item.row.find(key);
  require(found != item.row.end() && found->is_array() && !found->empty(), ErrorKind::kData,
          item.item.place, "{} is {}, expected a list, as IFEval's rows have it", key,
          found == item.row.end() ? "absent"
          : found->empty()        ? "empty"
                                  : found->type_name());
  return *found;
}

std::vector<Instruction> instructions_of(const Answered& item) {
  const Json& names = list_of(item, "instruction_id_list");
  const Json& kwargs = list_of(item, "kwargs");
  require(names.size() == kwargs.size(), ErrorKind::kData, item.item.place,
          "kwargs has {} entries for {} instructions; it needs one for each", kwargs.size(),
          names.size());
  std::vector<Instruction> all;
  for (size_t i = 0; i < names.size(); ++i) {
    require(names[i].is_string() && kwargs[i].is_object(), ErrorKind::kData, item.item.place,
            "instruction {} is {} with kwargs of type {}, expected a name and an object", i + 1,
            names[i].dump(), kwargs[i].type_name());
    const auto name = names[i].get<std::string>();
    all.push_back({name, instruction_check(name, kwargs[i], item.item.place)});
  }
  return all;
}

std::string without_stars(const std::string& text) {
  std::string left = text;
  std::erase(left, '*');
  return left;
}

// Introductions, closing remarks and emphasis should not hide an answer that follows.
std::vector<std::string> loose_forms(const std::string& response) {
  const size_t first = response.find('\n'), last = response.rfind('\n');
  const bool one_line = first == std::string::npos;
  const auto part = [&](size_t begin, size_t end) {
    return begin < end ? std::string(without_blanks(response.substr(begin, end - begin))) : "";
  };
  const size_t behind_first = one_line ? response.size() : first + 1;
  const size_t before_last = one_line ? 0 : last;
  std::vector<std::string> all = {response, part(behind_first, response.size()),
                                  part(0, before_last), part(behind_first, before_last)};
  for (size_t i = 0; i < 4; ++i) all.push_back(without_stars(all[i]));
  return all;
}

bool follows(const Instruction& instruction, const std::string& text) {
  return !is_blank(text) && instruction.check(text);
}

class IfEval : public Scorer {
 public:
  void score(std::span<const Answered> items, const TakeScore& take,
             const std::function<void()>& while_waiting) override {
    for (size_t i = 0; i < items.size(); ++i) {
      while_waiting();
      take(i, score_of(instructions_of(items[i]), replace_invalid_utf8(items[i].responses[0])));
    }
  }

 private:
  static Score score_of(const std::vector<Instruction>& instructions, const std::string& response) {
    Score score;
    Json strict = Json::array(), loose = Json::array();
    const std::vector<std::string> forms = loose_forms(response);
    for (const Instruction& each : instructions) {
      strict.push_back(follows(each, response));
      loose.push_back(
          std::ranges::any_of(forms, [&](const std::string& form) { return follows(each, form); }));
      if (!strict.back().get<bool>())
        score.reason += (score.reason.empty() ? "not followed: " : ", ") + each.name;
    }
    const auto all_of = [](const Json& list) {
      return std::ranges::all_of(list, [](const Json& each) { return each.get<bool>(); }) ? 1 : 0;
    };
    score.metrics = {{"prompt_strict", all_of(strict)},
                     {"prompt_loose", all_of(loose)},
                     {"instruction_strict", strict},
                     {"instruction_loose", loose}};
    return score;
  }
};

}  // namespace

std::unique_ptr<Scorer> make_ifeval(const EvalTask& task, const ScorerContext&) {
  const TaskConfig& config = task.config();
  require(config.samples == 1, ErrorKind::kConfig, config.file.string(),
          "samples is {}, but scorer 'ifeval' judges one answer to each item; leave samples out",
          config.samples);
  return std::make_unique<IfEval>();
}

}  // namespace lathe
