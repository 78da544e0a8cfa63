// What models scored, and how scores grow with compute, as a page.
#pragma once

#include <span>
#include <string>

#include "lathe/lab/ladder.h"

namespace lathe {

// "arc_easy acc is above chance from 1.2e+15 FLOPs on (runs/b, step 500)", and what else ladder.h says.
std::string ladder_text(const Ladder& ladder);

// Of each run its last measurement, of evaluations all: what tables show.
std::vector<const ScoredModel*> shown_scores(std::span<const ScoredModel> models);

// A whole HTML page: the table of all models, and each ladder with its intervals and the value of a guess.
std::string score_page(std::span<const ScoredModel> models, std::span<const Ladder> ladders);

}  // namespace lathe
