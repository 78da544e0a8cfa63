// lathe tokenizer train | encode | decode | inspect.

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "lathe/base/strings.h"
#include "lathe/cli/commands.h"
#include "lathe/cli/interrupt.h"
#include "lathe/config/config.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/json_file.h"
#include "lathe/io/manifest.h"
#include "lathe/io/mapped_file.h"
#include "lathe/text/bpe_trainer.h"
#include "lathe/text/tokenizer.h"
#include "lathe/text/utf8.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::vector<std::string> pattern_names() {
  std::vector<std::string> names;
  for (const PatternInfo& info : kPreTokenizers) names.emplace_back(info.name);
  return names;
}

std::optional<Pattern> pattern_of(const std::optional<std::string>& name) {
  return name ? find_pattern(*name) : std::nullopt;
}

struct TrainOptions {
  std::vector<std::string> files, special_token;
  std::string out, pattern = "gpt2";
  int64_t vocab_size = 32000, min_count = 1, memory_mib = 2048, model_max_length = 0;
  std::optional<std::string> eos, bos, pad;

  template <class V>
  void visit(V& v) {
    v.positional("files", files, "text files; each is one document");
    v.field("vocab_size", vocab_size, "tokens in all: special tokens, 256 bytes, merges",
            at_least(256));
    v.field("out", out, "folder for tokenizer.json and tokenizer_config.json", required());
    v.choice("pattern", pattern, pattern_names(), "how text is cut before merging");
    v.field("special_token", special_token,
            "a special token, e.g. '<|endoftext|>'; may be repeated, gets the lowest ids");
    v.field("eos", eos, "which of them ends a text (default: the first)");
    v.field("bos", bos, "which of them begins a text");
    v.field("pad", pad, "which of them fills up a batch");
    v.field("min_count", min_count, "pairs that occur less often are not merged", at_least(1));
    v.field("memory_mib", memory_mib,
            "memory to use; when the distinct words do not fit, the rarest are forgotten",
            between(1, 1 << 20));
    v.field("model_max_length", model_max_length,
            "written to tokenizer_config.json; 0 leaves it out", at_least(0));
  }
};

void write_trained(const TrainOptions& options, const TrainedTokenizer& trained,
                   const CommandContext& context, const Json& facts) {
  const fs::path folder = options.out;
  std::error_code error;
  fs::create_directories(folder, error);
  require(!error, ErrorKind::kIo, options.out, "cannot make the folder: {}", error.message());
  TokenizerConfig config;
  if (!options.special_token.empty()) config.eos = options.special_token.front();
  if (options.eos) config.eos = *options.eos;
  config.bos = options.bos.value_or("");
  config.pad = options.pad.value_or("");
  config.model_max_length = options.model_max_length;
  const std::string config_json = trained.tokenizer.config_json(config);
  write_file_atomically(folder / "tokenizer.json", trained.tokenizer.to_json());
  write_file_atomically(folder / "tokenizer_config.json", config_json);

  Manifest manifest = new_manifest("tokenizer", context.command_line());
  manifest.recipe = write_config(options).dump(-1, ' ', false, Json::error_handler_t::replace);
  manifest.facts = facts.dump();
  for (const std::string& file : options.files) add_input(manifest, file, "text");
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
    add_output(manifest, folder / name, "tokenizer");
  write_manifest(manifest_path(folder, true), manifest);
}

