// Examples from rows whose texts are token ids already:
//   prompt_ids, completion_ids [, completion_mask | tool_mask]   one answer
//   prompt_ids, chosen_ids, rejected_ids [, margin]               a pair
//   prompt_ids, answers_ids [, ranking, margin]                   a ranking
//   prompt_ids, steps_ids, labels                                an answer in steps; the last id of each is judged
//   … label                                                      a labelled answer
//   … reward, group [, old_logps, old_values, rewards, reward_weights]   a recorded rollout
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "lathe/train/example/example.h"

namespace lathe {

bool is_id_row(const nlohmann::ordered_json& row);
// Errors: kData, naming `place` and the field.
Example example_of_ids(const nlohmann::ordered_json& row, ExampleKind kind,
                       const std::string& place);

// Of rows of ids and of words: which of so many answers is the best, the next and so on, as 'ranking' says; the
// order in which they stand if it is absent. Error kData for a list that is no order of theirs.
std::vector<size_t> read_ranking(const nlohmann::ordered_json& row, size_t answers,
                                 const std::string& place);

// Of rows of ids and of words: the label, margin, reward and group that `kind` needs. Error kData
// for one that is missing or not what it should be.
void read_judgement(const nlohmann::ordered_json& row, ExampleKind kind, Example& example);

}  // namespace lathe
