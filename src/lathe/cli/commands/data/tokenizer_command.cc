// lathe tokenizer encode | decode | inspect; train has a file of its own.

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "lathe/base/catalogue.h"
#include "lathe/base/strings.h"
#include "lathe/base/utf8.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/data/tokenizer_train.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/json_file.h"
#include "lathe/io/mapped_file.h"
#include "lathe/text/tokenizer.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

std::optional<Pattern> pattern_of(const std::optional<std::string>& name) {
  return name ? find_pattern(*name) : std::nullopt;
}

struct EncodeCommandOptions {
  std::string tokenizer, input, out;
  bool special = true, add_special = false;
  std::optional<std::string> pattern;

  void visit(Visitor& v) {
    v.positional("tokenizer", tokenizer, "a folder, a tokenizer.json or a .tiktoken file");
    v.field("input", input, "file to encode, as one text", required());
    v.field("out", out, "JSON file for the list of ids", required());
    v.field("special", special, "recognise special tokens written in the text");
    v.field("add_special", add_special,
            "add the tokens that the tokenizer puts around a text (BOS, EOS)");
    v.choice("pattern", pattern, names_of(kPreTokenizers),
             "how to split text for a .tiktoken file (default: cl100k)");
  }
};

constexpr size_t kIdsAtOnce = 1 << 16;  // between two looks at Ctrl-C

void write_ids(const std::string& path, std::span<const int32_t> ids) {
  AtomicFile file(path);
  file.write("[");
  for (size_t begin = 0; begin < ids.size(); begin += kIdsAtOnce) {
    throw_if_interrupted();
    const auto some = ids.subspan(begin, std::min(kIdsAtOnce, ids.size() - begin));
    file.write(fmt::format("{}{}", begin > 0 ? ", " : "", fmt::join(some, ", ")));
  }
  file.write("]\n");
  file.commit(throw_if_interrupted);
}

int run_encode(const EncodeCommandOptions& options, CommandContext& context) {
  const Tokenizer tokenizer = load_tokenizer(options.tokenizer, pattern_of(options.pattern));
  const std::string text = read_file(options.input);
  Progress progress(context.progress, "encoding", static_cast<double>(text.size()), "B");
  const std::vector<int32_t> ids =
      tokenizer.encode(text, {.special_as_text = !options.special,
                              .add_special_tokens = options.add_special,
                              .progress = [&](size_t done) {
                                throw_if_interrupted();
                                progress.update(static_cast<double>(done));
                              }});
  progress.finish();
  write_ids(options.out, ids);
  if (context.json)
    context.print_json({{"tokens", ids.size()}, {"bytes", text.size()}, {"out", options.out}});
  return 0;
}

struct DecodeCommandOptions {
  std::string tokenizer, input, out;
  bool skip_special = false;
  std::optional<std::string> pattern;

  void visit(Visitor& v) {
    v.positional("tokenizer", tokenizer, "a folder, a tokenizer.json or a .tiktoken file");
    v.field("input", input, "JSON file with a list of ids", required());
    v.field("out", out, "file for the bytes", required());
    v.field("skip_special", skip_special, "leave out special tokens");
    v.choice("pattern", pattern, names_of(kPreTokenizers),
             "accepted as in encode, but has no effect");
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
  AtomicFile file(options.out);
  Progress progress(context.progress, "decoding", static_cast<double>(ids.size()), "ids");
  for (size_t begin = 0; begin < ids.size(); begin += kIdsAtOnce) {
    throw_if_interrupted();
    progress.update(static_cast<double>(begin));
    const auto some = std::span(ids).subspan(begin, std::min(kIdsAtOnce, ids.size() - begin));
    file.write(tokenizer.decode(some, {.skip_special = options.skip_special}));
  }
  progress.finish();
  const uint64_t bytes = file.size();
  file.commit(throw_if_interrupted);
  if (context.json)
    context.print_json({{"tokens", ids.size()}, {"bytes", bytes}, {"out", options.out}});
  return 0;
}

struct InspectOptions {
  std::string tokenizer;
  std::optional<std::string> text, pattern;

  void visit(Visitor& v) {
    v.positional("tokenizer", tokenizer, "a folder, a tokenizer.json or a .tiktoken file");
    v.field("text", text, "show how this text is split into tokens");
    v.choice("pattern", pattern, names_of(kPreTokenizers),
             "how to split text for a .tiktoken file (default: cl100k)");
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
      {tokenizer_train_command(),
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
