// What tokenizers make of the same texts, and what is in their vocabularies.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/corpus/documents.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

struct NamedTokenizer {
  std::string path;
  Tokenizer tokenizer;
};

// What one tokenizer makes of one text, or of one group of its documents.
struct TextLength {
  int64_t tokens = 0, bytes = 0;
  int64_t characters = 0;  // code points; a byte that is not UTF-8 counts as one
  int64_t unknown = 0;     // tokens; each may stand for a whole stretch that is lost

  TextLength& operator+=(const TextLength& other);
  double bytes_per_token() const {
    return static_cast<double>(bytes) / std::max<double>(1, tokens);
  }
  // So much of the text is lost that few tokens say nothing good of the tokenizer.
  bool is_lossy() const { return unknown * 100 > tokens; }
  double tokens_per_character() const {
    return static_cast<double>(tokens) / std::max<double>(1, characters);
  }
};

// Of a text encoded as a whole, without special tokens around it.
TextLength text_length(const Tokenizer& tokenizer, std::string_view text);

struct ComparedText {
  std::string path, group;          // as given; the group is empty unless documents are grouped
  std::string excerpt;              // a sentence or its beginning
  std::vector<TextLength> lengths;  // by tokenizer
};

// Some of the pieces of a vocabulary, by id.
struct PieceList {
  static constexpr size_t kExamples = 20;
  int64_t count = 0;
  std::vector<int32_t> examples;  // the first of them

  void add(int32_t id) {
    if (++count; examples.size() < kExamples) examples.push_back(id);
  }
};

struct VocabularyFacts {
  int64_t pieces = 0;  // ids that have a piece
  PieceList unused;    // no text has it
  // The piece stands for whole characters, but neither its text alone nor its text behind another
  // character is encoded to it (Land and Bartolo 2024, arXiv:2405.05417, section 3.1). Special
  // tokens and pieces without text do not count.
  PieceList unreachable;
  PieceList partial;  // its bytes are no whole characters
  // Unused, and either unreachable or partial: a model trained on such texts has hardly seen it.
  PieceList undertrained;
};

class TokenizerComparison {
 public:
  // Called now and then, by several threads at once; may throw, which ends the work.
  using Check = std::function<void()>;

  explicit TokenizerComparison(
      std::vector<NamedTokenizer> tokenizers, Check check = [] {});

  // Encodes the documents, each as a whole and without special tokens around it, with every
  // tokenizer, on all threads; the result does not depend on how many there are. `path` names the
  // text; config.label_field groups its documents. Errors as of read_documents().
  DocumentCounts add_text(const std::string& path, std::span<const std::filesystem::path> files,
                          const DocumentConfig& config, const ReadHook& hook = {});

  const std::vector<NamedTokenizer>& tokenizers() const { return tokenizers_; }
  // In the order in which they were met first.
  const std::vector<ComparedText>& texts() const { return texts_; }
  TextLength total(size_t tokenizer) const;  // of all texts
  VocabularyFacts vocabulary_facts(size_t tokenizer) const;

 private:
  struct Pending {
    size_t row;
    std::string text;
  };
  size_t row_of(const std::string& path, const std::string& group, std::string_view text);
  void encode_pending();

  std::vector<NamedTokenizer> tokenizers_;
  Check check_;
  std::vector<ComparedText> texts_;
  std::map<std::pair<std::string, std::string>, size_t> rows_;
  std::vector<Pending> pending_;
  size_t pending_bytes_ = 0;
  std::vector<std::vector<uint8_t>> used_;  // by tokenizer and id
};

// Texts whose cuts show how a tokenizer treats what is not prose.
struct CutSample {
  const char *name, *title, *text;
};
inline constexpr CutSample kCutSamples[] = {
    {"numbers", "numbers", "7 42 365 2024 31415 1000000 3.14159 -0.5 1,234,567.89"},
    {"dates", "dates", "2024-05-17 17/05/2024 17 May 2024, 23:59:59 UTC"},
    {"code_indentation", "code",
     "def area(r):\n    if r < 0:\n        return None\n\treturn 3.14 * r ** 2\n"},
    {"url", "a URL", "https://example.org/wiki/Main_Page?title=a%20b&lang=en#part-2"},
};

}  // namespace lathe
