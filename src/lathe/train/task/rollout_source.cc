#include "lathe/train/task/rollout_source.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "lathe/base/error.h"
#include "lathe/config/json_text.h"
#include "lathe/train/sample_source.h"
#include "lathe/train/task/answer_data.h"

namespace lathe {

using Json = nlohmann::ordered_json;

// What the row of a prompt says, read once for all answers and turns.
struct PromptRow {
  Json fields;
  std::set<std::string> tools;  // that answers may call
};

namespace {

// Two answers are worth the same if their rewards are, or, where each part of the reward is normalised by
// itself, if all parts with a weight are.
bool same_worth(const Rollout& a, const Rollout& b, bool by_part) {
  constexpr double kNothing = 1e-8;
  if (!by_part) return std::abs(a.example.reward - b.example.reward) <= kNothing;
  for (size_t k = 0; k < a.example.rewards.size(); ++k)
    if (a.example.rewards[k].weight != 0 &&
        std::abs(a.example.rewards[k].value - b.example.rewards[k].value) > kNothing)
      return false;
  return true;
}

// A step that found nothing to compare takes its first groups, whose advantages are 0.
void take_first(std::vector<Rollout>& rollouts, int64_t groups) {
  for (Rollout& each : rollouts) each.counts = each.collapsed && each.example.group < groups;
}

ExampleOptions prompt_options(const Recipe& recipe, const RolloutConfig& config) {
  ExampleOptions options = example_options(recipe, ExampleKind::kPrompt);
  if (config.tools.any()) options.tools = offered_tools(config.tools).dump();
  return options;
}

// What the model wrote, behind what stands there.
void append(Rollout& rollout, const SampledAnswer& answer) {
  Example& example = rollout.example;
  example.answers[0].ids.insert(example.answers[0].ids.end(), answer.ids.begin(), answer.ids.end());
  example.old_logps.insert(example.old_logps.end(), answer.logps.begin(), answer.logps.end());
  rollout.tool_mask.resize(example.answers[0].ids.size(), 1);
  rollout.ended = answer.ended;
}

}  // namespace

RolloutSource::RolloutSource(const Recipe& recipe, const RolloutConfig& config, Policy& policy,
                             const TrainCallbacks& callbacks)
    : recipe_(recipe),
      config_(config),
      prompts_(examples_for(callbacks, recipe_.data.train, prompt_options(recipe_, config_))),
      tokenizer_(load_tokenizer(recipe_.tokenizer().value())),
      rewards_(recipe_.reward, callbacks.log,
               {.tokenizer = &tokenizer_,
                .dtype = recipe_.compute_dtype(),
                .device = recipe_.compute_device(),
                .from = recipe_.from,
                .base = policy.adapter() ? &policy.model() : nullptr},
               recipe_.sandbox),
      log_(callbacks.log) {
  if (!config_.tools.any()) return;
  require(
      !recipe_.model.body_traits().encoder, ErrorKind::kConfig, "objective.tools",
      "a model with an encoder reads its prompt once, and cannot go on behind a tool's answer; leave tools out");
  std::vector<int32_t> ends;
  for (const int64_t id : recipe_.model.eos_token_ids())
    if (tokenizer_.has(id)) ends.push_back(static_cast<int32_t>(id));
  turns_.emplace(config_.tools, recipe_.sandbox, *recipe_.tokenizer(), tokenizer_, ends, log_);
  for (const Example& each : prompts_->examples) row_of(each);
}

std::shared_ptr<const PromptRow> RolloutSource::row_of(const Example& prompt) const {
  PromptRow row{.fields = parse_json(prompt.row, prompt.place), .tools = {}};
  if (turns_) row.tools = tools_of_row(row.fields, config_.tools, prompt.place);
  return std::make_shared<const PromptRow>(std::move(row));
}

void RolloutSource::check() {
  rewards_.check();
  if (turns_) turns_->check();
}

std::optional<int64_t> RolloutSource::position() const {
  return config_.dynamic_sampling ? std::optional(position_) : std::nullopt;
}

std::vector<const Example*> RolloutSource::prompts_at(int64_t first, int64_t count) const {
  const int64_t size = std::ssize(prompts_->examples);
  const Rng order = Rng(static_cast<uint64_t>(recipe_.train.seed)).fork("rows");
  std::vector<const Example*> prompts;
  for (int64_t position = first; position < first + count; ++position) {
    const int64_t epoch = position / size, within = position % size;
    const int64_t row = recipe_.data.order == "shuffle"
                            ? permuted(order.fork(static_cast<uint64_t>(epoch)), within, size)
                            : within;
    prompts.push_back(&prompts_->examples[static_cast<size_t>(row)]);
  }
  return prompts;
}

std::vector<Rollout> RolloutSource::answers_to(const std::vector<const Example*>& prompts,
                                               int64_t first_group, const Rng& stream,
                                               Policy& policy, const StopCheck& stop_if_asked) {
  std::vector<SampleRequest> requests;
  std::vector<Rng> streams;
  for (size_t i = 0; i < prompts.size(); ++i) {
    streams.push_back(stream.fork(static_cast<uint64_t>(first_group) + i));
    requests.push_back({.prompt = prompts[i]->prompt,
                        .place = prompts[i]->place,
                        .choices = config_.num_generations,
                        .max_tokens = config_.max_completion_length,
                        .stream = streams.back()});
  }
  RolloutEngine engine(policy.model(), policy.for_engine(), requests, config_.temperature);
  const auto drawn = engine.answers(requests, stop_if_asked);
  std::vector<Rollout> rollouts;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const std::shared_ptr<const PromptRow> row = row_of(*prompts[i]);
    for (const SampledAnswer& answer : drawn[i]) {
      Rollout& rollout = rollouts.emplace_back();
      rollout.prompt = prompts[i];
      rollout.row = row;
      rollout.example.place = prompts[i]->place;
      rollout.example.prompt = prompts[i]->prompt;
      rollout.example.group = first_group + static_cast<int64_t>(i);
      rollout.example.answers.emplace_back();
      append(rollout, answer);
    }
  }
  go_on(rollouts, streams, engine, stop_if_asked);
  // The engine gives them at temperature 1; the loss refers to what was drawn from, where the model's own take
  // their place.
  for (Rollout& each : rollouts)
    if (config_.temperature != 1.0) each.example.old_logps.clear();
  return rollouts;
}

