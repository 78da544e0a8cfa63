#include "lathe/documents/index/index_update.h"

#include <algorithm>
#include <map>
#include <set>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/documents/cut/cutter.h"
#include "lathe/documents/cut/words.h"
#include "lathe/documents/index/file_list.h"
#include "lathe/documents/index/index_files.h"
#include "lathe/documents/index/vector_file.h"
#include "lathe/documents/index/word_lists.h"
#include "lathe/documents/read/document.h"
#include "lathe/io/folder_lock.h"
#include "lathe/io/hash.h"
#include "lathe/io/mapped_file.h"

namespace lathe {
namespace {

constexpr int64_t kLargest = int64_t{256} << 20;       // bytes of a file
constexpr int64_t kWrittenAtOnce = int64_t{16} << 20;  // bytes read between two commits
constexpr size_t kEncodedAtOnce = 256;                 // pieces

// Why a file is none that is read; empty if it is.
std::string why_not(const ListedFile& file, const std::string& text) {
  if (text.find('\0') != std::string::npos) return "is no text: it has zero bytes";
  if (!is_valid_utf8(text)) return "is no UTF-8";
  if (std::ssize(text) != file.bytes) return "changed while it was read";
  return {};
}

class Update {
 public:
  explicit Update(const IndexRequest& request)
      : request_(request),
        files_(list_files(request.folders)),
        lock_(prepared(request)),
        index_(open_index(request.out, Database::Mode::kWrite)),
        settings_(settings_of(*index_)),
        vectors_(request.out / kIndexVectors, settings_.dimensions, vectors_of(*index_)) {
    check_settings();
  }

  IndexReport run() {
    forget_missing();
    for (const ListedFile& file : files_) total_ += file.bytes;
    transaction_ = std::make_unique<Transaction>(*index_);
    for (const ListedFile& file : files_) {
      say_progress();
      take(file);
    }
    commit();
    WordLists::merge_if_many(*index_);
    return report();
  }

 private:
  // The folder, with an index in it.
  static const std::filesystem::path& prepared(const IndexRequest& request) {
    if (!is_index(request.out))
      make_index(request.out,
                 {.encoder_identity = request.encoder ? request.encoder->identity() : "",
                  .encoder_path = request.encoder ? request.encoder->path() : "",
                  .dimensions = request.encoder ? request.encoder->dimensions() : 0,
                  .chunk_tokens = request.chunk_tokens,
                  .overlap = request.overlap});
    return request.out;
  }

  void check_settings() const {
    const std::string place = request_.out.string();
    constexpr const char* kAdvice = "give the same, or another --out";
    const std::string asked = request_.encoder ? request_.encoder->identity() : "";
    require(settings_.encoder_identity == asked, ErrorKind::kConfig, place,
            "was made with {}, not with {}; {}",
            settings_.encoder_path.empty() ? "no encoder" : "the encoder " + settings_.encoder_path,
            request_.encoder ? request_.encoder->path() : "none", kAdvice);
    require(
        settings_.chunk_tokens == request_.chunk_tokens && settings_.overlap == request_.overlap,
        ErrorKind::kConfig, place, "was cut with --chunk-tokens {} --overlap {}; {}",
        settings_.chunk_tokens, settings_.overlap, kAdvice);
  }

  // Whoever wants to stop throws: the files that were read are complete, and kept.
  void say_progress() {
    try {
      request_.on_progress(done_, total_);
    } catch (...) {
      commit();
      throw;
    }
  }

  void forget_missing() {
    std::set<std::string, std::less<>> there;
    for (const ListedFile& file : files_) there.insert(file.path);
    Transaction transaction(*index_);
    std::vector<int64_t> gone;
    Statement all(*index_, "SELECT id, path FROM files");
    while (all.next())
      if (!there.contains(all.text(1))) gone.push_back(all.integer(0));
    all.reset();
    for (const int64_t file : gone) {
      forget_chunks(file);
      Statement(*index_, "DELETE FROM files WHERE id = ?1").bind(file).run();
    }
    transaction.commit();
  }

