// Finds the chunks of an index that fit a question.
//
// By words: Okapi BM25 (Robertson & Zaragoza, 2009), k1 = 1.2, b = 0.75, over pieces; N of them, n with the word, f times
// in this one, which has |d| words:
//
//   score = Σ_words ln(1 + (N − n + ½) / (n + ½)) · f·(k1 + 1) / (f + k1·(1 − b + b·|d| / mean|d|))
//
// By vectors: the cosine of question and piece, over all of them. A chunk has the score of its best piece.
// Both together (hybrid): each list's first 100 chunks, what words do not find counting as 0; with σ their deviation and
// s₁₀₀ the last score,
//
//   score = 0.7·(s_words − s₁₀₀)/σ_words + 0.3·(s_vector − s₁₀₀)/σ_vector, where a chunk that is not in a list has 0 of it.
//
// So a list that tells nothing apart, such as that of an encoder which does not know the language, moves little, which
// it does in a fusion by places (docs/documents.md).
// Among equal ones the order is that of paths and places in the file, so that a result follows from the files alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lathe/documents/document_encoder.h"
#include "lathe/documents/index/index_files.h"
#include "lathe/io/mapped_file.h"

namespace lathe {

enum class SearchMode : uint8_t { kHybrid, kBm25, kVector };
std::span<const std::string_view> search_mode_names();  // in the order of SearchMode

struct FoundChunk {
  std::string path;
  int64_t begin = 0, end = 0;  // bytes of the file
  double score = 0;
  double cosine = 0;  // of the question and the chunk's nearest piece; 0 without vectors
  double coverage =
      0;             // the share of the question's words, by weight, that it and its headings have
  std::string text;  // those bytes, as they were read
  std::string title, trail;
};

// Reads an index as it is when it is opened. Used by one thread.
class DocumentIndex {
 public:
  // Errors: those of open_index().
  explicit DocumentIndex(const std::filesystem::path& folder);

  const IndexSettings& settings() const { return settings_; }
  int64_t pieces() const { return static_cast<int64_t>(pieces_.size()); }
  // Whether there are vectors, which need the encoder that made them.
  bool has_vectors() const { return settings_.dimensions > 0; }

  // At most k, best first. `question`: its vector (settings().dimensions), which words alone do not need. Errors: kUsage
  // for vectors where there are none.
  std::vector<FoundChunk> search(std::string_view question, std::span<const float> vector,
                                 SearchMode mode, int64_t k);
  // ln(1 + (N − n + ½) / (n + ½)) of a word in the form of for_each_word().
  double weight(const std::string& word);

 private:
  struct Piece {
    int64_t chunk, words, vector;
  };
  struct Scored {
    size_t piece;
    double score;
  };
  void load_pieces();
  // Which pieces have a word, by their places in pieces_, and how often.
  std::vector<std::pair<size_t, double>> pieces_with(const std::string& word);
  double weight_of(size_t pieces) const;
  std::vector<Scored> by_words(std::string_view question);
  double cosine(size_t piece, std::span<const float> vector) const;
  std::vector<Scored> by_vector(std::span<const float> vector) const;
  std::vector<Scored> fused(std::vector<Scored> words, std::vector<Scored> vectors,
                            size_t most) const;
  std::vector<Scored> best_of_chunks(std::vector<Scored> pieces, size_t most) const;
  FoundChunk found(const Scored& piece, std::string_view question, std::span<const float> vector);

  std::unique_ptr<Database> index_;
  IndexSettings settings_;
  MappedFile vectors_;
  std::vector<Piece> pieces_;   // in the order of paths and places
  std::vector<int64_t> by_id_;  // places in pieces_; -1: gone
  double mean_words_ = 0;
  std::unordered_map<std::string, double> weights_;  // that were asked for
};

}  // namespace lathe