// The tools' answers to the turns that begin at `begins`, put behind them. What calls none, or has no room for another
// turn, is no longer open.
void RolloutSource::append_replies(std::vector<Rollout>& rollouts,
                                   const std::vector<int64_t>& begins, std::vector<size_t>& open,
                                   const StopCheck& stop_if_asked) {
  std::erase_if(open, [&](size_t i) { return !rollouts[i].ended; });
  std::vector<ToolTurns::Turn> turns;
  for (const size_t i : open) {
    const Rollout& rollout = rollouts[i];
    const std::vector<int32_t>& ids = rollout.example.answers[0].ids;
    std::vector<int32_t> before = rollout.example.prompt;
    before.insert(before.end(), ids.begin(), ids.begin() + begins[i]);
    turns.push_back({.prompt = std::move(before),
                     .turn = std::span(ids).subspan(static_cast<size_t>(begins[i])),
                     .allowed = rollout.row->tools});
  }
  auto replies = turns_->replies_to(turns, stop_if_asked);
  auto reply = replies.begin();
  std::erase_if(open, [&](size_t i) { return !append_reply(rollouts[i], std::move(*reply++)); });
}

bool RolloutSource::append_reply(Rollout& rollout, std::optional<ToolTurns::Reply> reply) const {
  if (!reply) return false;
  std::vector<int32_t>& ids = rollout.example.answers[0].ids;
  std::ranges::move(reply->uses, std::back_inserter(rollout.tool_calls));
  if (std::ssize(ids) + std::ssize(reply->ids) >= config_.max_completion_length) {
    rollout.ended = false;  // it is cut in the middle of its conversation
    return false;
  }
  ids.insert(ids.end(), reply->ids.begin(), reply->ids.end());
  rollout.tool_mask.resize(ids.size(), 0);
  rollout.example.old_logps.resize(ids.size(), 0);
  return true;
}