  void forget_chunks(int64_t file) {
    forget_pieces_.bind(file).run();
    forget_chunks_.bind(file).run();
  }

  // Whether the index has this file as it is. What only was touched is noted.
  bool is_known(const ListedFile& file, const std::string* hash) {
    find_file_.bind(file.path);
    if (!find_file_.next()) return false;
    const bool same_time =
        find_file_.integer(1) == file.bytes && find_file_.integer(2) == file.changed;
    if (!hash) return same_time;
    const bool same = find_file_.text(3) == *hash;
    const int64_t id = find_file_.integer(0);
    find_file_.reset();
    if (same) touch_.bind(id, file.changed).run();
    return same;
  }

  void take(const ListedFile& file) {
    done_ += file.bytes;
    if (is_known(file, nullptr)) return;
    const std::string extension = std::filesystem::path(file.path).extension().string();
    if (!can_read(extension))
      return skip(file, "", fmt::format("ends in '{}', which is no kind that is read", extension));
    if (file.bytes > kLargest)
      return skip(file, "", fmt::format("has more than {} MiB", kLargest >> 20));
    std::string text;
    try {
      text = read_file(file.path);
    } catch (const Error&) {
      return skip(file, "", "cannot be read");
    }
    const std::string hash = hash_text(text);
    if (is_known(file, &hash)) return;
    const std::string why = why_not(file, text);
    if (!why.empty()) return skip(file, hash, why);
    note(file, hash, read_document(text, extension), text);
    ++read_;
    waiting_bytes_ += file.bytes;
    if (waiting_bytes_ < kWrittenAtOnce && pieces_.size() < kEncodedAtOnce) return;
    commit();
    transaction_ = std::make_unique<Transaction>(*index_);
  }

  int64_t new_file(const ListedFile& file, const std::string& hash, const std::string& title,
                   const std::string& reason) {
    find_file_.bind(file.path);
    if (find_file_.next()) {
      const int64_t old = find_file_.integer(0);
      find_file_.reset();
      forget_chunks(old);
      Statement(*index_, "DELETE FROM files WHERE id = ?1").bind(old).run();
    }
    add_file_.bind(file.path, file.bytes, file.changed, hash, title, reason).run();
    return index_->last_id();
  }

  void skip(const ListedFile& file, const std::string& hash, const std::string& reason) {
    new_file(file, hash, "", reason);
  }

  void note(const ListedFile& file, const std::string& hash, const Document& document,
            const std::string& text) {
    const int64_t id = new_file(file, hash, document.title, "");
    CutOptions options{.chunk_tokens = settings_.chunk_tokens, .overlap = settings_.overlap};
    options.tokens = [&](std::string_view part) { return count_tokens(part); };
    for (const Chunk& chunk : cut(text, document, options)) {
      const std::string bytes = text.substr(static_cast<size_t>(chunk.begin),
                                            static_cast<size_t>(chunk.end - chunk.begin));
      add_chunk_.bind(id, chunk.begin, chunk.end, chunk.trail, bytes).run();
      const int64_t chunk_id = index_->last_id();
      for (const Piece& piece : chunk.pieces) add_piece(chunk_id, piece);
    }
  }

  // Of the encoder; without one, words.
  int64_t count_tokens(std::string_view text) const {
    if (request_.encoder) return request_.encoder->tokens(text);
    int64_t words = 0;
    for_each_word(text, [&](const std::string&) { ++words; });
    return words;
  }

  void add_piece(int64_t chunk, const Piece& piece) {
    WordLists::Counts times;
    int64_t words = 0;
    for_each_word(piece.words, [&](const std::string& word) {
      ++times[word];
      ++words;
    });
    add_piece_.bind(chunk, words, piece.tokens).run();
    const int64_t id = index_->last_id();
    words_.add(id, times);
    if (request_.encoder) pieces_.push_back({id, hash_text(piece.words), piece.words});
  }

  // Vectors, lists of words, and what was noted.
  void commit() {
    encode();
    vectors_.flush();
    words_.write(*index_);
    transaction_->commit();
    transaction_.reset();
    waiting_bytes_ = 0;
  }

