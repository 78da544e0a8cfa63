#include "lathe/documents/search/document_index.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/documents/cut/words.h"
#include "lathe/documents/index/postings.h"
#include "lathe/documents/search/word_overlap.h"

namespace lathe {
namespace {

constexpr double kK1 = 1.2, kB = 0.75;
constexpr double kVectorsShare = 0.3;
constexpr size_t kFused = 100;  // places of each list that count

std::vector<std::string> words_of(std::string_view question) {
  std::vector<std::string> out;
  std::unordered_set<std::string> seen;
  for_each_word(question, [&](const std::string& word) {
    if (seen.insert(word).second) out.push_back(word);
  });
  return out;
}

double deviation_of(std::span<const double> values) {
  const auto count = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  for (const double value : values) squares += (value - sum / count) * (value - sum / count);
  return std::sqrt(squares / count);
}

}  // namespace

std::span<const std::string_view> search_mode_names() {
  static constexpr std::array<std::string_view, 3> kNames = {"hybrid", "bm25", "vector"};
  return kNames;
}

DocumentIndex::DocumentIndex(const std::filesystem::path& folder)
    : index_(open_index(folder, Database::Mode::kRead)), settings_(settings_of(*index_)) {
  load_pieces();
  if (!has_vectors()) return;
  const int64_t count = vectors_of(*index_);
  if (count > 0) vectors_ = MappedFile(folder / kIndexVectors, MappedFile::Access::kSequential);
  const auto held = static_cast<int64_t>(vectors_.bytes().size() / sizeof(float));
  require(held / settings_.dimensions >= count, ErrorKind::kFormat, folder.string(),
          "its vectors are cut; remove the index and make it anew with `lathe index`");
  for (const Piece& piece : pieces_)
    require(piece.vector >= 0 && piece.vector < count, ErrorKind::kFormat, folder.string(),
            "a piece has no vector; remove the index and make it anew with `lathe index`");
}

void DocumentIndex::load_pieces() {
  Statement all(*index_,
                "SELECT pieces.id, pieces.chunk, pieces.words, pieces.vector FROM pieces "
                "JOIN chunks ON chunks.id = pieces.chunk JOIN files ON files.id = chunks.file "
                "ORDER BY files.path, chunks.first, chunks.id, pieces.id");
  double words = 0;
  while (all.next()) {
    const auto id = static_cast<size_t>(all.integer(0));
    constexpr size_t kMostPieces = size_t{1} << 31;
    require(id < kMostPieces, ErrorKind::kFormat, "index", "a piece has the number {}", id);
    if (id >= by_id_.size()) by_id_.resize(id + 1, -1);
    by_id_[id] = std::ssize(pieces_);
    pieces_.push_back({all.integer(1), all.integer(2), all.integer(3)});
    words += static_cast<double>(pieces_.back().words);
  }
  mean_words_ = pieces_.empty() ? 1 : std::max(1.0, words / static_cast<double>(pieces_.size()));
}

std::vector<std::pair<size_t, double>> DocumentIndex::pieces_with(const std::string& word) {
  std::vector<std::pair<size_t, double>> out;
  Statement lists(*index_, "SELECT list FROM postings WHERE word = ?1 ORDER BY segment");
  lists.bind(word);
  while (lists.next()) {
    for (PostingsReader reader(lists.text(0)); reader.next();) {
      const auto id = static_cast<size_t>(reader.piece());
      if (id < by_id_.size() && by_id_[id] >= 0)
        out.emplace_back(static_cast<size_t>(by_id_[id]), static_cast<double>(reader.times()));
    }
  }
  return out;
}

double DocumentIndex::weight_of(size_t pieces) const {
  const auto all = static_cast<double>(pieces_.size()), n = static_cast<double>(pieces);
  return std::log(1 + (all - n + 0.5) / (n + 0.5));
}

double DocumentIndex::weight(const std::string& word) {
  const auto [it, fresh] = weights_.try_emplace(word, 0);
  if (fresh) it->second = weight_of(pieces_with(word).size());
  return it->second;
}

std::vector<DocumentIndex::Scored> DocumentIndex::by_words(std::string_view question) {
  std::vector<double> scores(pieces_.size());
  for (const std::string& word : words_of(question)) {
    const auto here = pieces_with(word);
    const double weight = weight_of(here.size());
    for (const auto& [piece, times] : here) {
      const double length = static_cast<double>(pieces_[piece].words) / mean_words_;
      scores[piece] += weight * times * (kK1 + 1) / (times + kK1 * (1 - kB + kB * length));
    }
  }
  std::vector<Scored> out;
  for (size_t i = 0; i < scores.size(); ++i)
    if (scores[i] > 0) out.push_back({i, scores[i]});
  return out;
}

// Eight sums in a fixed order, which a compiler may keep side by side.
double DocumentIndex::cosine(size_t piece, std::span<const float> vector) const {
  const auto width = static_cast<size_t>(settings_.dimensions);
  const auto* one = reinterpret_cast<const float*>(vectors_.bytes().data()) +
                    static_cast<size_t>(pieces_[piece].vector) * width;
  std::array<float, 8> sums{};
  size_t c = 0;
  for (; c + 8 <= width; c += 8)
    for (size_t j = 0; j < 8; ++j) sums[j] += one[c + j] * vector[c + j];
  double score = 0;
  for (const float sum : sums) score += static_cast<double>(sum);
  for (; c < width; ++c) score += static_cast<double>(one[c] * vector[c]);
  return score;
}

std::vector<DocumentIndex::Scored> DocumentIndex::by_vector(std::span<const float> vector) const {
  std::vector<Scored> out(pieces_.size());
  parallel_for(std::ssize(pieces_), 256, [&](int64_t i) {
    const auto piece = static_cast<size_t>(i);
    out[piece] = {piece, cosine(piece, vector)};
  });
  return out;
}

// The best piece of each chunk, best first. Only as many are sorted as that takes.
std::vector<DocumentIndex::Scored> DocumentIndex::best_of_chunks(std::vector<Scored> pieces,
                                                                 size_t most) const {
  const auto better = [](const Scored& a, const Scored& b) {
    return a.score != b.score ? a.score > b.score : a.piece < b.piece;
  };
  std::vector<Scored> out;
  for (size_t count = std::min(pieces.size(), 4 * most + 64);;
       count = std::min(pieces.size(), 4 * count)) {
    std::ranges::partial_sort(pieces, pieces.begin() + static_cast<std::ptrdiff_t>(count), better);
    std::unordered_set<int64_t> seen;
    out.clear();
    for (size_t i = 0; i < count && out.size() < most; ++i)
      if (seen.insert(pieces_[pieces[i].piece].chunk).second) out.push_back(pieces[i]);
    if (out.size() == most || count == pieces.size()) return out;
  }
}

std::vector<DocumentIndex::Scored> DocumentIndex::fused(std::vector<Scored> words,
                                                        std::vector<Scored> vectors,
                                                        size_t most) const {
  std::unordered_map<int64_t, Scored> chunks;
  const auto add = [&](std::vector<Scored> list, double share, bool zero_beyond) {
    list = best_of_chunks(std::move(list), std::max(most, kFused));
    std::vector<double> scores;
    for (size_t i = 0; i < std::min(list.size(), kFused); ++i) scores.push_back(list[i].score);
    if (zero_beyond) scores.resize(kFused);
    if (scores.empty()) return;
    const double deviation = deviation_of(scores);
    for (const Scored& one : list) {
      const double above = std::max(0.0, one.score - scores.back());
      Scored& sum =
          chunks.try_emplace(pieces_[one.piece].chunk, Scored{one.piece, 0}).first->second;
      if (deviation > 0) sum.score += share * above / deviation;
    }
  };
  add(std::move(words), 1 - kVectorsShare, /*zero_beyond=*/true);
  add(std::move(vectors), kVectorsShare, /*zero_beyond=*/false);
  std::vector<Scored> all;
  for (const auto& [chunk, one] : chunks) all.push_back(one);
  return best_of_chunks(std::move(all), most);
}

FoundChunk DocumentIndex::found(const Scored& piece, std::string_view question,
                                std::span<const float> vector) {
  Statement chunk(*index_,
                  "SELECT files.path, chunks.first, chunks.last, chunks.text, files.title, "
                  "chunks.trail FROM chunks JOIN files ON files.id = chunks.file "
                  "WHERE chunks.id = ?1");
  chunk.bind(pieces_[piece.piece].chunk);
  require(chunk.next(), ErrorKind::kFormat, "index", "a piece has no chunk; make the index anew");
  double nearest = 0;
  if (!vector.empty()) {  // pieces of a chunk are neighbours
    size_t first = piece.piece;
    while (first > 0 && pieces_[first - 1].chunk == pieces_[piece.piece].chunk) --first;
    nearest = cosine(first, vector);
    for (size_t i = first + 1; i < pieces_.size() && pieces_[i].chunk == pieces_[first].chunk; ++i)
      nearest = std::max(nearest, cosine(i, vector));
  }
  FoundChunk out = {.path = std::string(chunk.text(0)),
                    .begin = chunk.integer(1),
                    .end = chunk.integer(2),
                    .score = piece.score,
                    .cosine = nearest,
                    .text = std::string(chunk.text(3)),
                    .title = std::string(chunk.text(4)),
                    .trail = std::string(chunk.text(5))};
  out.coverage = covered(question, out.trail + "\n" + out.text,
                         [this](const std::string& word) { return weight(word); });
  return out;
}

std::vector<FoundChunk> DocumentIndex::search(std::string_view question,
                                              std::span<const float> vector, SearchMode mode,
                                              int64_t k) {
  const bool words = mode != SearchMode::kVector, vectors = mode != SearchMode::kBm25;
  require(!vectors || (has_vectors() && std::ssize(vector) == settings_.dimensions),
          ErrorKind::kUsage, "--mode",
          "this index has no vectors; search it with --mode bm25, or make it with --encoder");
  const auto most = static_cast<size_t>(std::max<int64_t>(k, 0));
  const std::vector<Scored> best = !vectors ? best_of_chunks(by_words(question), most)
                                   : !words ? best_of_chunks(by_vector(vector), most)
                                            : fused(by_words(question), by_vector(vector), most);
  std::vector<FoundChunk> out;
  for (const Scored& one : best)
    out.push_back(found(one, question, vectors ? vector : std::span<const float>()));
  return out;
}

}  // namespace lathe
