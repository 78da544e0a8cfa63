// The lists of words of an index (postings.h): each write adds a segment, and many segments become one.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "lathe/documents/index/database.h"
#include "lathe/documents/index/postings.h"

namespace lathe {

class WordLists {
 public:
  // How often each word stands in a piece. Pieces come in ascending order.
  using Counts = std::unordered_map<std::string, int64_t>;
  void add(int64_t piece, const Counts& times);
  // Into the index, within a transaction of the caller.
  void write(Database& index);
  // In a transaction of its own; pieces that are gone are left out.
  static void merge_if_many(Database& index);

 private:
  std::unordered_map<std::string, PostingsWriter> lists_;
};

}  // namespace lathe