  struct Waiting {
    int64_t piece;
    std::string hash, words;
  };

  // Each text once, whatever pieces have it.
  void encode() {
    if (pieces_.empty()) return;
    std::map<std::string, const std::string*> fresh;
    for (const Waiting& one : pieces_) {
      find_vector_.bind(one.hash);
      if (!find_vector_.next()) fresh.emplace(one.hash, &one.words);
    }
    std::vector<std::string> hashes, texts;
    for (const auto& [hash, words] : fresh) {
      hashes.push_back(hash);
      texts.push_back(*words);
      if (texts.size() == kEncodedAtOnce) encode_some(hashes, texts);
    }
    encode_some(hashes, texts);
    for (const Waiting& one : pieces_) {
      find_vector_.bind(one.hash);
      require(find_vector_.next(), ErrorKind::kFormat, "index",
              "a piece has no vector; remove the index and make it anew");
      set_vector_.bind(one.piece, find_vector_.integer(0)).run();
    }
    find_vector_.reset();
    pieces_.clear();
  }

  void encode_some(std::vector<std::string>& hashes, std::vector<std::string>& texts) {
    if (texts.empty()) return;
    std::vector<float> out(texts.size() * static_cast<size_t>(settings_.dimensions));
    request_.encoder->encode(texts, out.data());
    const int64_t first = vectors_.append(out);
    for (size_t i = 0; i < hashes.size(); ++i)
      add_vector_.bind(hashes[i], first + static_cast<int64_t>(i)).run();
    hashes.clear();
    texts.clear();
  }

  IndexReport report() {
    IndexReport out{.read = read_};
    Statement files(*index_, "SELECT path, reason FROM files ORDER BY path");
    while (files.next()) {
      if (files.text(1).empty())
        ++out.files;
      else
        out.skipped.push_back({std::string(files.text(0)), std::string(files.text(1))});
    }
    Statement chunks(*index_, "SELECT count(*) FROM chunks");
    if (chunks.next()) out.chunks = chunks.integer(0);
    Statement tokens(*index_, "SELECT total(tokens) FROM pieces");
    if (tokens.next()) out.tokens = tokens.integer(0);
    return out;
  }

  const IndexRequest& request_;
  std::vector<ListedFile> files_;
  FolderLock lock_;
  std::unique_ptr<Database> index_;
  IndexSettings settings_;
  VectorFile vectors_;
  WordLists words_;
  std::unique_ptr<Transaction> transaction_;
  int64_t done_ = 0, total_ = 0, read_ = 0, waiting_bytes_ = 0;
  std::vector<Waiting> pieces_;

  Statement find_file_{*index_, "SELECT id, bytes, changed, hash FROM files WHERE path = ?1"};
  Statement touch_{*index_, "UPDATE files SET changed = ?2 WHERE id = ?1"};
  Statement add_file_{*index_,
                      "INSERT INTO files(path, bytes, changed, hash, title, reason) "
                      "VALUES(?1, ?2, ?3, ?4, ?5, ?6)"};
  Statement forget_pieces_{
      *index_, "DELETE FROM pieces WHERE chunk IN (SELECT id FROM chunks WHERE file = ?1)"};
  Statement forget_chunks_{*index_, "DELETE FROM chunks WHERE file = ?1"};
  Statement add_chunk_{
      *index_, "INSERT INTO chunks(file, first, last, trail, text) VALUES(?1, ?2, ?3, ?4, ?5)"};
  Statement add_piece_{*index_,
                       "INSERT INTO pieces(chunk, words, tokens, vector) VALUES(?1, ?2, ?3, -1)"};
  Statement find_vector_{*index_, "SELECT place FROM vectors WHERE hash = ?1"};
  Statement add_vector_{*index_, "INSERT INTO vectors VALUES(?1, ?2)"};
  Statement set_vector_{*index_, "UPDATE pieces SET vector = ?2 WHERE id = ?1"};
};

}  // namespace

IndexReport update_index(const IndexRequest& request) { return Update(request).run(); }

}  // namespace lathe
