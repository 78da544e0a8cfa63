// How much of a text another one has, by the words of both.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>

namespace lathe {

// How much a word says: ln(1 + (N − n + ½) / (n + ½)), as BM25 weighs it.
using WordWeight = std::function<double(const std::string& word)>;

std::unordered_set<std::string> different_words(std::string_view text);

// The share of the weight of the words of `said` that `text` has, from 0 to 1; 1 where nothing is said.
double covered(std::string_view said, std::string_view text, const WordWeight& weight);

}  // namespace lathe
