// Raw text as a stream of documents, in a fixed order: files in the order given, a folder's files
// sorted by path, documents in the order of the file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "lathe/config/visit.h"

namespace lathe {

struct DocumentConfig {
  std::string split = "file";
  std::string separator = "%";
  std::string text_field = "text";
  int64_t max_document_mib = 1024;

  template <class V>
  void visit(V& v) {
    v.choice("split", split, {"file", "blank-lines", "separator"},
             "what ends a document of a plain text file");
    v.field("separator", separator, "the line between documents when splitting at a separator");
    v.field("text_field", text_field, "the field of a .jsonl line that holds the text");
    v.field("max_document_mib", max_document_mib, "larger documents are refused",
            between(1, 1 << 20));
  }
};

struct Document {
  std::string text;
  std::string source;  // path of the file
  int64_t line = 1;    // where it begins in the file
};

struct DocumentCounts {
  int64_t files = 0, documents = 0, bytes = 0;  // bytes of text in documents
  int64_t blank = 0;                            // documents of white space only, left out
};

// The files that `paths` name, folders searched through. From a folder come the regular files whose
// extension is .txt, .text, .md, .jsonl or none; hidden files and folders are left out. A path that
// was given itself is always taken. Throws kIo for one that does not exist, kData when nothing is
// found.
std::vector<std::filesystem::path> list_text_files(std::span<const std::string> paths);

// Total size of the files in bytes.
int64_t total_bytes(std::span<const std::filesystem::path> files);

// Calls `sink` with each document; it returns false to stop. A .jsonl file holds one JSON object a
// line with the text in config.text_field; every other file is plain text. A byte order mark at the
// start is dropped; nothing else is changed, bytes that are not UTF-8 included. Constant memory
// except for the document itself. Throws kIo; kData naming `file:line` for a broken line of JSON, a
// missing field, a document that is too large; kData when there is no document at all.
DocumentCounts for_each_document(std::span<const std::filesystem::path> files,
                                 const DocumentConfig& config,
                                 const std::function<bool(Document&&)>& sink);

}  // namespace lathe