int run_train(const TrainOptions& options, CommandContext& context) {
  BpeTrainOptions train;
  train.vocab_size = options.vocab_size;
  train.pattern = *find_pattern(options.pattern);
  train.special_tokens = options.special_token;
  train.min_count = options.min_count;
  train.memory_bytes = options.memory_mib << 20;
  for (const auto* name : {&options.eos, &options.bos, &options.pad}) {
    const auto& known = options.special_token;
    require(!*name || std::find(known.begin(), known.end(), **name) != known.end(),
            ErrorKind::kUsage, "command line",
            "'{}' is not one of the special tokens; add --special-token '{}'", name->value_or(""),
            name->value_or(""));
  }
  const auto start = std::chrono::steady_clock::now();
  std::optional<Progress> reading, merging;
  const TrainedTokenizer trained =
      train_bpe_files(options.files, train, [&](const BpeTrainProgress& p) {
        throw_if_interrupted();
        if (p.vocab_size == 0) {
          if (!reading)
            reading.emplace(context.progress, "reading", static_cast<double>(p.bytes_total), "B");
          reading->update(static_cast<double>(p.bytes_read));
          return;
        }
        if (reading) reading->finish();
        reading.reset();
        if (!merging)
          merging.emplace(context.progress, "merging", static_cast<double>(p.vocab_target),
                          "tokens");
        merging->update(static_cast<double>(p.vocab_size));
      });
  if (merging) merging->finish();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  const BpeTrainStats& s = trained.stats;
  const int64_t size = trained.tokenizer.vocab_size();
  const Json facts = {{"vocab_size", size},
                      {"merges", trained.tokenizer.merge_count()},
                      {"bytes", s.bytes},
                      {"words", s.words},
                      {"distinct_words", s.distinct},
                      {"forgotten_words", s.forgotten},
                      {"last_count", s.last_count}};
  write_trained(options, trained, context, facts);
  if (size < options.vocab_size)
    context.log.warn("the text has pairs for {} tokens only; {} were asked for", size,
                     options.vocab_size);
  if (s.forgotten > 0)
    context.log.warn(
        "{} of {} words were forgotten to stay within {} MiB; raise --memory-mib for an exact "
        "result",
        s.forgotten, s.words, options.memory_mib);
  if (context.json) {
    Json result = facts;
    result["out"] = options.out;
    result["seconds"] = seconds;
    context.print_json(result);
  } else {
    context.out << fmt::format("{}: {} tokens from {} of text, {} words, {} of them distinct\n",
                               options.out, size, human_bytes(static_cast<double>(s.bytes)),
                               human_count(static_cast<double>(s.words)),
                               human_count(static_cast<double>(s.distinct)));
  }
  return 0;
}

struct EncodeCommandOptions {
  std::string tokenizer, input, out;
  bool special = true, add_special = false;
  std::optional<std::string> pattern;

  template <class V>
  void visit(V& v) {
    v.positional("tokenizer", tokenizer, "a folder, a tokenizer.json or a .tiktoken file");
    v.field("input", input, "file to encode, as one text", required());
    v.field("out", out, "JSON file for the list of ids", required());
    v.field("special", special, "recognise special tokens written in the text");
    v.field("add_special", add_special, "add what the tokenizer puts around a text (BOS, EOS)");
    v.choice("pattern", pattern, pattern_names(),
             "how a .tiktoken file cuts text (default: cl100k)");
  }
};

std::string ids_as_json(const std::vector<int32_t>& ids) {
  return fmt::format("[{}]\n", fmt::join(ids, ", "));
}

int run_encode(const EncodeCommandOptions& options, CommandContext& context) {
  const Tokenizer tokenizer = load_tokenizer(options.tokenizer, pattern_of(options.pattern));
  const std::string text = read_file(options.input);
  const std::vector<int32_t> ids = tokenizer.encode(
      text, {.special_as_text = !options.special, .add_special_tokens = options.add_special});
  write_file_atomically(options.out, ids_as_json(ids));
  if (context.json)
    context.print_json({{"tokens", ids.size()}, {"bytes", text.size()}, {"out", options.out}});
  return 0;
}

struct DecodeCommandOptions {
  std::string tokenizer, input, out;
  bool skip_special = false;
  std::optional<std::string> pattern;

  template <class V>
  void visit(V& v) {
    v.positional("tokenizer", tokenizer, "a folder, a tokenizer.json or a .tiktoken file");
    v.field("input", input, "JSON file with a list of ids", required());
    v.field("out", out, "file for the bytes", required());
    v.field("skip_special", skip_special, "leave special tokens out");
    v.choice("pattern", pattern, pattern_names(), "accepted as for encode; does not matter here");
  }
};

