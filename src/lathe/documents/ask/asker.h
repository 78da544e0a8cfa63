// Answers questions from the documents of an index: finds passages, shows them to a model, and says for each sentence of
// its answer where it comes from.
//
// Against invention: below a calibrated confidence nothing is asked of the model and the answer is that the documents do
// not say; the answer is decoded under a grammar in which each sentence has the mark of a passage that was shown (or is
// that sentence); and each sentence says how far its passage supports it. docs/documents.md has the figures.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lathe/documents/ask/passage_prompt.h"
#include "lathe/documents/ask/support.h"
#include "lathe/documents/document_encoder.h"
#include "lathe/documents/search/document_index.h"
#include "lathe/infer/sampler/generation_config.h"
#include "lathe/model/transformer.h"
#include "lathe/text/chat_template.h"

namespace lathe {

struct AskOptions {
  int64_t passages = 5;           // that are shown, at most
  int64_t passage_tokens = 1200;  // of them together, at most; the best one is always shown
  int64_t new_tokens = 200;
  double certain = 0.7;     // from this confidence on the model must answer
  double confidence = 0.3;  // below it the model is not asked (see confidence_of())
};

struct Citation {
  int64_t marker = 0;  // the k of "[k]"
  std::string path;
  int64_t begin = 0, end = 0;  // bytes of the file
  std::string quote;           // those bytes
};

struct DocumentAnswer {
  std::string text;
  std::vector<Citation> citations;  // one for each mark in the text, in their order
  struct Sentence {
    std::string text;
    int64_t marker = 0;
    double support = 0;  // by its passage (support_of())
  };
  std::vector<Sentence> sentences;
  std::vector<FoundChunk> retrieved;  // best first; the first ones were shown
  double confidence = 0;
  bool abstained = false;
};

// How sure the search is that the documents answer the question, from 0 to 1: the logistic regression of "its passage is in
// the index" on
//   with vectors   the largest cosine, the largest coverage, the first score, and by how much the largest cosine exceeds
//                  the second
//   of words       the largest coverage, and by how much it exceeds the second
// fitted by tools/calibrate_confidence.py to questions of BoolQ and SciQ and planted facts, with all-MiniLM-L6-v2. 0 where
// nothing was found.
double confidence_of(std::span<const FoundChunk> found, bool has_vectors);

// Used by one thread. What it is given must outlive it.
class DocumentAsker {
 public:
  // `encoder`: that of the index; null for one of words. Errors: kConfig for an index with vectors without its encoder.
  DocumentAsker(DocumentIndex& index, DocumentEncoder* encoder, const Transformer& model,
                const Tokenizer& tokenizer, const ChatTemplate& chat_template,
                GenerationConfig generation, AskOptions options = {});

  DocumentAnswer ask(const std::string& question);

 private:
  std::vector<FoundChunk> find(const std::string& question);
  size_t shown_of(const std::vector<FoundChunk>& found) const;
  std::string write(const DocumentAnswer& answer, size_t shown, const std::string& question) const;
  void add_citations(DocumentAnswer& answer, const std::string& question);

  DocumentIndex& index_;
  DocumentEncoder* encoder_;
  const Transformer& model_;
  const Tokenizer& tokenizer_;
  const ChatTemplate& template_;
  GenerationConfig generation_;
  AskOptions options_;
  Disarmed disarmed_;
  WordWeight weight_;
};

}  // namespace lathe