// Turn by turn, as long as answers call tools: what was written stays as it is, and the model goes on behind it.
void RolloutSource::go_on(std::vector<Rollout>& rollouts, const std::vector<Rng>& streams,
                          RolloutEngine& engine, const StopCheck& stop_if_asked) {
  std::vector<int64_t> begins(rollouts.size(), 0);
  std::vector<size_t> open(turns_ ? rollouts.size() : 0);
  std::iota(open.begin(), open.end(), 0);
  const int64_t most =
      config_.tools.max_tool_calling_iterations.value_or(config_.max_completion_length);
  for (int64_t turn = 1; turn <= most && !open.empty(); ++turn) {
    std::vector<SampleRequest> requests;
    append_replies(rollouts, begins, open, stop_if_asked);
    for (const size_t i : open) {
      const Example& example = rollouts[i].example;
      const std::vector<int32_t>& ids = example.answers[0].ids;
      begins[i] = std::ssize(ids);
      SampleRequest& request = requests.emplace_back();
      request.prompt = example.prompt;
      request.prompt.insert(request.prompt.end(), ids.begin(), ids.end());
      request.place = example.place;
      request.max_tokens = config_.max_completion_length - std::ssize(ids);
      request.stream = streams[i / static_cast<size_t>(config_.num_generations)].fork("turn").fork(
          static_cast<uint64_t>(turn));
      request.first_choice = i % static_cast<size_t>(config_.num_generations);
    }
    if (requests.empty()) break;
    const auto drawn = engine.answers(requests, stop_if_asked);
    for (size_t k = 0; k < open.size(); ++k) append(rollouts[open[k]], drawn[k][0]);
  }
  for (size_t i = 0; i < rollouts.size(); ++i) read_texts(rollouts[i], begins[i]);
}

void RolloutSource::read_texts(Rollout& rollout, int64_t last_turn) const {
  Answer& answer = rollout.example.answers[0];
  rollout.completion = text_of({answer.ids.begin() + last_turn, answer.ids.end()}, rollout.ended);
  rollout.retokenized = changes_when_encoded(rollout);
  answer.trained = rollout.tool_mask;
  if (turns_)
    rollout.transcript = text_of(answer.ids, false);
  else
    rollout.tool_mask.clear();
}

// Without the token that ends it, and without ids that only fill the model's table.
std::string RolloutSource::text_of(std::vector<int32_t> ids, bool ended) const {
  if (ended) ids.pop_back();
  std::erase_if(ids, [&](int32_t id) { return id >= tokenizer_.vocab_size(); });
  return tokenizer_.decode(ids);
}

bool RolloutSource::changes_when_encoded(const Rollout& rollout) const {
  std::vector<int32_t> ids = rollout.example.answers[0].ids;
  if (rollout.ended) ids.pop_back();
  try {
    return tokenizer_.encode(text_of(ids, false)) != ids;
  } catch (const Error& error) {  // half a character, in a vocabulary without bytes
    if (error.kind() != ErrorKind::kData) throw;
    return true;
  }
}

void RolloutSource::judge(std::vector<Rollout>& rollouts, const StopCheck& stop_if_asked) {
  std::vector<RewardInput> inputs;
  for (const Rollout& each : rollouts)
    inputs.push_back({.row = each.row->fields,
                      .completion = each.completion,
                      .ids = each.example.answers[0].ids,
                      .ended = each.ended,
                      .prompt = each.example.prompt,
                      .place = each.prompt->place,
                      .tool_calls = each.tool_calls});
  std::vector<RewardResult> results = rewards_.of(inputs, stop_if_asked);
  for (size_t i = 0; i < rollouts.size(); ++i) {
    Example& example = rollouts[i].example;
    example.reward = results[i].reward;
    for (const RewardPart& part : results[i].parts)
      example.rewards.push_back({part.value, part.weight});
    rollouts[i].reward = std::move(results[i]);
  }
  leave_out_failed(rollouts);
  find_collapsed(rollouts);
}