std::vector<int32_t> read_ids(const std::string& path) {
  const Json json =
      read_json_file(path, {.values = size_t{1} << 32, .error_kind = ErrorKind::kFormat});
  require(json.is_array(), ErrorKind::kFormat, path, "holds a {}, expected a list of ids",
          json.type_name());
  std::vector<int32_t> ids;
  ids.reserve(json.size());
  for (const Json& id : json) {
    require(id.is_number_integer() && id >= 0 && id <= INT32_MAX, ErrorKind::kFormat, path,
            "entry {} is {}, expected an id", ids.size(),
            id.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 40));
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

int run_decode(const DecodeCommandOptions& options, CommandContext& context) {
  const Tokenizer tokenizer = load_tokenizer(options.tokenizer, pattern_of(options.pattern));
  const std::vector<int32_t> ids = read_ids(options.input);
  const std::string text = tokenizer.decode(ids, {.skip_special = options.skip_special});
  write_file_atomically(options.out, text);
  if (context.json)
    context.print_json({{"tokens", ids.size()}, {"bytes", text.size()}, {"out", options.out}});
  return 0;
}

struct InspectOptions {
  std::string tokenizer;
  std::optional<std::string> text, pattern;

  template <class V>
  void visit(V& v) {
    v.positional("tokenizer", tokenizer, "a folder, a tokenizer.json or a .tiktoken file");
    v.field("text", text, "show how this text is cut into tokens");
    v.choice("pattern", pattern, pattern_names(),
             "how a .tiktoken file cuts text (default: cl100k)");
  }
};

// Printable: invalid UTF-8 and control characters as \xNN.
std::string visible(std::string_view bytes) {
  std::string out;
  const uint8_t *p = as_bytes(bytes), *end = p + bytes.size();
  while (p < end) {
    const CodePoint c = decode_utf8(p, end);
    if (c.value == kInvalidByte || c.value < 0x20 || c.value == 0x7F) {
      out += fmt::format("\\x{:02x}", *p);
    } else {
      out.append(reinterpret_cast<const char*>(p), c.size);
    }
    p += c.size;
  }
  return out;
}

int run_inspect(const InspectOptions& options, CommandContext& context) {
  const Tokenizer t = load_tokenizer(options.tokenizer, pattern_of(options.pattern));
  size_t longest = 0;
  for (int32_t id = 0; id < t.vocab_size(); ++id)
    if (t.has(id)) longest = std::max(longest, t.token_bytes(id).size());
  Json result = {{"vocab_size", t.vocab_size()},
                 {"merges", t.merge_count()},
                 {"pre_tokenizer", t.pattern_name()},
                 {"longest_token_bytes", longest}};
  result["added_tokens"] = Json::array();
  for (const AddedToken& a : t.added_tokens())
    result["added_tokens"].push_back(
        {{"id", a.id}, {"content", a.content}, {"special", a.special}});
  if (options.text) {
    result["tokens"] = Json::array();
    for (int32_t id : t.encode(*options.text))
      result["tokens"].push_back({{"id", id}, {"text", visible(t.token_bytes(id))}});
  }
  if (context.json) {
    context.print_json(result);
    return 0;
  }
  context.out << fmt::format(
      "vocabulary     {} tokens, {} merges\npre-tokeniser  {}\nlongest token  {} bytes\n",
      t.vocab_size(), t.merge_count(), t.pattern_name(), longest);
  for (const AddedToken& a : t.added_tokens())
    context.out << fmt::format("{:>8}  {:8} {}\n", a.id, a.special ? "special" : "added",
                               visible(a.content));
  if (options.text)
    for (const Json& token : result["tokens"])
      context.out << fmt::format("{:>8}  '{}'\n", token["id"].get<int32_t>(),
                                 token["text"].get<std::string>());
  return 0;
}

}  // namespace

Command tokenizer_command() {
  return command_group(
      {.name = "tokenizer", .summary = "train tokenizers, turn text into ids and back"},
      {make_command<TrainOptions>(
           {.name = "train",
            .summary = "train a byte-level BPE tokenizer",
            .help = "Writes DIR/tokenizer.json, which `tokenizers` and `transformers` read as "
                    "well. The\n"
                    "result is the same whatever the number of threads.\n\n"
                    "  lathe tokenizer train book.txt --vocab-size 8000 --out runs/tok\n"
                    "  lathe tokenizer train *.txt --pattern llama3 --special-token "
                    "'<|endoftext|>' \\\n"
                    "      --out runs/tok\n"},
           run_train),
       make_command<EncodeCommandOptions>(
           {.name = "encode",
            .summary = "text to token ids",
            .help = "The whole file is one text; any bytes are allowed.\n\n"
                    "  lathe tokenizer encode runs/tok --input book.txt --out ids.json\n"},
           run_encode),
       make_command<DecodeCommandOptions>(
           {.name = "decode",
            .summary = "token ids to bytes",
            .help = "  lathe tokenizer decode runs/tok --input ids.json --out book.txt\n"},
           run_decode),
       make_command<InspectOptions>(
           {.name = "inspect",
            .summary = "show what a tokenizer is made of",
            .help = "  lathe tokenizer inspect runs/tok --text 'Hello, world'\n"},
           run_inspect)});
}

}  // namespace lathe
