#include "lathe/train/example/id_row.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "lathe/base/error.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

const Json& list_of(const Json& row, const char* key, const std::string& place) {
  const auto found = row.find(key);
  require(found != row.end() && found->is_array(), ErrorKind::kData, place,
          "'{}' is {}, expected a list; its keys are {}", key,
          found == row.end() ? "missing" : found->dump().substr(0, 40), [&] {
            std::string keys;
            for (const auto& [name, value] : row.items()) keys += (keys.empty() ? "" : ", ") + name;
            return keys;
          }());
  return *found;
}

std::vector<int32_t> ids_of(const Json& row, const char* key, const std::string& place) {
  std::vector<int32_t> ids;
  for (const Json& id : list_of(row, key, place)) {
    require(id.is_number_integer() && id >= 0 && id <= std::numeric_limits<int32_t>::max(),
            ErrorKind::kData, place, "'{}' has {}, expected token ids from 0", key,
            id.dump().substr(0, 40));
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

// A list as long as `count`; empty if the row has none.
std::vector<double> numbers_of(const Json& row, const char* key, size_t count,
                               std::string_view of_what, const std::string& place) {
  if (!row.contains(key) || row.at(key).is_null()) return {};
  std::vector<double> numbers;
  for (const Json& number : list_of(row, key, place)) {
    require(number.is_number() && std::isfinite(number.get<double>()), ErrorKind::kData, place,
            "'{}' has {}, expected finite numbers", key, number.dump().substr(0, 40));
    numbers.push_back(number.get<double>());
  }
  require(numbers.size() == count, ErrorKind::kData, place,
          "'{}' has {} numbers for the {} {}, expected one for each", key, numbers.size(), count,
          of_what);
  return numbers;
}

Answer answer_of(const Json& row, const char* key, const std::string& place) {
  Answer answer{.ids = ids_of(row, key, place), .trained = {}};
  answer.trained.assign(answer.ids.size(), 1);
  return answer;
}

std::vector<Answer> ranked_answers(const Json& row, const std::string& place) {
  std::vector<Answer> answers;
  for (const Json& ids : list_of(row, "answers_ids", place))
    answers.push_back(answer_of({{"answers_ids", ids}}, "answers_ids", place));
  std::vector<Answer> ranked;
  for (const size_t i : read_ranking(row, answers.size(), place)) ranked.push_back(answers[i]);
  return ranked;
}

void apply_mask(const Json& row, const char* key, const std::string& place, Answer& answer) {
  const std::vector<double> mask =
      numbers_of(row, key, answer.ids.size(), "ids of the answer", place);
  for (size_t i = 0; i < mask.size(); ++i) {
    require(mask[i] == 0 || mask[i] == 1, ErrorKind::kData, place,
            "'{}' has {}, expected 1 for ids that count and 0 for others", key, mask[i]);
    if (mask[i] == 0) answer.trained[i] = 0;
  }
}

double finite(const Json& row, const char* key, const std::string& place) {
  const Json value = row.value(key, Json());
  require(value.is_number() && std::isfinite(value.get<double>()), ErrorKind::kData, place,
          "'{}' is {}, expected a finite number", key, value.dump().substr(0, 40));
  return value.get<double>();
}

// `rewards`, an object of numbers by part, and `reward_weights`, a list in its order.
std::vector<RewardTerm> terms_of(const Json& row, const std::string& place) {
  const Json parts = row.value("rewards", Json());
  if (parts.is_null()) return {};
  require(parts.is_object(), ErrorKind::kData, place,
          "'rewards' is {}, expected an object with a number for each part of the reward",
          parts.dump().substr(0, 40));
  std::vector<RewardTerm> terms;
  for (const auto& [name, value] : parts.items())
    terms.push_back({.value = finite(parts, name.c_str(), place)});
  const std::vector<double> weights =
      numbers_of(row, "reward_weights", terms.size(), "parts of the reward", place);
  for (size_t i = 0; i < weights.size(); ++i) terms[i].weight = weights[i];
  return terms;
}

}  // namespace

namespace {

Answer answer_in_steps(const Json& row, const std::string& place) {
  Answer answer;
  for (const Json& step : list_of(row, "steps_ids", place)) {
    const std::vector<int32_t> ids = ids_of({{"steps_ids", step}}, "steps_ids", place);
    require(!ids.empty(), ErrorKind::kData, place, "'steps_ids' has a step without ids");
    answer.ids.insert(answer.ids.end(), ids.begin(), ids.end());
    answer.trained.resize(answer.ids.size(), 0);
    answer.trained.back() = 1;
  }
  return answer;
}

bool truth_of(const Json& label, const char* key, const std::string& place) {
  require(label.is_boolean() || label == 0 || label == 1, ErrorKind::kData, place,
          "'{}' is {}, expected true for what is right or good, or false", key,
          label.dump().substr(0, 40));
  return label.is_boolean() ? label.get<bool>() : label == 1;
}

void read_step_labels(const Json& row, Example& example) {
  for (const Json& label : list_of(row, "labels", example.place))
    example.step_labels.push_back(truth_of(label, "labels", example.place) ? 1 : 0);
  const int64_t steps = example.answers[0].trained_count();
  require(std::ssize(example.step_labels) == steps, ErrorKind::kData, example.place,
          "'labels' has {} for {} steps, expected one for each", example.step_labels.size(), steps);
}

}  // namespace

std::vector<size_t> read_ranking(const Json& row, size_t answers, const std::string& place) {
  require(answers >= 2, ErrorKind::kData, place, "there are {} answers, expected two or more",
          answers);
  std::vector<size_t> ranking(answers);
  std::iota(ranking.begin(), ranking.end(), 0);
  if (!row.contains("ranking") || row.at("ranking").is_null()) return ranking;
  const std::vector<double> given = numbers_of(row, "ranking", answers, "answers", place);
  std::vector<bool> there(answers);
  for (size_t i = 0; i < answers; ++i) {
    const double place_of = given[i];
    require(
        place_of >= 0 && place_of < static_cast<double>(answers) &&
            place_of == std::floor(place_of) && !there[static_cast<size_t>(place_of)],
        ErrorKind::kData, place,
        "'ranking' is {}, expected each of 0 to {} once: the answers from the best to the worst, "
        "counted from 0",
        row.at("ranking").dump().substr(0, 60), answers - 1);
    there[static_cast<size_t>(place_of)] = true;
    ranking[i] = static_cast<size_t>(place_of);
  }
  return ranking;
}

bool is_id_row(const Json& row) { return row.contains("prompt_ids"); }

void read_judgement(const Json& row, ExampleKind kind, Example& example) {
  const std::string& place = example.place;
  if ((kind == ExampleKind::kPair || kind == ExampleKind::kRanking) && row.contains("margin"))
    example.margin = finite(row, "margin", place);
  if (kind == ExampleKind::kSteps) read_step_labels(row, example);
  if (kind == ExampleKind::kLabelled) {
    const Json label = row.value("label", Json());
    require(label.is_boolean() || label == 0 || label == 1, ErrorKind::kData, place,
            "'label' is {}, expected true for a good answer or false for a bad one", label.dump());
    example.label = label.is_boolean() ? label.get<bool>() : label == 1;
  }
  if (kind != ExampleKind::kRollout) return;
  example.reward = finite(row, "reward", place);
  example.rewards = terms_of(row, place);
  const Json group = row.value("group", Json(0));
  require(group.is_number_integer(), ErrorKind::kData, place, "'group' is {}, expected an integer",
          group.dump().substr(0, 40));
  example.group = group.get<int64_t>();
}

Example example_of_ids(const Json& row, ExampleKind kind, const std::string& place) {
  Example example;
  example.place = place;
  example.prompt = ids_of(row, "prompt_ids", place);
  if (kind == ExampleKind::kPrompt) return example;
  if (kind == ExampleKind::kSteps) {
    example.answers = {answer_in_steps(row, place)};
  } else if (kind == ExampleKind::kRanking && row.contains("answers_ids")) {
    example.answers = ranked_answers(row, place);
  } else if (kind == ExampleKind::kPair || kind == ExampleKind::kRanking) {
    example.answers = {answer_of(row, "chosen_ids", place), answer_of(row, "rejected_ids", place)};
  } else {
    require(row.contains("completion_ids"), ErrorKind::kData, place,
            "the row has no 'completion_ids', but the objective learns from {}", name_of(kind));
    Answer& answer = example.answers.emplace_back(answer_of(row, "completion_ids", place));
    apply_mask(row, "completion_mask", place, answer);
    apply_mask(row, "tool_mask", place, answer);
    example.old_logps = numbers_of(row, "old_logps", answer.ids.size(), "ids of the answer", place);
    example.old_values =
        numbers_of(row, "old_values", answer.ids.size(), "ids of the answer", place);
  }
  read_judgement(row, kind, example);
  return example;
}

}  // namespace lathe
