#include "lathe/documents/index/word_lists.h"

#include <algorithm>
#include <vector>

namespace lathe {
namespace {

constexpr int64_t kMostSegments = 8;

int64_t segments_in(Database& index) {
  Statement count(index, "SELECT value FROM counts WHERE name = 'segments'");
  return count.next() ? count.integer(0) : 0;
}

void set_segments(Database& index, int64_t count) {
  Statement(index, "INSERT OR REPLACE INTO counts VALUES('segments', ?1)").bind(count).run();
}

// By its number, whether a piece is there.
std::vector<bool> pieces_in(Database& index) {
  std::vector<bool> out;
  Statement all(index, "SELECT id FROM pieces ORDER BY id");
  while (all.next()) {
    const auto id = static_cast<size_t>(all.integer(0));
    if (id >= out.size()) out.resize(id + 1);
    out[id] = true;
  }
  return out;
}

class Merged {
 public:
  explicit Merged(Database& index)
      : there_(pieces_in(index)), add_(index, "INSERT INTO merged VALUES(?1, 0, ?2)") {}

  void take(std::string_view word, std::string_view list) {
    if (word != word_) {
      end();
      word_ = word;
    }
    for (PostingsReader reader(list); reader.next();) {
      const auto piece = static_cast<size_t>(reader.piece());
      if (piece < there_.size() && there_[piece]) list_.add(reader.piece(), reader.times());
    }
  }
  void end() {
    if (!list_.bytes().empty()) add_.bind(word_, list_.bytes()).run();
    list_ = {};
  }

 private:
  std::vector<bool> there_;
  Statement add_;
  std::string word_;
  PostingsWriter list_;
};

}  // namespace

void WordLists::add(int64_t piece, const Counts& times) {
  for (const auto& [word, count] : times) lists_[word].add(piece, count);
}

void WordLists::write(Database& index) {
  if (lists_.empty()) return;
  const int64_t segment = segments_in(index);
  Statement add(index, "INSERT INTO postings VALUES(?1, ?2, ?3)");
  std::vector<const std::pair<const std::string, PostingsWriter>*> sorted;  // as the table is
  for (const auto& entry : lists_) sorted.push_back(&entry);
  std::ranges::sort(sorted, {},
                    [](const auto* entry) -> const std::string& { return entry->first; });
  for (const auto* entry : sorted) add.bind(entry->first, segment, entry->second.bytes()).run();
  set_segments(index, segment + 1);
  lists_.clear();
}

void WordLists::merge_if_many(Database& index) {
  if (segments_in(index) <= kMostSegments) return;
  Transaction transaction(index);
  index.run(
      "CREATE TABLE merged(word BLOB, segment INTEGER, list BLOB, PRIMARY KEY(word, segment)) "
      "WITHOUT ROWID");
  {
    Merged merged(index);
    Statement all(index, "SELECT word, list FROM postings ORDER BY word, segment");
    while (all.next()) merged.take(all.text(0), all.text(1));
    merged.end();
  }
  index.run("DROP TABLE postings; ALTER TABLE merged RENAME TO postings");
  set_segments(index, 1);
  transaction.commit();
}

}  // namespace lathe