void RolloutSource::require_some(const std::vector<Rollout>& rollouts, int64_t step) const {
  const bool some = std::ranges::any_of(rollouts, &Rollout::counts);
  require(
      some || recipe_.reward.command, ErrorKind::kData, "reward.functions",
      "the sandbox could run too few of the {} programs of step {} (unit_tests), which leaves none to compare; "
      "has the system run out of processes or memory?",
      rollouts.size(), step);
  require(
      some, ErrorKind::kData, "reward.command",
      "the verifier gave no finite number for {} of the {} rollouts of step {}, which leaves none to compare; "
      "run it by hand on a line of data.train with a field \"completion\": '{}'",
      std::ranges::count_if(rollouts, [](const Rollout& r) { return r.reward.failed; }),
      rollouts.size(), step, recipe_.reward.command.value_or(""));
}

// Nothing is learnt from a rollout without a reward, nor from one that is left alone in its group.
void RolloutSource::leave_out_failed(std::vector<Rollout>& rollouts) const {
  std::map<int64_t, int64_t> judged;
  for (const Rollout& each : rollouts) judged[each.example.group] += each.reward.failed ? 0 : 1;
  const int64_t least = config_.num_generations > 1 ? 2 : 1;
  for (Rollout& each : rollouts)
    each.counts = !each.reward.failed && judged[each.example.group] >= least;
}

void RolloutSource::find_collapsed(std::vector<Rollout>& rollouts) const {
  if (config_.num_generations < 2) return;
  const bool by_part = config_.multi_objective_aggregation == "normalize_then_sum";
  std::map<int64_t, const Rollout*> first;
  std::set<int64_t> differ;
  for (const Rollout& each : rollouts) {
    if (!each.counts) continue;
    const auto [found, is_new] = first.try_emplace(each.example.group, &each);
    if (!is_new && !same_worth(*found->second, each, by_part)) differ.insert(each.example.group);
  }
  for (Rollout& each : rollouts)
    each.collapsed = each.counts && !differ.contains(each.example.group);
}

// The number of groups that are left.
int64_t RolloutSource::leave_out_collapsed(std::vector<Rollout>& rollouts) const {
  std::set<int64_t> left;
  for (Rollout& each : rollouts) {
    each.counts = each.counts && !each.collapsed;
    if (each.counts) left.insert(each.example.group);
  }
  return std::ssize(left);
}

void RolloutSource::say_if_short(int64_t step, int64_t groups, int64_t wanted) {
  constexpr int64_t kMost = 5;
  if (groups == wanted || ++short_steps_ > kMost) return;
  log_.warn(
      "step {}: {} of {} groups have answers of different worth after {} draws "
      "(objective.max_num_gen_batches){}; the prompts are too easy or too hard for the model, or the reward "
      "cannot tell its answers apart{}",
      step, groups, wanted, config_.max_num_gen_batches.value_or(10),
      groups == 0 ? ", so that nothing is learnt" : "",
      short_steps_ == kMost ? "; further such steps are not told" : "");
}

std::vector<Rollout> RolloutSource::draw(int64_t step, Policy& policy,
                                         const StopCheck& stop_if_asked) {
  const Rng stream = Rng(static_cast<uint64_t>(recipe_.train.seed))
                         .fork("rollouts")
                         .fork(static_cast<uint64_t>(step));
  const int64_t wanted =
      recipe_.train.batch_size * recipe_.train.grad_accumulation / config_.num_generations;
  const int64_t start = config_.dynamic_sampling ? position_ : (step - 1) * wanted;
  const int64_t draws = config_.dynamic_sampling ? config_.max_num_gen_batches.value_or(10) : 1;
  std::vector<Rollout> all;
  int64_t groups = 0, prompts = 0;
  for (int64_t i = 0; i < draws && groups < wanted; ++i) {
    const int64_t missing = wanted - groups;
    std::vector<Rollout> more =
        answers_to(prompts_at(start + prompts, missing), prompts, stream, policy, stop_if_asked);
    prompts += missing;
    judge(more, stop_if_asked);
    if (config_.dynamic_sampling) groups += leave_out_collapsed(more);
    std::ranges::move(more, std::back_inserter(all));
  }
  next_position_ = start + prompts;
  if (config_.dynamic_sampling) say_if_short(step, groups, wanted);
  if (config_.dynamic_sampling && groups == 0) take_first(all, wanted);
  require_some(all, step);
  for (Rollout& each : all)
    if (config_.mask_truncated_completions && !each.ended)
      std::ranges::fill(each.example.answers[0].trained, 0);
  return all;
}

}  // namespace lathe
